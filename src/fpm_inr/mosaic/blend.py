"""A smooth partition of unity: how much each tile counts at every place. Sums to 1 everywhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fpm_inr.mosaic.tiles import Side, Tile

FloatArray = NDArray[np.float64]


def weight_along(side: Side, edge_px: int, index: int, at_px: FloatArray) -> FloatArray:
    """Weight of a tile along one axis, at places in pixels of the frames.

    1 within, falling as a squared cosine around the places where cores meet, over what two tiles
    share without their edges; never anything within `edge_px` of an edge that has a neighbour.

    Parameters
    ----------
    side : Side
    edge_px : int
    index : int
        Of the tile along this axis.
    at_px : array
    """
    weight = np.ones_like(at_px)
    if index > 0:
        weight = weight * _rise(side, edge_px, index, at_px)
    if index < side.count - 1:
        weight = weight * (1 - _rise(side, edge_px, index + 1, at_px))
    return weight


def _rise(side: Side, edge_px: int, index: int, at_px: FloatArray) -> FloatArray:
    """From 0 to 1 around the bound between the tiles `index` - 1 and `index`."""
    before, after = side.starts[index - 1] + side.length, side.starts[index]
    # a pixel's place is its centre: half a pixel before its edge
    middle = side.bounds[index] - 0.5
    half = min(before - edge_px - 0.5 - middle, middle - (after + edge_px - 0.5))
    # a ramp must end before the next one begins
    near = [side.bounds[i] - 0.5 for i in (index - 1, index + 1) if 0 < i < side.count]
    half = min([half, *(abs(bound - middle) / 2 for bound in near)])
    share = np.clip((at_px - middle) / max(2 * half, 1e-9) + 0.5, 0.0, 1.0)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * share))


def reach_of(side: Side, edge_px: int, index: int) -> tuple[int, int]:
    """First pixel, and the one after the last, of the frames where a tile counts along an axis."""
    start, length = side.starts[index], side.length
    first = start + (edge_px if index > 0 else 0)
    last = start + length - (edge_px if index < side.count - 1 else 0)
    return first, last


def weight_of(
    tile: Tile, sides: tuple[Side, Side], edge_px: int, y_px: FloatArray, x_px: FloatArray
) -> NDArray[np.float32]:
    """Weight [y, x] of a tile at these places, in pixels of the frames."""
    y = weight_along(sides[0], edge_px, tile.row, y_px)
    x = weight_along(sides[1], edge_px, tile.column, x_px)
    return (y[:, None] * x).astype(np.float32)
