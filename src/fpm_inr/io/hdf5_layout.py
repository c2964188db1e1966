"""Variables of MATLAB's layout in HDF5 files: of MATLAB 7.3, of Octave, of Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import DataError
from fpm_inr.files import hdf5
from fpm_inr.io.paper_matlab import DIRECTIONS, FRAMES, Stored

MOST_STRUCTS = 50


def variables(file: h5py.File, wanted: Sequence[str]) -> dict[str, Stored]:
    """Find the variables that are wanted, in one struct (group) or on their own.

    Of the directions those that are not empty; where all are missing the first is.

    Raises
    ------
    DataError
        One is missing, or no array of real numbers.
    """
    group = holder(file)
    found = {}
    for name in wanted:
        if name in DIRECTIONS:
            continue
        found[name] = _stored(group, name, 3 if name == FRAMES else None)
    some = [name for name in DIRECTIONS if name in group and not _is_empty(group[name])]
    chosen = some[0] if some else next((n for n in DIRECTIONS if n in group), DIRECTIONS[0])
    found[chosen] = _stored(group, chosen, 2)
    return found


def holder(file: h5py.Group) -> h5py.Group:
    """The group that holds the frames: the file itself, or a struct in it."""
    if FRAMES in file:
        return file
    for name in list(file)[:MOST_STRUCTS]:
        item = file[name] if not name.startswith("#") else None
        if isinstance(item, h5py.Group):
            if FRAMES in item:
                return item
            # Octave wraps a struct's members once more
            inner = item.get("value")
            if isinstance(inner, h5py.Group) and FRAMES in inner:
                return inner
    return file


def _unwrapped(item: Any) -> tuple[Any, bool]:
    """A variable's dataset, and whether MATLAB or Octave wrote it: these store axes reversed."""
    if isinstance(item, h5py.Group) and "value" in item:
        return item["value"], True
    return item, isinstance(item, h5py.Dataset) and "MATLAB_class" in item.attrs


def _is_empty(item: Any) -> bool:
    data, _ = _unwrapped(item)
    if not isinstance(data, h5py.Dataset):
        return False
    return not data.size or "MATLAB_empty" in data.attrs or 0 in data.shape


def _stored(group: h5py.Group, name: str, dimensions: int | None) -> Stored:
    if name not in group:
        raise DataError(
            f"is missing (the file holds {hdf5.contents(group)})",
            "add it, or describe the file in an acquisition.yaml (`fpm-inr init`)",
            field=name,
        )
    data, is_matlab = _unwrapped(group[name])
    if name == FRAMES and (cells := _cells(group, data)) is not None:
        return Stored(cells, is_reversed=False)
    is_wrapped = isinstance(group[name], h5py.Group) and "value" in group[name]
    parent, leaf = (group[name], "value") if is_wrapped else (group, name)
    try:
        if dimensions is None:
            dimensions = data.ndim if isinstance(data, h5py.Dataset) else 0
        return Stored(hdf5.dataset(parent, leaf, dimensions), is_matlab, is_matlab)
    except DataError as error:
        raise error.at(error.source, name) from error


def _cells(group: h5py.Group, data: Any) -> NDArray[Any] | None:
    """Cells of frames (references, or Octave's numbered members) as an array (y, x, LED)."""
    if isinstance(data, h5py.Dataset) and data.dtype == h5py.ref_dtype:
        members = [group.file[one] for one in data[()].ravel()]
    elif isinstance(data, h5py.Group):
        names = sorted(n for n in data if n.startswith("_") and n[1:].isdigit())
        members = [_unwrapped(data[one])[0] for one in names]
    else:
        return None
    if not members or not all(isinstance(one, h5py.Dataset) for one in members):
        return None
    shape = members[0].shape
    if len(shape) != 2 or any(one.shape != shape for one in members):
        raise DataError(
            "holds cells that are no frames of one size", "store frames (y, x)", field=FRAMES
        )
    return np.stack([np.asarray(one[()]).T for one in members], axis=-1)
