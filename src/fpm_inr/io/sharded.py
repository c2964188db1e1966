"""OME-Zarr 0.5 of what is larger than memory: shard by shard, by several processes, resumable.

A shard is one file. Its chunks and its index carry checksums, and it is renamed into place when it
is whole, so what an interrupted run has left can be trusted or told to be torn.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpm_inr import __version__
from fpm_inr.display import robust_contrast
from fpm_inr.errors import OutputError, SettingsError
from fpm_inr.heights import check_heights, default_heights, pick_planes, uniform_step_um
from fpm_inr.io.multiscale import AXES, display_of, multiscale_of
from fpm_inr.io.rendering import CHANNELS, Part
from fpm_inr.solution import ImageStack

CHUNK = 512
SHARD = 4 * CHUNK  # pixels a side
HEIGHTS_AT_ONCE = 4  # of a shard's column: 128 MB of complex numbers
JOB = "job.json"
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
    """

    open_source: Callable[[], LevelSource]
    folder: Path
    z_um: NDArray[np.float64]
    part: Part

    @cached_property
    def source(self) -> LevelSource:
        """The source, opened when it is needed."""
        return self.open_source()

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
        from zarr.codecs import ZstdCodec

        group = zarr.create_group(store=str(self.folder), zarr_format=3)
        for level in range(self.source.levels):
            shape = self.source.level_shape_y_x(level)
            chunk = [min(CHUNK, side) for side in shape]
            count = [min(SHARD // CHUNK, -(-side // CHUNK)) for side in shape]
            channels = len(CHANNELS[self.part])
            group.create_array(
                str(level),
                shape=(channels, len(self.z_um), *shape),
                chunks=(1, 1, *chunk),
                shards=(channels, 1, *(n * side for n, side in zip(count, chunk, strict=True))),
                dtype="float32",
                compressors=ZstdCodec(level=3, checksum=True),
                dimension_names=AXES,
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
                stack = self.source.render(self.z_um[some], window=window, level=region.level)
                for z, field in zip(some, stack.field_z_y_x, strict=True):
                    plane = field * np.float32(self.source.amplitude_scale)
                    images = np.stack([channel.of(plane) for channel in CHANNELS[self.part]])
                    array[(slice(None), slice(z, z + 1), *place)] = images[:, None]

    def _is_whole(self, array: Any, z: int, region: Region, place: tuple[slice, slice]) -> bool:
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


def write_sharded(
    path: Path,
    open_source: Callable[[], LevelSource],
    *,
    fingerprint: str,
    z_um: ArrayLike | None = None,
    part: Part = "both",
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
    workers : int
    on_region : callable
        Told how many columns of shards of how many are done.

    Raises
    ------
    SettingsError
        Heights beyond the range, or not evenly spaced.
    OutputError
        It cannot be written, or a worker died: the same command goes on from there.
    """
    source = open_source()
    heights = _heights(source, z_um)
    beside = path.with_name(f".{path.name}.partial")
    writer = ShardedWriter(open_source, beside, heights, part)
    job = {
        "fingerprint": fingerprint,
        "z_um": heights.tolist(),
        "part": part,
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


def _heights(source: LevelSource, z_um: ArrayLike | None) -> NDArray[np.float64]:
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
            torn.unlink()
        return
    if folder.exists():
        shutil.rmtree(folder)
    writer.make_arrays()
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
    channels = CHANNELS[writer.part]
    group = zarr.open_group(str(folder), mode="r+")
    overview: Any = group[str(source.levels - 1)]
    shown = np.unique(np.linspace(0, len(writer.z_um) - 1, 9).round().astype(np.intp))
    is_complex = writer.part == "complex"
    contrast = robust_contrast(
        np.hypot(overview[0, z], overview[1, z]) if is_complex else np.abs(overview[0, z])
        for z in shown
    )
    name = path.name.removesuffix(".ome.zarr")
    group.attrs.update(
        {
            "ome": {
                "version": "0.5",
                "multiscales": [multiscale_of(name, writer.z_um, source.pixel_um, source.levels)],
                "omero": {"channels": [display_of(one, contrast) for one in channels]},
            },
            "fpm_inr": {
                "version": __version__,
                "units": {one.name: one.unit for one in channels},
                "z_um": writer.z_um.tolist(),
            },
        }
    )
    (folder / JOB).unlink()
    if path.exists():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    folder.replace(path)
