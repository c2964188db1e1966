"""
Several LEDs a frame
====================

Dark-field LEDs light up by fours: two fifths of the frames, and nearly the same image.
"""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

import fpm_inr as fpm
from fpm_inr.metrics import complex_error
from fpm_inr.simulate import pattern, preset, simulate

setup = replace(preset("siemens"), shape_y_x=(64, 64))
rig = setup.rig

# %%
# Which LEDs light together
# -------------------------
# Bright-field LEDs have frames of their own. The others come by fours of like NA; a few frames
# more than it takes light some of them a second time.

lighting = pattern("na-matched", rig.illumination.na_led_xy, rig.optics.na, 4, frames=54)
by_fours = simulate(replace(setup, lighting=lighting))
one_by_one = simulate(setup)
for name, made in (("one by one", one_by_one), ("by fours", by_fours)):
    light = made.acquisition.illumination
    print(f"{name}: {light.frame_count} frames, at most {light.leds_in_frame.max()} LEDs in one")

# %%
# What comes out
# --------------

images = {}
inner = (slice(24, -24), slice(24, -24))  # the specimen goes on beyond the frame
for name, made in (("one by one", one_by_one), ("by fours", by_fours)):
    images[name] = fpm.reconstruct(made.acquisition, upsample=3).render(0).field_z_y_x[0]
    error = complex_error(images[name][inner], made.truth.seen_y_x[inner])
    print(f"{name}: complex error {error:.3f}")

# %%
figure, places = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
places[0].imshow(np.sqrt(by_fours.acquisition.frames_led_y_x[20]), cmap="gray")
places[0].set_title("a frame of four LEDs (amplitude)")
for axes, (name, image) in zip(places[1:], images.items(), strict=True):
    axes.imshow(np.abs(image), cmap="gray")
    axes.set_title(name)
for axes in places:
    axes.set_axis_off()
