"""LEDs at the pupil's edge whose frames contradict their angle: left out of a tile.

From tile to tile an LED's angle changes, and somewhere in the field it crosses the pupil's edge.
There its direct light passes in a part of a tile only, or does not though the angle says so: no
model with one angle explains such a frame, and a solve puts fringes into the field in its stead.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition
from fpm_inr.forward import Instrument

# how near the edge an LED must be, as a share of the NA, to be doubted
NEAR = 0.08
# intensity, over the median of the bright field, that direct light must have, and that none must
LEAST_BRIGHT, MOST_DARK = 0.5, 0.2


def contradicting(acquisition: Acquisition, instrument: Instrument) -> NDArray[np.bool_]:
    """Which LEDs [led] are near the pupil's edge with a brightness of the other side of it.

    None, where no bright-field frame would be left, or frames have several LEDs.
    """
    if acquisition.illumination.lighting is not None:
        return np.zeros(acquisition.frame_count, dtype=bool)
    na = instrument.na_of(acquisition.optics)
    na_led = np.hypot(*instrument.na_led_xy.detach().numpy().T)
    light = acquisition.frames_led_y_x.mean(axis=(1, 2), dtype=np.float64)
    light = light / np.square(instrument.gain_led.detach().numpy())
    inside, near = na_led < na, np.abs(na_led - na) < NEAR * na
    sure = inside & ~near
    if not sure.any():
        return np.zeros(len(light), dtype=bool)
    share = light / np.median(light[sure])
    return np.asarray(near & np.where(inside, share < LEAST_BRIGHT, share > MOST_DARK))
