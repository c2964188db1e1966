"""The MATLAB layout of the FPM-INR paper's data: ``I_low``, ``na_calib``, ``mag``, ...

MATLAB 5 files are read with SciPy, MATLAB 7.3 files (HDF5, axes reversed) with h5py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.errors import DataError, InputError, SettingsError
from fpm_inr.io.matlab5 import read_variables
from fpm_inr.io.window import Crop, Frames, read_window

FRAMES, DIRECTIONS = "I_low", ("na_calib", "na_design")
MAGNIFICATION, CAMERA_PIXEL, NA = "mag", "dpix_c", "na_cal"
NUMBERS = (MAGNIFICATION, CAMERA_PIXEL, NA)


def read(
    path: Path,
    *,
    crop: Crop | None = None,
    wavelength_um: float | None = None,
    medium_index: float | None = None,
) -> Acquisition:
    """Read a file in the layout of the FPM-INR paper (Zhou et al., 2023).

    ``I_low`` (y, x, LED) are intensities, ``na_calib`` or else ``na_design`` (LED, 2) directions
    (x, y) of the opposite sign to ours, ``dpix_c`` the camera pixel in um, ``mag`` the
    magnification, ``na_cal`` the objective's NA. Of a MATLAB 7.3 file only the crop is loaded.

    Raises
    ------
    SettingsError
        No wavelength is given: the layout does not store it.
    DataError
        A variable is missing, misshapen or not numbers, or the file is damaged.
    """
    import h5py

    if h5py.is_hdf5(path):
        from fpm_inr.io import hdf5

        with hdf5.reading(path) as file:
            frames = hdf5.dataset(file, FRAMES, 3)
            na = hdf5.array(file, _directions(file), 2).T
            numbers = {name: hdf5.number(file, name) for name in NUMBERS}
            return _assemble(frames, "lxy", na, numbers, crop, wavelength_um, medium_index)
    try:
        variables = read_variables(path, (FRAMES, *DIRECTIONS, *NUMBERS))
        frames = _real(variables, FRAMES)
        na = _real(variables, _directions(variables))
        numbers = {name: _number(variables, name) for name in NUMBERS}
        return _assemble(frames, "yxl", na, numbers, crop, wavelength_um, medium_index)
    except InputError as error:
        raise (error if error.source else error.at(path)) from error


def _assemble(
    frames: Frames,
    order: str,
    na_led_xy: NDArray[np.float64],
    numbers: Mapping[str, float],
    crop: Crop | None,
    wavelength_um: float | None,
    medium_index: float | None,
) -> Acquisition:
    if wavelength_um is None:
        raise SettingsError(
            "is not stored in this layout",
            "give it in um (--wavelength) or as a color r, g or b (--color)",
            field="wavelength",
        )
    if len(frames.shape) != 3:
        raise DataError(f"has shape {frames.shape}", "give it axes (y, x, LED)", field=FRAMES)
    if na_led_xy.ndim != 2 or na_led_xy.shape[1] != 2:
        raise DataError(
            f"has shape {na_led_xy.shape}", "give it axes (LED, 2)", field=" or ".join(DIRECTIONS)
        )
    stored = dict(zip(order, frames.shape, strict=True))
    if stored["l"] != len(na_led_xy):
        raise DataError(
            f"of shape {stored['y']} x {stored['x']} x {stored['l']} does not hold one frame for "
            f"each of {len(na_led_xy)} LEDs along its last axis",
            "give it axes (y, x, LED)",
            field=FRAMES,
        )
    for name, value in numbers.items():
        if not (np.isfinite(value) and value > 0):
            raise DataError(f"is {value:g}", "give a positive number", field=name)
    optics = Optics(
        wavelength_um,
        numbers[NA],
        numbers[CAMERA_PIXEL] / numbers[MAGNIFICATION],
        1.0 if medium_index is None else medium_index,
    )
    return read_window(frames, crop, optics, Illumination(-na_led_xy), order=order)


def _directions(variables: Mapping[str, Any]) -> str:
    """Name of the variable with LED directions: the calibrated ones where there are any."""
    return next((name for name in DIRECTIONS if name in variables), DIRECTIONS[0])


def _real(variables: Mapping[str, Any], name: str) -> NDArray[Any]:
    if name not in variables:
        held = ", ".join(sorted(variables)) or "nothing"
        raise DataError(
            f"is missing (the file holds {held})",
            "add it, or describe the file in an acquisition.yaml (`fpm-inr init`)",
            field=name,
        )
    value = variables[name]
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf":
        raise DataError("is not an array of real numbers", "store real numbers", field=name)
    if not value.size:
        raise DataError("is empty", "store at least one value", field=name)
    return value


def _number(variables: Mapping[str, Any], name: str) -> float:
    value = _real(variables, name)
    if value.size != 1:
        raise DataError(f"has shape {value.shape}", "store one number", field=name)
    return float(value.item())
