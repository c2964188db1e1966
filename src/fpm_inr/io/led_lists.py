"""Lists of LEDs in text files of any usual dialect: directions, or places in millimetres."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import DataError

FloatArray = NDArray[np.float64]
ENCODINGS = ("utf-8-sig", "utf-16", "cp1252")
MOST_BYTES = 64 * 2**20
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
INDEX_NAMES = {"", "#", "i", "n", "k", "no", "nr", "id", "index", "led", "frame", "number"}


@dataclass(frozen=True, eq=False)
class LedList:
    """Two columns of a text file.

    Parameters
    ----------
    pairs_x_y : array [led, 2]
    unit : str or None
        "mm", "na", or None where no header tells.
    """

    pairs_x_y: FloatArray
    unit: str | None


def read_led_list(path: Path) -> LedList:
    """Read x and y of every LED: semicolons, tabs, commas or blanks between, dots or commas in.

    An index column puts the rows in order; a header names the columns and their unit.

    Raises
    ------
    DataError
        The file cannot be read, or a line does not hold the numbers that are wanted.
    """
    lines = _lines(path)
    table = [
        (number, _cells(line, _separator([line for _, line in lines]))) for number, line in lines
    ]
    header = None
    if table and not any(_number(cell) is not None for cell in table[0][1]):
        header = [cell.strip().lower() for cell in table[0][1]]
        table = table[1:]
    if not table:
        raise DataError("holds no numbers", "give two columns x, y", source=path)
    rows: list[list[float]] = []
    for number, cells in table:
        values = [_number(cell) for cell in cells]
        if None in values or len(values) != len(table[0][1]) or len(values) < 2:
            raise DataError(
                f"has {' '.join(cells)[:60]!r} in line {number}",
                "give two numbers x, y",
                source=path,
            )
        rows.append([value for value in values if value is not None])
    data = np.array(rows, dtype=np.float64)
    if not np.isfinite(data).all():
        raise DataError("holds a number that is too large", "correct it", source=path)
    return _chosen(data, header, path)


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataError("is no list of LEDs: it is too large", "name another", source=path)
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"cannot be read ({error.strerror})", "correct the name in leds", source=path
        ) from error
    for encoding in ENCODINGS:
        if encoding == "utf-16" and content[:2] not in (b"\xff\xfe", b"\xfe\xff"):
            continue
        try:
            text = content.decode(encoding)
            break
        except UnicodeError:
            continue
    else:
        raise DataError("is no text", "give two columns of numbers", source=path)
    if "\0" in text:
        raise DataError("is no text", "give two columns of numbers", source=path)
    told = enumerate(text.splitlines(), 1)
    return [(n, line) for n, line in told if line.strip() and line.strip()[0] not in "#%"]


def _separator(lines: list[str]) -> str | None:
    """What stands between the columns; None: blanks."""
    body = lines[1:] if len(lines) > 1 else lines
    for candidate in (";", "\t", "|"):
        if all(candidate in line for line in body):
            return candidate
    # a comma is decimal where blanks already part two numbers
    if all("," in line for line in body):
        parts = [line.split() for line in body]
        decimal = all(len(p) >= 2 and all(_number(one) is not None for one in p) for p in parts)
        return None if decimal else ","
    return None


def _cells(line: str, separator: str | None) -> list[str]:
    cells = line.split(separator) if separator else line.split()
    cells = [cell.strip().strip("\"'").strip("[]()") for cell in cells]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _number(cell: str) -> float | None:
    text = cell.replace(",", ".") if cell.count(",") == 1 and "." not in cell else cell
    text = text.replace("\N{MINUS SIGN}", "-")
    return float(text) if NUMBER.fullmatch(text) else None


def _chosen(data: FloatArray, header: list[str] | None, path: Path) -> LedList:
    columns = data.shape[1]
    if header is not None and len(header) == columns:
        words = [re.sub(r"[^a-z#]", " ", name).split() for name in header]
        found = [_axis_column(words, axis) for axis in "xy"]
        index = [place for place, word in enumerate(words) if (word or [""])[0] in INDEX_NAMES]
        index = [place for place in index if place not in found]
        unit = _unit(header)
        if None not in found:
            x, y = (place for place in found if place is not None)
            return LedList(_ordered(data, index[:1], path)[:, [x, y]], unit)
        if columns == 3 and len(index) == 1:
            rest = [place for place in range(3) if place != index[0]]
            return LedList(_ordered(data, index, path)[:, rest], unit)
        if columns == 2:
            return LedList(data, unit)
    elif columns == 2:
        return LedList(data, None)
    elif columns == 3 and _counts(data[:, 0]):
        return LedList(_ordered(data, [0], path)[:, 1:], None)
    raise DataError(
        f"has {columns} columns, and nothing tells which are x and y",
        "give two columns, or a first line that names x and y",
        source=path,
    )


def _axis_column(words: list[list[str]], axis: str) -> int | None:
    """The one column that is named by this axis."""
    found = [
        place
        for place, word in enumerate(words)
        if any(one in (axis, f"na{axis}", f"{axis}na", f"k{axis}", f"pos{axis}") for one in word)
    ]
    return found[0] if len(found) == 1 else None


def _unit(header: list[str]) -> str | None:
    words = set(" ".join(re.sub(r"[^a-zµμ]", " ", name) for name in header).split())
    if words & {"mm", "millimetre", "millimetres", "millimeter", "millimeters"}:
        return "mm"
    if words & {"na", "nax", "nay", "xna", "yna"}:
        return "na"
    return None


def _counts(column: FloatArray) -> bool:
    """Whether a column numbers the rows, in any order, from 0 or 1."""
    return bool((np.sort(column) == np.arange(len(column)) + column.min()).all()) and bool(
        column.min() in (0, 1)
    )


def _ordered(data: FloatArray, index: list[int], path: Path) -> FloatArray:
    if not index:
        return data
    numbers = data[:, index[0]]
    if len(np.unique(numbers)) != len(numbers):
        raise DataError("numbers two LEDs alike", "correct its index column", source=path)
    return data[np.argsort(numbers, kind="stable")]
