"""Names of frames: which files a pattern means, and what the numbers in their names say."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import DataError

# What a place holder in a pattern binds; a name may hold each once.
BINDINGS = ("row", "column", "index", "x_mm", "y_mm", "exposure")
NUMBER = r"[+-]?\d+(?:[.,]\d+)?"
# What file managers and cameras leave beside pictures.
LITTER = {"thumbs.db", "desktop.ini", ".ds_store", "__macosx"}
MOST_FILES = 200_000


@dataclass(frozen=True)
class Named:
    """A file and what its name says, by binding."""

    path: Path
    says: dict[str, float] = field(default_factory=dict)


def find_named(folder: Path, patterns: Sequence[str]) -> list[Named]:
    """Files of these names or patterns (* ? [] ** and place holders), each in natural order.

    Raises
    ------
    DataError
        Nothing has that name, or a pattern cannot be used.
    """
    found: list[Named] = []
    for pattern in patterns:
        if (folder / pattern).is_file():
            found.append(Named(folder / pattern))
            continue
        matching = _matching(folder, pattern.replace("\\", "/"))
        if not matching:
            raise DataError(
                f"names {pattern!r}, and no such file is in {folder}",
                "correct the name or the pattern",
                field="frames.file",
            )
        found += matching
    return found


def is_litter(path: Path) -> bool:
    """Whether a file is none of the user's: hidden, or left there by a file manager."""
    return any(part.startswith(".") or part.lower() in LITTER for part in path.parts)


def _matching(folder: Path, pattern: str) -> list[Named]:
    """Files of this pattern in natural order; it may lead out of the folder."""
    *steps, _ = PurePosixPath(pattern).parts
    fixed: list[str] = []
    for step in steps:
        if re.search(r"[*?\[{]", step):
            break
        fixed.append(step)
    base = folder.joinpath(*fixed)
    rest = "/".join(PurePosixPath(pattern).parts[len(fixed) :])
    if not base.is_dir():
        return []
    meant = _expression(rest)
    found = []
    for path in _files(base, deep="/" in rest):
        inside = path.relative_to(base)
        match = meant.fullmatch(inside.as_posix())
        if match and not is_litter(inside):
            says = {name: float(text.replace(",", ".")) for name, text in match.groupdict().items()}
            found.append(Named(path, says))
    order = natural_order([one.path.relative_to(base) for one in found])
    return [found[place] for place in order]


def _files(base: Path, *, deep: bool) -> list[Path]:
    if not deep:
        return [path for path in base.iterdir() if path.is_file()]
    found: list[Path] = []
    for place, folders, names in os.walk(base):
        folders[:] = sorted(one for one in folders if not is_litter(Path(one)))
        found += [Path(place, name) for name in names]
        if len(found) > MOST_FILES:
            raise DataError(
                f"finds over {MOST_FILES} files under {base}", "name a folder", field="frames.file"
            )
    return found


def _expression(pattern: str) -> re.Pattern[str]:
    """A pattern as a regular expression, any case."""
    text, place = "", 0
    while place < len(pattern):
        rest = pattern[place:]
        if rest.startswith("**/"):
            text, place = text + "(?:.*/)?", place + 3
        elif rest.startswith("**"):
            text, place = text + ".*", place + 2
        elif rest[0] == "*":
            text, place = text + "[^/]*", place + 1
        elif rest[0] == "?":
            text, place = text + "[^/]", place + 1
        elif rest[0] == "[" and (end := rest.find("]", 2)) > 0:
            chosen = rest[1:end].replace("\\", "\\\\").replace("[", r"\[")
            chosen = f"^{chosen[1:]}" if chosen.startswith("!") else chosen
            text, place = f"{text}[{chosen}]", place + end + 1
        elif rest[0] == "{" and (end := rest.find("}")) > 0:
            name = rest[1:end]
            if name not in BINDINGS:
                raise DataError(
                    f"has the place holder {{{name}}}",
                    f"use {', '.join(BINDINGS)}",
                    field="frames.file",
                )
            text, place = f"{text}(?P<{name}>{NUMBER})", place + end + 1
        else:
            text, place = text + re.escape(rest[0]), place + 1
    try:
        return re.compile(text, re.IGNORECASE | re.DOTALL)
    except re.error as error:
        raise DataError(
            f"has the pattern {pattern!r}, which cannot be used ({error})",
            "give each place holder once and close brackets",
            field="frames.file",
        ) from error


def natural_order(paths: Sequence[Path]) -> list[int]:
    """Indices that sort paths so that numbers in them count as numbers.

    A minus counts where some names have one in that place and others do not: y-1 comes before y0,
    and img-002 after img-001.
    """
    names = [path.as_posix() for path in paths]
    signed = _has_signs(names)
    number = re.compile(r"(-?\d+)" if signed else r"(\d+)")

    def key(name: str) -> list[tuple[int, str]]:
        return [
            (int(part), "") if re.fullmatch(r"-?\d+", part) else (-(10**30), part.lower())
            for part in number.split(name)
        ]

    return sorted(range(len(names)), key=lambda place: key(names[place]))


def _has_signs(names: Sequence[str]) -> bool:
    """Whether the names agree in all but numbers only when a minus belongs to the number."""
    with_sign = {re.sub(r"-?\d+", "#", name) for name in names}
    without = {re.sub(r"\d+", "#", name) for name in names}
    return len(with_sign) < len(without)


@dataclass(frozen=True, eq=False)
class Numbered:
    """Names that differ in numbers only.

    Parameters
    ----------
    pieces : list of str
        The text around the numbers that vary.
    numbers : array [file, slot] of int
        Those numbers.
    """

    pieces: list[str]
    numbers: NDArray[np.int64]


def numbered(paths: Sequence[Path]) -> Numbered | None:
    """What varies in these names; None where they differ in more than numbers."""
    names = [path.as_posix() for path in paths]
    number = re.compile(r"(-?\d+)" if _has_signs(names) else r"(\d+)")
    split = [number.split(name) for name in names]
    if len({tuple(one[::2]) for one in split}) != 1:
        return None
    texts = split[0][::2]
    if any(len(text) > 15 for one in split for text in one[1::2]):
        return None
    table = np.array([[int(text) for text in one[1::2]] for one in split], dtype=np.int64)
    table = table.reshape(len(names), -1)
    varies = [slot for slot in range(table.shape[1]) if len(np.unique(table[:, slot])) > 1]
    pieces = [texts[0]]
    for slot in range(table.shape[1]):
        if slot in varies:
            pieces.append("")
        else:
            pieces[-1] += split[0][2 * slot + 1]
        pieces[-1] += texts[slot + 1]
    return Numbered(pieces, table[:, varies])


def pattern_of(found: Numbered) -> str:
    """The pattern with place holders that these names follow: columns last unless they say so."""
    slots = found.numbers.shape[1]
    if slots == 1:
        names = ["index"]
    else:
        # the words before the last two numbers tell which is which
        before = [piece.lower().rstrip("=_- ")[-6:] for piece in found.pieces[slots - 2 : slots]]
        swapped = bool(re.search(r"(x|col|column|c)$", before[0])) or bool(
            re.search(r"(y|row|r)$", before[1])
        )
        names = ["*"] * (slots - 2) + (["column", "row"] if swapped else ["row", "column"])
    text = found.pieces[0]
    for name, piece in zip(names, found.pieces[1:], strict=True):
        text += ("*" if name == "*" else f"{{{name}}}") + piece
    return text


@dataclass(frozen=True)
class Origin:
    """The numbers of the first row, column and LED in the names; None: told by the names."""

    row: int | None = None
    column: int | None = None
    index: int | None = None


def led_numbers(
    says: Sequence[dict[str, float]],
    rows: int | None,
    columns: int | None,
    leds: int,
    origin: Origin,
) -> NDArray[np.intp] | None:
    """The LED [file] of every frame by its name, in the order of a raster; None: names say none.

    Raises
    ------
    DataError
        Names lie outside the array, or do not tell where it begins.
    """
    bound = set(says[0])
    if {"row", "column"} <= bound:
        if rows is None or columns is None:
            raise DataError(
                "binds row and column, and the LEDs are no grid of rows and columns",
                "describe leds.grid with rows and columns, or bind index",
                field="frames.file",
            )
        row = _from_first([one["row"] for one in says], rows, origin.row, "row")
        column = _from_first([one["column"] for one in says], columns, origin.column, "column")
        return row * columns + column
    if "index" in bound:
        return _from_first([one["index"] for one in says], leds, origin.index, "index")
    if bound & {"row", "column"}:
        raise DataError("binds one of row and column", "bind both", field="frames.file")
    return None


def _from_first(
    numbers: Sequence[float], count: int, first: int | None, name: str
) -> NDArray[np.intp]:
    """Numbers of a name counted from 0."""
    seen = np.array(numbers)
    if (seen != seen.round()).any():
        raise DataError(f"binds a broken number to {name}", "bind whole ones", field="frames.file")
    whole = seen.astype(np.intp)
    if first is None:
        if whole.max() - whole.min() == count - 1:
            first = int(whole.min())
        elif whole.min() < 0 and count % 2:
            first = -(count // 2)
        elif whole.min() >= 0 and whole.max() < count:
            first = 0
        elif whole.min() >= 1 and whole.max() == count:
            first = 1
        else:
            raise DataError(
                f"does not tell which {name} is the first: names hold {whole.min()} to "
                f"{whole.max()}, the array {count}",
                f"give {name} there, as in origin: {{{name}: {whole.min()}}}",
                field="frames.origin",
            )
    led = whole - first
    if led.min() < 0 or led.max() >= count:
        raise DataError(
            f"finds {name} {whole[led.argmin() if led.min() < 0 else led.argmax()]}, outside "
            f"{first} to {first + count - 1}",
            "correct the size of the array or frames.origin",
            field="frames.file",
        )
    return led
