"""The tiles of a map, made when they are asked for; few are kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fpm_inr.viewer.tile_codec import HeightBasis, Planes, encode
from fpm_inr.viewer.tile_grid import APRON_PX, TILE_PX, TileGrid, TileKey

if TYPE_CHECKING:
    from fpm_inr.io.sharded import LevelSource

BLOCK = 2  # tiles a side that are made together: what they need of the mosaic is mostly the same
KEPT_BYTES = 128 << 20


class Kept:
    """Packed tiles of late, up to so many bytes; those that were longest not asked for go first."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes, self.bytes = most_bytes, 0
        self._content: OrderedDict[TileKey, bytes] = OrderedDict()

    def get(self, key: TileKey) -> bytes | None:
        """What is kept under a key."""
        if key in self._content:
            self._content.move_to_end(key)
        return self._content.get(key)

    def put(self, key: TileKey, content: bytes) -> None:
        """Keep one more."""
        self.bytes += len(content) - len(self._content.pop(key, b""))
        self._content[key] = content
        while self.bytes > self.most_bytes and len(self._content) > 1:
            self.bytes -= len(self._content.popitem(last=False)[1])


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
        return TileKey(key.level, key.row // BLOCK * BLOCK, key.column // BLOCK * BLOCK)

    def make(self, first: TileKey) -> dict[TileKey, bytes]:
        """Make the packed tiles of a block.

        Raises
        ------
        DataError
            The field file of a tile of the mosaic is damaged or missing.
        """
        window, missing = self.grid.with_apron(first, BLOCK)
        stack = self.source.render(self.basis.nodes_um, window=window, level=first.level)
        planes = self.basis.planes_of(stack.field_z_y_x)
        above, below, left, right = missing
        planes = np.pad(planes, ((0, 0), (above, below), (left, right)), mode="edge")
        return {key: encode(self._cut(planes, first, key)) for key in self._block(first)}

    def _block(self, first: TileKey) -> list[TileKey]:
        keys = [
            TileKey(first.level, first.row + row, first.column + column)
            for row in range(BLOCK)
            for column in range(BLOCK)
        ]
        return [key for key in keys if key in self.grid]

    def _cut(self, planes: Planes, first: TileKey, key: TileKey) -> Planes:
        _, _, height, width = self.grid.window(key)
        y, x = (key.row - first.row) * TILE_PX, (key.column - first.column) * TILE_PX
        return planes[:, y : y + height + 2 * APRON_PX, x : x + width + 2 * APRON_PX]


class TileStore:
    """Tiles for many askers at once: each block is made once, a few at a time.

    Parameters
    ----------
    tiles : MapTiles
    at_once : int
        Blocks that are made at the same time.
    """

    def __init__(self, tiles: MapTiles, at_once: int) -> None:
        self.tiles, self.kept = tiles, Kept(KEPT_BYTES)
        self._slots = threading.Semaphore(at_once)
        self._lock = threading.Lock()
        self._making: dict[TileKey, Future[dict[TileKey, bytes]]] = {}

    def get(self, key: TileKey, is_gone: Callable[[], bool]) -> bytes | None:
        """The packed tile; None where nobody waits for it any more.

        Parameters
        ----------
        key : TileKey
            In the grid.
        is_gone : callable
            Tells whether the asker has gone; asked while others are served.

        Raises
        ------
        DataError
            As `MapTiles.make`.
        """
        first = self.tiles.block_of(key)
        with self._lock:
            content = self.kept.get(key)
            if content is not None:
                return content
            making = self._making.get(first)
        if making is not None:
            return making.result()[key]
        while not self._slots.acquire(timeout=0.1):
            if is_gone():
                return None
        try:
            return None if is_gone() else self._made(first)[key]
        finally:
            self._slots.release()

    def _made(self, first: TileKey) -> dict[TileKey, bytes]:
        with self._lock:
            other = self._making.get(first)
            mine: Future[dict[TileKey, bytes]] = Future()
            if other is None:
                self._making[first] = mine
        if other is not None:
            return other.result()
        try:
            made = self.tiles.make(first)
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            mine.set_result(made)
            return made
        finally:
            with self._lock:
                del self._making[first]
                if mine.exception() is None:
                    for key, content in mine.result().items():
                        self.kept.put(key, content)
