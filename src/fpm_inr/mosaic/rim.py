"""LEDs at the pupil's edge that a tile is better without.

From tile to tile an LED's angle changes, and somewhere in the field it crosses the pupil's edge.
There its direct light passes in a part of a tile only, or does not though the angle says so; and
what the edge does to it reaches as far as a tile. No model with one angle explains such a frame,
and as the brightest light of all it decides the slow phase: a solve puts fringes and slopes into
the field in its stead.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition
from fpm_inr.edges import RIM_SAMPLES
from fpm_inr.forward import Instrument
from fpm_inr.sampling import fourier_sample_na

# how near the edge an LED must be, as a share of the NA, to be doubted by its brightness
NEAR = 0.08
# intensity, over the median of the bright field, that direct light must have, and that none must
LEAST_BRIGHT, MOST_DARK = 0.5, 0.2
# Bright-field LEDs, as a share, that must be left for one to be left out by its place.
LEAST_LEFT = 0.5


def doubtful(
    acquisition: Acquisition, instrument: Instrument, bend_rad_per_px2: float = 0.0
) -> NDArray[np.bool_]:
    """Which LEDs [led] a tile is solved without.

    Those that contradict their angle, and those that cross the pupil's edge within the tile, as
    LEDs at a finite distance do (`bend_rad_per_px2`, see `fpm_inr.mosaic.plan.bend_of`). None,
    where frames have several LEDs.
    """
    if acquisition.illumination.lighting is not None:
        return np.zeros(acquisition.frame_count, dtype=bool)
    found = contradicting(acquisition, instrument)
    crosses = crossing(acquisition, instrument, bend_rad_per_px2)
    inside = _na_led(instrument) < instrument.na_of(acquisition.optics)
    left = inside & ~found & ~crosses
    return found | crosses if left.sum() >= LEAST_LEFT * inside.sum() else found


def contradicting(acquisition: Acquisition, instrument: Instrument) -> NDArray[np.bool_]:
    """Which LEDs [led] are near the pupil's edge with a brightness of the other side of it.

    None, where no bright-field frame would be left.
    """
    na, na_led = instrument.na_of(acquisition.optics), _na_led(instrument)
    light = acquisition.frames_led_y_x.mean(axis=(1, 2), dtype=np.float64)
    light = light / np.square(instrument.gain_led.detach().numpy())
    inside, near = na_led < na, np.abs(na_led - na) < NEAR * na
    sure = inside & ~near
    if not sure.any():
        return np.zeros(len(light), dtype=bool)
    share = light / np.median(light[sure])
    return np.asarray(near & np.where(inside, share < LEAST_BRIGHT, share > MOST_DARK))


def crossing(
    acquisition: Acquisition, instrument: Instrument, bend_rad_per_px2: float
) -> NDArray[np.bool_]:
    """Which LEDs [led] are nearer to the pupil's edge than their angle changes up to a corner.

    Where there are as many LEDs beyond, some Fourier samples of the tile come on top
    (`fpm_inr.edges.RIM_SAMPLES`): what the edge does to light reaches over a tile there. Without
    dark field, what these LEDs tell of the phase no others do. None, where LEDs have the same
    direction everywhere.
    """
    away = np.abs(_na_led(instrument) - instrument.na_of(acquisition.optics))
    if not bend_rad_per_px2:
        return np.zeros(len(away), dtype=bool)
    change, reach = _reaches(acquisition, bend_rad_per_px2)
    has_other = dark_field_tells(acquisition, instrument, bend_rad_per_px2)
    return np.asarray(away < (reach if has_other else change))


def dark_field_tells(
    acquisition: Acquisition, instrument: Instrument, bend_rad_per_px2: float
) -> bool:
    """Whether there are as many LEDs beyond the pupil's edge as near it."""
    na, na_led = instrument.na_of(acquisition.optics), _na_led(instrument)
    _, reach = _reaches(acquisition, bend_rad_per_px2)
    return bool((na_led > na + reach).sum() >= (np.abs(na_led - na) < reach).sum())


def _reaches(acquisition: Acquisition, bend_rad_per_px2: float) -> tuple[float, float]:
    """How far (NA) an angle changes up to a corner, and that with some Fourier samples on top."""
    optics = acquisition.optics
    corner_px = math.hypot(*acquisition.shape_y_x) / 2
    change = abs(bend_rad_per_px2) * corner_px * optics.wavelength_um / (math.pi * optics.pixel_um)
    return change, change + RIM_SAMPLES * fourier_sample_na(optics, acquisition.shape_y_x)


def _na_led(instrument: Instrument) -> NDArray[np.float64]:
    return np.asarray(np.hypot(*instrument.na_led_xy.detach().double().numpy().T))
