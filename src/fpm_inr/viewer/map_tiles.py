"""The tiles of a map, made from what renders any window of any level."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fpm_inr.viewer.tile_codec import HeightBasis, Planes, encode
from fpm_inr.viewer.tile_grid import APRON_PX, TILE_PX, TileGrid, TileKey

if TYPE_CHECKING:
    from fpm_inr.io.sharded import LevelSource

# Tiles a side that are made together: what they need of the mosaic is mostly the same. At coarse
# levels they need much of it, and little the same.
BLOCK, BLOCK_LEVELS = 2, 2


@dataclass(frozen=True, eq=False)
class MapTiles:
    """All tiles of a source that has levels.

    Parameters
    ----------
    source : LevelSource
        A mosaic, or another pyramid.
    basis : HeightBasis
    """

    source: LevelSource
    basis: HeightBasis

    @cached_property
    def grid(self) -> TileGrid:
        """Where the tiles lie."""
        levels = range(self.source.levels)
        return TileGrid(tuple(self.source.level_shape_y_x(level) for level in levels))

    def block_of(self, key: TileKey) -> TileKey:
        """First tile of the block that a tile is made with."""
        side = _block_side(key.level)
        return TileKey(key.level, key.row // side * side, key.column // side * side)

    def make(self, first: TileKey) -> dict[TileKey, bytes]:
        """Make the packed tiles of a block.

        Raises
        ------
        DataError
            The field file of a tile of the mosaic is damaged or missing.
        """
        window, missing = self.grid.with_apron(first, _block_side(first.level))
        stack = self.source.render(self.basis.nodes_um, window=window, level=first.level)
        planes = self.basis.planes_of(stack.field_z_y_x)
        above, below, left, right = missing
        planes = np.pad(planes, ((0, 0), (above, below), (left, right)), mode="edge")
        return {key: encode(self._cut(planes, first, key)) for key in self.keys_of(first)}

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
