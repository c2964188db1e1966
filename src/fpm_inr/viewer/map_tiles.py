"""The tiles of a map, made from what renders any window of any level."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fpm_inr.viewer.tile_codec import HeightBasis, Planes, packed
from fpm_inr.viewer.tile_grid import APRON_PX, TILE_PX, TileGrid, TileKey, Window

if TYPE_CHECKING:
    from fpm_inr.io.sharded import LevelSource

# Tiles a side that are made together: what they need of the mosaic is mostly the same. At coarse
# levels they need much of it, and little the same.
BLOCK, BLOCK_LEVELS = 2, 2


@dataclass(frozen=True, eq=False)
class Pyramid:
    """What has levels, and how its planes are summed at a height.

    Parameters
    ----------
    source : LevelSource
        A mosaic, or one of several wavelengths.
    basis : HeightBasis
    """

    source: LevelSource
    basis: HeightBasis

    def planes(self, window: Window, level: int) -> Planes:
        """Planes [plane, y, x] of a window, in pixels of the level.

        Raises
        ------
        DataError
            The field file of a tile of the mosaic is damaged or missing.
        """
        stack = self.source.render(self.basis.nodes_um, window=window, level=level)
        return self.basis.planes_of(stack.field_z_y_x)


@dataclass(frozen=True, eq=False)
class MapTiles:
    """All tiles of a map: each holds the planes of all wavelengths, one after the other.

    Parameters
    ----------
    pyramids : tuple of Pyramid
        Of every wavelength, all of the same levels.
    encode : callable
        Planes [plane, y, x] with apron -> a tile's file.
    """

    pyramids: tuple[Pyramid, ...]
    encode: Callable[[Planes], bytes] = packed

    @cached_property
    def grid(self) -> TileGrid:
        """Where the tiles lie."""
        source = self.pyramids[0].source
        return TileGrid(tuple(source.level_shape_y_x(level) for level in range(source.levels)))

    def block_of(self, key: TileKey) -> TileKey:
        """First tile of the block that a tile is made with."""
        side = _block_side(key.level)
        return TileKey(key.level, key.row // side * side, key.column // side * side)

    def make(self, first: TileKey) -> dict[TileKey, bytes]:
        """Make the tiles of a block.

        Raises
        ------
        DataError
            The field file of a tile of the mosaic is damaged or missing.
        """
        window, missing = self.grid.with_apron(first, _block_side(first.level))
        planes = np.concatenate([one.planes(window, first.level) for one in self.pyramids])
        above, below, left, right = missing
        if any(missing):
            planes = np.pad(planes, ((0, 0), (above, below), (left, right)), mode="edge")
        return {key: self.encode(self._cut(planes, first, key)) for key in self.keys_of(first)}

    def keys_of(self, first: TileKey) -> list[TileKey]:
        """The tiles of a block."""
        side = range(_block_side(first.level))
        keys = [
            TileKey(first.level, first.row + row, first.column + column)
            for row in side
            for column in side
        ]
        return [key for key in keys if key in self.grid]

    def _cut(self, planes: Planes, first: TileKey, key: TileKey) -> Planes:
        _, _, height, width = self.grid.window(key)
        y, x = (key.row - first.row) * TILE_PX, (key.column - first.column) * TILE_PX
        return planes[:, y : y + height + 2 * APRON_PX, x : x + width + 2 * APRON_PX]


def _block_side(level: int) -> int:
    return BLOCK if level < BLOCK_LEVELS else 1
