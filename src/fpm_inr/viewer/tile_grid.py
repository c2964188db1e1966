"""How a field is cut for the map: levels of a pyramid in square tiles. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

TILE_PX = 256
APRON_PX = 1  # pixels of its neighbours that a tile holds, so that pictures join without a seam

Window = tuple[int, int, int, int]


@dataclass(frozen=True, order=True)
class TileKey:
    """A tile of the map: its level, and its row and column there."""

    level: int
    row: int
    column: int


@dataclass(frozen=True)
class TileGrid:
    """The tiles of all levels.

    Parameters
    ----------
    shape_level : tuple of (height, width)
        Pixels of every level; level 0 is the finest, each next one has half the pixels a side.
    """

    shape_level: tuple[tuple[int, int], ...]

    def count(self, level: int) -> tuple[int, int]:
        """Rows and columns of tiles of a level."""
        height, width = self.shape_level[level]
        return -(-height // TILE_PX), -(-width // TILE_PX)

    def __contains__(self, key: TileKey) -> bool:
        if not 0 <= key.level < len(self.shape_level):
            return False
        rows, columns = self.count(key.level)
        return 0 <= key.row < rows and 0 <= key.column < columns

    def keys(self, level: int) -> Iterator[TileKey]:
        """All tiles of a level, row by row."""
        rows, columns = self.count(level)
        return (TileKey(level, row, column) for row in range(rows) for column in range(columns))

    def window(self, key: TileKey, tiles: int = 1) -> Window:
        """Pixels (y, x, height, width) of a tile, or of some a side, without apron."""
        height, width = self.shape_level[key.level]
        y, x = key.row * TILE_PX, key.column * TILE_PX
        side = tiles * TILE_PX
        return y, x, min(side, height - y), min(side, width - x)

    def with_apron(self, key: TileKey, tiles: int = 1) -> tuple[Window, tuple[int, int, int, int]]:
        """Pixels with the apron, as far as the field goes, and what is missing of the apron.

        Returns
        -------
        window : (y, x, height, width)
        missing : (above, below, left, right)
            Pixels that lie outside the field.
        """
        y, x, height, width = self.window(key, tiles)
        ends, missing = [], []
        for at, size, whole in zip(
            (y, x), (height, width), self.shape_level[key.level], strict=True
        ):
            first, last = max(at - APRON_PX, 0), min(at + size + APRON_PX, whole)
            ends.append((first, last))
            missing += [first - (at - APRON_PX), at + size + APRON_PX - last]
        (top, bottom), (left, right) = ends
        above, below, before, after = missing
        return (top, left, bottom - top, right - left), (above, below, before, after)
