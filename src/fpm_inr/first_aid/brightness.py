"""How bright frames are against where their LEDs stand: what order and distance can be read from.

Light falls with the angle, in one step at the objective's NA and slowly beyond. How far mean
brightness is from falling so tells orders of LEDs apart without a solve.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition

FloatArray = NDArray[np.float64]
# Direct light makes a frame at least this bright, over the brightest ones.
LIT_SHARE = 0.4


def log_brightness(acquisition: Acquisition) -> FloatArray:
    """Logarithm of every frame's mean [led], over the pixels that count."""
    frames, weight = acquisition.frames_led_y_x, acquisition.weight_led_y_x
    where = True if weight is None else weight > 0
    mean = np.asarray(np.mean(frames, axis=(1, 2), dtype=np.float64, where=where))
    mean = np.nan_to_num(mean)
    lit = mean[mean > 0]
    return np.log(np.maximum(mean, lit.min() * 1e-2 if lit.size else 1.0))


def is_lit(brightness: FloatArray) -> NDArray[np.bool_]:
    """Frames half as bright as the brightest few: bright field, by the light."""
    few = max(3, len(brightness) // 30)
    return brightness > np.median(np.sort(brightness)[-few:]) + np.log(LIT_SHARE)


def disorder(brightness: FloatArray, na_led: FloatArray) -> float:
    """How far brightness is from falling with the angle: its mean square, 0 for a perfect order."""
    from scipy.optimize import isotonic_regression

    order = np.argsort(na_led, kind="stable")
    values = brightness[order]
    falling = isotonic_regression(values, increasing=False).x
    return float(np.mean((values - falling) ** 2))
