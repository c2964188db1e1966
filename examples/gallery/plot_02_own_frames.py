"""
Your own frames
===============

A folder of pictures and a text file that says how they were taken: that is all a reconstruction
needs. Here the pictures are simulated, then forgotten but for their files.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import fpm_inr as fpm
from fpm_inr.acquisition import Optics
from fpm_inr.calibration.orientation import check_orientation, oriented
from fpm_inr.simulate import Camera, Rig, Setup, Specimen, simulate
from fpm_inr.simulate.rig import grid_leds

# %%
# A folder of PNG files
# ---------------------
# An array of 9 x 9 LEDs, 4 mm apart, 80 mm below a 4x objective. One 16-bit picture an LED, named
# so that they sort in the order in which the LEDs were lit.

optics = Optics(wavelength_um=0.63, na=0.1, pixel_um=6.5 / 4)
setup = Setup(
    Specimen("smear", "thin", z_um=30),
    Rig(optics, grid_leds(9, 4.0), 80.0),
    shape_y_x=(80, 80),
    camera=Camera(photons=20_000, bits=16),
    upsampling=3,
)
folder = Path(tempfile.mkdtemp())
for number, frame in enumerate(simulate(setup).acquisition.frames_led_y_x):
    Image.fromarray(frame.round().astype(np.uint16)).save(folder / f"{number:03d}.png")
print(len(list(folder.glob("*.png"))), "files")

# %%
# Their description
# -----------------
# ``fpm-inr init FOLDER`` writes this file for you to fill in. Let us make a common mistake: the
# driver counts LEDs from another corner, so ``flip_x`` should not be there.

(folder / "acquisition.yaml").write_text("""
frames:
  file: "*.png"
optics:
  wavelength_um: 0.63
  na: 0.1
  camera_pixel_um: 6.5
  magnification: 4
leds:
  grid: {order: raster, rows: 9, columns: 9, pitch_mm: 4, distance_mm: 80, flip_x: true}
""")
acquisition = fpm.load(folder)
print(acquisition.led_count, "LEDs up to NA", acquisition.illumination.na_led.max().round(3))

# %%
# Is it right?
# ------------
# A symmetric array looks the same from all sides. The frames tell: eight short solves, one for each
# way in which the array may be turned or mirrored (``fpm-inr inspect`` prints the same).

check = check_orientation(acquisition)
for orientation, residual in check.residual.items():
    print(f"{residual:.4f}  {orientation}")
print(*check.warnings)

# %%
# Either mend the file, or take the orientation that fits (``--orient auto`` on the command line).
# Two maps fit equally well: turned by half a turn, with z reversed and the object conjugated. Only
# a known height tells which is right, here +30 um.

check = check_orientation(acquisition, z_um=30)
right = fpm.reconstruct(oriented(acquisition, check.best), z_range_um=(30, 30))
wrong = fpm.reconstruct(acquisition, z_range_um=(30, 30))

figure, places = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
places[0].imshow(acquisition.amplitude_led_y_x[40], cmap="gray")
places[0].set_title("a frame, 30 um out of focus")
places[1].imshow(wrong.render(30).amplitude_z_y_x[0], cmap="gray")
places[1].set_title("as described")
places[2].imshow(right.render(30).amplitude_z_y_x[0], cmap="gray")
places[2].set_title(str(check.best))
for axes in places:
    axes.set_axis_off()
