"""How far a picture in colour is from a reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import DataError

EDGE = 0.04  # share of a side that is passed over


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """A picture in colour [y, x, rgb] of 8 bits.

    Raises
    ------
    DataError
        It cannot be read, or is none.
    """
    import imageio.v3 as iio

    if path.suffix.lower() not in (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp"):
        raise DataError("is no picture in colour", "give a PNG or TIFF of 8 bits", source=path)
    try:
        plugin = "tifffile" if path.suffix.lower().startswith(".tif") else "pillow"
        values = np.squeeze(np.asarray(iio.imread(path, plugin=plugin)))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read ({error})", "check the file", source=path) from error
    if values.ndim != 3 or values.shape[-1] not in (3, 4) or values.dtype != np.uint8:
        raise DataError(
            f"has shape {values.shape} and type {values.dtype}, which is no picture in colour",
            "give one picture of 8 bits, red, green and blue",
            source=path,
        )
    return np.asarray(values[..., :3])


def colour_errors(
    result_y_x_rgb: NDArray[np.uint8], reference_y_x_rgb: NDArray[np.uint8]
) -> dict[str, float]:
    """Errors of sRGB values (0 to 1) and of what an eye sees, without the outermost 4 %.

    Returns
    -------
    dict
        ``rgb_rmse``, ``red_rmse``, ``green_rmse``, ``blue_rmse`` of sRGB values; ``delta_e_mean``
        (CIE 1976 distance in L*a*b*; 2.3 is just seen); ``hue_error_deg``, mean over colours
        that have one, weighted by chroma.

    Raises
    ------
    DataError
        Sizes differ.
    """
    from skimage.color import rgb2lab

    if result_y_x_rgb.shape != reference_y_x_rgb.shape:
        raise DataError(
            f"is {result_y_x_rgb.shape[:2]} pixels (y, x) for a reference of "
            f"{reference_y_x_rgb.shape[:2]}",
            "bring both to one grid",
            field="result",
        )
    cut_y, cut_x = (int(EDGE * side) for side in result_y_x_rgb.shape[:2])
    inside = (slice(cut_y, -cut_y or None), slice(cut_x, -cut_x or None))
    ours, theirs = (one[inside] / 255.0 for one in (result_y_x_rgb, reference_y_x_rgb))
    squares = ((ours - theirs) ** 2).mean(axis=(0, 1))
    numbers = {"rgb_rmse": float(np.sqrt(squares.mean()))}
    for name, square in zip(("red", "green", "blue"), squares, strict=True):
        numbers[f"{name}_rmse"] = float(np.sqrt(square))
    lab, reference = rgb2lab(ours), rgb2lab(theirs)
    numbers["delta_e_mean"] = float(np.linalg.norm(lab - reference, axis=-1).mean())
    numbers["hue_error_deg"] = _hue_error_deg(lab, reference)
    return numbers


def _hue_error_deg(lab: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    ours, theirs = (one[..., 1] + 1j * one[..., 2] for one in (lab, reference))
    chroma = np.abs(theirs)
    weight = np.where(chroma > 5, chroma, 0.0)
    if weight.sum() == 0:
        return 0.0
    turned = np.abs(np.angle(ours * np.conj(theirs), deg=True))
    return float((turned * weight).sum() / weight.sum())
