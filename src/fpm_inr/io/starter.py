"""A first ``acquisition.yaml`` for a folder: what can be seen is filled in, the rest is asked."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import DataError
from fpm_inr.io.frame_names import is_litter, natural_order, numbered, pattern_of
from fpm_inr.io.image_files import ImageFiles
from fpm_inr.io.picture_pages import PICTURES
from fpm_inr.io.variables import SUFFIXES, Stored, list_arrays

# Folders deeper than this, and more files than this, are not looked through.
MOST_DEPTH, MOST_FILES = 3, 50_000


@dataclass(frozen=True)
class Found:
    """Frames seen in a folder.

    Parameters
    ----------
    file : str
        Name or pattern.
    variable : str or None
    axes : str
    count : int
    note : str
    grid : (int, int) or None
        Rows and columns that the names tell.
    origin : dict
        Numbers in the names of the first row, column or LED, where they are to be said.
    """

    file: str
    variable: str | None
    axes: str
    count: int
    note: str
    grid: tuple[int, int] | None = None
    origin: dict[str, int] = field(default_factory=dict)


def find_frames(folder: Path) -> Found:
    """Look for pictures of one kind, else for the largest array of three axes.

    Raises
    ------
    DataError
        There are neither, or they cannot be read.
    """
    files = _files_under(folder)
    kinds = Counter(path.suffix.lower() for path in files if path.suffix.lower() in PICTURES)
    if kinds:
        suffix = kinds.most_common(1)[0][0]
        return _pictures(folder, [path for path in files if path.suffix.lower() == suffix])
    arrays = [
        (path, stored)
        for path in files
        if path.suffix.lower() in SUFFIXES and path.parent == folder
        for stored in list_arrays(path)
    ]
    if not arrays:
        raise DataError(
            "holds no frames",
            f"put pictures ({' '.join(PICTURES)}) or an array of three axes "
            f"({' '.join(SUFFIXES)}) there",
            source=folder,
        )
    return _array(*max(arrays, key=lambda pair: math.prod(pair[1].shape)))


def _files_under(folder: Path) -> list[Path]:
    """Files in a folder, or where it holds no frames those in its folders, in natural order."""
    level, found = [folder], list[Path]()
    try:
        for _ in range(MOST_DEPTH):
            inside = [
                path for one in level for path in one.iterdir() if not is_litter(Path(path.name))
            ]
            found = [path for path in inside if path.is_file()]
            frames = [path for path in found if path.suffix.lower() in (*PICTURES, *SUFFIXES)]
            if frames or len(inside) > MOST_FILES:
                break
            level = [path for path in inside if path.is_dir()]
    except OSError as error:
        raise DataError(
            f"cannot be listed ({error.strerror})", "give a folder", source=folder
        ) from error
    names = [path.relative_to(folder) for path in found]
    return [found[place] for place in natural_order(names)]


def starter_text(found: Found) -> str:
    """The description to fill in; empty values are those that a person must give."""
    variable = (
        f"  variable: {json.dumps(found.variable, ensure_ascii=False)}\n" if found.variable else ""
    )
    axes = f"  axes: {found.axes:<21s}# l: LED, y: down, x: right\n" if found.axes != "lyx" else ""
    side = math.isqrt(found.count)
    square = (side, side) if side * side == found.count else ("", "")
    rows, columns = square if found.grid is None else found.grid
    origin = ""
    if found.origin:
        told = ", ".join(f"{name}: {number}" for name, number in found.origin.items())
        origin = f"  origin: {{{told}}}".ljust(29) + "# numbers in the names of the first ones\n"
    return f"""\
# Describes these frames to fpm-inr. Fill in what is empty.
# docs/acquisition-yaml.md explains every key; `fpm-inr inspect` shows what comes out.
frames:
  # {found.note}
  file: {json.dumps(found.file, ensure_ascii=False)}
{origin}{variable}{axes}\
  values: intensity          # amplitude: square roots of intensity; srgb: pictures of a camera app
  dark_level: 0              # what a pixel reads without light, in the files' numbers
  # dark_frame: dark.tif     # or a frame without light, by name or number
  # flat_field: flat.tif     # a frame of even light without a specimen, by name or number
  # mask: mask.png           # 0 where a pixel lies
  # bayer: rggb              # raw pictures of a colour camera
  # exposure: [1, 1, 4]      # relative times, one a frame, where they differ
optics:
  wavelength_um:             # in vacuum, as 0.532
  na:                        # of the objective, as 0.1
  camera_pixel_um:           # as 6.5
  magnification:             # as 4
  # pixel_um:                # instead of the last two: the pixel at the sample
  medium_index: 1            # around the sample: 1 air, 1.33 water
leds:
  # Give grid, rings or na_x_y. x runs along the rows of a frame to the right, y downward.
  grid:
    order: raster            # row by row; spiral: from the centre; listed: see steps_x_y
    rows: {rows}
    columns: {columns}
    pitch_mm:                # as 4
    distance_mm:             # of air, to the sample or its slide, as 90
    transpose: false         # swap x and y of the array,
    flip_x: false            # then reverse x,
    flip_y: false            # then reverse y,
    rotation_deg: 0          # then turn it from x towards y
    offset_x_y_mm: [0, 0]    # where its middle lies
    # slide: {{thickness_mm: 1, index: 1.52}}
  # rings: {{radii_mm: [0, 10], counts: [1, 8], starts_deg: [0, 0], distance_mm: 90}}
  # places_x_y_mm: {{file: leds.csv, distance_mm: 90}}   # two columns of places
  # na_x_y: {{file: leds.csv, sign: 1}}   # two columns of directions; sign -1 turns all round
  leave_out: []              # frames not to use, counted from 0
"""


def _pictures(folder: Path, files: list[Path]) -> Found:
    pictures = ImageFiles(files, "mean")
    count, height, width = pictures.shape
    inside = [path.relative_to(folder) for path in files]
    first, last = inside[0].as_posix(), inside[-1].as_posix()
    names = first if len(files) == 1 else f"{first} ... {last}"
    note = f"found: {count} frames of {height} x {width} pixels (y x x), {names}"
    if len(files) == 1:
        return Found(first, None, "lyx", count, note)
    told = numbered(inside) if len(files) == count else None
    if told is None or told.numbers.shape[1] == 0:
        depth = "/".join("*" for _ in inside[0].parts[:-1])
        pattern = f"{depth}/*{files[0].suffix}" if depth else f"*{files[0].suffix}"
        return Found(pattern, None, "lyx", count, note)
    pattern = pattern_of(told)
    if told.numbers.shape[1] == 1:
        return _by_index(pattern, told.numbers[:, 0], count, note)
    low, high = told.numbers[:, -2:].min(axis=0), told.numbers[:, -2:].max(axis=0)
    sizes = [int(size) for size in high - low + 1]
    cells = {tuple(row) for row in told.numbers[:, -2:].tolist()}
    is_grid = told.numbers.shape[1] == 2 and len(cells) == count
    if not is_grid or not 0.5 * math.prod(sizes) <= count:
        return Found(_plain(pattern), None, "lyx", count, note)
    names_of = ["row", "column"] if "{row}" in pattern.split("{column}")[0] else ["column", "row"]
    by_name = dict(zip(names_of, sizes, strict=True))
    origin = dict(zip(names_of, (int(one) for one in low), strict=True))
    missing = math.prod(sizes) - count
    note += f"; the names tell {by_name['row']} rows and {by_name['column']} columns"
    if missing:
        note += f", {missing} of them without a frame"
    return Found(pattern, None, "lyx", count, note, (by_name["row"], by_name["column"]), origin)


def _by_index(pattern: str, numbers: NDArray[np.int64], count: int, note: str) -> Found:
    """Names that hold one number each: bound to LEDs where some are missing, else in order."""
    span = int(numbers.max() - numbers.min()) + 1
    if span == count:
        return Found(_plain(pattern), None, "lyx", count, note)
    side = math.isqrt(span)
    grid = (side, side) if side * side == span else None
    note += f"; numbers run from {numbers.min()} to {numbers.max()}, so {span - count} are missing"
    return Found(pattern, None, "lyx", count, note, grid, {"index": int(numbers.min())})


def _plain(pattern: str) -> str:
    """The pattern without its place holders: files in natural order."""
    return re.sub(r"\{\w+\}", "*", pattern)


def _array(path: Path, stored: Stored) -> Found:
    axes = _likely_axes(stored.shape)
    shape = " x ".join(map(str, stored.shape))
    note = f"found: {stored.name or path.name} of {shape}, {stored.type_name}"
    return Found(path.name, stored.name or None, axes, stored.shape[axes.index("l")], note)


def _likely_axes(shape: tuple[int, ...]) -> str:
    """Frames are mostly square: the odd length out is the LEDs'."""
    if shape[0] == shape[1] != shape[2]:
        return "yxl"
    return "lyx"
