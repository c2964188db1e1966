"""LED geometry obeys Snell's law and the symmetries of its own arrangement."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fpm_inr.errors import DataError
from fpm_inr.illumination import (
    LedGeometry,
    arrange,
    flat_array,
    raster_steps,
    ring_places,
    serpentine_steps,
    spiral_steps,
)

places = arrays(np.float64, st.tuples(st.integers(1, 6), st.just(2)), elements=st.floats(-80, 80))
distances = st.floats(20, 300)
slides = st.floats(0, 10)
indices = st.floats(1, 2.5)
offsets_um = st.floats(-5000, 5000)
angles = st.floats(-360, 360)


@given(places, distances, slides, indices)
def test_a_ray_traced_by_snells_law_from_the_sample_hits_its_led(
    xy: np.ndarray, distance: float, slide: float, index: float
) -> None:
    na = flat_array(xy, distance, slide, index).na_at()
    sine_in_air = np.hypot(*na.T)
    sine_in_slide = sine_in_air / index
    in_slide = slide * sine_in_slide / np.sqrt(1 - sine_in_slide**2)
    in_air = distance * sine_in_air / np.sqrt(1 - sine_in_air**2)
    np.testing.assert_allclose(in_slide + in_air, np.hypot(*xy.T), rtol=1e-9, atol=1e-12)
    # the ray stays in the plane of the LED and the axis, on the LED's side
    np.testing.assert_allclose(na[:, 0] * xy[:, 1], na[:, 1] * xy[:, 0], rtol=1e-9, atol=1e-12)
    assert ((na * xy).sum(axis=1) >= 0).all()


@given(places, distances, slides, offsets_um, offsets_um)
def test_a_slide_of_air_is_a_longer_way_through_air(
    xy: np.ndarray, distance: float, slide: float, x_um: float, y_um: float
) -> None:
    through_air = flat_array(xy, distance + slide).na_at(x_um, y_um)
    np.testing.assert_allclose(
        flat_array(xy, distance, slide, 1.0).na_at(x_um, y_um), through_air, rtol=1e-12, atol=1e-15
    )
    lateral = xy - np.array([x_um, y_um]) / 1000
    direct = lateral / np.sqrt((lateral**2).sum(axis=1, keepdims=True) + (distance + slide) ** 2)
    np.testing.assert_allclose(through_air, direct, rtol=1e-12, atol=1e-15)


@given(places, distances, indices)
def test_a_slide_of_no_thickness_changes_nothing(
    xy: np.ndarray, distance: float, index: float
) -> None:
    bare = flat_array(xy, distance).na_at()
    np.testing.assert_array_equal(flat_array(xy, distance, 0.0, index).na_at(), bare)


@given(places, distances, slides, indices)
def test_glass_acts_as_a_thinner_layer_of_air(
    xy: np.ndarray, distance: float, slide: float, index: float
) -> None:
    sine = np.hypot(*flat_array(xy, distance, slide, index).na_at().T)
    without = np.hypot(*flat_array(xy, distance).na_at().T)
    all_air = np.hypot(*flat_array(xy, distance + slide).na_at().T)
    assert (sine <= without * (1 + 1e-12)).all()
    assert (sine >= all_air * (1 - 1e-12)).all()


def test_the_corner_of_the_published_blood_smear_array() -> None:
    light = flat_array(raster_steps(15, 15) * 4, 90.88, 1.0, 1.52).na_at()
    assert np.hypot(*light.T).max() == pytest.approx(0.39715, abs=1e-5)


@given(places, distances, slides, offsets_um, offsets_um)
def test_moving_the_sample_is_moving_the_leds_the_other_way(
    xy: np.ndarray, distance: float, slide: float, x_um: float, y_um: float
) -> None:
    moved = flat_array(xy - np.array([x_um, y_um]) / 1000, distance, slide)
    np.testing.assert_allclose(
        flat_array(xy, distance, slide).na_at(x_um, y_um), moved.na_at(), atol=1e-12
    )


@given(places, angles, distances, slides)
def test_turning_the_array_turns_the_directions(
    xy: np.ndarray, angle: float, distance: float, slide: float
) -> None:
    na = flat_array(xy, distance, slide).na_at()
    turned = flat_array(arrange(xy, rotation_deg=angle), distance, slide).na_at()
    np.testing.assert_allclose(turned, arrange(na, rotation_deg=angle), atol=1e-12)
    np.testing.assert_allclose(np.hypot(*turned.T), np.hypot(*na.T), atol=1e-12)


@given(places)
def test_far_leds_have_small_angles_proportional_to_their_places(xy: np.ndarray) -> None:
    distance = 1e6
    np.testing.assert_allclose(
        flat_array(xy, distance).na_at() * distance, xy, rtol=1e-7, atol=1e-300
    )


@given(places)
def test_flips_and_transpose_undo_themselves_and_rotation_follows_its_sign(
    xy: np.ndarray,
) -> None:
    for how in ({"flip_x": True}, {"flip_y": True}, {"transpose": True}):
        np.testing.assert_array_equal(arrange(arrange(xy, **how), **how), xy)
    half_turn = arrange(xy, flip_x=True, flip_y=True)
    np.testing.assert_allclose(arrange(xy, rotation_deg=180), half_turn, atol=1e-12)
    quarter = arrange(xy, transpose=True, flip_x=True)
    np.testing.assert_allclose(arrange(xy, rotation_deg=90), quarter, atol=1e-12)


def test_rotation_goes_from_x_to_y_and_the_offset_comes_last() -> None:
    np.testing.assert_allclose(
        arrange([[1.0, 0.0]], rotation_deg=90, offset_x_y=(5, 7)), [[5, 8]], atol=1e-12
    )


def test_an_led_at_plus_x_has_a_direction_of_plus_x() -> None:
    assert flat_array(np.array([[3.0, 0.0]]), 4.0).na_at() == pytest.approx(np.array([[0.6, 0.0]]))


def test_the_spiral_is_the_published_one() -> None:
    first = [(0, 0), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (2, -1)]
    assert spiral_steps(15, 15)[:10].tolist() == [list(map(float, place)) for place in first]


@given(st.integers(0, 8), st.integers(0, 8))
def test_spiral_and_raster_visit_the_same_places(half_rows: int, half_columns: int) -> None:
    rows, columns = 2 * half_rows + 1, 2 * half_columns + 1
    spiral = {tuple(place) for place in spiral_steps(rows, columns)}
    raster = [tuple(place) for place in raster_steps(rows, columns)]
    assert len(spiral_steps(rows, columns)) == len(raster)
    assert spiral == set(raster)


@given(st.integers(1, 9), st.integers(1, 9))
def test_the_raster_runs_along_x_first_and_about_the_middle(rows: int, columns: int) -> None:
    steps = raster_steps(rows, columns)
    assert steps.shape == (rows * columns, 2)
    np.testing.assert_allclose(steps.mean(axis=0), 0, atol=1e-12)
    grid = steps.reshape(rows, columns, 2)
    assert (np.diff(grid[..., 0], axis=1) == 1).all()
    assert (np.diff(grid[..., 1], axis=0) == 1).all()


def test_rings_have_their_radii_counts_and_starts() -> None:
    xy = ring_places([0, 10], [1, 4], [0, 45])
    np.testing.assert_allclose(np.hypot(*xy.T), [0, 10, 10, 10, 10], atol=1e-12)
    np.testing.assert_allclose(xy[1], [10 / math.sqrt(2)] * 2)
    np.testing.assert_allclose(xy[2], [-10 / math.sqrt(2), 10 / math.sqrt(2)])


@pytest.mark.parametrize(
    ("position", "slide", "index", "field"),
    [
        (np.zeros((3, 2)), 0, 1.5, "LED positions"),
        (np.array([[0, 0, np.nan]]), 0, 1.5, "LED positions"),
        (np.array([[0, 0, 0.0]]), 0, 1.5, "distance"),
        (np.array([[0, 0, 1e9]]), 0, 1.5, "LED positions"),
        (np.array([[0, 0, 5.0]]), 500, 1.5, "slide_mm"),
        (np.array([[0, 0, 5.0]]), -1, 1.5, "slide_mm"),
        (np.array([[0, 0, 5.0]]), math.nan, 1.5, "slide_mm"),
        (np.array([[0, 0, 5.0]]), 1, 0.5, "slide_index"),
        (np.array([[0, 0, 5.0]]), 1, math.nan, "slide_index"),
    ],
)
def test_impossible_geometry_is_refused(
    position: np.ndarray, slide: float, index: float, field: str
) -> None:
    with pytest.raises(DataError) as caught:
        LedGeometry(position, slide, index)
    assert caught.value.field == field


@pytest.mark.parametrize("shape", [(8, 8), (4, 5), (5, 4), (3, 7), (2, 2)])
def test_a_spiral_fills_its_grid_about_the_middle(shape: tuple[int, int]) -> None:
    spiral, raster = spiral_steps(*shape), raster_steps(*shape)
    assert sorted(map(tuple, spiral)) == sorted(map(tuple, raster))
    # it starts in the middle, and never jumps away from what it has lit
    assert np.abs(spiral[0]).max() <= 0.5


def test_a_serpentine_turns_back_every_second_row() -> None:
    steps = serpentine_steps(3, 4)
    assert sorted(map(tuple, steps)) == sorted(map(tuple, raster_steps(3, 4)))
    assert (np.abs(np.diff(steps, axis=0)).sum(axis=1) == 1).all()
