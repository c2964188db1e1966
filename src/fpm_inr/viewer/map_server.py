"""The server of a map: the page, and its tiles made as they are asked for."""

from __future__ import annotations

import os
import re
import select
import socket

from fpm_inr.errors import DataError
from fpm_inr.viewer.field_map import FieldMap
from fpm_inr.viewer.map_tiles import TileStore
from fpm_inr.viewer.page import page_html
from fpm_inr.viewer.server import NotFoundError, PageServer
from fpm_inr.viewer.sources import Source
from fpm_inr.viewer.tile_grid import TileKey

TILES = "tiles/{level}/{row}-{column}.tile"
_TILE = re.compile(r"tiles/(\d{1,9})/(\d{1,9})-(\d{1,9})\.tile")


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
        self.map = field_map
        self.store = TileStore(field_map.tiles, at_once=os.cpu_count() or 1)
        page = page_html(field_map.name, [], field_map=field_map.description(TILES))
        self.routes = {self.root: Source("page", page.encode())}

    def find(self, path: str, connection: socket.socket) -> Source:
        """What lies at an address.

        Raises
        ------
        NotFoundError
            Nothing does.
        """
        match = (
            _TILE.fullmatch(path.removeprefix(self.root)) if path.startswith(self.root) else None
        )
        if match is None:
            return super().find(path, connection)
        key = TileKey(*map(int, match.groups()))
        if key not in self.map.tiles.grid:
            raise NotFoundError(self._where(key))
        try:
            content = self.store.get(key, lambda: is_gone(connection))
        except DataError as error:
            raise NotFoundError(str(error)) from error
        if content is None:
            raise BrokenPipeError
        return Source("tile", content)

    def _where(self, key: TileKey) -> str:
        grid = self.map.tiles.grid
        levels = len(grid.shape_level)
        if key.level >= levels:
            return f"There is no level {key.level}: levels are 0 to {levels - 1}."
        rows, columns = grid.count(key.level)
        return (
            f"There is no tile {key.row}-{key.column} at level {key.level}: "
            f"rows are 0 to {rows - 1}, columns 0 to {columns - 1}."
        )


def is_gone(connection: socket.socket) -> bool:
    """Whether who asked has closed the connection: it has nothing more to say than its request."""
    try:
        ready, _, _ = select.select([connection], [], [], 0)
        return bool(ready) and not connection.recv(1, socket.MSG_PEEK)
    except OSError:
        return True
