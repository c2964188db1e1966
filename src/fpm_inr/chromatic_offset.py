"""How the picture of one wavelength lies against that of another."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from fpm_inr.errors import DataError

FLAT_PX = 0.02  # a magnification that moves the corners by less is none


@dataclass(frozen=True)
class Offset:
    """Where a wavelength shows what the reference shows at (y, x, z) about the middle.

    Parameters
    ----------
    z_um : float
        Its focus lies so much higher.
    y_um, x_um : float
        Its picture lies so much further down and to the right.
    magnification : float
        Its picture is so much larger about the middle of the frame.

    Raises
    ------
    DataError
        A number is not finite, or the magnification is not near 1.
    """

    z_um: float = 0.0
    y_um: float = 0.0
    x_um: float = 0.0
    magnification: float = 1.0

    def __post_init__(self) -> None:
        for name in ("z_um", "y_um", "x_um", "magnification"):
            if not math.isfinite(getattr(self, name)):
                raise DataError("is not finite", "give a number", field=f"offset {name}")
        if not 0.9 <= self.magnification <= 1.1:
            raise DataError(
                f"is {self.magnification:g}", "give 0.9 to 1.1", field="offset magnification"
            )


def laid_over(
    field_y_x: NDArray[np.complex64],
    pixel_um: float,
    offset: Offset,
    shape_y_x: tuple[int, int],
    wanted_pixel_um: float,
) -> NDArray[np.complex64]:
    """The field on the reference's grid, with its offset taken out (its z is the caller's).

    First pixels of both grids lie at the same place in the frame. A shift alone is exact for what
    is band-limited and periodic; a magnification or another pixel is a spline of order 5.
    """
    same = field_y_x.shape == shape_y_x and math.isclose(pixel_um, wanted_pixel_um, rel_tol=1e-9)
    half = max(shape_y_x) / 2
    if same and abs(offset.magnification - 1) * half < FLAT_PX:
        if offset.y_um == 0 and offset.x_um == 0:
            return field_y_x
        return shifted(field_y_x, offset.y_um / pixel_um, offset.x_um / pixel_um)
    ratio = offset.magnification * wanted_pixel_um / pixel_um
    start = []
    for side, move_um in zip(shape_y_x, (offset.y_um, offset.x_um), strict=True):
        middle_um = (side - 1) / 2 * wanted_pixel_um
        start.append((middle_um * (1 - offset.magnification) + move_um) / pixel_um)
    parts = [
        ndimage.affine_transform(
            part, (ratio, ratio), start, shape_y_x, order=5, mode="nearest", output=np.float32
        )
        for part in (field_y_x.real, field_y_x.imag)
    ]
    return np.asarray(parts[0] + 1j * parts[1], dtype=np.complex64)


def shifted(field_y_x: NDArray[np.complex64], y_px: float, x_px: float) -> NDArray[np.complex64]:
    """The periodic field read at points (y_px, x_px) further on."""
    y, x = (fft.fftfreq(side) for side in field_y_x.shape)
    ramp = np.exp(2j * np.pi * (y[:, None] * y_px + x[None] * x_px)).astype(np.complex64)
    return np.asarray(fft.ifft2(fft.fft2(field_y_x) * ramp), dtype=np.complex64)
