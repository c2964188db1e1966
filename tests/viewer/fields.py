"""Small fields to show."""

from __future__ import annotations

from typing import Any

import torch

from fpm_inr.acquisition import Optics
from fpm_inr.fields.neural import NeuralField
from fpm_inr.forward import Instrument
from fpm_inr.solution import Solution


def random_solution(
    shape_y_x: tuple[int, int] = (150, 131),
    z_range_um: tuple[float, float] = (-20.0, 40.0),
    **field: Any,
) -> Solution:
    """A field of strong random structure: amplitudes around 1, phases over several radians."""
    torch.manual_seed(3)
    made = NeuralField(shape_y_x, z_range_um, unit_start=False, **field)
    with torch.no_grad():
        noise = torch.randn_like(made.plane).permute(0, 3, 1, 2)
        smooth = torch.nn.functional.avg_pool2d(noise, 3, 1, 1)
        made.plane.copy_(3 * smooth.permute(0, 2, 3, 1))
        made.weight_3[1] *= 6
        made.bias_3[0] += 0.4
    return solution_of(made)


def solution_of(field: Any) -> Solution:
    return Solution(
        field.requires_grad_(False),
        Optics(0.63, 0.25, 0.65, 1.33),
        Instrument(torch.zeros(1, 2), torch.ones(1), torch.zeros(0)),
        2,
        10.0,
    )
