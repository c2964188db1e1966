"""
A first reconstruction
======================

A thin blood smear is lit from 37 LEDs; its frames become one complex image, sampled twice as fine.
"""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

import fpm_inr as fpm
from fpm_inr.metrics import compare
from fpm_inr.simulate import Specimen, preset, simulate

# %%
# Simulated frames
# ----------------
# A preset is a complete experiment: specimen, microscope, camera. Parts of it are replaced. What
# comes back is what a user has (``acquisition``) and what no user has (``truth``).

setup = preset("demo")
setup = replace(setup, specimen=Specimen("smear", "thin"), scan_z_um=())
made = simulate(setup)
acquisition, truth = made.acquisition, made.truth
print(acquisition.led_count, "frames of", acquisition.shape_y_x, "pixels;", acquisition.optics)

# %%
# Solve
# -----
# Without ``z_range_um`` one image is solved, at z = 0.

solution = fpm.reconstruct(acquisition)
stack = solution.render(z_um=0)
print("image of", stack.shape_y_x, "pixels of", stack.pixel_um, "um")

# %%
# Look
# ----
# The frame of the most central LED, beside amplitude and phase of the result.

central = np.argmin(acquisition.illumination.na_led)
figure, places = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
places[0].imshow(acquisition.amplitude_led_y_x[central], cmap="gray")
places[0].set_title("frame of the central LED")
places[1].imshow(stack.amplitude_z_y_x[0], cmap="gray")
places[1].set_title("amplitude")
places[2].imshow(stack.phase_z_y_x[0], cmap="twilight", vmin=-np.pi, vmax=np.pi)
places[2].set_title("phase, rad")
for axes in places:
    axes.set_axis_off()

# %%
# How near the truth is it?
# -------------------------
# A result is known up to one complex factor, so it is aligned before it is compared. ``seen_y_x``
# is the specimen without what no LED brings into the pupil. The rim, where a solved field is
# periodic and a specimen is not, is left out.

rim = 8
inner = np.s_[rim:-rim, rim:-rim]
comparison = compare(stack.field_z_y_x[0][inner], truth.seen_y_x[inner], stack.pixel_um)
for name in ("relative_l2", "amplitude_relative_l2", "phase_error_rad"):
    print(f"{name:22s} {comparison.numbers[name]:.4f}")
