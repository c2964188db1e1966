"""Cores cover every pixel once, blending weights sum to 1, edges that are wrong never count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpm_inr.errors import SettingsError
from fpm_inr.mosaic.blend import reach_of, weight_along, weight_of
from fpm_inr.mosaic.tiles import cut_side, edge_px, lay_tiles, usual_overlap
from tests.mosaic.small import OPTICS

SIDES = st.tuples(st.integers(8, 700), st.integers(32, 128), st.floats(0.0, 0.5))


@given(SIDES, SIDES)
def test_cores_cover_every_pixel_once_and_lie_in_their_tiles(
    rows: tuple[int, int, float], columns: tuple[int, int, float]
) -> None:
    sides = [cut_side(frame, tile, int(share * tile)) for frame, tile, share in (rows, columns)]
    seen = np.zeros((rows[0], columns[0]), int)
    for tile in lay_tiles(*sides):
        y, x, height, width = tile.core
        seen[y : y + height, x : x + width] += 1
        top, left, tall, wide = tile.crop
        assert top <= y
        assert left <= x
        assert y + height <= top + tall <= rows[0]
        assert x + width <= left + wide <= columns[0]
    assert (seen == 1).all()


@given(SIDES)
def test_neighbours_share_what_is_asked_for(side: tuple[int, int, float]) -> None:
    frame, tile, share = side
    overlap = int(share * tile)
    cut = cut_side(frame, tile, overlap)
    assert cut.count == 1 or cut.overlap >= overlap - 1
    assert cut.starts[0] == 0
    assert cut.starts[-1] + cut.length == frame


@given(st.integers(60, 900), st.integers(40, 128), st.floats(0.3, 0.5), st.integers(1, 4))
def test_weights_are_a_smooth_partition_of_unity(
    frame: int, tile: int, share: float, upsampling: int
) -> None:
    edge = 5
    cut = cut_side(frame, tile, int(share * tile))
    at = np.arange(frame * upsampling) / upsampling
    weights = np.array([weight_along(cut, edge, i, at) for i in range(cut.count)])
    assert np.allclose(weights.sum(axis=0), 1, atol=1e-12)
    assert weights.min() >= 0
    for index, weight in enumerate(weights):
        first, last = reach_of(cut, edge, index)
        outside = (at < first - 1) | (at > last)
        if index == 0:
            outside &= at > 0.5 * frame
        if index == cut.count - 1:
            outside &= at < 0.5 * frame
        assert not weight[outside].any()
    if cut.overlap >= 2 * edge + 8:
        assert np.abs(np.diff(weights, axis=1)).max() < 0.5 / upsampling


def test_weights_of_tiles_sum_to_1_on_the_field() -> None:
    sides = (cut_side(100, 40, 18), cut_side(130, 40, 18))
    y, x = np.arange(200) / 2, np.arange(260) / 2
    total = sum(weight_of(tile, sides, 4, y, x) for tile in lay_tiles(*sides))
    assert np.allclose(total, 1, atol=1e-6)


def test_deeper_ranges_take_wider_edges() -> None:
    near, far = (edge_px((-z, z), OPTICS, 0.25) for z in (0.0, 40.0))
    assert near < far
    assert usual_overlap(near, 256) < usual_overlap(far, 256) <= 128


@pytest.mark.parametrize(("tile", "overlap", "name"), [(16, 4, "tile"), (64, 40, "overlap")])
def test_impossible_tiles_are_refused(tile: int, overlap: int, name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        cut_side(500, tile, overlap)
