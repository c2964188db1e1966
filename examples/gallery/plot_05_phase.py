"""
Quantitative phase
==================

An object that only retards light, not seen at all by a camera in focus, and how exactly its phase
comes back.
"""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

import fpm_inr as fpm
from fpm_inr.metrics import band_errors, phase_error, without_factor
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
# No measurement knows the phase of the whole image: one constant is taken off before two phases are
# compared, and nothing else. The rest is the error.

inner = np.s_[8:-8, 8:-8]
solved, true = field_y_x[inner], truth.seen_y_x[inner]
print(f"phase error, RMS: {phase_error(solved, true):.4f} rad")
print(f"phase of the object, RMS: {np.angle(true).std():.4f} rad")

# %%
# Where the error lies
# --------------------
# By size of structure, in cycles across the image. The slower a change of phase, the less of it
# shows in amplitudes: a microscope measures slow phase worst.

bands = band_errors(solved, true)
for name, error, size in zip(bands.names, bands.error, bands.reference, strict=True):
    print(f"{name:>10s} cycles: error {error:.4f}, object {size:.4f} of the whole object")

# %%
figure, places = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
central = np.argmin(acquisition.illumination.na_led)
places[0].imshow(acquisition.amplitude_led_y_x[central], cmap="gray", vmin=0)
places[0].set_title("frame of the central LED")
same_constant = without_factor(solved, true)
flat_y_x = np.angle(same_constant * np.exp(-1j * np.angle(true.mean())))
difference_y_x = np.angle(same_constant * np.conj(true))
for axes, image, title in (
    (places[1], flat_y_x, "solved phase, rad"),
    (places[2], difference_y_x, "error, rad"),
):
    figure.colorbar(axes.imshow(image, cmap="viridis"), ax=axes)
    axes.set_title(title)
for axes in places:
    axes.set_axis_off()
