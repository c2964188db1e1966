"""Patterns of LEDs, and the simulator's own physics of several LEDs and of their size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fpm_inr.errors import SettingsError
from fpm_inr.simulate import Camera, Errors, Setup, pattern, preset, simulate
from fpm_inr.simulate.rig import FACE_POINTS, directions

RIG = preset("siemens").rig
NA_XY = RIG.illumination.na_led_xy
CENTRE = np.argsort(np.hypot(*NA_XY.T), kind="stable")[:21]
SMALL = replace(
    preset("siemens"),
    rig=replace(RIG, led_xy_mm=RIG.led_xy_mm[CENTRE]),
    shape_y_x=(24, 27),
    camera=Camera(),
)


@pytest.mark.parametrize("kind", ["random", "na-matched"])
@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_patterns_light_every_led_once(kind: str, alone: bool, count: int) -> None:
    lighting = pattern(kind, NA_XY, RIG.optics.na, count, bright_field_alone=alone)
    assert lighting is not None
    assert sorted(lighting.led_pair.tolist()) == list(range(len(NA_XY)))
    assert lighting.leds_in_frame.max() == count
    if alone:
        bright = np.hypot(*NA_XY.T) < RIG.optics.na
        of_bright = lighting.frame_pair[bright[lighting.led_pair]]
        assert (lighting.leds_in_frame[of_bright] == 1).all()


def test_matched_leds_are_alike_in_na_and_stand_apart() -> None:
    def spread(kind: str) -> tuple[float, float]:
        lighting = pattern(kind, NA_XY, RIG.optics.na, 4)
        assert lighting is not None
        ratios, nearest = [], []
        for frame in np.flatnonzero(lighting.leds_in_frame == 4):
            some = NA_XY[lighting.led_pair[lighting.frame_pair == frame]]
            na = np.hypot(*some.T)
            ratios.append(na.max() / na.min())
            apart = np.hypot(*(some[:, None] - some[None]).T)
            nearest.append(apart[apart > 0].min())
        return float(np.mean(ratios)), float(np.mean(nearest))

    (matched, apart), (random, near) = spread("na-matched"), spread("random")
    assert matched < 0.5 * (1 + random)
    assert apart > near


def test_more_frames_repeat_leds() -> None:
    lighting = pattern("na-matched", NA_XY, RIG.optics.na, 4, frames=54)
    assert lighting is not None
    assert lighting.frame_count == 54
    assert np.bincount(lighting.led_pair).min() == 1


@pytest.mark.parametrize(
    ("kind", "count", "frames", "said"),
    [
        ("rings", 4, None, "give random or na-matched"),
        ("random", 0, None, "leds_per_frame: is 0"),
        ("random", 200, None, "the number of LEDs"),
        ("random", 4, 20, "frames: is 20"),
    ],
)
def test_patterns_refused(kind: str, count: int, frames: int | None, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        pattern(kind, NA_XY, RIG.optics.na, count, frames=frames)


def test_a_frame_of_several_leds_is_the_sum_of_theirs() -> None:
    na = SMALL.rig.illumination.na_led_xy
    lighting = pattern("random", na, 0.1, 3)
    assert lighting is not None
    errors = Errors(gain_spread=0.3, led_jitter_na=0.002)
    alone = simulate(replace(SMALL, errors=errors)).acquisition.frames_led_y_x
    made = simulate(replace(SMALL, errors=errors, lighting=lighting)).acquisition
    expected = np.zeros((lighting.frame_count, 24, 27))
    for frame, led in zip(lighting.frame_pair, lighting.led_pair, strict=True):
        expected[frame] += alone[led]
    assert made.frames_led_y_x == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert np.array_equal(made.illumination.pairs.led_pair, lighting.led_pair)


@pytest.mark.parametrize("shape", ["square", "round"])
def test_an_led_of_a_size_is_the_mean_of_its_points(shape: str) -> None:
    rig = replace(
        SMALL.rig,
        led_xy_mm=SMALL.rig.led_xy_mm[5:8],
        led_size_mm=2.0,
        led_shape=shape,  # type: ignore[arg-type]
    )
    made = simulate(replace(SMALL, rig=rig)).acquisition
    points = rig.face_xy_mm
    assert len(points) == FACE_POINTS**2 if shape == "square" else len(points) > 12
    for led, place in enumerate(rig.led_xy_mm):
        as_leds = replace(rig, led_xy_mm=place + points, led_size_mm=0.0)
        frames = simulate(replace(SMALL, rig=as_leds)).acquisition.frames_led_y_x
        assert made.frames_led_y_x[led] == pytest.approx(frames.mean(axis=0), rel=1e-3, abs=1e-6)
    die = made.illumination.die
    assert die is not None
    assert die.size_na == pytest.approx(2.0 / rig.distance_mm)
    assert np.allclose(made.illumination.na_led_xy, directions(rig.led_xy_mm, rig.distance_mm))


def test_sizes_refused() -> None:
    with pytest.raises(SettingsError, match="led_size_mm: is -1"):
        replace(RIG, led_size_mm=-1.0)
    with pytest.raises(SettingsError, match="led_shape: is 'star'"):
        replace(RIG, led_shape="star")  # type: ignore[arg-type]


def test_points_and_single_leds_are_as_before() -> None:
    assert isinstance(SMALL, Setup)
    made = simulate(SMALL).acquisition
    assert made.illumination.lighting is None
    assert made.illumination.die is None
