"""What of the measured frames an engine takes at its word.

The outermost pixels of a frame show light from outside, which a periodic field cannot hold; and how
much of the direct light of an LED at the pupil's edge passes is known neither to the model nor to a
calibrated NA. docs/conventional.md shows what trusting either does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fpm_inr.forward import ForwardModel, Instrument


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
