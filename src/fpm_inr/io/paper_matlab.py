"""The layout of the FPM-INR paper's data: ``I_low``, ``na_calib``, ``mag``, ...

MATLAB 5 files are read with SciPy; MATLAB 7.3 and Octave files (HDF5, axes reversed) and those that
Python wrote (HDF5, axes as they are) with h5py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition, Illumination
from fpm_inr.errors import DataError, at
from fpm_inr.io.axes import axes_order
from fpm_inr.io.matlab5 import is_matlab_5, read_variables
from fpm_inr.io.readers import NOTHING, Asked
from fpm_inr.io.window import Frames, read_window

FRAMES, DIRECTIONS = "I_low", ("na_calib", "na_design")
MAGNIFICATION, CAMERA_PIXEL, NA = "mag", "dpix_c", "na_cal"
NUMBERS = (MAGNIFICATION, CAMERA_PIXEL, NA)
DOCUMENTED = "yxl"


@dataclass(frozen=True, eq=False)
class Stored:
    """A variable as it is stored.

    Parameters
    ----------
    array : array or dataset
    is_reversed : bool
        Whether its axes are stored from the last to the first.
    is_sure : bool
        Whether MATLAB or Octave wrote it, which keep to the documented axes.
    """

    array: Any
    is_reversed: bool = False
    is_sure: bool = True

    @property
    def shape(self) -> tuple[int, ...]:
        """As the program that wrote it shows it."""
        shape = tuple(self.array.shape)
        return shape[::-1] if self.is_reversed else shape

    def values(self) -> NDArray[np.float64]:
        """All of it, as the program that wrote it shows it."""
        array = np.asarray(self.array[()], dtype=np.float64)
        return array.T if self.is_reversed else array


def recognise(path: Path) -> Path | None:
    """The file itself: any of MATLAB 5, and HDF5 that holds frames or directions."""
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        if is_matlab_5(stream.read(128)):
            return path
    from fpm_inr.files import hdf5
    from fpm_inr.io import hdf5_layout

    layout = {FRAMES, *DIRECTIONS}
    return hdf5.recognised(path, lambda file: not layout.isdisjoint(hdf5_layout.holder(file)))


def read(path: Path, asked: Asked = NOTHING) -> Acquisition:
    """Read a file in the layout of the FPM-INR paper (Zhou et al., 2023).

    ``I_low`` (y, x, LED) are intensities, ``na_calib`` or else ``na_design`` (LED, 2) directions
    (x, y) of the opposite sign to ours, ``dpix_c`` the camera pixel in um, ``mag`` the
    magnification, ``na_cal`` the objective's NA. All may lie in one struct; frames may be cells;
    other orders of axes are read where lengths leave no doubt. Of an HDF5 file only the crop is
    loaded.

    Raises
    ------
    SettingsError
        No wavelength is given: the layout does not store it.
    DataError
        A variable is missing, misshapen or not numbers, or the file is damaged.
    """
    from fpm_inr.files import hdf5
    from fpm_inr.io import hdf5_layout

    if hdf5.is_hdf5(path):
        with hdf5.reading(path) as file:
            variables = hdf5_layout.variables(file, (FRAMES, *DIRECTIONS, *NUMBERS))
            return _assemble(variables, asked)
    with at(path):
        held = read_variables(path, (FRAMES, *DIRECTIONS, *NUMBERS), inside=FRAMES)
        variables = {name: Stored(_real(held, name)) for name in _named(held)}
        return _assemble(variables, asked)


def _named(held: Mapping[str, Any]) -> list[str]:
    """Variables to read: the calibrated directions where they are not empty."""
    for name in (FRAMES, *NUMBERS):
        _real(held, name)
    some = [name for name in DIRECTIONS if getattr(held.get(name), "size", 0)]
    return [FRAMES, *NUMBERS, some[0] if some else DIRECTIONS[0]]


def _assemble(variables: Mapping[str, Stored], asked: Asked) -> Acquisition:
    numbers = {name: _number(variables[name], name) for name in NUMBERS}
    pixel_um = numbers[CAMERA_PIXEL] / numbers[MAGNIFICATION]
    optics = asked.optics(None, numbers[NA], pixel_um)
    named = next(name for name in DIRECTIONS if name in variables)
    na_led_xy = variables[named].values()
    if na_led_xy.ndim == 2 and na_led_xy.shape[1] != 2 and na_led_xy.shape[0] == 2:
        na_led_xy = na_led_xy.T
    if na_led_xy.ndim != 2 or na_led_xy.shape[1] != 2:
        raise DataError(
            f"has shape {na_led_xy.shape}", "give it axes (LED, 2)", field=" or ".join(DIRECTIONS)
        )
    stored = variables[FRAMES]
    order, note = axes_order(
        stored.shape, len(na_led_xy), DOCUMENTED, FRAMES, is_sure=stored.is_sure
    )
    frames: Frames = stored.array
    order = order[::-1] if stored.is_reversed else order
    acquisition = read_window(frames, asked.crop, optics, Illumination(-na_led_xy), order=order)
    return replace(acquisition, notes=((note,) if note else ()) + acquisition.notes)


def _real(variables: Mapping[str, Any], name: str) -> NDArray[Any]:
    if name not in variables:
        held = ", ".join(sorted(variables)) or "nothing"
        raise DataError(
            f"is missing (the file holds {held})",
            "add it, or describe the file in an acquisition.yaml (`fpm-inr init`)",
            field=name,
        )
    value = variables[name]
    if isinstance(value, np.ndarray) and value.dtype == object:
        value = _cells(value, name)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf":
        raise DataError("is not an array of real numbers", "store real numbers", field=name)
    if not value.size:
        raise DataError("is empty", "store at least one value", field=name)
    return value


def _cells(cells: NDArray[Any], name: str) -> NDArray[Any]:
    """Cells of frames as one array with their number last, as MATLAB's cat(3, ...) makes it."""
    frames = [np.asarray(one) for one in cells.ravel(order="F")]
    if not frames or any(one.ndim != 2 or one.shape != frames[0].shape for one in frames):
        raise DataError(
            "holds cells that are no frames of one size", "store frames (y, x) in them", field=name
        )
    return np.stack(frames, axis=-1)


def _number(stored: Stored, name: str) -> float:
    if int(np.prod(stored.shape)) != 1:
        raise DataError(f"has shape {stored.shape}", "store one number", field=name)
    value = float(np.asarray(stored.array[()]).item())
    if not (np.isfinite(value) and value > 0):
        raise DataError(f"is {value:g}", "give a positive number", field=name)
    return value
