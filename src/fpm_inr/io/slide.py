"""Slides: planes cut into tiles, with coarser levels made as the finer ones pass by."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fpm_inr.display import Contrast
from fpm_inr.errors import SettingsError
from fpm_inr.io.rendering import Channel, Regions, Rendering, halve

TILE = 512
Compression = Literal["deflate", "zstd", "jpeg", "none"]
COMPRESSIONS: tuple[str, ...] = get_args(Compression)


@dataclass(frozen=True)
class SlideOptions:
    """How numbers are stored.

    Parameters
    ----------
    bits : {8, 16, 32}, optional
        Of every number. Default: 8 for colour, else 32 (float32).
    compression : {"deflate", "zstd", "jpeg", "none"}, optional
        Default: deflate, in OME-Zarr zstd; both lose nothing.
    ome_zarr : {"0.4", "0.5"}
        Version of that format.
    """

    bits: Literal[8, 16, 32] | None = None
    compression: Compression | None = None
    ome_zarr: Literal["0.4", "0.5"] = "0.5"

    def checked(self, part: str) -> SlideOptions:
        """The same, with the bits of a part; refuse what does not go together.

        Raises
        ------
        SettingsError
            Colour or JPEG in other than 8 bits, or real and imaginary part in other than 32.
        """
        bits: Literal[8, 16, 32] = self.bits or (8 if part == "colour" else 32)
        if part == "colour" and bits != 8:
            raise SettingsError(f"is {bits} for colour", "give 8, or another part", field="bits")
        if part == "complex" and bits != 32:
            raise SettingsError(
                f"is {bits} for real and imaginary part", "give 32, or part both", field="bits"
            )
        if self.compression == "jpeg" and bits != 8:
            raise SettingsError(
                f"is jpeg for numbers of {bits} bits",
                "give deflate, or 8 bits",
                field="compression",
            )
        return SlideOptions(bits, self.compression, self.ome_zarr)


@dataclass(frozen=True)
class Pixels:
    """How an image of a channel becomes stored numbers: value = low + number * step.

    Parameters
    ----------
    dtype : dtype
        float32 keeps values as they are.
    low, step : float
    """

    dtype: np.dtype[Any]
    low: float = 0.0
    step: float = 1.0

    @classmethod
    def of(cls, channel: Channel, bits: int, contrast: Contrast | None) -> Pixels:
        """Phase over the whole circle; amplitude from black to white, in 16 bits to twice that."""
        if channel.kind == "colour" or bits == 32:
            return cls(np.dtype(np.uint8 if channel.kind == "colour" else np.float32))
        dtype = np.dtype(np.uint8 if bits == 8 else np.uint16)
        top = 2**bits - 1
        if channel.kind == "phase":
            return cls(dtype, -np.pi, 2 * np.pi / top)
        assert contrast is not None
        if bits == 8:
            return cls(dtype, contrast.black, (contrast.white - contrast.black) / top)
        return cls(dtype, 0.0, 2 * max(abs(contrast.white), abs(contrast.black)) / top)

    def stored(self, image: NDArray[Any]) -> NDArray[Any]:
        """Numbers of an image; what lies beyond their range is clipped."""
        if self.dtype.kind == "f" or image.dtype.kind == "u":
            return np.ascontiguousarray(image, dtype=self.dtype)
        numbers = np.rint((image - self.low) / self.step)
        return numbers.clip(0, np.iinfo(self.dtype).max).astype(self.dtype)

    def says(self, channel: Channel) -> str:
        """What the numbers of a channel mean."""
        if self.step == 1.0 and self.low == 0.0:
            return f"{channel.name} in {channel.unit}"
        return f"{channel.name} = {self.low:.6g} + {self.step:.6g} * number, in {channel.unit}"


def pixels_of(rendering: Rendering, bits: int) -> list[Pixels]:
    """How each channel of a rendering is stored."""
    scaled = rendering.part != "colour" and bits != 32
    contrasts = rendering.contrasts() if scaled else [None] * len(rendering.channels)
    return [
        Pixels.of(channel, bits, contrast)
        for channel, contrast in zip(rendering.channels, contrasts, strict=True)
    ]


def level_shapes(shape_y_x: tuple[int, int]) -> list[tuple[int, int]]:
    """Shapes [y, x] of the levels, finest first, down to one that fits a tile."""
    shapes = [shape_y_x]
    while max(shapes[-1]) > TILE and min(shapes[-1]) > 1:
        shapes.append((shapes[-1][0] // 2, shapes[-1][1] // 2))
    return shapes


def origins(shape_y_x: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """First pixels (y, x) of a level's tiles, row by row."""
    for y in range(0, shape_y_x[0], TILE):
        for x in range(0, shape_y_x[1], TILE):
            yield y, x


class Levels:
    """Planes of one size and their coarser levels, in memory that does not grow with them.

    Level 0 is read from the planes themselves. While the tiles of a level pass by for the first
    time, the next coarser level is put into a file beside the target; so levels are asked for in
    order, each over all planes.

    Parameters
    ----------
    folder : Path
        Where the coarser levels lie until `close`.
    shape_y_x : (int, int)
    """

    def __init__(self, folder: Path, shape_y_x: tuple[int, int]) -> None:
        self.shapes = level_shapes(shape_y_x)
        self._open = ExitStack()
        self._files: list[IO[bytes]] = [
            self._open.enter_context(tempfile.TemporaryFile(dir=folder))  # noqa: SIM115
            for _ in self.shapes[1:]
        ]
        self._lead: tuple[int, ...] = ()
        self._dtype: np.dtype[Any] = np.dtype(np.uint8)

    def __enter__(self) -> Levels:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def tiles(
        self, level: int, plane: int, source: Regions | None, *, again: bool = False
    ) -> Iterator[NDArray[Any]]:
        """Tiles of a plane, row by row; those at the end are smaller.

        Parameters
        ----------
        level, plane : int
        source : Regions, optional
            The plane itself, at level 0.
        again : bool
            They have passed by before.
        """
        height, width = self.shapes[level]
        coarser = None if again or level + 1 == len(self.shapes) else level + 1
        for y in range(0, height, TILE):
            rows = min(TILE, height - y)
            strip = None if level == 0 else self._strip(level, plane, y, rows)
            halves: list[NDArray[Any]] = []
            for x in range(0, width, TILE):
                columns = min(TILE, width - x)
                if strip is None:
                    assert source is not None
                    tile = source.read(y, x, rows, columns)
                else:
                    tile = strip[..., x : x + columns]
                if coarser is not None:
                    halves.append(halve(tile))
                    if x + columns == width:  # before the last tile goes: nobody may ask for more
                        self._keep(coarser, plane, y // 2, np.concatenate(halves, axis=-1))
                yield tile

    def _keep(self, level: int, plane: int, y: int, strip: NDArray[Any]) -> None:
        self._lead, self._dtype = strip.shape[:-2], strip.dtype
        file = self._files[level - 1]
        for number, part in enumerate(strip.reshape(-1, *strip.shape[-2:])):
            file.seek(self._place(level, plane, number, y))
            file.write(np.ascontiguousarray(part).data)

    def _strip(self, level: int, plane: int, y: int, rows: int) -> NDArray[Any]:
        file, width = self._files[level - 1], self.shapes[level][1]
        parts = []
        for number in range(int(np.prod(self._lead, dtype=int))):
            file.seek(self._place(level, plane, number, y))
            parts.append(np.frombuffer(file.read(rows * width * self._dtype.itemsize), self._dtype))
        return np.concatenate(parts).reshape(*self._lead, rows, width)

    def _place(self, level: int, plane: int, number: int, y: int) -> int:
        height, width = self.shapes[level]
        images = plane * int(np.prod(self._lead, dtype=int)) + number
        return (images * height + y) * width * self._dtype.itemsize
