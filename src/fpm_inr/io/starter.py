"""A first ``acquisition.yaml`` for a folder: what can be seen is filled in, the rest is asked."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from fpm_inr.errors import DataError
from fpm_inr.io.image_files import PNG, TIFF, ImageFiles, natural_order
from fpm_inr.io.variables import SUFFIXES, Stored, list_arrays


@dataclass(frozen=True)
class Found:
    """Frames seen in a folder."""

    file: str
    variable: str | None
    axes: str
    count: int
    note: str


def find_frames(folder: Path) -> Found:
    """Look for pictures of one kind, else for the largest array of three axes.

    Raises
    ------
    DataError
        There are neither, or they cannot be read.
    """
    try:
        files = sorted((path for path in folder.iterdir() if path.is_file()), key=natural_order)
    except OSError as error:
        raise DataError(
            f"cannot be listed ({error.strerror})", "give a folder", source=folder
        ) from error
    kinds = Counter(path.suffix for path in files if path.suffix.lower() in TIFF + PNG)
    if kinds:
        suffix = kinds.most_common(1)[0][0]
        return _pictures([path for path in files if path.suffix == suffix], suffix)
    arrays = [
        (path, stored)
        for path in files
        if path.suffix.lower() in SUFFIXES
        for stored in list_arrays(path)
    ]
    if not arrays:
        raise DataError(
            "holds no frames",
            f"put pictures ({' '.join(TIFF + PNG)}) or an array of three axes "
            f"({' '.join(SUFFIXES)}) there",
            source=folder,
        )
    return _array(*max(arrays, key=lambda pair: math.prod(pair[1].shape)))


def starter_text(found: Found) -> str:
    """The description to fill in; empty values are those that a person must give."""
    variable = (
        f"  variable: {json.dumps(found.variable, ensure_ascii=False)}\n" if found.variable else ""
    )
    axes = f"  axes: {found.axes:<21s}# l: LED, y: down, x: right\n" if found.axes != "lyx" else ""
    side = math.isqrt(found.count)
    rows, columns = (side, side) if side * side == found.count else ("", "")
    return f"""\
# Describes these frames to fpm-inr. Fill in what is empty.
# docs/acquisition-yaml.md explains every key; `fpm-inr inspect` shows what comes out.
frames:
  # {found.note}
  file: {json.dumps(found.file, ensure_ascii=False)}
{variable}{axes}\
  values: intensity          # or amplitude: the files hold square roots of intensity
  dark_level: 0              # what a pixel reads without light, in the files' numbers
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
  # na_x_y: {{file: leds.csv, sign: 1}}   # two columns of directions; sign -1 turns all round
  leave_out: []              # frames not to use, counted from 0
"""


def _pictures(files: list[Path], suffix: str) -> Found:
    count, height, width = ImageFiles(files).shape
    names = files[0].name if len(files) == 1 else f"{files[0].name} ... {files[-1].name}"
    note = f"found: {count} frames of {height} x {width} pixels (y x x), {names}"
    return Found(files[0].name if len(files) == 1 else f"*{suffix}", None, "lyx", count, note)


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
