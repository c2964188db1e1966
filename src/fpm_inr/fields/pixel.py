"""A field of plain pixels: one complex image per solved height."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class PixelField(nn.Module):
    """Complex images at fixed heights.

    A thin-sample model says nothing about what lies between two solved planes, so a height between
    them renders the nearest plane.

    Parameters
    ----------
    image_z_y_x : Tensor [z, y, x], complex
    z_um : Tensor [z]
        Heights, ascending.
    """

    def __init__(self, image_z_y_x: Tensor, z_um: Tensor) -> None:
        super().__init__()
        self.image = nn.Parameter(torch.view_as_real(image_z_y_x).clone())
        self.register_buffer("z_um", z_um.to(torch.float64))

    @property
    def shape_y_x(self) -> tuple[int, int]:
        """Pixels (y, x) of an image."""
        return self.image.shape[1], self.image.shape[2]

    @property
    def z_range_um(self) -> tuple[float, float]:
        """Heights of the lowest and the highest image, in um."""
        return float(self._z[0]), float(self._z[-1])

    @property
    def settings(self) -> dict[str, Any]:
        """What a field file says of it: plain JSON values."""
        return {"planes": len(self._z)}

    @property
    def _z(self) -> Tensor:
        z_um = self.z_um
        assert isinstance(z_um, Tensor)
        return z_um

    def nearest_um(self, z_um: float) -> float:
        """Height of the plane that is rendered for a wanted height."""
        return float(self._z[(self._z - z_um).abs().argmin()])

    def forward(self, z_um: float) -> Tensor:
        """Complex image [y, x] of the plane nearest to a height in um."""
        return torch.view_as_complex(self.image[(self._z - z_um).abs().argmin()])
