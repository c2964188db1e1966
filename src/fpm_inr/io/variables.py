"""One array in a file of arrays (.mat, .npy, .npz, .h5), read when it is sliced where it can be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import DataError
from fpm_inr.io.window import Frames

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
        from fpm_inr.io import hdf5

        with hdf5.reading(path) as file:
            held = [key for key in file if isinstance(file[key], h5py.Dataset)]
            found = hdf5.dataset(file, _choose(variable, held, file), 3)
            yield found, axes[::-1] if "MATLAB_class" in found.attrs else axes
        return
    try:
        array = _real(*_load(path, variable))
    except DataError as error:
        raise (error if error.source else error.at(path)) from error
    yield array, axes


def _load(path: Path, variable: str | None) -> tuple[str, Any]:
    from scipy.io import loadmat, whosmat

    try:
        if path.suffix.lower() == ".npy":
            return "", np.load(path, mmap_mode="r", allow_pickle=False)
        if path.suffix.lower() == ".npz":
            with np.load(path, allow_pickle=False) as file:
                name = _choose(variable, list(file), file)
                return name, file[name]
        held = [name for name, _, _ in whosmat(path)]
        name = _choose(variable, held, held)
        return name, loadmat(path, variable_names=[name])[name]
    except DataError:
        raise
    except MemoryError as error:
        raise DataError("does not fit in memory", "save it as HDF5 and give a crop") from error
    # neither SciPy nor NumPy has a base class for what damaged files make them raise
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(f"cannot be read ({reason})", "restore the file") from error


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


_FIELD = "frames.variable"


def _real(name: str, array: Any) -> NDArray[Any]:
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf":
        raise DataError("is not an array of real numbers", "store real numbers", field=name)
    if array.ndim != 3 or not array.size:
        raise DataError(f"has shape {array.shape}", "give it 3 axes, none empty", field=name)
    return array
