"""A map as a folder for any web server: the page, and all its tiles written beforehand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from fpm_inr import __version__
from fpm_inr.errors import OutputError
from fpm_inr.files.replacing import replacing
from fpm_inr.io.workers import in_processes
from fpm_inr.viewer.field_map import DEPTHS, TILES, FieldMap, map_of
from fpm_inr.viewer.map_depth import Block
from fpm_inr.viewer.page import page_html
from fpm_inr.viewer.tile_grid import TileKey

JOB, PAGE = "job.json", "index.html"
Piece = TileKey | Block  # the first tile of those that are made together, or a block of depth


@dataclass(frozen=True, eq=False)
class SiteWriter:
    """What every process knows of a site that is being written.

    Parameters
    ----------
    mosaic : Path
        The folder of `fpm-inr mosaic`, of one wavelength or several.
    folder : Path
        Where the site is made.
    """

    mosaic: Path
    folder: Path

    @cached_property
    def map(self) -> FieldMap:
        """The map, opened when it is needed."""
        return map_of(self.mosaic)

    def pieces(self) -> list[Piece]:
        """All there is to write: the coarsest level first, then depth, the finest level last."""
        tiles, depth = self.map.tiles, self.map.depth
        found: list[Piece] = []
        for level in reversed(range(len(tiles.grid.shape_level))):
            if level == 0 and depth.is_there:
                rows, columns = depth.count
                found += [(row, column) for row in range(rows) for column in range(columns)]
            found += [key for key in tiles.grid.keys(level) if tiles.block_of(key) == key]
        return found

    def write(self, piece: Piece) -> None:
        """Write a piece; files that are there already stay, as each was put in place whole."""
        tiles = self.map.tiles
        if isinstance(piece, TileKey):
            wanted = {key: self._tile(key) for key in tiles.keys_of(piece)}
            if all(path.is_file() for path in wanted.values()):
                return
            for key, content in tiles.make(piece).items():
                _put(wanted[key], content)
            return
        path = self.folder / DEPTHS.format(row=piece[0], column=piece[1])
        if not path.is_file():
            _put(path, self.map.depth.make(piece))

    def _tile(self, key: TileKey) -> Path:
        return self.folder / TILES.format(level=key.level, row=key.row, column=key.column)


def write_site(
    mosaic: Path,
    folder: Path,
    *,
    fingerprint: str,
    workers: int = 1,
    on_piece: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Write a map as static files; return their size in bytes.

    Goes on with what a run of the same was at. Every process holds four tiles, however large the
    field is.

    Parameters
    ----------
    mosaic : Path
        The folder of `fpm-inr mosaic`.
    folder : Path
        Made beside, and renamed.
    fingerprint : str
        Of what the mosaic shows: what was begun of another is thrown away.
    workers : int
    on_piece : callable
        Told how many pieces of how many are done.

    Raises
    ------
    DataError
        The mosaic is damaged.
    OutputError
        It cannot be written, or a worker died: the same command goes on from there.
    """
    beside = folder.with_name(f".{folder.name}.partial")
    writer = SiteWriter(mosaic, beside)
    if not folder.parent.is_dir():
        raise OutputError("its folder does not exist", "create the folder first", source=folder)
    try:
        pieces = writer.pieces()
        _begin(beside, {"fingerprint": fingerprint, "version": __version__})
        for level in range(len(writer.map.tiles.grid.shape_level)):
            (beside / TILES.format(level=level, row=0, column=0)).parent.mkdir(
                parents=True, exist_ok=True
            )
        (beside / DEPTHS).parent.mkdir(exist_ok=True)
        on_piece(0, len(pieces))
        for done, _ in enumerate(_written(writer, pieces, workers), start=1):
            on_piece(done, len(pieces))
        page = page_html(writer.map.name, [], field_map=writer.map.description())
        _put(beside / PAGE, page.encode())
        (beside / JOB).unlink()
        size = sum(file.stat().st_size for file in beside.rglob("*") if file.is_file())
        if folder.exists():
            shutil.rmtree(folder)
        beside.replace(folder)
    except OSError as error:
        raise OutputError(
            f"cannot be written ({error.strerror or error})",
            "choose a place that is writable and has room; the same command then goes on",
            source=folder,
        ) from error
    return size


def _begin(beside: Path, job: dict[str, str]) -> None:
    try:
        begun = json.loads((beside / JOB).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        begun = None
    if begun == job:
        return
    if beside.exists():
        shutil.rmtree(beside)
    beside.mkdir()
    (beside / JOB).write_text(json.dumps(job), encoding="utf-8")


def _written(writer: SiteWriter, pieces: list[Piece], workers: int) -> Iterator[None]:
    if workers == 1:
        yield from map(writer.write, pieces)
        return
    # a copy, in which nothing is open yet, travels
    yield from in_processes(replace(writer).write, pieces, workers)


def _put(path: Path, content: bytes) -> None:
    with replacing(path) as beside:
        beside.write_bytes(content)
