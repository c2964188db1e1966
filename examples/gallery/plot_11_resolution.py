"""
Resolution of a target
======================

How fine a structure comes back, and with which contrast: a Siemens star, drawn exactly, lit from
bright field and dark field.
"""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

import fpm_inr as fpm
from fpm_inr.metrics import align, specimen_contrast
from fpm_inr.sampling import synthetic_na
from fpm_inr.simulate import preset, simulate

setup = replace(preset("siemens"), shape_y_x=(80, 80))
made = simulate(setup)
acquisition, truth = made.acquisition, made.truth

# %%
# What the LEDs promise
# ---------------------

na = synthetic_na(acquisition.optics, acquisition.illumination)
print(f"objective NA {acquisition.optics.na}, synthetic NA {na:.2f}: ", end="")
print(f"periods down to {acquisition.optics.wavelength_um / na:.2f} um")

# %%
# What comes out
# --------------
# Contrast on circles of the star: the image's swing at the spokes, over the target's.

solution = fpm.reconstruct(acquisition)
field_y_x = solution.render(0).field_z_y_x[0]
curves = {}
for name, image in (("result", field_y_x), ("truth, band-limited", truth.seen_y_x)):
    curves[name] = specimen_contrast(
        align(image, truth.seen_y_x),
        truth.settings,
        shape_y_x=truth.seen_y_x.shape,
        pixel_um=truth.pixel_um,
    )
    print(f"{name}: contrast above 0.1 down to a period of {curves[name].cutoff_um:.2f} um")

# %%
figure, places = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
central = np.argmin(acquisition.illumination.na_led)
places[0].imshow(acquisition.amplitude_led_y_x[central], cmap="gray")
places[0].set_title("frame of the central LED")
places[1].imshow(np.abs(field_y_x), cmap="gray")
places[1].set_title("amplitude")
for name, curve in curves.items():
    places[2].plot(curve.period_um, curve.contrast, "o-", ms=3, label=name)
places[2].set(xlabel="period, um", ylabel="contrast", ylim=(-0.1, 1.1))
places[2].legend()
for axes in places[:2]:
    axes.set_axis_off()
