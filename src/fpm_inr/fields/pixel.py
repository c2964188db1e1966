"""A field of plain pixels: one complex image per solved height."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fpm_inr.fields.base import Field
from fpm_inr.fields.sizes import PixelSizes, Sizes


class PixelField(Field):
    """Complex images at fixed heights.

    A thin-sample model says nothing about what lies between two solved planes, so a height between
    them renders the nearest plane.

    Parameters
    ----------
    image_z_y_x : Tensor [z, y, x], complex
    z_um : Tensor [z]
        Heights, ascending.
    """

    kind: ClassVar[str] = "pixel"
    sizes: ClassVar[type[Sizes]] = PixelSizes

    def __init__(self, image_z_y_x: Tensor, z_um: Tensor) -> None:
        super().__init__()
        self.image = nn.Parameter(torch.view_as_real(image_z_y_x).clone())
        # a plain attribute: heights stay on the CPU, in double precision
        self.z_um = z_um.to("cpu", torch.float64)
        self.shape_y_x = (image_z_y_x.shape[1], image_z_y_x.shape[2])
        self.z_range_um = (float(z_um[0]), float(z_um[-1]))

    @property
    def settings(self) -> dict[str, Any]:
        """What a field file says of it: plain JSON values."""
        return {"planes": len(self.z_um)}

    @property
    def planes_um(self) -> NDArray[np.float64]:
        """Heights of its images."""
        return np.asarray(self.z_um, dtype=np.float64)

    def height_of(self, z_um: float) -> float:
        """Height of the plane that is rendered for a wanted height."""
        return float(self.z_um[self._nearest(z_um)])

    def forward(self, z_um: float) -> Tensor:
        """Complex image [y, x] of the plane nearest to a height in um."""
        return torch.view_as_complex(self.image[self._nearest(z_um)])

    def to_tensors(self, precision: str) -> dict[str, Tensor]:
        """The images and their heights, in full precision."""
        return {**super().to_tensors(precision), "z_um": self.z_um}

    def _nearest(self, z_um: float) -> int:
        return int((self.z_um - z_um).abs().argmin())

    @classmethod
    def from_tensors(
        cls,
        shape_y_x: tuple[int, int],
        z_range_um: tuple[float, float],
        settings: dict[str, Any],
        tensors: dict[str, Tensor],
    ) -> Self:
        """The field of `to_tensors`; see `Field.from_tensors`."""
        image, z_um = tensors["image"].float(), tensors["z_um"].double()
        ascending = z_um.shape == image.shape[:1] and bool((z_um.diff() > 0).all())
        if image.shape[1:3] != shape_y_x or not ascending:
            raise ValueError(f"images of shape {tuple(image.shape)} at {tuple(z_um.shape)} heights")
        return cls(torch.view_as_complex(image), z_um)
