"""Frames in picture files (TIFF, PNG): found by name or pattern, read one by one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import DataError

TIFF, PNG = (".tif", ".tiff"), (".png",)


def find_files(folder: Path, patterns: list[str]) -> list[Path]:
    """Files of these names or patterns (* ? []), each pattern's in natural order: 2 before 10.

    Raises
    ------
    DataError
        Nothing has that name.
    """
    found: list[Path] = []
    for pattern in patterns:
        if (folder / pattern).is_file():
            found.append(folder / pattern)
            continue
        base = (folder / pattern).parent
        try:
            matching = [path for path in base.glob(Path(pattern).name) if path.is_file()]
        except ValueError:
            matching = []
        if not matching:
            raise DataError(
                f"names {pattern!r}, and no such file is in {base}",
                "correct the name or the pattern",
                field="frames.file",
            )
        found += sorted(matching, key=natural_order)
    return found


def natural_order(path: Path) -> list[tuple[int, str]]:
    """Sort key of a name in which numbers count as numbers."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part.lower()) for part in parts]


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Grey pages of picture files as one array [led, y, x] that is read when it is sliced."""

    files: list[Path]

    @cached_property
    def pages(self) -> list[tuple[Path, int]]:
        """Every frame's file and its page there."""
        return [(path, page) for path in self.files for page in range(_page_count(path))]

    @cached_property
    def shape(self) -> tuple[int, ...]:
        return (len(self.pages), *_page(*self.pages[0]).shape)

    def __getitem__(self, key: Any, /) -> NDArray[Any]:
        leds, y, x = key
        frames = []
        for led in np.arange(len(self.pages))[leds]:
            image = _page(*self.pages[led])
            if image.shape != self.shape[1:]:
                raise DataError(
                    f"is {image.shape[0]} x {image.shape[1]} pixels (y x x), the first frame "
                    f"{self.shape[1]} x {self.shape[2]}",
                    "give frames of one size",
                    source=self.pages[led][0],
                )
            frames.append(image[y, x])
        return np.stack(frames)


def _page_count(path: Path) -> int:
    if path.suffix.lower() in PNG:
        return 1
    if path.suffix.lower() not in TIFF:
        raise DataError("is no picture (TIFF, PNG)", "name only pictures", source=path)
    return int(_reading(path, lambda: _tiff_page_count(path)))


def _tiff_page_count(path: Path) -> int:
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        return len(tiff.pages)


def _page(path: Path, page: int) -> NDArray[Any]:
    """One grey picture [y, x]."""
    import imageio.v3 as iio
    import tifffile

    if path.suffix.lower() in PNG:
        image = _reading(path, lambda: iio.imread(path, plugin="pillow"))
    else:
        image = _reading(path, lambda: tifffile.imread(path, key=page))
    image = np.asarray(image)
    if image.ndim != 2 or image.dtype.kind not in "iuf":
        raise DataError(
            f"is no grey picture (shape {image.shape}, type {image.dtype})",
            "give pictures of one channel of real numbers",
            source=path,
        )
    return image


def _reading(path: Path, read: Any) -> Any:
    try:
        return read()
    except MemoryError as error:
        raise DataError("does not fit in memory", "give smaller files", source=path) from error
    # damaged pictures raise many kinds: struct, zlib, index, Pillow's and tifffile's own
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(
            f"cannot be read as a picture ({reason})", "restore the file", source=path
        ) from error
