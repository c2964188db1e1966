"""A crop read straight from a file: only its pixels are loaded, its LED angles are its own."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import psutil
from numpy.typing import NDArray

from fpm_inr.acquisition import (
    Acquisition,
    Illumination,
    Optics,
    check_crop,
    offset_from_axis_um,
)
from fpm_inr.errors import DataError

Crop = tuple[int, int, int, int]


class Frames(Protocol):
    """An array, or a dataset in a file that is read when it is sliced."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, key: Any, /) -> NDArray[Any]: ...


def read_window(
    frames: Frames,
    crop: Crop | None,
    optics: Optics,
    illumination: Illumination,
    axis_y_x_px: tuple[float, float] | None = None,
    *,
    order: str = "lyx",
    flipped: str = "",
) -> Acquisition:
    """Make the acquisition of a crop (y, x, height, width); equals a whole read, then its crop.

    Parameters
    ----------
    frames : array or dataset
        Intensities of three axes.
    crop : (y, x, height, width) or None
        None: the whole frame.
    optics, illumination, axis_y_x_px
        Those of the whole frame, as in `Acquisition`.
    order : str
        Order of the stored axes: a permutation of "lyx" (LED, y, x).
    flipped : str
        Those of "yx" that are stored from the other end.

    Raises
    ------
    DataError
        The crop leaves the frame, does not fit in memory, or `Acquisition` refuses the content.
    """
    places = [order.index(axis) for axis in "lyx"]
    leds, rows, columns = (frames.shape[place] for place in places)
    y, x, height, width = crop if crop is not None else (0, 0, rows, columns)
    check_crop((y, x, height, width), (rows, columns))
    _check_memory(leds * height * width)
    first = {
        "y": rows - y - height if "y" in flipped else y,
        "x": columns - x - width if "x" in flipped else x,
    }
    window = {
        "l": slice(None),
        "y": slice(first["y"], first["y"] + height),
        "x": slice(first["x"], first["x"] + width),
    }
    read = np.asarray(frames[tuple(window[axis] for axis in order)]).transpose(places)
    read = np.flip(read, tuple("lyx".index(axis) for axis in flipped))
    if crop is None:
        return Acquisition(read, optics, illumination, axis_y_x_px)
    middle = axis_y_x_px or ((rows - 1) / 2, (columns - 1) / 2)
    axis = (middle[0] - y, middle[1] - x)
    illumination = seen_from_centre(illumination, axis, (height, width), optics)
    return Acquisition(read, optics, illumination, axis)


def seen_from_centre(
    illumination: Illumination,
    axis_y_x_px: tuple[float, float],
    shape_y_x: tuple[int, int],
    optics: Optics,
) -> Illumination:
    """Illumination at the centre of a frame that the optical axis meets at `axis_y_x_px`."""
    return illumination.seen_from(*offset_from_axis_um(axis_y_x_px, shape_y_x, optics))


def _check_memory(pixels: int) -> None:
    needed, free = pixels * 4, psutil.virtual_memory().available
    if needed > free:
        raise DataError(
            f"need {needed / 2**30:.1f} GiB of memory of which {free / 2**30:.1f} are free",
            "give a smaller crop",
            field="frames",
        )
