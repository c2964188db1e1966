"""White: the amplitude of each wavelength where the slide is clear."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fpm_inr.acquisition import check_crop
from fpm_inr.errors import DataError
from fpm_inr.solution_set import SolutionSet

BLOCK_PX = 8
MOST_PX = 1024  # of a mosaic: a level that fits
EDGE = 0.04  # share of a side that is passed over: solutions are poor at the edge
# Clear is what is bright at every wavelength (this percentile) and even.
BRIGHT_PERCENTILE = 98
WITHIN = 0.06  # of that brightness
LEAST_SHARE = 0.005
EVEN = 0.08  # rms of intensity within a block, of its mean


def balanced(
    solutions: SolutionSet,
    window: tuple[int, int, int, int] | None = None,
    z_um: float | None = None,
) -> SolutionSet:
    """The same with white taken from clear background; ``record["white"]`` says where it was.

    Parameters
    ----------
    solutions : SolutionSet
    window : (y, x, height, width), optional
        Clear background, in pixels of the result. Default: found, as what is brightest at every
        wavelength, and even.
    z_um : float, optional
        Height of the picture that is judged. Default: the focus that offsets were found at, or the
        middle of the range.

    Raises
    ------
    DataError
        The window is empty or leaves the picture.
    """
    low, high = solutions.z_range_um
    if z_um is None:
        z_um = float(np.clip(solutions.record.get("focus_um", (low + high) / 2), low, high))
    planes = solutions.planes_um
    if planes is not None:
        z_um = float(planes[np.abs(planes - z_um).argmin()])
    if window is not None:
        try:
            check_crop(window, solutions.shape_y_x)
        except DataError as error:
            raise error.at("", "white") from error
        (fields,) = solutions.fields(z_um, window=window)
        power = (np.abs(fields) ** 2).mean(axis=(1, 2), dtype=np.float64)
        says: dict[str, Any] = {"from": "window", "window_y_x_height_width": list(window)}
    else:
        (fields,) = solutions.fields(z_um, level=solutions.level_within(MOST_PX))
        power, share = _clear(np.abs(fields) ** 2)
        says = {"from": "background", "share": share}
    white = {name: float(np.sqrt(one)) for name, one in zip(solutions.names, power, strict=True)}
    return solutions.with_(white=white, record={**solutions.record, "white": says})


def _clear(intensity_c_y_x: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
    """Intensity of clear background [channel], and the share of the picture that it makes up."""
    _, height, width = intensity_c_y_x.shape
    cut_y, cut_x = (int(EDGE * side) for side in (height, width))
    inside = intensity_c_y_x[:, cut_y : height - cut_y, cut_x : width - cut_x]
    block = min(BLOCK_PX, *inside.shape[1:])
    means = _blocks(inside, block)
    rms = np.sqrt(np.maximum(_blocks(inside**2, block) - means**2, 0))
    top = np.percentile(means, BRIGHT_PERCENTILE, axis=(1, 2))[:, None, None]
    is_clear = ((means > (1 - WITHIN) * top) & (rms < EVEN * means)).all(axis=0)
    calm = ndimage.binary_opening(is_clear)  # single blocks are bright edges
    chosen = calm if calm.mean() >= LEAST_SHARE else is_clear
    if chosen.mean() < LEAST_SHARE:
        return np.asarray(top[:, 0, 0], dtype=np.float64), 0.0
    return np.asarray(np.median(means[:, chosen], axis=1), dtype=np.float64), float(chosen.mean())


def _blocks(images_c_y_x: NDArray[np.float32], block: int) -> NDArray[np.float64]:
    """Means [channel, y, x] of blocks."""
    count, height, width = images_c_y_x.shape
    rows, columns = height // block, width // block
    cut = images_c_y_x[:, : rows * block, : columns * block].astype(np.float64)
    return np.asarray(cut.reshape(count, rows, block, columns, block).mean(axis=(2, 4)))
