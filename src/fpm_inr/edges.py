"""What of the measured frames an engine takes at its word.

The outermost pixels of a frame show light from outside, which a periodic field cannot hold; and how
much of the direct light of an LED at the pupil's edge passes is known neither to the model nor to a
calibrated NA. docs/conventional.md shows what trusting either does.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fpm_inr.acquisition import Acquisition
from fpm_inr.forward import ForwardModel, Instrument
from fpm_inr.sampling import fourier_sample_na

# LEDs nearer to the pupil's edge than this, in Fourier samples, count less
RIM_SAMPLES = 2.0
# how far outside the pupil an LED may still send direct light through its edge: Fourier samples,
# or share of the NA, whichever is more
STRADDLING_SAMPLES = 2.0
STRADDLING_SHARE = 0.06


def trust(shape_y_x: tuple[int, int], edge_px: int) -> Tensor:
    """Weight [y, x] of a frame's pixels: 1, falling to 0 over the edge.

    A solved field goes on periodically, a frame does not: light from outside ends up at its edge,
    and the field there must be free to bring one side of the frame to the other.
    """

    def ramp(side: int) -> Tensor:
        width = min(edge_px, side // 4)
        inward = torch.minimum(torch.arange(side), torch.arange(side).flip(0))
        return ((inward + 0.5) / max(width, 0.5)).clamp_max(1.0)

    return ramp(shape_y_x[0])[:, None] * ramp(shape_y_x[1])


def at_the_rim(model: ForwardModel, instrument: Instrument, rim_width: float) -> Tensor:
    """Which LEDs [led] have a free brightness: those within `rim_width` (of the NA) of its edge.

    None, where no bright-field frame would be left to hold the scale of the object. Nor those of a
    known size, whose share of light is known.
    """
    na_led = instrument.na_led_xy.detach().norm(dim=1)
    na = instrument.na_of(model.optics)
    is_rim = (na_led - na).abs() <= rim_width * na
    if model.beams is not None:
        is_rim &= ~model.beams.is_wide.to(is_rim.device)
    anchored = ((na_led < na) & ~is_rim).any()
    return is_rim & anchored & (rim_width > 0)


def off_rim(na_led_xy: Tensor, na_objective: float | Tensor, sample_na: float) -> Tensor:
    """Weight of LEDs [led]: 0 where the direct light meets the pupil's edge.

    How much of the direct light passes there depends on the edge's fine form, which the model does
    not have; as the brightest light of all it would pull the whole array.
    """
    away = (na_led_xy.norm(dim=1) - na_objective).abs() / (RIM_SAMPLES * sample_na)
    return away.clamp_max(1.0).square()


def straddling(acquisition: Acquisition, instrument: Instrument) -> NDArray[np.bool_]:
    """Which LEDs [led] a calibration has moved to just outside the pupil.

    Light sources have a size, and a pupil's edge is soft: such an LED shows the sum of a
    bright-field and a dark-field image, which no coherent model describes. What its frame says
    beyond the others' is wrong: fringes of the highest frequencies. None, where no LED inside the
    pupil would be left, or where the LEDs' size is known and the model describes the sum.
    """
    if acquisition.illumination.die is not None:
        return np.zeros(acquisition.led_count, dtype=np.bool_)
    optics, found = acquisition.optics, instrument.na_led_xy.detach().cpu().numpy()
    sample_na = fourier_sample_na(optics, acquisition.shape_y_x)
    outside_na = np.hypot(*found.T) - instrument.na_of(optics)
    moved_na = np.hypot(*(found - acquisition.illumination.na_led_xy).T)
    edge_na = max(STRADDLING_SAMPLES * sample_na, STRADDLING_SHARE * optics.na)
    # a move that single precision makes is none
    straddles = (moved_na > 1e-3 * sample_na) & (outside_na > 0) & (outside_na < edge_na)
    return np.asarray(straddles & bool((outside_na <= 0).any()))
