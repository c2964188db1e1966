"""
Calibration
===========

No microscope is as its file says. Pupil, LED positions and LED brightness are found from the same
frames.
"""

import matplotlib.pyplot as plt
import numpy as np

import fpm_inr as fpm
from fpm_inr.acquisition import Optics
from fpm_inr.calibration.calibrate import calibrate
from fpm_inr.metrics import compare
from fpm_inr.simulate import Camera, Errors, Rig, Setup, Specimen, simulate
from fpm_inr.simulate.rig import grid_leds

# %%
# An instrument that is not as stated
# -----------------------------------
# A fifth of a wave of aberrations, an array that stands half a millimetre off and is turned by a
# degree, and LEDs that differ by a fifth. ``acquisition`` holds what was stated, ``truth`` what was
# so.

setup = Setup(
    Specimen("smear", "thin"),
    Rig(Optics(wavelength_um=0.63, na=0.1, pixel_um=6.5 / 4), grid_leds(9, 4.0), 80.0),
    shape_y_x=(96, 96),
    camera=Camera(photons=20_000, bits=16),
    upsampling=3,
    errors=Errors(
        aberration_waves=((5, 0.15), (7, 0.1), (11, 0.15)),
        array_shift_mm=(0.5, -0.3),
        array_rotation_deg=1.0,
        gain_spread=0.2,
    ),
)
made = simulate(setup)
acquisition, truth = made.acquisition, made.truth

# %%
# Find it
# -------
# The height must be given: a defocused pupil and a higher sample are one and the same.

result = calibrate(acquisition, z_um=0, free="gains,pupil,pose")
print("accepted:", result.accepted)
print(f"data residual {result.before.residual:.4f} as stated, {result.after.residual:.4f} as found")

# %%
# Against the truth. Gains are amplitudes here, and mean 1 over the bright field.

found = result.instrument
for name, na_led_xy in (
    ("as stated", acquisition.illumination.na_led_xy),
    ("as found", found.na_led_xy.numpy()),
):
    off = np.sqrt(np.mean((na_led_xy - truth.na_led_xy) ** 2))
    print(f"LED directions {name}: off by {1000 * off:.2f} thousandths of NA, RMS")
print("Noll index   true   found, waves RMS")
for noll in (5, 7, 11):
    true, solved = truth.zernike_waves[noll - 1], found.zernike_rad[noll - 1] / (2 * np.pi)
    print(f"{noll:10d}  {true:5.2f}   {solved:5.2f}")

# %%
# What it is worth
# ----------------

as_stated = fpm.reconstruct(acquisition, upsample=3).render(0)
as_found = fpm.reconstruct(acquisition, upsample=3, calibration=found).render(0)
figure, places = plt.subplots(1, 3, figsize=(10, 3.9), layout="constrained")
for axes, image, name in zip(
    places,
    (as_stated.field_z_y_x[0], as_found.field_z_y_x[0], truth.seen_y_x),
    ("as stated", "calibrated", "truth"),
    strict=True,
):
    error = compare(image[8:-8, 8:-8], truth.seen_y_x[8:-8, 8:-8]).numbers["relative_l2"]
    axes.imshow(np.abs(image), cmap="gray", vmin=0.3, vmax=1.3)
    axes.set_title(name if name == "truth" else f"{name}: complex error {error:.3f}")
    axes.set_axis_off()

# %%
# ``fpm-inr calibrate DATA -o CAL --z 0`` writes the same as ``calibration.json``, which
# ``fpm-inr reconstruct --calibration`` reads.
