"""Small fields to show."""

from __future__ import annotations

from typing import Any

import torch

from fpm_inr.acquisition import Optics
from fpm_inr.fields.neural import NeuralField
from fpm_inr.fields.spline import SplineField
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


def spline_solution(
    shape_y_x: tuple[int, int] = (150, 131),
    z_range_um: tuple[float, float] = (-20.0, 40.0),
    planes: int = 7,
    reach: float = 0.2,
) -> Solution:
    """A spline field of strong structure, with frequencies up to `reach` cycles a pixel."""
    torch.manual_seed(3)
    height, width = shape_y_x
    y = torch.arange(-(height // 2), (height + 1) // 2)
    x = torch.arange(-(width // 2), (width + 1) // 2)
    radius = torch.hypot(y[:, None] / height, x[None, :] / width)
    made = SplineField(
        shape_y_x,
        z_range_um,
        torch.stack([part[radius <= reach] for part in torch.meshgrid(y, x, indexing="ij")]),
        planes=planes,
    )
    with torch.no_grad():
        strength = torch.exp(-20 * radius[radius <= reach])[:, None]
        noise = torch.randn_like(made.spectrum) * strength
        made.spectrum += 0.7 * noise / noise.square().sum(dim=(1, 2), keepdim=True).sqrt()
    return solution_of(made)


def solution_of(field: Any) -> Solution:
    return Solution(
        field.requires_grad_(False),
        Optics(0.63, 0.25, 0.65, 1.33),
        Instrument(torch.zeros(1, 2), torch.ones(1), torch.zeros(0)),
        2,
        10.0,
    )
