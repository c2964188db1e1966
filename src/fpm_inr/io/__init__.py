"""Files in and out: `load` finds the reader that recognises an acquisition by its content."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import TYPE_CHECKING

from fpm_inr.errors import DataError, SettingsError

if TYPE_CHECKING:
    from fpm_inr.acquisition import Acquisition

# LED centre wavelengths (um) of the rig of the FPM-INR paper
WAVELENGTH_UM = {"r": 0.632, "g": 0.5126, "b": 0.471}


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
    _check_readable(path)
    from fpm_inr.io import readers

    found = readers.find(path)
    if found is None:
        raise _unknown(path)
    reader, file = found
    return reader.read(file, readers.Asked(crop, wavelength_um, medium_index))


def _whole(crop: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    try:
        y, x, height, width = (operator.index(value) for value in crop)
    except (TypeError, ValueError):
        raise DataError(
            f"is {crop!r}", "give four whole numbers Y X HEIGHT WIDTH", field="crop"
        ) from None
    return y, x, height, width


def _check_readable(path: Path) -> None:
    if not path.exists():
        raise DataError("does not exist", "give a file or a folder that does", source=path)
    try:
        next(path.iterdir(), None) if path.is_dir() else path.open("rb").close()
    except OSError as error:
        raise DataError(
            f"cannot be opened ({error.strerror})", "make it readable", source=path
        ) from error


def _unknown(path: Path) -> DataError:
    """What to say of a file or folder that no reader recognises."""
    from fpm_inr.files import hdf5
    from fpm_inr.io.schema import DESCRIPTION

    describe = f"describe it in an {DESCRIPTION} beside it (`fpm-inr init` writes one to fill in)"
    if path.is_dir():
        return DataError(f"is a folder without {DESCRIPTION}", describe, source=path)
    told = "is no acquisition of a known format"
    if hdf5.is_hdf5(path):
        with hdf5.reading(path) as file:
            told += f" (it holds {hdf5.contents(file)})"
    return DataError(told, describe, source=path)
