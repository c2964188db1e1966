"""MATLAB 5 files (saved as -v6 or -v7), checked before SciPy reads them."""

from __future__ import annotations

import struct
from collections.abc import Collection
from pathlib import Path
from typing import Any, BinaryIO

from fpm_inr.errors import DataError

_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
_MOST_SMALL_BYTES = 4
_UINT32, _COMPLEX = 6, 0x0800
# classes of full arrays of numbers
_NUMBERS = range(6, 16)
# types of data elements (MAT-File Format, table 1-1); others make SciPy's reader crash
_TYPES = frozenset({1, 2, 3, 4, 5, 6, 7, 9, 12, 13, _MATRIX, _COMPRESSED, 16, 17, 18})


def is_matlab_5(header: bytes) -> bool:
    """Whether the first 128 bytes of a file are those of a MATLAB 5 file."""
    return header[124:128] in (b"\x00\x01IM", b"\x01\x00MI")  # version 1, either byte order


def read_variables(path: Path, wanted: Collection[str], inside: str = "") -> dict[str, Any]:
    """Read variables; those that the file holds besides are named with None.

    Where `inside` is the name of a variable that the file does not hold, and one struct has it
    as a member, the struct's members are read.

    Raises
    ------
    DataError
        The file is damaged or does not fit in memory.
    """
    from scipy.io import loadmat, whosmat

    try:
        _check_elements(path)
        about = whosmat(path)
        held = [name for name, _, _ in about]
        if inside and inside not in held:
            structs = [name for name, _, kind in about if kind == "struct"]
            members = _struct_with(loadmat(path, variable_names=structs), structs, inside)
            if members is not None:
                return members
        read = loadmat(path, variable_names=list(wanted))
        return {name: read.get(name) for name in held}
    except MemoryError as error:
        raise DataError(
            "does not fit in memory", "save it with -v7.3 and give a crop", source=path
        ) from error
    # SciPy has no base class for what a damaged file makes it raise (zlib, struct, index errors...)
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(
            f"cannot be read as MATLAB 5 ({reason})", "restore the file", source=path
        ) from error


def _struct_with(read: dict[str, Any], structs: list[str], member: str) -> dict[str, Any] | None:
    """Members of the first struct that has this one."""
    for name in structs:
        struct = read.get(name)
        fields = getattr(getattr(struct, "dtype", None), "names", None) or ()
        if struct is not None and struct.size == 1 and member in fields:
            record = struct.ravel()[0]
            return {one: record[one] for one in fields}
    return None


def _check_elements(path: Path) -> None:
    """Walk the tags of all elements that are not compressed (zlib checks those itself)."""
    with path.open("rb") as file:
        order = "<" if file.read(_HEADER_BYTES)[126:128] == b"IM" else ">"
        size = path.stat().st_size
        within = [(_HEADER_BYTES, size, False)]
        while within:
            start, end, is_matrix = within.pop()
            children = []
            while start + 8 <= end:
                file.seek(start)
                kind, length = struct.unpack(f"{order}II", file.read(8))
                if kind >> 16 > _MOST_SMALL_BYTES:
                    raise ValueError(f"small element of {kind >> 16} bytes at byte {start}")
                if kind >> 16:  # a small element keeps its data in the tag
                    kind, length, next_start = kind & 0xFFFF, 0, start + 8
                elif kind == _COMPRESSED:
                    next_start = start + 8 + length
                else:
                    next_start = start + 8 + length + -length % 8
                if kind not in _TYPES:
                    raise ValueError(f"element of unknown type {kind} at byte {start}")
                if start + 8 + length > end:
                    raise ValueError(f"element at byte {start} is cut off")
                if kind == _MATRIX:
                    within.append((start + 8, start + 8 + length, True))
                children.append((kind, start + 8, length))
                start = next_start
            if is_matrix and children:
                _check_matrix(file, order, children)


def _check_matrix(file: BinaryIO, order: str, children: list[tuple[int, int, int]]) -> None:
    """An array of numbers has all its parts: flags, dimensions, name, numbers."""
    kind, start, length = children[0]
    if kind != _UINT32 or length != 8:
        raise ValueError(f"array without flags at byte {start}")
    file.seek(start)
    flags = struct.unpack(f"{order}I", file.read(4))[0]
    is_complex = bool(flags & _COMPLEX)
    if flags & 0xFF in _NUMBERS and len(children) < 4 + is_complex:
        raise ValueError(f"array at byte {start} lacks a part")
