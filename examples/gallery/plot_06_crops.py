"""
A field in parts
================

Far from the optical axis the LEDs stand under other angles. A wide field is therefore solved in
parts, each with the directions that its own middle sees.
"""

import matplotlib.pyplot as plt
import numpy as np

import fpm_inr as fpm
from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.illumination import LedGeometry
from fpm_inr.simulate import Camera, Rig, Setup, Specimen, simulate
from fpm_inr.simulate.rig import grid_leds

# %%
# Frames whose LEDs have places
# -----------------------------
# The simulator's LEDs are seen under the same angle from everywhere. To show what places are for,
# the frames here are said to be a corner of a large sensor: its axis lies 600 pixels away.

optics = Optics(wavelength_um=0.63, na=0.1, pixel_um=1.625)
places_mm, distance_mm = grid_leds(9, 4.0), 80.0
made = simulate(
    Setup(
        Specimen("smear", "thin", z_um=0),
        Rig(optics, places_mm, distance_mm),
        shape_y_x=(128, 128),
        camera=Camera(photons=20_000, bits=16),
        upsampling=3,
    )
)
whole = made.acquisition

# %%
# A crop sees other directions
# ----------------------------
# ``Acquisition.crop`` (``--crop`` on the command line) does this by itself wherever the places of
# the LEDs are known.

geometry = LedGeometry(np.column_stack([places_mm, np.full(len(places_mm), distance_mm)]))
cornered = Acquisition(
    whole.frames_led_y_x,
    optics,
    Illumination(geometry.na_at(0, 0), geometry),
    axis_y_x_px=(-600, -600),
)
corner = cornered.crop(64, 64, 64, 64)
central = len(places_mm) // 2
print("central LED from the axis:  ", cornered.illumination.na_led_xy[central].round(4))
print("the same from that crop:    ", corner.illumination.na_led_xy[central].round(4))

# %%
# Solve in parts, put together
# ----------------------------
# Parts overlap, so that the rims, where a field is periodic and a specimen is not, can be cut away.
# Each part has a phase and a ramp of its own that no frame can tell: they are made to agree where
# parts overlap. Amplitudes need none of that.

side, step, factor = 80, 48, 3
trim = (side - step) // 2
image = np.zeros((128 * factor, 128 * factor))
for y in range(0, 128 - side + 1, step):
    for x in range(0, 128 - side + 1, step):
        part = fpm.reconstruct(whole.crop(y, x, side, side), upsample=factor).render(0)
        # the outer rim of the whole field is kept
        top, left = (trim if y else 0), (trim if x else 0)
        inner = part.amplitude_z_y_x[0][top * factor :, left * factor :]
        image[
            (y + top) * factor : (y + side) * factor, (x + left) * factor : (x + side) * factor
        ] = inner * part.amplitude_scale / whole.amplitude_scale

at_once = fpm.reconstruct(whole, upsample=factor).render(0).amplitude_z_y_x[0]
inside = np.s_[24:-24, 24:-24]
unlike = np.linalg.norm(image[inside] - at_once[inside]) / np.linalg.norm(at_once[inside])
print(f"four parts and the whole differ by {unlike:.3f} (relative L2)")

figure, axes = plt.subplots(1, 2, figsize=(10, 5), layout="constrained")
axes[0].imshow(image, cmap="gray", vmin=0.4, vmax=1.3)
axes[0].set_title("four parts")
axes[1].imshow(at_once, cmap="gray", vmin=0.4, vmax=1.3)
axes[1].set_title("at once")
for one in axes:
    one.set_axis_off()
