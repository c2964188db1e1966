"""Files in and out: `load` tells acquisitions apart by content and hands each to its reader."""

from __future__ import annotations

import importlib
import operator
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from fpm_inr.errors import DataError, SettingsError

if TYPE_CHECKING:
    from fpm_inr.acquisition import Acquisition

# LED centre wavelengths (um) of the rig of the FPM-INR paper
WAVELENGTH_UM = {"r": 0.632, "g": 0.5126, "b": 0.471}
DESCRIPTION = "acquisition.yaml"
_DESCRIBABLE = (".mat", ".npy", ".npz", ".h5", ".hdf5", ".tif", ".tiff")
_DESCRIBE = f"describe it in an {DESCRIPTION} beside it (`fpm-inr init` writes one to fill in)"


def load(
    path: str | Path,
    *,
    crop: tuple[int, int, int, int] | None = None,
    wavelength_um: float | None = None,
    color: str | None = None,
    medium_index: float | None = None,
) -> Acquisition:
    """Read an acquisition of any known format; the content decides which, not the name.

    Parameters
    ----------
    path : str or Path
        A file, or a folder that holds an ``acquisition.yaml``.
    crop : (y, x, height, width), optional
        Window to read, in pixels; the rest is not loaded where the format allows it.
    wavelength_um : float, optional
        Vacuum wavelength; needed where the format does not store it, else replaces what is stored.
    color : {"r", "g", "b"}, optional
        Shorthand for the LED wavelengths of the FPM-INR paper: 0.632, 0.5126, 0.471 um.
    medium_index : float, optional
        Refractive index around the sample. Default: the stored one, else 1.

    Raises
    ------
    DataError
        The file is missing, damaged, inconsistent or of no known format; the crop leaves the frame.
    SettingsError
        Wavelength and color together, an unknown color, or no wavelength where one is needed.
    """
    path = Path(path)
    if color is not None:
        if wavelength_um is not None:
            raise SettingsError("is given as well as a wavelength", "give only one", field="color")
        if color not in WAVELENGTH_UM:
            raise SettingsError(f"is {color!r}", "give r, g or b", field="color")
        wavelength_um = WAVELENGTH_UM[color]
    if crop is not None:
        crop = _whole(crop)
    format_name, file = _recognise(path)
    reader = importlib.import_module(f"fpm_inr.io.{format_name}")
    acquisition: Acquisition = reader.read(
        file, crop=crop, wavelength_um=wavelength_um, medium_index=medium_index
    )
    return acquisition


def _whole(crop: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    try:
        y, x, height, width = (operator.index(value) for value in crop)
    except (TypeError, ValueError):
        raise DataError(
            f"is {crop!r}", "give four whole numbers Y X HEIGHT WIDTH", field="crop"
        ) from None
    return y, x, height, width


def _recognise(path: Path) -> tuple[str, Path]:
    """Tell the module that reads this, and the file that it wants."""
    if path.is_dir():
        if not (path / DESCRIPTION).is_file():
            raise DataError(f"is a folder without {DESCRIPTION}", _DESCRIBE, source=path)
        return "described", path / DESCRIPTION
    if not path.is_file():
        raise DataError("does not exist", "give a file or a folder that does", source=path)
    if path.suffix.lower() in (".yaml", ".yml"):
        return "described", path
    if path.suffix.lower() in _DESCRIBABLE and _names(path.with_name(DESCRIPTION), path.name):
        return "described", path.with_name(DESCRIPTION)
    from fpm_inr.io.matlab5 import is_matlab_5

    try:
        with path.open("rb") as file:
            header = file.read(128)
    except OSError as error:
        raise DataError(
            f"cannot be opened ({error.strerror})", "make it readable", source=path
        ) from error
    if is_matlab_5(header):
        return "paper_matlab", path
    return _recognise_hdf5(path), path


def _recognise_hdf5(path: Path) -> str:
    import h5py

    from fpm_inr.io import hdf5, native, paper_matlab, ptylab

    known = "is no acquisition of a known format"
    if not h5py.is_hdf5(path):
        raise DataError(known, _DESCRIBE, source=path)
    with hdf5.reading(path) as file:
        if hdf5.text(file, "format") == native.KIND:
            return "native"
        if ptylab.FRAMES in file:
            return "ptylab"
        if any(name in file for name in (paper_matlab.FRAMES, *paper_matlab.DIRECTIONS)):
            return "paper_matlab"
        raise DataError(f"{known} (it holds {hdf5.contents(file)})", _DESCRIBE)


def _names(description: Path, name: str) -> bool:
    """Whether a description is there and one of its values is this name, or a pattern for it."""
    if not description.is_file():
        return False
    from fpm_inr.io.yaml_text import read_yaml

    def holds(value: object) -> bool:
        if isinstance(value, dict):
            return any(map(holds, value.values()))
        if isinstance(value, list):
            return any(map(holds, value))
        return isinstance(value, str) and (value == name or fnmatch(name, value))

    try:
        return holds(read_yaml(description, DataError))
    except DataError:
        return False
