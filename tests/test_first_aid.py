"""The usual mistakes are named with the line that mends them, and right frames with none."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition, Illumination
from fpm_inr.calibration.scale import check_scale
from fpm_inr.first_aid import look_over
from fpm_inr.first_aid.quick import quick_residual
from fpm_inr.illumination import flat_array, spiral_steps
from tests.io.camera_frames import true_acquisition

ROWS = 9
LEDS = ROWS * ROWS


@pytest.fixture(scope="module")
def right() -> Acquisition:
    return true_acquisition(ROWS, 64)


def named(acquisition: Acquisition) -> dict[str, str]:
    """Sentences by name; every finding draws its picture."""
    found = look_over(acquisition)
    for one in found:
        assert one.sentence.endswith(".")
        figure = Figure()
        one.draw(figure)
        assert figure.axes
    return {one.name: one.sentence for one in found}


def with_frames(acquisition: Acquisition, frames: NDArray[np.floating]) -> Acquisition:
    return replace(acquisition, frames_led_y_x=np.maximum(frames, 0).astype(np.float32))


def test_right_frames_raise_no_finding(right: Acquisition) -> None:
    assert named(right) == {}
    noise = np.random.default_rng(0).normal(0, 1.0, right.frames_led_y_x.shape)
    assert named(with_frames(right, right.frames_led_y_x + noise)) == {}


@pytest.mark.parametrize("first", [25, 43])
def test_a_trigger_that_fired_twice(right: Acquisition, first: int) -> None:
    seen = np.where(np.arange(LEDS) < first, np.arange(LEDS), np.arange(LEDS) - 1)
    told = named(with_frames(right, right.frames_led_y_x[seen]))["trigger"]
    assert f"frames from {first} on" in told
    assert f"frames.skip: [{first}] and leds.missing: [{LEDS - 1}]" in told


def test_a_repeated_frame_tells_where_the_trigger_fired_twice(right: Acquisition) -> None:
    """In the dark field a slip two frames away fits hardly worse."""
    for first in (7, 20, 31):
        seen = np.where(np.arange(LEDS) < first, np.arange(LEDS), np.arange(LEDS) - 1)
        told = named(with_frames(right, right.frames_led_y_x[seen]))["trigger"]
        assert f"frames.skip: [{first}]" in told


def test_a_trigger_that_was_lost(right: Acquisition) -> None:
    seen = np.where(np.arange(LEDS) < 38, np.arange(LEDS), np.arange(LEDS) + 1).clip(0, LEDS - 1)
    told = named(with_frames(right, right.frames_led_y_x[seen]))["trigger"]
    assert "the LED after" in told
    assert any(f"frames from {near} on" in told for near in (37, 38, 39))


@pytest.mark.parametrize("order", ["serpentine", "spiral"])
def test_another_order(right: Acquisition, order: str) -> None:
    at = np.arange(LEDS).reshape(ROWS, ROWS)
    if order == "serpentine":
        at[1::2] = at[1::2, ::-1].copy()
        seen = at.ravel()
    else:
        steps = spiral_steps(ROWS, ROWS).astype(int) + ROWS // 2
        seen = at[steps[:, 1], steps[:, 0]]
    told = named(with_frames(right, right.frames_led_y_x[seen]))["order"]
    assert f"leds.grid.order: {order}" in told


def test_leds_that_did_not_light(right: Acquisition) -> None:
    frames = right.frames_led_y_x.copy()
    frames[[40, 11]] *= 0.01
    assert "leds.leave_out: [11, 40]" in named(with_frames(right, frames))["lamps"]


@pytest.mark.parametrize(("factor", "unit"), [(0.1, "centimetres"), (1.7, ""), (0.6, "")])
def test_a_wrong_distance(right: Acquisition, factor: float, unit: str) -> None:
    assert right.illumination.geometry is not None
    places = right.illumination.geometry.position_led_xyz_mm
    geometry = flat_array(places[:, :2], 80 * factor)
    wrong = replace(right, illumination=Illumination(geometry.na_at(), geometry))
    told = named(wrong)["distance"]
    guess = float(told.split("about ")[1].split(" ")[0])
    assert guess == pytest.approx(80, rel=0.25)
    assert unit in told


def test_a_mosaic_of_colours(right: Acquisition) -> None:
    cell = np.array([[0.2, 1.0], [0.9, 0.4]])  # 0.53 um is green
    mosaic = np.tile(cell, (32, 32))
    told = named(with_frames(right, right.frames_led_y_x * mosaic))["bayer"]
    assert "frames.bayer: rggb" in told


def test_drift(right: Acquisition) -> None:
    frames = np.stack(
        [
            np.roll(frame, (round(0.15 * led), round(-0.1 * led)), (0, 1))
            for led, frame in enumerate(right.frames_led_y_x)
        ]
    )
    told = named(with_frames(right, frames))["drift"]
    x, y = map(float, re.findall(r"[xy] ([+-]\d+\.\d)", told))
    assert (x, y) == (pytest.approx(-8, abs=2.5), pytest.approx(12, abs=2.5))


def test_vignetting(right: Acquisition) -> None:
    y, x = np.meshgrid(np.linspace(-1, 1, 64), np.linspace(-1, 1, 64), indexing="ij")
    shaded = right.frames_led_y_x * (1 - 0.35 * (x**2 + y**2))
    assert "frames.flat_field" in named(with_frames(right, shaded))["vignetting"]


SCALES = {
    "as they are": (lambda i: i, "intensity"),
    "dark level of 2 %": (lambda i: i + 0.02 * i.mean(), "intensity"),
    "dark level of 10 %": (lambda i: i + 0.1 * i.mean(), "intensity"),
    "clipped": (lambda i: np.minimum(i, 0.6 * i.max()), "intensity"),
    "noise": (
        lambda i: i + np.random.default_rng(0).normal(0, 0.01 * i.max(), i.shape),
        "intensity",
    ),
}


@pytest.mark.parametrize("case", SCALES)
def test_a_floor_noise_and_clipping_are_not_taken_for_amplitudes(
    right: Acquisition, case: str
) -> None:
    change, expected = SCALES[case]
    acquisition = with_frames(right, change(right.frames_led_y_x.astype(np.float64)))
    check = check_scale(acquisition, quick_residual)
    assert check.best == expected
    assert list(check.warnings) == []


def test_the_line_that_tells_amplitudes_is_named(right: Acquisition) -> None:
    amplitudes = with_frames(right, 15 * np.sqrt(right.frames_led_y_x))
    (told,) = check_scale(amplitudes, quick_residual).warnings
    assert "`values: amplitude`" in told
    assert "under `frames:` in acquisition.yaml" in told
