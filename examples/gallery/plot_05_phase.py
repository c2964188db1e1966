"""
Quantitative phase
==================

An object that only retards light, not seen at all by a camera in focus, and how exactly its phase
comes back.
"""

import itertools
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

import fpm_inr as fpm
from fpm_inr.metrics import align, phase_rmse, without_ramp
from fpm_inr.simulate import Specimen, preset, simulate

# %%
# ``opacity=0`` takes all absorption away; where the cells are thickest they retard by 1 rad.

setup = preset("demo")
specimen = Specimen("smear", "thin", opacity=0.0, phase_rad=1.0)
made = simulate(replace(setup, specimen=specimen, scan_z_um=()))
acquisition, truth = made.acquisition, made.truth

solution = fpm.reconstruct(acquisition)
field_y_x = solution.render(0).field_z_y_x[0]

# %%
# Compare phases
# --------------
# No measurement knows the phase of the whole image, nor a ramp across it (a shift of all LEDs).
# Both are taken off before two phases are compared. The rest is the error.

inner = np.s_[8:-8, 8:-8]
aligned = align(field_y_x[inner], truth.seen_y_x[inner])
difference_y_x, _ = without_ramp(aligned.result, aligned.reference)
true_y_x = np.angle(aligned.reference)
print(f"phase error, RMS: {phase_rmse(aligned.result, aligned.reference):.4f} rad")
print(f"phase of the object, RMS: {true_y_x.std():.4f} rad")

# %%
# Where the error lies
# --------------------
# By size of structure: the RMS of error and object within bands of spatial frequency. The slower a
# change of phase, the less of it shows in amplitudes.

rows, columns = difference_y_x.shape
window = np.outer(np.hanning(rows), np.hanning(columns))
radius = np.hypot(np.fft.fftfreq(rows)[:, None] * rows, np.fft.fftfreq(columns)[None, :] * columns)


def bands(image_y_x):
    """RMS of an image in bands, in the image's unit."""
    power = np.abs(np.fft.fft2((image_y_x - image_y_x.mean()) * window, norm="forward")) ** 2
    edges = [0.5, 2, 4, 8, 16, 64]
    return [
        np.sqrt(power[(radius >= low) & (radius < high)].sum() / np.mean(window**2))
        for low, high in itertools.pairwise(edges)
    ]


names = ("1-2", "2-4", "4-8", "8-16", "16-64")
for name, error, size in zip(names, bands(difference_y_x), bands(true_y_x), strict=True):
    print(f"{name:>6s} cycles across the field: error {error:.4f} of {size:.4f} rad")

# %%
figure, places = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
central = np.argmin(acquisition.illumination.na_led)
places[0].imshow(acquisition.amplitude_led_y_x[central], cmap="gray", vmin=0)
places[0].set_title("frame of the central LED")
flat = np.angle(aligned.result * np.exp(-1j * np.angle(aligned.result.mean())))
for axes, image, title in (
    (places[1], flat, "solved phase, rad"),
    (places[2], difference_y_x, "error, rad"),
):
    figure.colorbar(axes.imshow(image, cmap="viridis"), ax=axes)
    axes.set_title(title)
for axes in places:
    axes.set_axis_off()
