"""HDF5 files of others: every way in which one can be damaged becomes one DataError."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import DataError, InputError, at
from fpm_inr.files.replacing import replacing

# no usual filter of HDF5 makes data smaller by more (gzip: 1032)
MOST_COMPRESSION, LEAST_BYTES = 1100, 2**20


def is_hdf5(path: Path) -> bool:
    """Whether a path is a file that begins as HDF5 does."""
    return path.is_file() and bool(h5py.is_hdf5(path))


@contextmanager
def reading(path: Path) -> Iterator[h5py.File]:
    """Open a file to read; whatever goes wrong inside ends in one error that names the file.

    Raises
    ------
    InputError
        What the body raised, located in the file.
    DataError
        HDF5 could not read the file, or what was asked for does not fit in memory.
    """
    try:
        with at(path), h5py.File(path, "r") as file:
            yield file
    except InputError:
        raise
    except MemoryError as error:
        raise DataError("does not fit in memory", "give a crop", source=path) from error
    # what h5py raises on damaged files; it has no common base class
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        reason = " ".join(str(error.args[0] if error.args else error).split())[:160]
        raise DataError(
            f"cannot be read as HDF5 ({reason})", "restore the file", source=path
        ) from error


@contextmanager
def writing(path: str | Path) -> Iterator[h5py.File]:
    """Give a file to fill, which then takes its place whole.

    Raises
    ------
    OutputError
        It cannot be written; what was there is kept.
    """
    # made in memory first: HDF5 crashes when it is closed on a disk that is full. Written as bytes:
    # an error keeps a view of the memory alive, on which some Pythons 3.12 crash
    image = BytesIO()
    with h5py.File(image, "w") as file:
        yield file
    with replacing(path) as beside:
        beside.write_bytes(image.getvalue())


def recognised(path: Path, says: Callable[[h5py.File], bool]) -> Path | None:
    """The path, where it is an HDF5 file of which `says` is true.

    Raises
    ------
    DataError
        It is a damaged HDF5 file.
    """
    if not is_hdf5(path):
        return None
    with reading(path) as file:
        return path if says(file) else None


def contents(file: h5py.Group) -> str:
    """Name what a file holds, leaving MATLAB's own entries out."""
    return ", ".join(sorted(key for key in file if not key.startswith("#"))[:12]) or "nothing"


def text(file: h5py.Group, attribute: str) -> str | None:
    """Read a text attribute; None where it is missing or no text."""
    value = file.attrs.get(attribute)
    return value if isinstance(value, str) else None


def dataset(file: h5py.Group, name: str, dimensions: int) -> h5py.Dataset:
    """Find a dataset of real numbers with this many axes, none of them empty."""
    if name not in file:
        raise DataError(f"is missing (the file holds {contents(file)})", "add it", field=name)
    found = file[name]
    if not isinstance(found, h5py.Dataset) or found.dtype.kind not in "iuf":
        raise DataError("is not an array of real numbers", "store real numbers", field=name)
    if found.attrs.get("MATLAB_class") == b"char":
        raise DataError("is text, not numbers", "store real numbers", field=name)
    if not found.size or "MATLAB_empty" in found.attrs:
        raise DataError("is empty", "store at least one value", field=name)
    if found.ndim != dimensions:
        raise DataError(f"has shape {found.shape}", f"give it {dimensions} axes", field=name)
    _check_content(found, name)
    return found


def _check_content(found: h5py.Dataset, name: str) -> None:
    """Refuse a dataset whose head tells of far more than the file can hold."""
    told = int(found.size) * found.dtype.itemsize
    if found.fillvalue:
        return  # what is not stored is this number
    if told > MOST_COMPRESSION * found.id.get_storage_size() + LEAST_BYTES:
        raise DataError(
            f"is told to hold {told} bytes, far more than there are", "restore the file", field=name
        )


def number(file: h5py.Group, name: str) -> float:
    """Read one number, stored as a scalar or as an array of one."""
    ndim = file[name].ndim if isinstance(file.get(name), h5py.Dataset) else 0
    found = dataset(file, name, ndim)
    if found.size != 1:
        raise DataError(f"has shape {found.shape}", "store one number", field=name)
    return float(np.asarray(found[()]).item())


def array(file: h5py.Group, name: str, dimensions: int) -> NDArray[np.float64]:
    """Read a whole array as float64."""
    return np.asarray(dataset(file, name, dimensions)[()], dtype=np.float64)


def whole(values: NDArray[np.float64], name: str) -> NDArray[np.intp]:
    """Numbers that count something."""
    found = values.astype(np.intp, copy=True) if np.isfinite(values).all() else None
    if found is None or not np.array_equal(found, values):
        raise DataError("holds numbers that are not whole", "store whole numbers", field=name)
    return np.asarray(found)
