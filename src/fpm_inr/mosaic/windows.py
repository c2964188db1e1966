"""Which windows of a field its instrument is found from."""

from __future__ import annotations

import math

import numpy as np

from fpm_inr.mosaic.tiles import Window

# Windows around a place, at most, that are searched for a specimen.
MOST_SEARCHED = 12


def spread(shape_y_x: tuple[int, int], tile_px: int, grid: int) -> list[list[Window]]:
    """Windows on an even grid, the outermost at the field's edges; those in the middle first.

    Each is followed by others that stand in for it where it holds no specimen: those that lie
    nearer to its place than to any other, the nearest first.

    Parameters
    ----------
    shape_y_x : (int, int)
        Of the field.
    tile_px : int
        Side of a window; less where the field is smaller.
    grid : int
        Places along a side.
    """
    size = [min(tile_px, side) for side in shape_y_x]
    reach = [side - part for side, part in zip(shape_y_x, size, strict=True)]
    places = _even(reach, [grid] * 2)
    places.sort(key=lambda place: math.dist(place, [side / 2 for side in reach]))
    cells = {place: [place] for place in places}
    counts = [math.ceil(side / part) + 1 for side, part in zip(reach, size, strict=True)]
    for other in _even(reach, counts):
        nearest = min(places, key=lambda place: math.dist(place, other))
        if other != nearest:
            cells[nearest].append(other)
    windows = []
    for place, inside in cells.items():
        inside.sort(key=lambda other: math.dist(place, other))
        windows.append([(y, x, size[0], size[1]) for y, x in inside[:MOST_SEARCHED]])
    return windows


def _even(reach: list[int], counts: list[int]) -> list[tuple[int, int]]:
    """First pixels (y, x) of so many windows along y and x, evenly from 0 to as far as they go."""
    starts = [
        np.unique(np.linspace(0, side, count).round().astype(int)).tolist()
        for side, count in zip(reach, counts, strict=True)
    ]
    return [(y, x) for y in starts[0] for x in starts[1]]
