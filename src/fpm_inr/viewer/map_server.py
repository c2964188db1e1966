"""The server of a map: the page, and its tiles made as they are asked for."""

from __future__ import annotations

import os
import re
import select
import socket

from fpm_inr.errors import DataError
from fpm_inr.viewer.field_map import FieldMap
from fpm_inr.viewer.map_depth import Block
from fpm_inr.viewer.page import page_html
from fpm_inr.viewer.server import NotFoundError, PageServer
from fpm_inr.viewer.shared_cache import SharedCache
from fpm_inr.viewer.sources import Source
from fpm_inr.viewer.tile_codec import plain
from fpm_inr.viewer.tile_grid import TileKey

KEPT_TILE_BYTES, KEPT_DEPTH_BYTES = 96 << 20, 16 << 20
_TILE = re.compile(r"tiles/(\d{1,9})/(\d{1,9})-(\d{1,9})\.tile")
_DEPTH = re.compile(r"depth/(\d{1,9})-(\d{1,9})\.tile")


class MapServer(PageServer):
    """Serves a map to this machine's own browser, as `ViewServer` does a field.

    Parameters
    ----------
    field_map : FieldMap
    """

    def __init__(self, field_map: FieldMap) -> None:
        import torch

        super().__init__()
        torch.set_num_threads(1)  # several tiles are made at a time
        self.map = field_map.encoding(plain)
        cores = os.cpu_count() or 1
        tiles, depth = self.map.tiles, self.map.depth
        self._tiles = SharedCache(
            tiles.make, tiles.block_of, at_once=cores, most_bytes=KEPT_TILE_BYTES
        )
        # depth takes long, and must leave room for tiles
        self._depth = SharedCache[Block](
            lambda block: {block: depth.make(block)},
            lambda block: block,
            at_once=max(1, cores // 2),
            most_bytes=KEPT_DEPTH_BYTES,
        )
        page = page_html(field_map.name, [], field_map=self.map.description())
        self.routes = {self.root: Source("page", page.encode())}

    def server_close(self) -> None:
        """Stop listening, and begin no more tiles."""
        super().server_close()
        self._tiles.close()
        self._depth.close()

    def find(self, path: str, connection: socket.socket) -> Source:
        """What lies at an address.

        Raises
        ------
        NotFoundError
            Nothing does.
        """
        rest = path.removeprefix(self.root) if path.startswith(self.root) else ""
        try:
            if match := _TILE.fullmatch(rest):
                key = TileKey(*map(int, match.groups()))
                self._check_tile(key)
                content = self._tiles.get(key, lambda: is_gone(connection))
            elif match := _DEPTH.fullmatch(rest):
                block = (int(match[1]), int(match[2]))
                self._check_block(block)
                content = self._depth.get(block, lambda: is_gone(connection))
            else:
                return super().find(path, connection)
        except DataError as error:
            raise NotFoundError(str(error)) from error
        if content is None:
            raise BrokenPipeError
        return Source("tile", content)

    def _check_tile(self, key: TileKey) -> None:
        grid = self.map.tiles.grid
        levels = len(grid.shape_level)
        if key.level >= levels:
            raise NotFoundError(f"There is no level {key.level}: levels are 0 to {levels - 1}.")
        self._check_place(
            (key.row, key.column), grid.count(key.level), f"tile of level {key.level}"
        )

    def _check_block(self, block: Block) -> None:
        if not self.map.depth.is_there:
            raise NotFoundError("This field has no depth: it does not have every height.")
        self._check_place(block, self.map.depth.count, "block of depth")

    def _check_place(self, place: Block, count: Block, what: str) -> None:
        if place[0] >= count[0] or place[1] >= count[1]:
            raise NotFoundError(
                f"There is no {what} at {place[0]}-{place[1]}: rows are 0 to {count[0] - 1}, "
                f"columns 0 to {count[1] - 1}."
            )


def is_gone(connection: socket.socket) -> bool:
    """Whether who asked has closed the connection: it has nothing more to say than its request."""
    try:
        ready, _, _ = select.select([connection], [], [], 0)
        return bool(ready) and not connection.recv(1, socket.MSG_PEEK)
    except OSError:
        return True
