"""How the picture of one wavelength lies against that of another."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, sparse

from fpm_inr.errors import DataError

FloatArray = NDArray[np.float64]

FLAT_PX = 0.02  # a magnification that moves the corners by less is none
# Of the sinc that windows are sampled with: pixels at each side, and how fast it fades (Kaiser).
TAPS, FADE = 12, 5.0


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
    is band-limited and periodic.
    """
    same = field_y_x.shape == shape_y_x and math.isclose(pixel_um, wanted_pixel_um, rel_tol=1e-9)
    half = max(shape_y_x) / 2
    if same and abs(offset.magnification - 1) * half < FLAT_PX:
        if offset.y_um == 0 and offset.x_um == 0:
            return field_y_x
        return shifted(field_y_x, offset.y_um / pixel_um, offset.x_um / pixel_um)
    at_y, at_x = places(offset, shape_y_x, wanted_pixel_um, pixel_um, (0, 0, *shape_y_x))
    return sampled_at(field_y_x, at_y, at_x)


def places(
    offset: Offset,
    shape_y_x: tuple[int, int],
    wanted_pixel_um: float,
    pixel_um: float,
    window: tuple[int, int, int, int],
    level: int = 0,
) -> tuple[FloatArray, FloatArray]:
    """Where (y, x) in a field's level the pixels of a window of the reference's level lie.

    Parameters
    ----------
    offset : Offset
    shape_y_x : (int, int)
        Of the reference at level 0.
    wanted_pixel_um, pixel_um : float
        Of the reference and of the field, at level 0.
    window : (y, x, height, width)
        In pixels of the level.
    level : int
        Its pixels are 2^level as large; the first has its centre in the middle of the first
        2^level x 2^level pixels of level 0.
    """
    found = []
    size, first = 2.0**level, (2**level - 1) / 2
    for axis, move_um in enumerate((offset.y_um, offset.x_um)):
        wanted_um = wanted_pixel_um * (
            first + size * np.arange(window[axis], window[axis] + window[axis + 2])
        )
        middle_um = (shape_y_x[axis] - 1) / 2 * wanted_pixel_um
        lies_um = middle_um + move_um + offset.magnification * (wanted_um - middle_um)
        found.append((lies_um / pixel_um - first) / size)
    return found[0], found[1]


def reach(
    at_y: FloatArray, at_x: FloatArray, shape_y_x: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Window (y, x, height, width) of a field that `sampled_at` takes for these places."""
    starts, sizes = [], []
    for at, side in zip((at_y, at_x), shape_y_x, strict=True):
        low = min(max(int(np.floor(at.min())) - TAPS + 1, 0), side - 1)
        high = min(max(int(np.floor(at.max())) + TAPS + 1, low + 1), side)
        starts.append(low)
        sizes.append(high - low)
    return starts[0], starts[1], sizes[0], sizes[1]


def sampled_at(
    field_y_x: NDArray[np.complex64], at_y: FloatArray, at_x: FloatArray
) -> NDArray[np.complex64]:
    """A band-limited field at places (y, x) between its pixels; at its edge it goes on as it is.

    Every value comes from the pixels around it alone, so that windows fit each other.
    """
    rows, columns = (
        _sinc_weights(at, side) for at, side in zip((at_y, at_x), field_y_x.shape, strict=True)
    )
    return np.asarray((columns @ (rows @ field_y_x).T).T, dtype=np.complex64)


def _sinc_weights(at: FloatArray, side: int) -> sparse.csr_matrix:
    """Weights [place, pixel] of pixels around each place; they sum to 1."""
    near = np.floor(at)[:, None] + np.arange(1 - TAPS, TAPS + 1)
    away = at[:, None] - near
    weight = np.sinc(away) * np.i0(FADE * np.sqrt(np.maximum(1 - (away / TAPS) ** 2, 0)))
    weight /= weight.sum(axis=1, keepdims=True)
    pixel = near.astype(np.intp).clip(0, side - 1)
    place = np.broadcast_to(np.arange(len(at))[:, None], pixel.shape)
    return sparse.csr_matrix(
        (weight.ravel().astype(np.float32), (place.ravel(), pixel.ravel())), (len(at), side)
    )


def shifted(field_y_x: NDArray[np.complex64], y_px: float, x_px: float) -> NDArray[np.complex64]:
    """The periodic field read at points (y_px, x_px) further on."""
    y, x = (fft.fftfreq(side) for side in field_y_x.shape)
    ramp = np.exp(2j * np.pi * (y[:, None] * y_px + x[None] * x_px)).astype(np.complex64)
    return np.asarray(fft.ifft2(fft.fft2(field_y_x) * ramp), dtype=np.complex64)
