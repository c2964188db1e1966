"""Frames in picture files (TIFF, PNG): found by name or pattern, read one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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
        path, page = self.pages[0]
        with _opened(path) as opened:
            return (len(self.pages), *_page(path, opened, page).shape)

    def __getitem__(self, key: Any, /) -> NDArray[Any]:
        leds, y, x = key
        frames = []
        with ExitStack() as opened:
            # a file of many pages is opened once, and only one file at a time
            current: tuple[Path, Any] | None = None
            for led in np.arange(len(self.pages))[leds]:
                path, page = self.pages[led]
                if current is None or current[0] != path:
                    opened.close()
                    current = (path, opened.enter_context(_opened(path)))
                image = _page(path, current[1], page)
                if image.shape != self.shape[1:]:
                    raise DataError(
                        f"is {image.shape[0]} x {image.shape[1]} pixels (y x x), the first frame "
                        f"{self.shape[1]} x {self.shape[2]}",
                        "give frames of one size",
                        source=path,
                    )
                frames.append(image[y, x])
        return np.stack(frames)


def _page_count(path: Path) -> int:
    if path.suffix.lower() in PNG:
        return 1
    if path.suffix.lower() not in TIFF:
        raise DataError("is no picture (TIFF, PNG)", "name only pictures", source=path)
    with _opened(path) as opened:
        return int(_reading(path, lambda: len(opened.pages)))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A TIFF file with its pages; nothing for other pictures, which are read whole."""
    import tifffile

    if path.suffix.lower() not in TIFF:
        yield None
        return
    with _reading(path, lambda: tifffile.TiffFile(path)) as opened:
        yield opened


def _page(path: Path, opened: Any, page: int) -> NDArray[Any]:
    """One grey picture [y, x]."""
    import imageio.v3 as iio

    if opened is None:
        image = _reading(path, lambda: iio.imread(path, plugin="pillow"))
    else:
        image = _reading(path, lambda: opened.pages[page].asarray())
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
