"""
Focus and depth
===============

A tilted specimen is sharp nowhere at once. One field holds all heights; each pixel is taken at the
height that explains the frames best.
"""

import matplotlib.pyplot as plt
import numpy as np

import fpm_inr as fpm
from fpm_inr.focus import FocusSettings, all_in_focus, autofocus
from fpm_inr.focus.residual import score_against_frames
from fpm_inr.simulate import preset, simulate

# %%
# The preset ``demo``: a blood smear, tilted by 15 degrees.

made = simulate(preset("demo"))
acquisition, truth = made.acquisition, made.truth
depth_um = truth.depth_y_x_um
print(f"the specimen lies between {depth_um.min():.1f} and {depth_um.max():.1f} um")

# %%
# All heights at once
# -------------------

solution = fpm.reconstruct(acquisition, z_range_um=(-8, 8))
stack = solution.render([-5, 0, 5])
figure, places = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
for axes, image, z_um in zip(places, stack.amplitude_z_y_x, stack.z_um, strict=True):
    axes.imshow(image, cmap="gray", vmin=0.4, vmax=1.3)
    axes.set_title(f"z = {z_um:+.0f} um")
    axes.set_axis_off()

# %%
# Focus judged by the frames
# --------------------------
# ``score_against_frames`` asks at which height a patch agrees with what every LED saw. Without it,
# ``all_in_focus`` judges by the sharpness of edges.

heights_um = np.linspace(-8, 8, 33)
settings = FocusSettings("residual", patch_px=48, stride_px=12)
result = all_in_focus(
    solution.slices, heights_um, settings, judge=score_against_frames(acquisition, solution)
)

# %%
# Depth against the truth
# -----------------------

inner = np.s_[24:-24, 24:-24]
slope = np.polyfit(depth_um[inner].ravel(), result.depth_um_y_x[inner].ravel(), 1)[0]
error = result.depth_um_y_x[inner] - depth_um[inner]
print(f"slope over the true slope {slope:.2f}; RMS error {np.sqrt(np.mean(error**2)):.2f} um")

figure, places = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
places[0].imshow(np.abs(result.field_y_x), cmap="gray", vmin=0.4, vmax=1.3)
places[0].set_title("all in focus")
for axes, values, title in (
    (places[1], result.depth_um_y_x, "depth, um"),
    (places[2], depth_um, "true depth, um"),
):
    shown = axes.imshow(values, vmin=-7, vmax=7)
    axes.set_title(title)
figure.colorbar(shown, ax=places[2])
for axes in places:
    axes.set_axis_off()

# %%
# At one point
# ------------
# What a click in ``fpm-inr view`` does.

best = autofocus(result.depth.scores, 96, 40)
print(f"sharpest at {best.z_um:.1f} um; true {depth_um[96, 40]:.1f} um")
