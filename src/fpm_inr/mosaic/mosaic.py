"""A mosaic as one solution: it renders any window of the whole field at any height."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpm_inr.acquisition import Optics
from fpm_inr.errors import DataError, SettingsError
from fpm_inr.heights import check_heights
from fpm_inr.mosaic import blend
from fpm_inr.mosaic.gauge import Gauge
from fpm_inr.mosaic.kept import Kept
from fpm_inr.mosaic.levels import LevelField, level_of, read_level
from fpm_inr.mosaic.manifest import Manifest, read_manifest
from fpm_inr.mosaic.tiles import Tile, Window
from fpm_inr.mosaic.worker import field_path
from fpm_inr.solution import ImageStack

if TYPE_CHECKING:
    from fpm_inr.solution import Solution

FloatArray = NDArray[np.float64]

# Of the tiles that are kept decoded: those of a window that is looked at again at other heights.
KEPT_TILES = 32
# Of a tile at several heights at once: 8 MB.
MOST_PIXELS = 2**20


class Follows(Protocol):
    """A surface that heights are measured from."""

    def followed(
        self,
        render: Callable[[float], NDArray[np.complexfloating[Any, Any]]],
        z_um: float,
        y_px: FloatArray,
        x_px: FloatArray,
    ) -> NDArray[np.complexfloating[Any, Any]]:
        """Image [y, x] at a height above it, of images at level heights; pixels of the frames."""
        ...


class Mosaic:
    """A whole field of view, solved tile by tile; offers what a `Solution` offers to be seen.

    Tiles are read when they are needed, and few are in memory. Where they overlap, their fields are
    brought to one amplitude, phase and height and blended.

    Parameters
    ----------
    folder : Path
        Of `fpm-inr mosaic`.
    manifest : Manifest
        That of the folder, done.
    kept_tiles : int
        Tiles that stay decoded; coarse levels count for the share of a tile's numbers they hold.
    follows, z_range_um : Follows and (float, float), optional
        A surface that heights are measured from, and those that are solved all over the field
        (`fpm_inr.mosaic.surface.from_focus`).
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        kept_tiles: int = KEPT_TILES,
        *,
        follows: Follows | None = None,
        z_range_um: tuple[float, float] | None = None,
    ) -> None:
        if manifest.status != "done" or manifest.gauge is None:
            raise DataError(
                "is not done: some tiles are missing",
                "go on with `fpm-inr mosaic ... --resume`",
                source=folder,
            )
        self.folder, self.manifest, self.plan = folder, manifest, manifest.plan
        self.gauge, self._follows = Gauge.of(manifest.gauge), follows
        self._z_range_um = z_range_um or self.plan.settings.z_range_um
        self.tiles, self._sides = self.plan.tiles, self.plan.sides
        self._tile = lru_cache(maxsize=kept_tiles)(self._read)
        self._levels = Kept[tuple[int, int], LevelField](kept_tiles, lambda one: one.share)
        self._seen: dict[int, tuple[int, int]] = {}

    def keeping(self, tiles: int) -> Mosaic:
        """The same with so many tiles decoded at a time."""
        return Mosaic(
            self.folder,
            self.manifest,
            tiles,
            follows=self._follows,
            z_range_um=self._z_range_um,
        )

    @property
    def optics(self) -> Optics:
        """Of the acquisition: `pixel_um` is the frames' pixel."""
        return Optics(**self.plan.optics)

    @property
    def upsampling(self) -> int:
        """Sampling of the fields over that of the frames."""
        return self.plan.settings.upsample

    @property
    def amplitude_scale(self) -> float:
        """Camera amplitude, sqrt(counts), of a field of 1."""
        return self.plan.amplitude_scale

    @property
    def z_range_um(self) -> tuple[float, float]:
        """Solved range of z."""
        return self._z_range_um

    @cached_property
    def planes_um(self) -> NDArray[np.float64] | None:
        """Heights of a conventional mosaic's planes; None where any height can be rendered."""
        if self.plan.settings.engine == "inr":
            return None
        solved = (r.number for r in self.manifest.records if r.kind == "solved")
        return next((self._tile(number).planes_um for number in solved), None)

    @property
    def shape_y_x(self) -> tuple[int, int]:
        """Size of a rendered image of the whole field."""
        height, width = self.plan.shape_y_x
        return height * self.upsampling, width * self.upsampling

    @property
    def pixel_um(self) -> float:
        """Pixel of a rendered image at the sample."""
        return self.optics.pixel_um / self.upsampling

    @property
    def cutoff_per_um(self) -> float:
        """Cutoff of the synthetic aperture, of the steepest LED of any tile."""
        return self.plan.cutoff_per_um

    @property
    def record(self) -> dict[str, Any]:
        """How it was made: plain JSON values."""
        settings = self.plan.settings
        return {
            "status": "done",
            "engine": settings.engine,
            "recipe": settings.recipe_name,
            "tiles": len(self.tiles),
            "solve_seconds": sum(one.seconds for one in self.manifest.records),
            "settings": settings.model_dump(mode="json"),
            "version": self.plan.version,
        }

    @property
    def levels(self) -> int:
        """Levels of a pyramid whose coarsest fits 512 pixels a side; level 0 is the finest."""
        return max(1, 1 + int(np.ceil(np.log2(max(self.shape_y_x) / 512))))

    def level_shape_y_x(self, level: int) -> tuple[int, int]:
        """Size of a level of the pyramid: every one has half the pixels of the one before."""
        height, width = self.shape_y_x
        return max(1, height >> level), max(1, width >> level)

    def level_within(self, most_px: int) -> int:
        """The finest level of which no side is longer than this; else the coarsest."""
        fits = (n for n in range(self.levels) if max(self.level_shape_y_x(n)) <= most_px)
        return next(fits, self.levels - 1)

    def slices(
        self, z_um: ArrayLike, *, window: Window | None = None, level: int = 0
    ) -> Iterator[ImageStack]:
        """Render one height after the other, so that memory does not grow with their number.

        Parameters and errors are those of `render`.
        """
        heights = check_heights(z_um, self.z_range_um)
        chosen = self._checked(window, level)
        return (self._stack(np.array([z]), chosen, level) for z in heights)

    def render(
        self, z_um: ArrayLike, *, window: Window | None = None, level: int = 0
    ) -> ImageStack:
        """Render a window of the field at any heights within the solved range.

        Parameters
        ----------
        z_um : float or sequence of float
        window : (y, x, height, width), optional
            In pixels of the level. Default: all of it.
        level : int
            Of the pyramid: each has pixels twice as large as the one before, made from the
            frequencies that it can hold. The first pixel of level n has its centre in the middle of
            2^n x 2^n pixels of level 0.

        Returns
        -------
        ImageStack
            complex64 [z, y, x].

        Raises
        ------
        SettingsError
            A height lies outside the solved range, or the window outside the field.
        DataError
            The field file of a tile is damaged or missing.
        """
        heights = check_heights(z_um, self.z_range_um)
        return self._stack(heights, self._checked(window, level), level)

    def tile_solution(self, number: int) -> Solution:
        """The solution of one tile by itself.

        Raises
        ------
        DataError
            Its field file is damaged or missing.
        """
        return self._tile(number)

    def _checked(self, window: Window | None, level: int) -> Window:
        if not 0 <= level <= 16:
            raise SettingsError(f"is {level}", f"give 0 to {self.levels - 1}", field="level")
        shape = self.level_shape_y_x(level)
        y, x, height, width = window or (0, 0, *shape)
        if min(y, x) < 0 or min(height, width) < 1 or y + height > shape[0] or x + width > shape[1]:
            raise SettingsError(
                f"{y} {x} {height} {width} leaves the field of {shape[0]} x {shape[1]} pixels "
                f"(y x x) at level {level}",
                "give Y X HEIGHT WIDTH inside it",
                field="window",
            )
        return y, x, height, width

    def _read(self, number: int) -> Solution:
        from fpm_inr.field_file import read_solution

        return read_solution(self._checked_path(number))

    def _level(self, number: int, level: int) -> LevelField:
        found = self._levels.get((number, level))
        if found is None:
            read = read_level(self._checked_path(number), level) if level > 0 else None
            found = read or level_of(self._read(number), level)
            self._levels.put((number, level), found)
        return found

    def _checked_path(self, number: int) -> Path:
        """Where a tile's field lies, which is what was written.

        Raises
        ------
        DataError
            It is not.
        """
        from fpm_inr.mosaic.plan import file_digest

        path = field_path(self.folder, number)
        if not path.is_file():
            return path
        state = path.stat()
        mark = state.st_size, state.st_mtime_ns
        if self._seen.get(number) == mark:
            return path  # as it was when its digest was taken
        if file_digest(path) != self.manifest.records[number].sha256:
            raise DataError(
                "is not the file that was written (its digest differs)",
                "solve this tile again: `fpm-inr mosaic ... --resume`",
                source=path,
            )
        self._seen[number] = mark
        return path

    def _stack(self, z_um: FloatArray, window: Window, level: int) -> ImageStack:
        """Tile by tile, each at all heights, so that every tile is read once."""
        y, x, height, width = window
        size = 2**level / self.upsampling
        # centres of the window's pixels, in pixels of the frames
        first = (2**level - 1) / 2 / self.upsampling
        rows = first + size * np.arange(y, y + height)
        columns = first + size * np.arange(x, x + width)
        image = np.zeros((len(z_um), height, width), np.complex64)
        across = self._spans(1, columns)
        for row, at_y in self._spans(0, rows).items():
            for column, at_x in across.items():
                tile = self.tiles[row * self._sides[1].count + column]
                if self.manifest.records[tile.number].kind == "dark":
                    continue
                at_once = max(1, MOST_PIXELS // (len(rows[at_y]) * len(columns[at_x])))
                for first_z in range(0, len(z_um), at_once):
                    at_z = slice(first_z, first_z + at_once)
                    part = self._part(tile, z_um[at_z], rows[at_y], columns[at_x], level)
                    image[at_z, at_y, at_x] += part
        return ImageStack(image, z_um, self.pixel_um * 2**level, self.amplitude_scale)

    def _spans(self, axis: int, at_px: FloatArray) -> dict[int, slice]:
        """Tiles along an axis that count at some of these places, and at which."""
        side, spans = self._sides[axis], {}
        for index in range(side.count):
            first, last = blend.reach_of(side, self.plan.edge_px, index)
            # a pixel of the field may lie up to one of the frame beyond its tile's last centre
            span = np.searchsorted(at_px, [first - 0.5 if index else -np.inf, last - 0.5])
            if index == side.count - 1:
                span[1] = len(at_px)
            if span[0] < span[1]:
                spans[index] = slice(int(span[0]), int(span[1]))
        return spans

    def _part(
        self, tile: Tile, z_um: FloatArray, y_px: FloatArray, x_px: FloatArray, level: int
    ) -> NDArray[np.complex64]:
        """A tile's weighted share [z, y, x] of the image."""
        sides, edge = self._sides, self.plan.edge_px
        weight_y = blend.weight_along(sides[0], edge, tile.row, y_px)
        weight_x = blend.weight_along(sides[1], edge, tile.column, x_px)
        tile_level = self._level(tile.number, level)
        weight_y *= tile_level.amplitude_scale / self.amplitude_scale
        sampled = tile_level.sampler(y_px - tile.crop[0], x_px - tile.crop[1])
        low, high = self.plan.settings.z_range_um
        centre = [tile.crop[axis] + (tile.crop[axis + 2] - 1) / 2 for axis in range(2)]

        def level_at(heights: FloatArray) -> NDArray[np.complex64]:
            """The tile's field [z, y, x] at level heights, by the gauges, weighted."""
            there = np.clip(heights + self.gauge.height_um[tile.number], low, high)
            y, x = y_px - centre[0], x_px - centre[1]
            along_y, along_x = self.gauge.factors(tile.number, heights, y, x)
            along_y, along_x = along_y * weight_y, along_x * weight_x
            field = sampled(there).numpy()
            field = field * along_y.astype(np.complex64)[:, :, None]
            field *= along_x.astype(np.complex64)[:, None]
            return field

        if self._follows is None:
            return level_at(z_um)
        follow = self._follows.followed

        def at_level(z: float) -> NDArray[np.complex64]:
            return np.asarray(level_at(np.array([z]))[0])

        return np.stack([follow(at_level, z, y_px, x_px) for z in z_um.tolist()])


def load_mosaic(folder: str | Path) -> Mosaic:
    """Open the folder of `fpm-inr mosaic`.

    Raises
    ------
    DataError
        It is none, or not done, or its manifest is damaged.
    """
    folder = Path(folder)
    return Mosaic(folder, read_manifest(folder))
