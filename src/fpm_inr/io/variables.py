"""Arrays in .mat, .npy, .npz and .h5 files, read when they are sliced where that can be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import DataError, at
from fpm_inr.io import matlab5
from fpm_inr.io.window import Frames

_FIELD = "frames.variable"
SUFFIXES = (".mat", ".npy", ".npz", ".h5", ".hdf5")


@contextmanager
def opened_variable(path: Path, variable: str | None, axes: str) -> Iterator[tuple[Frames, str]]:
    """Give an array of three axes and the order in which the file stores them.

    Parameters
    ----------
    path : Path
    variable : str or None
        Its name in the file; None in a .npy file, or where the file holds only one.
    axes : str
        Order of the axes as the program that wrote the file shows them: MATLAB 7.3 files store
        them reversed.

    Raises
    ------
    DataError
        The file cannot be read or does not hold such an array.
    """
    import h5py

    if h5py.is_hdf5(path):
        from fpm_inr.files import hdf5

        with hdf5.reading(path) as file:
            held = [key for key in file if isinstance(file[key], h5py.Dataset)]
            found = hdf5.dataset(file, _choose(variable, held, file), 3)
            yield found, axes[::-1] if "MATLAB_class" in found.attrs else axes
        return
    with at(path):
        array = _real(*_load(path, variable))
    yield array, axes


@dataclass(frozen=True)
class Stored:
    """An array of three axes in a file, as the program that wrote it shows it."""

    name: str
    shape: tuple[int, ...]
    type_name: str


def list_arrays(path: Path) -> list[Stored]:
    """Arrays of three axes in a file; the name is empty in a .npy file.

    Raises
    ------
    DataError
        The file cannot be read.
    """
    import h5py

    try:
        found = _list_hdf5(path) if h5py.is_hdf5(path) else _list_others(path)
    except DataError:
        raise
    # as in `_load`
    except Exception as error:
        raise _unreadable(error).at(path) from error
    return [one for one in found if len(one.shape) == 3]


def _list_hdf5(path: Path) -> list[Stored]:
    import h5py

    from fpm_inr.files import hdf5

    found: list[Stored] = []

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            shape = item.shape[::-1] if "MATLAB_class" in item.attrs else item.shape
            found.append(Stored(name, shape, str(item.dtype)))

    with hdf5.reading(path) as file:
        file.visititems(note)
    return found


def _list_others(path: Path) -> list[Stored]:
    from scipy.io import whosmat

    if path.suffix.lower() == ".npy":
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        return [Stored("", array.shape, str(array.dtype))]
    if path.suffix.lower() == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return [Stored(name, file[name].shape, str(file[name].dtype)) for name in file]
    matlab5.read_variables(path, [])  # refuses what SciPy does not survive
    return [Stored(*one) for one in whosmat(path)]


def _load(path: Path, variable: str | None) -> tuple[str, Any]:
    try:
        if path.suffix.lower() == ".npy":
            return "", np.load(path, mmap_mode="r", allow_pickle=False)
        if path.suffix.lower() == ".npz":
            with np.load(path, allow_pickle=False) as file:
                name = _choose(variable, list(file), file)
                return name, file[name]
        held = matlab5.read_variables(path, [])
        name = _choose(variable, list(held), held)
        return name, matlab5.read_variables(path, [name])[name]
    except DataError:
        raise
    except MemoryError as error:
        raise DataError("does not fit in memory", "save it as HDF5 and give a crop") from error
    # NumPy has no base class for what damaged files make it raise (zlib, zip, value errors...)
    except Exception as error:
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> DataError:
    reason = " ".join(str(error).split())[:160]
    return DataError(f"cannot be read ({reason})", "restore the file")


def _choose(variable: str | None, held: list[str], container: Any) -> str:
    names = ", ".join(sorted(name for name in held if not name.startswith("#"))[:12]) or "nothing"
    if variable is None:
        if len(held) != 1:
            raise DataError(f"is not given and the file holds {names}", "name one", field=_FIELD)
        return held[0]
    if variable not in container:
        raise DataError(
            f"is {variable!r} and the file holds {names}", "name one of these", field=_FIELD
        )
    return variable


def _real(name: str, array: Any) -> NDArray[Any]:
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf":
        raise DataError("is not an array of real numbers", "store real numbers", field=name)
    if array.ndim != 3 or not array.size:
        raise DataError(f"has shape {array.shape}", "give it 3 axes, none empty", field=name)
    return array
