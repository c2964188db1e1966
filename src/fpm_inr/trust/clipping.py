"""Frames whose bright pixels are cut off, found by the pile at their largest number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition

LEAST_AT_TOP = 10  # pixels
PILE_UP = 3.0  # over those at the next smaller number


def clipped_share(acquisition: Acquisition, leds: NDArray[np.intp]) -> dict[int, float]:
    """Share of the pixels at a limit, of the LEDs (numbers [led]) whose frames are clipped.

    Frames of light thin out towards their largest number; a limit piles them up. Pixels that are
    marked as saturated, or have no weight, are known already and do not count.
    """
    found = {}
    for at, led in enumerate(leds):
        frame = acquisition.frames_led_y_x[at]
        counts = np.ones(frame.shape, dtype=bool)
        if acquisition.saturated_led_y_x is not None:
            counts &= ~acquisition.saturated_led_y_x[at]
        if acquisition.weight_led_y_x is not None:
            counts &= acquisition.weight_led_y_x[at] > 0
        values, pixels = np.unique(frame[counts], return_counts=True)
        if len(values) < 3 or pixels[-1] < LEAST_AT_TOP:
            continue
        if pixels[-1] > PILE_UP * pixels[-2]:
            found[int(led)] = float(pixels[-1] / frame.size)
    return found
