"""What a reconstruction gives: a field with its history, and the stacks it renders."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import DataError


@dataclass(frozen=True, eq=False)
class ImageStack:
    """Complex images at one or more heights.

    Parameters
    ----------
    field_z_y_x : array [z, y, x] of complex64
        Complex transmission, scaled so that the mean bright-field amplitude is 1.
    z_um : array [z]
        Height of each image in um.
    pixel_um : float
        Pixel at the sample in um.
    amplitude_scale : float
        Multiplying amplitudes by it gives the camera's unit, sqrt(counts). Writers do so.

    Raises
    ------
    DataError
        Shapes disagree.
    """

    field_z_y_x: NDArray[np.complex64]
    z_um: NDArray[np.float64]
    pixel_um: float
    amplitude_scale: float = 1.0

    def __post_init__(self) -> None:
        field = np.asarray(self.field_z_y_x, dtype=np.complex64)
        z_um = np.asarray(self.z_um, dtype=np.float64)
        if field.ndim != 3 or z_um.shape != field.shape[:1]:
            raise DataError(
                f"has shape {field.shape} for z of shape {z_um.shape}",
                "give images as [z, y, x] and one z per image",
                field="image stack",
            )
        object.__setattr__(self, "field_z_y_x", field)
        object.__setattr__(self, "z_um", z_um)

    @cached_property
    def amplitude_z_y_x(self) -> NDArray[np.float32]:
        return np.abs(self.field_z_y_x)

    @cached_property
    def phase_z_y_x(self) -> NDArray[np.float32]:
        """Phase in radians, in (-pi, pi]."""
        return np.angle(self.field_z_y_x)

    @property
    def shape_y_x(self) -> tuple[int, int]:
        return self.field_z_y_x.shape[1], self.field_z_y_x.shape[2]
