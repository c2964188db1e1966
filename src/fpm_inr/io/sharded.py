"""OME-Zarr of what is larger than memory: shard by shard, by several processes, resumable.

A shard is one file. Its chunks and its index carry checksums, and it is renamed into place when it
is whole, so what an interrupted run has left can be trusted or told to be torn. Version 0.4 knows
no shards: there a column of chunks counts when a mark says that all of it is written.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpm_inr import __version__
from fpm_inr.display import Contrast, robust_contrast
from fpm_inr.errors import OutputError, SettingsError
from fpm_inr.heights import check_heights, default_heights, pick_planes, uniform_step_um
from fpm_inr.io.multiscale import described, displays_of, multiscale_of, units_of
from fpm_inr.io.ome_zarr import check_compression, stored_as
from fpm_inr.io.rendering import CHANNELS, Channel, ColourSource, Part, named_channels
from fpm_inr.io.slide import Pixels, SlideOptions
from fpm_inr.solution import ImageStack

CHUNK = 512
SHARD = 4 * CHUNK  # pixels a side
HEIGHTS_AT_ONCE = 4  # of a shard's column: 128 MB of complex numbers
JOB = "job.json"
MARKS = "written"  # of version 0.4: a file for every column of chunks that is whole
SHOWN_HEIGHTS = 9  # that tell the contrast
SEEN_BEFORE = 3  # heights that tell it where numbers are scaled by it
Window = tuple[int, int, int, int]


class LevelSource(Protocol):
    """A pyramid that renders any window of any level; a Mosaic is one."""

    @property
    def z_range_um(self) -> tuple[float, float]: ...
    @property
    def planes_um(self) -> NDArray[np.float64] | None: ...
    @property
    def pixel_um(self) -> float: ...
    @property
    def amplitude_scale(self) -> float: ...
    @property
    def levels(self) -> int: ...
    def level_shape_y_x(self, level: int) -> tuple[int, int]: ...
    def render(
        self, z_um: ArrayLike, *, window: Window | None = None, level: int = 0
    ) -> ImageStack:
        """Images of a window, in pixels of the level."""
        ...


@runtime_checkable
class LevelColours(ColourSource, Protocol):
    """A pyramid of several wavelengths; a SolutionSet of mosaics is one."""

    @property
    def levels(self) -> int: ...
    def level_shape_y_x(self, level: int) -> tuple[int, int]: ...


@dataclass(frozen=True)
class Region:
    """A column of shards: one window of a level, at all heights."""

    level: int
    y: int
    x: int


@dataclass(frozen=True, eq=False)
class ShardedWriter:
    """What every worker knows of a slide that is being written.

    Parameters
    ----------
    open_source : callable
        Gives the source; it travels to other processes.
    folder : Path
        Where the slide is made.
    z_um : array [z]
    part : Part
    options : SlideOptions
        Checked.
    contrasts : tuple of Contrast
        Of each channel, where numbers are scaled by them.
    """

    open_source: Callable[[], LevelSource | LevelColours]
    folder: Path
    z_um: NDArray[np.float64]
    part: Part
    options: SlideOptions
    contrasts: tuple[Contrast, ...] = ()

    @cached_property
    def source(self) -> LevelSource | LevelColours:
        """The source, opened when it is needed."""
        return self.open_source()

    @cached_property
    def channels(self) -> tuple[Channel, ...]:
        """The images that are made of a plane."""
        source = self.source
        if isinstance(source, LevelColours):
            return named_channels(self.part, source.labels)
        return CHANNELS[self.part]

    @cached_property
    def pixels(self) -> list[Pixels]:
        """How each channel is stored."""
        contrasts = self.contrasts or [None] * len(self.channels)
        return [
            Pixels.of(channel, self.options.bits or 32, contrast)
            for channel, contrast in zip(self.channels, contrasts, strict=True)
        ]

    @property
    def count(self) -> int:
        """Channels of the arrays: three of a colour."""
        return 3 if self.part == "colour" else len(self.channels)

    def regions(self) -> list[Region]:
        """All columns of shards, the coarsest level first."""
        found = []
        for level in reversed(range(self.source.levels)):
            height, width = self.source.level_shape_y_x(level)
            found += [
                Region(level, y, x) for y in range(0, height, SHARD) for x in range(0, width, SHARD)
            ]
        return found

    def make_arrays(self) -> None:
        """Make the group and its arrays, empty."""
        import zarr

        has_shards = self.options.ome_zarr == "0.5"
        version: Literal[2, 3] = 3 if has_shards else 2
        group = zarr.create_group(store=str(self.folder), zarr_format=version)
        for level in range(self.source.levels):
            shape = self.source.level_shape_y_x(level)
            chunk = [min(CHUNK, side) for side in shape]
            count = [min(SHARD // CHUNK, -(-side // CHUNK)) for side in shape]
            shards = (self.count, 1, *(n * side for n, side in zip(count, chunk, strict=True)))
            group.create_array(
                str(level),
                shape=(self.count, len(self.z_um), *shape),
                chunks=(1, 1, *chunk),
                shards=shards if has_shards else None,
                dtype=self.pixels[0].dtype,
                **stored_as(self.options, checksum=True),
            )

    def write(self, region: Region) -> None:
        """Write a column of shards; those that are there already, and whole, stay."""
        import zarr

        array = zarr.open_array(str(self.folder / str(region.level)), mode="r+")
        height, width = (
            min(SHARD, side - at)
            for side, at in zip(array.shape[2:], (region.y, region.x), strict=True)
        )
        place = (slice(region.y, region.y + height), slice(region.x, region.x + width))
        missing = [z for z in range(len(self.z_um)) if not self._is_whole(array, z, region, place)]
        # a dark region has shards as well: what is missing was never written
        with zarr.config.set({"array.write_empty_chunks": True}):
            for first in range(0, len(missing), HEIGHTS_AT_ONCE):
                some = missing[first : first + HEIGHTS_AT_ONCE]
                window = (region.y, region.x, height, width)
                planes = self.planes(self.z_um[some], window, region.level)
                for z, plane in zip(some, planes, strict=True):
                    array[(slice(None), slice(z, z + 1), *place)] = self._stored(plane)[:, None]
        if self.options.ome_zarr == "0.4":
            self._mark(region).touch()

    def planes(
        self, z_um: NDArray[np.float64], window: Window | None, level: int
    ) -> Iterator[NDArray[Any]]:
        """Complex planes [y, x] in the camera's unit, [channel, y, x] of several, or colours."""
        source = self.source
        if isinstance(source, LevelColours):
            for field in source.fields(z_um, window=window, level=level):
                yield source.srgb(field) if self.part == "colour" else field
            return
        stack = source.render(z_um, window=window, level=level)
        yield from (field * np.float32(source.amplitude_scale) for field in stack.field_z_y_x)

    def _stored(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Numbers [channel, y, x] of a plane."""
        if self.part == "colour":
            return plane
        numbers = [
            one.stored(channel.of(plane))
            for channel, one in zip(self.channels, self.pixels, strict=True)
        ]
        return np.stack(numbers)

    def _mark(self, region: Region) -> Path:
        return self.folder / MARKS / f"{region.level}-{region.y}-{region.x}"

    def _is_whole(self, array: Any, z: int, region: Region, place: tuple[slice, slice]) -> bool:
        if self.options.ome_zarr == "0.4":
            return self._mark(region).is_file()
        y, x = (at // side for at, side in zip((region.y, region.x), array.shards[2:], strict=True))
        file = self.folder / str(region.level) / "c" / "0" / str(z) / str(y) / str(x)
        if not file.is_file():
            return False
        try:
            array[(slice(None), slice(z, z + 1), *place)]
        except Exception:  # each codec has its own way to say that a checksum is wrong
            file.unlink()
            return False
        return True

    def contrasts_before(self) -> tuple[Contrast, ...]:
        """Contrast of each channel, from a few heights of the coarsest level."""
        heights = self.z_um[_spread(len(self.z_um), SEEN_BEFORE)]
        planes = list(self.planes(heights, None, self.source.levels - 1))
        found: dict[int | None, Contrast] = {}
        for channel in self.channels:
            if channel.number not in found:
                found[channel.number] = robust_contrast([channel.amplitude(p) for p in planes])
        return tuple(found[channel.number] for channel in self.channels)

    def contrasts_written(self, coarsest: Any) -> tuple[Contrast, ...]:
        """The same from an array of the coarsest level, whose numbers are values."""
        heights = _spread(len(self.z_um), SHOWN_HEIGHTS)
        found = []
        for number, channel in enumerate(self.channels):
            pair = number - number % 2  # real and imaginary part
            found.append(
                robust_contrast(
                    np.hypot(coarsest[pair, z], coarsest[pair + 1, z])
                    if channel.kind == "complex part"
                    else np.abs(coarsest[number, z])
                    for z in heights
                )
            )
        return tuple(found)


def _spread(count: int, most: int) -> NDArray[np.intp]:
    """So many of some numbers from 0, evenly, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, most).round().astype(np.intp))


def write_sharded(
    path: Path,
    open_source: Callable[[], LevelSource | LevelColours],
    *,
    fingerprint: str,
    z_um: ArrayLike | None = None,
    part: Part = "both",
    slide: SlideOptions | None = None,
    workers: int = 1,
    on_region: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write [channel, z, y, x] of all levels; go on with what a run of the same was at.

    Every process holds the images of one column of shards at four heights, however large the field
    is. Levels come from the source, not from finer levels.

    Parameters
    ----------
    path : Path
        Its name ends in ``.ome.zarr``. Made beside, and renamed.
    open_source : callable
        Gives the source in every process.
    fingerprint : str
        Of what the source shows: what was begun of another is thrown away.
    z_um : array-like [z], optional
        Default: 41 over the range, or the source's planes.
    part : Part
    slide : SlideOptions, optional
        How numbers are stored.
    workers : int
    on_region : callable
        Told how many columns of shards of how many are done.

    Raises
    ------
    SettingsError
        Heights beyond the range, or not evenly spaced; options that do not go together.
    OutputError
        It cannot be written, or a worker died: the same command goes on from there.
    """
    options = (slide or SlideOptions()).checked(part)
    check_compression(options)
    heights = _heights(open_source(), z_um)
    beside = path.with_name(f".{path.name}.partial")
    writer = ShardedWriter(open_source, beside, heights, part, options)
    if part != "colour" and options.bits != 32:
        writer = replace(writer, contrasts=writer.contrasts_before())
    job = {
        "fingerprint": fingerprint,
        "z_um": heights.tolist(),
        "part": part,
        "stored": [options.bits, options.compression, options.ome_zarr],
        "version": __version__,
        "name": path.name,
    }
    try:
        _begin(writer, job)
        regions = writer.regions()
        on_region(0, len(regions))
        for done, _ in enumerate(_written(writer, regions, workers), start=1):
            on_region(done, len(regions))
        _finish(writer, path)
    except OSError as error:
        raise OutputError(
            f"cannot be written ({error.strerror or error})",
            "choose a place that is writable and has room; the same command then goes on",
            source=path,
        ) from error


def _heights(source: LevelSource | LevelColours, z_um: ArrayLike | None) -> NDArray[np.float64]:
    if source.planes_um is not None:
        heights = pick_planes(z_um, source.planes_um)
    else:
        wanted = default_heights(source.z_range_um) if z_um is None else z_um
        heights = check_heights(wanted, source.z_range_um)
    if len(heights) > 1 and uniform_step_um(heights) is None:
        raise SettingsError(
            "is not evenly spaced, which OME-Zarr cannot say",
            "give START:STOP:STEP",
            field="z",
        )
    return heights


def _begin(writer: ShardedWriter, job: dict[str, Any]) -> None:
    folder = writer.folder
    try:
        begun = json.loads((folder / JOB).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        begun = None
    if begun == job:
        for torn in folder.rglob("*.partial"):
            torn.unlink(missing_ok=True)
        return
    if folder.exists():
        shutil.rmtree(folder)
    writer.make_arrays()
    if writer.options.ome_zarr == "0.4":
        (folder / MARKS).mkdir()
    (folder / JOB).write_text(json.dumps(job), encoding="utf-8")


def _written(writer: ShardedWriter, regions: list[Region], workers: int) -> Iterator[None]:
    if workers == 1:
        yield from map(writer.write, regions)
        return
    from fpm_inr.io.workers import in_processes

    # a copy, in which nothing is open yet, travels
    yield from in_processes(replace(writer).write, regions, workers)


def _finish(writer: ShardedWriter, path: Path) -> None:
    import zarr

    source, folder = writer.source, writer.folder
    group = zarr.open_group(str(folder), mode="r+")
    contrasts = writer.contrasts
    if not contrasts and writer.part != "colour":
        contrasts = writer.contrasts_written(group[str(source.levels - 1)])
    name = path.name.removesuffix(".ome.zarr")
    multiscale = multiscale_of(name, writer.z_um, source.pixel_um, source.levels, "low-pass")
    displays = displays_of(writer.channels, contrasts, writer.pixels)
    about = {
        "version": __version__,
        "units": units_of(writer.channels, writer.pixels),
        "z_um": writer.z_um.tolist(),
    }
    group.attrs.update(described(writer.options.ome_zarr, multiscale, displays, about))
    if path.exists():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    # without its job all would be written again: from here on there is no more to do
    shutil.rmtree(folder / MARKS, ignore_errors=True)
    (folder / JOB).unlink()
    folder.replace(path)
