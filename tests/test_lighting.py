"""Which LEDs light each frame: what is refused, and what belongs to LEDs and what to frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.errors import DataError
from fpm_inr.illumination import LedGeometry
from fpm_inr.lighting import Die, Lighting

OPTICS = Optics(wavelength_um=0.5, na=0.25, pixel_um=0.65)
NA_XY = np.array([[0.0, 0.0], [0.1, 0.0], [0.3, 0.0], [0.0, 0.4]])


@pytest.mark.parametrize(
    ("lists", "weights", "said"),
    [
        ([[0], []], None, "gives frame 1 \\(counted from 0\\) no LED"),
        ([[0], [1, -1]], None, "below 0"),
        ([[0], [1, 1]], None, "names LED 1 twice for frame 1"),
        ([[0], [1]], [[1], [-2]], "weighs LED 1 of frame 1 by -2"),
        ([[0], [1]], [[1], [float("nan")]], "weighs LED 1"),
        ([[0], [1]], [[1], [0]], "leave the LED out"),
        ([[0], [1]], [[1]], "other weights than LEDs"),
    ],
)
def test_lists_refused(lists: Any, weights: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        Lighting.of(lists, weights)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lighting": Lighting.of([[0], [1, 4], [2, 3]])}, "names LED 4 of 4 for frame 1"),
        ({"lighting": Lighting.of([[0], [1, 2]])}, "no frame for LED 3"),
        ({"die": Die(size_mm=0.3)}, "nothing says how far away"),
    ],
)
def test_illumination_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        Illumination(NA_XY, **changes)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "needs size_mm or size_na"),
        ({"size_mm": 1.0, "size_na": 0.1}, "needs size_mm or size_na"),
        ({"size_mm": -1.0}, "size_mm: is -1"),
        ({"size_na": float("inf")}, "size_na: is inf"),
        ({"size_na": 0.01, "shape": "star"}, "give square or round"),
        ({"size_na": 0.01, "points_across": 0}, "points_across: is 0"),
    ],
)
def test_dies_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        Die(**settings)


def test_numbers_of_frames_must_agree() -> None:
    light = Illumination(NA_XY, lighting=Lighting.of([[0], [1], [2, 3]]))
    with pytest.raises(DataError, match="are 4 for 3 lists of LEDs"):
        Acquisition(np.ones((4, 8, 8), np.float32), OPTICS, light)


def test_the_scale_is_that_of_a_single_bright_field_led() -> None:
    light = Illumination(NA_XY, lighting=Lighting.of([[0, 1], [0, 2], [3]], [[1, 3], [1, 9], [1]]))
    # clear slides: every bright-field LED of weight 1 adds 4
    frames = np.ones((3, 8, 8), np.float32) * np.array([16, 4, 0.1], np.float32)[:, None, None]
    seen = Acquisition(frames, OPTICS, light)
    assert seen.is_bright_field.tolist() == [True, True, False]
    assert seen.amplitude_scale == pytest.approx(2.0)


def test_selection_keeps_the_leds_of_its_frames() -> None:
    light = Illumination(NA_XY, lighting=Lighting.of([[0], [3, 1], [2]], [[1], [1, 2], [1]]))
    frames = np.ones((3, 8, 8), np.float32)
    part = Acquisition(frames, OPTICS, light).select(np.array([2, 1]))
    assert (part.frame_count, part.led_count) == (2, 3)
    assert part.illumination.na_led_xy[part.illumination.pairs.led_pair].tolist() == [
        NA_XY[2].tolist(),
        NA_XY[1].tolist(),
        NA_XY[3].tolist(),
    ]
    assert part.illumination.pairs.weight_pair.tolist() == [1, 2, 1]
    # one by one again, and so without lists
    assert light.select(np.array([2, 0])).lighting is None


def test_frames_of_one_led_are_found() -> None:
    light = Illumination(NA_XY, lighting=Lighting.of([[3, 1], [0], [2], [0]]))
    seen = Acquisition(np.ones((4, 8, 8), np.float32), OPTICS, light)
    frames, leds = light.alone()
    assert (frames.tolist(), leds.tolist()) == ([1, 2], [0, 2])
    assert np.array_equal(seen.one_by_one().illumination.na_led_xy, NA_XY[[0, 2]])
    with pytest.raises(DataError, match="all of several LEDs"):
        seen.select(np.array([0])).one_by_one()


def test_frames_without_some_leds() -> None:
    light = Illumination(NA_XY, lighting=Lighting.of([[0], [3, 1], [2], [1]]))
    assert light.frames_without(np.array([1])).tolist() == [0, 2]
    assert Illumination(NA_XY).frames_without(np.array([1])).tolist() == [0, 2, 3]


@pytest.mark.parametrize("shape", ["square", "round"])
def test_points_of_a_die_lie_in_it_and_about_its_middle(shape: Any) -> None:
    places = Die(size_mm=1.0, shape=shape, points_across=4).places_xy
    assert len(places) == 16
    assert np.abs(places).max() <= 0.52
    assert places.mean(axis=0) == pytest.approx([0, 0], abs=1e-12)
    # variance of an even face: 1 / 12 of a square, 1 / 16 of a disc
    variance = {"square": 1 / 12, "round": 1 / 16}[shape]
    assert (places**2).mean(axis=0) == pytest.approx([variance] * 2, rel=0.15)


def test_a_size_in_mm_is_seen_from_the_sample() -> None:
    geometry = LedGeometry(np.array([[0.0, 0.0, 80.0], [40.0, 0.0, 80.0]]))
    light = Illumination(geometry.na_at(), geometry, die=Die(size_mm=0.8, points_across=2))
    reach = np.ptp(light.offsets_led_xy, axis=1)
    assert reach[0] == pytest.approx([0.4 / 80] * 2, rel=1e-4)
    # aslant a length looks shorter: by cos^3 away from the axis, by cos across
    cosine = 80 / np.hypot(40, 80)
    assert reach[1] == pytest.approx([0.4 / 80 * cosine**3, 0.4 / 80 * cosine], rel=1e-2)
