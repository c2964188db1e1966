"""Fields of which little tells: empty and dark parts, few tiles, light that is a specimen's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fpm_inr.acquisition import Acquisition, DarkError
from fpm_inr.calibration.field_file import LEVEL, terms
from fpm_inr.errors import DataError
from fpm_inr.mosaic.field_model import _with_specimen, find_field_model
from fpm_inr.mosaic.light import degree_told, fit_polynomial, light_polynomial
from fpm_inr.mosaic.source import Crop
from fpm_inr.mosaic.windows import MOST_SEARCHED, spread
from tests.mosaic.small import small_field

X, Y = (side.ravel() for side in np.meshgrid(np.linspace(-1, 1, 12), np.linspace(-1, 1, 12)))
LOSS = -0.1


def _amplitude(specimen: np.ndarray, loss: float = LOSS) -> np.ndarray:
    return 100 * np.exp(loss * (X**2 + Y**2) - specimen)


def test_light_is_found_under_a_specimen_in_one_place() -> None:
    spot = 0.1 * (np.hypot(X - 0.5, Y + 0.4) < 0.3)
    found = light_polynomial(X, Y, _amplitude(spot), 1.0)
    assert found == pytest.approx((0, 0, 0, LOSS, 0, LOSS), abs=0.02)


def test_dark_parts_are_no_light() -> None:
    amplitude = _amplitude(np.zeros_like(X)) * np.where(X > 0.4, 0.01, 1)
    found = light_polynomial(X, Y, amplitude, 1.0)
    assert found == pytest.approx((0, 0, 0, LOSS, 0, LOSS), abs=0.02)


@pytest.mark.parametrize(
    "dense",
    [0.3 * (Y * X > 0), 0.3 * np.abs(np.sin(3 * X + 1)) * np.cos(2 * Y), 0.3 * np.sin(5 * X + Y)],
    ids=["in two quarters", "in the middle", "in bands"],
)
def test_a_specimen_that_is_denser_somewhere_is_no_light(dense: np.ndarray) -> None:
    assert light_polynomial(X, Y, _amplitude(dense, loss=0.0), 1.0) == LEVEL


@pytest.mark.parametrize(
    ("places", "degree"),
    [
        ([(0.2, 0.1)], 0),
        ([(-0.3, 0), (0.3, 0)], 0),
        ([(-0.3, 0), (0, 0), (0.3, 0)], 1),
        ([(x, y) for x in (-0.3, 0.3) for y in (-0.3, 0.3)], 1),
        ([(x, y) for x in (-0.3, 0, 0.3) for y in (-0.3, 0, 0.3)], 2),
    ],
)
def test_places_tell_what_changes_along_them_and_no_more(
    places: list[tuple[float, float]], degree: int
) -> None:
    place = np.array(places)
    assert degree_told(place) == degree
    true = np.array([0.2, -0.1, 0.3, 0.05, 0.1, -0.2]) * ([1] + [degree > 0] * 2 + [degree > 1] * 3)
    found = np.array(fit_polynomial(place, terms(*place.T) @ true))
    assert terms(*place.T) @ found == pytest.approx(terms(*place.T) @ true, abs=1e-9)
    if len(places) == 3:
        assert found[2] == pytest.approx(0, abs=1e-9)  # across them nothing is told


@settings(deadline=None)
@given(
    st.tuples(st.integers(40, 3000), st.integers(40, 3000)),
    st.integers(32, 300),
    st.integers(1, 4),
)
def test_windows_lie_in_the_field_each_once_and_begin_with_an_even_grid(
    shape: tuple[int, int], tile_px: int, grid: int
) -> None:
    cells = spread(shape, tile_px, grid)
    every = [window for cell in cells for window in cell]
    assert len(set(every)) == len(every)
    assert max(map(len, cells)) <= MOST_SEARCHED
    for y, x, height, width in every:
        assert 0 <= y <= shape[0] - height
        assert 0 <= x <= shape[1] - width
    firsts = [cell[0] for cell in cells]
    if grid > 1 and min(shape) >= tile_px + grid:
        assert len(firsts) == grid**2
        assert {(0, 0), (shape[0] - tile_px, shape[1] - tile_px)} <= {w[:2] for w in firsts}


class Field:
    """Dark on its left, clear in the middle, with a specimen on its right."""

    def __init__(self, specimen: bool) -> None:
        self.seen, _ = small_field((64, 64))
        self.specimen = specimen

    def window(self, crop: Crop, shape_y_x: tuple[int, int]) -> Acquisition:
        if crop[1] < 64:
            raise DarkError("holds no light", "choose another window")
        if crop[1] < 128 or not self.specimen:
            clear = np.full_like(self.seen.frames_led_y_x, 900)
            return replace(self.seen, frames_led_y_x=clear)
        return self.seen


def test_a_place_without_a_specimen_is_stood_in_for_by_the_nearest_that_has_one() -> None:
    dark, clear, shows = ((0, x, 64, 64) for x in (0, 64, 128))
    field, shape = Field(specimen=True), (64, 192)
    seen = _with_specimen(field, shape, [dark, clear, shows])
    assert seen is not None
    assert seen.shows_specimen
    assert seen.acquisition is field.seen
    empty = _with_specimen(field, shape, [dark, clear])
    assert empty is not None
    assert not empty.shows_specimen
    assert _with_specimen(field, shape, [dark]) is None


def test_a_field_without_a_specimen_is_refused_with_the_mend() -> None:
    with pytest.raises(DataError, match=r"no specimen.*--calibration"):
        find_field_model(Field(specimen=False), (64, 192), tile_px=64, z_range_um=(0.0, 0.0))
