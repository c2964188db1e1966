"""How a field of view is cut: tiles that overlap, cores that meet. Pure functions of sizes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from fpm_inr.acquisition import Optics
from fpm_inr.errors import SettingsError

TILE_PX = 256
LEAST_TILE_PX = 32
# Pixels at a tile's edge that are wrong whatever the height: a field is periodic, a frame is not.
EDGE_PX = 8
# Pixels over which two tiles are blended: usually, and at least.
BLEND_PX, LEAST_BLEND_PX = 24, 4
OVERLAP_PX = 48

Window = tuple[int, int, int, int]


@dataclass(frozen=True)
class Tile:
    """A part of the field of view that is solved by itself.

    Parameters
    ----------
    number, row, column : int
        Tiles are numbered row by row.
    crop : (y, x, height, width)
        Its window of the frames, in pixels.
    core : (y, x, height, width)
        What it alone stands for: cores cover every pixel once.
    """

    number: int
    row: int
    column: int
    crop: Window
    core: Window


@dataclass(frozen=True)
class Side:
    """Tiles along one axis.

    Parameters
    ----------
    length : int
        Of every tile, in pixels.
    starts : tuple of int
        First pixel of each tile.
    bounds : tuple of int
        Where cores begin; the last one is where the last core ends.
    """

    length: int
    starts: tuple[int, ...]
    bounds: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of tiles."""
        return len(self.starts)

    @property
    def overlap(self) -> int:
        """Pixels that two neighbours share, at least; 0 where there are none."""
        if self.count == 1:
            return 0
        return min(first + self.length - second for first, second in pairwise(self.starts))


def cut_side(frame_px: int, tile_px: int, overlap_px: int) -> Side:
    """Spread tiles evenly along a side of the frame, the outermost at its ends.

    Cores meet in the middle of overlaps. Tiles overlap by at least `overlap_px`.

    Raises
    ------
    SettingsError
        The overlap is over half a tile, or the tile is too small.
    """
    if tile_px < LEAST_TILE_PX:
        raise SettingsError(f"is {tile_px}", f"give at least {LEAST_TILE_PX} pixels", field="tile")
    if not 0 <= overlap_px <= tile_px // 2:
        raise SettingsError(
            f"is {overlap_px} pixels for tiles of {tile_px}",
            f"give at most {tile_px // 2}, or larger tiles",
            field="overlap",
        )
    length = min(tile_px, frame_px)
    steps = math.ceil((frame_px - length) / (tile_px - overlap_px))
    starts = tuple(round(i * (frame_px - length) / max(steps, 1)) for i in range(steps + 1))
    meets = ((first + length + second) // 2 for first, second in pairwise(starts))
    return Side(length, starts, (0, *meets, frame_px))


def lay_tiles(rows: Side, columns: Side) -> tuple[Tile, ...]:
    """The tiles of a frame, row by row."""
    tiles: list[Tile] = []
    for row, y in enumerate(rows.starts):
        for column, x in enumerate(columns.starts):
            core_y, below = rows.bounds[row : row + 2]
            core_x, beyond = columns.bounds[column : column + 2]
            tiles.append(
                Tile(
                    len(tiles),
                    row,
                    column,
                    (y, x, rows.length, columns.length),
                    (core_y, core_x, below - core_y, beyond - core_x),
                )
            )
    return tuple(tiles)


def edge_px(z_range_um: tuple[float, float], optics: Optics, largest_led_na: float) -> int:
    """Pixels at a tile's edge that its neighbour is to be asked for.

    At a height z, light of an LED comes from as far aside as z tan(angle): at the ends of the
    range a strip that wide shows what lies in no frame of the tile.
    """
    index = optics.medium_index
    # LEDs beyond the pupil show nothing at the angle they shine at
    na = min(largest_led_na, optics.na)
    reach_um = max(abs(z) for z in z_range_um) * na / math.sqrt(index**2 - na**2)
    return EDGE_PX + math.ceil(reach_um / optics.pixel_um)


def usual_overlap(edge: int, tile_px: int) -> int:
    """Overlap where none is asked for: two edges and what is blended, at most half a tile."""
    return min(max(OVERLAP_PX, 2 * edge + BLEND_PX), tile_px // 2)
