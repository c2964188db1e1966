"""A field: a complex image that is a polynomial of the height, for thin specimens."""

from __future__ import annotations

import math
from typing import Any, Self

import torch
from pydantic import BaseModel, ConfigDict
from pydantic import Field as Bounds
from torch import Tensor, nn

from fpm_inr.fields.base import Field


class Sizes(BaseModel):
    """What a recipe or a file may say of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    degree: int = Bounds(2, ge=0, le=16)


class LegendreField(Field):
    """O_z(y, x) = sum_d P_d(t) C_d(y, x), with t from -1 to 1 over the range of z."""

    kind = "legendre"
    sizes = Sizes

    def __init__(
        self, shape_y_x: tuple[int, int], z_range_um: tuple[float, float], *, degree: int
    ) -> None:
        super().__init__()
        self.shape_y_x, self.z_range_um = shape_y_x, z_range_um
        images = torch.zeros(degree + 1, *shape_y_x, 2)
        images[0, ..., 0] = 1  # a clear object
        self.images = nn.Parameter(images)

    @property
    def settings(self) -> dict[str, Any]:
        return {"degree": len(self.images) - 1}

    def forward(self, z_um: float) -> Tensor:
        low, high = self.z_range_um
        t = (2 * z_um - low - high) / (high - low) if high > low else 0.0
        weights = self.images.new_tensor([_legendre(d, t) for d in range(len(self.images))])
        return torch.view_as_complex(torch.tensordot(weights, self.images, dims=1))

    @classmethod
    def from_tensors(
        cls,
        shape_y_x: tuple[int, int],
        z_range_um: tuple[float, float],
        settings: dict[str, Any],
        tensors: dict[str, Tensor],
    ) -> Self:
        field = cls(shape_y_x, z_range_um, **settings)
        field.load_state_dict(tensors)
        return field


def _legendre(degree: int, t: float) -> float:
    """By Rodrigues' sum."""
    terms = (
        math.comb(degree, k) ** 2 * (t - 1) ** (degree - k) * (t + 1) ** k
        for k in range(degree + 1)
    )
    return sum(terms) / 2**degree
