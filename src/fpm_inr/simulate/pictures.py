"""Pictures that come with scikit-image, as absorption and phase."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FloatArray = NDArray[np.float64]


def lay(
    picture_y_x: FloatArray, y_um: FloatArray, x_um: FloatArray, detail_um: float
) -> FloatArray:
    """Resample a picture, centred on (0, 0) and mirrored at its edges, without aliasing."""
    pixel = float(x_um[1] - x_um[0])
    ratio = pixel / detail_um
    if ratio > 1:
        picture_y_x = ndimage.gaussian_filter(
            picture_y_x, 0.5 * math.sqrt(ratio**2 - 1), mode="mirror"
        )
    rows = y_um / detail_um + (picture_y_x.shape[0] - 1) / 2
    columns = x_um / detail_um + (picture_y_x.shape[1] - 1) / 2
    grid = np.meshgrid(rows, columns, indexing="ij")
    laid: FloatArray = ndimage.map_coordinates(picture_y_x, grid, order=3, mode="mirror")
    return np.clip(laid, 0.0, 1.0)


def stretched(picture_y_x: NDArray[np.generic]) -> FloatArray:
    """Stretch grey values to 0..1 between their 0.5th and 99.5th percentile."""
    values = np.asarray(picture_y_x, dtype=np.float64)
    low, high = np.percentile(values, [0.5, 99.5])
    shares: FloatArray = np.clip((values - low) / (high - low), 0.0, 1.0)
    return shares


def picture(name: str) -> NDArray[np.uint8]:
    """One of scikit-image's pictures, by name."""
    from skimage import data

    # these ship with scikit-image itself: nothing is downloaded
    return np.asarray(getattr(data, name)())


def _immunohistochemistry() -> tuple[FloatArray, FloatArray]:
    red, green, _ = np.moveaxis(picture("immunohistochemistry"), -1, 0)
    return 1 - stretched(green), 1 - stretched(red)


def _cell() -> tuple[FloatArray, FloatArray]:
    phase = stretched(picture("cell"))
    return 0.3 * phase, phase


def _retina() -> tuple[FloatArray, FloatArray]:
    # the eye's disc without the black frame around it
    red, green, _ = np.moveaxis(picture("retina")[250:1150, 250:1150], -1, 0)
    return 1 - stretched(green), stretched(red)


def _camera() -> tuple[FloatArray, FloatArray]:
    # amplitude and phase that have nothing in common: cross-talk shows at once
    return 1 - stretched(picture("camera")), 1 - stretched(picture("immunohistochemistry")[..., 1])


def _section(sample: int) -> tuple[FloatArray, FloatArray]:
    """What a stained section loses of the amplitude at one colour; optical path alike at all."""
    shown = picture("immunohistochemistry") / 255.0
    linear = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
    clear = np.percentile(linear, 99, axis=(0, 1))
    transmission = np.clip(linear / clear, 0, 1)
    return 1 - np.sqrt(transmission[..., sample]), 1 - stretched(shown.mean(axis=-1))


# name -> absorption and phase
PICTURES: dict[str, Callable[[], tuple[FloatArray, FloatArray]]] = {
    "immunohistochemistry": _immunohistochemistry,
    "cell": _cell,
    "retina": _retina,
    "camera": _camera,
    "section-red": lambda: _section(0),
    "section-green": lambda: _section(1),
    "section-blue": lambda: _section(2),
}
