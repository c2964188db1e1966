"""Where memory runs out, half as many are worked on, the result stays, and it is told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from fpm_inr.calibration.solve import fit_plane
from fpm_inr.engines.spline_frames import Frames
from fpm_inr.engines.visits import Visits
from fpm_inr.errors import SettingsError
from fpm_inr.focus import FocusSettings
from fpm_inr.focus.residual import score_against_frames
from fpm_inr.forward import ForwardModel
from fpm_inr.instrument import parse_free
from fpm_inr.memory import Portion
from fpm_inr.reconstruction import data_residual, reconstruct
from fpm_inr.trust.explained import explain
from tests.pretended import PretendedCard
from tests.tiny import tiny_acquisition

STACK = {"z_range_um": (-3.0, 3.0)}


@pytest.fixture
def runs_out(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let a method run out of memory where an argument of it is longer than so many items."""

    def limit(kind: type, name: str, argument: int, most: int) -> None:
        method = getattr(kind, name)

        def limited(self: Any, *args: Any, **kwargs: Any) -> Any:
            if len(args[argument]) > most:
                raise torch.OutOfMemoryError("pretended to be out of memory")
            return method(self, *args, **kwargs)

        monkeypatch.setattr(kind, name, limited)

    return limit


@pytest.mark.parametrize(
    ("how", "limits"),
    [
        ({**STACK, "steps": 12}, (Frames, "back", 0, 2)),
        (
            {
                **STACK,
                "steps": 12,
                "calibrate": {"gains": True, "pupil": True, "pose": {"init": [0.0] * 6}},
            },
            (Frames, "back", 0, 1),
        ),
        (
            {**STACK, "steps": 6, "recipe": "neural", "calibrate": "gains,pupil,background"},
            (ForwardModel, "exit_field", 2, 7),
        ),
        (
            {**STACK, "engine": "conventional", "planes": 5, "passes": 3},
            (Visits, "one_pass", 0, 2),
        ),
    ],
    ids=["spline", "spline, joint", "neural", "conventional"],
)
def test_a_solve_goes_on_with_half(
    how: dict[str, Any], limits: tuple[Any, ...], runs_out: Callable[..., None]
) -> None:
    # LEDs of unequal brightness: their gains have a way to go
    even = tiny_acquisition()
    bright = np.random.default_rng(0).uniform(0.5, 1.5, (25, 1, 1))
    acquisition = replace(even, frames_led_y_x=even.frames_led_y_x * bright)
    with PretendedCard():
        expected = reconstruct(acquisition, device="meta", **how)
        runs_out(*limits)
        found = reconstruct(acquisition, device="meta", **how)
    assert "memory" not in expected.record
    assert all("ran out" in said for said in found.record["memory"])
    heights = [-3.0, 1.0, 3.0]
    one, other = (solution.render(heights).field_z_y_x for solution in (found, expected))
    # Adam makes something of the rounding of a gradient that is 0, as the phase of all is
    one *= np.vdot(one, other) / np.vdot(one, one)
    assert np.linalg.norm(one - other) < 1e-4 * np.linalg.norm(other)
    np.testing.assert_allclose(found.instrument.gain_led, expected.instrument.gain_led, rtol=1e-4)


def test_a_plane_is_fitted_with_half(
    runs_out: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    free = parse_free("gains,pupil,shifts")
    acquisition = tiny_acquisition()
    expected = fit_plane(acquisition, 0.0, free, steps=12)
    runs_out(ForwardModel, "exit_field", 2, 7)
    found = fit_plane(acquisition, 0.0, free, steps=12)
    assert found.residual == pytest.approx(expected.residual, rel=1e-3)
    assert "frames at once" in caplog.text


def test_comparisons_with_frames_go_on_with_half(runs_out: Callable[..., None]) -> None:
    acquisition = tiny_acquisition()
    solution = reconstruct(acquisition, device="cpu", steps=8, **STACK)

    def compared() -> list[Any]:
        judge = score_against_frames(acquisition, solution)
        told = explain(acquisition, solution, [0.0, 1.0])
        scores = judge(
            solution.slices([0.0, 1.0, 2.0]), FocusSettings("residual", 8, 8), lambda: None
        )
        return [
            data_residual(acquisition, solution, [0.0, 1.0]),
            told.error_led,
            told.error_y_x,
            scores.whole_z,
        ]

    expected = compared()
    runs_out(ForwardModel, "exit_field", 2, 3)
    for one, other in zip(compared(), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_a_single_item_that_does_not_fit_ends_in_a_sentence(
    runs_out: Callable[..., None],
) -> None:
    runs_out(Frames, "back", 0, 0)
    with (
        PretendedCard(),
        pytest.raises(SettingsError, match=r"even one.*smaller crop"),
    ):
        reconstruct(tiny_acquisition(), device="meta", steps=2)


def test_a_portion_fits_the_room_and_works_on_all(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("fpm_inr.memory.room_bytes", lambda device: 100)
    card = torch.device("cuda")
    assert Portion("frames", card, bytes_each=30, most=50).at_once == 3
    assert Portion("frames", card, bytes_each=1000, most=50).at_once == 1
    assert Portion("frames", card, bytes_each=1, most=50).at_once == 50
    on_cpu = Portion("frames", torch.device("cpu"), bytes_each=30, most=50, most_on_cpu=16)
    assert on_cpu.at_once == 16
    done: list[int] = []

    def work(part: slice) -> int:
        if part.stop - part.start > 5:
            raise torch.OutOfMemoryError
        done.extend(range(part.start, part.stop))
        return part.stop - part.start

    with caplog.at_level(logging.WARNING):
        assert list(on_cpu.over(11, work)) == [5, 5, 1]
    assert done == list(range(11))
    assert len(on_cpu.told) == 1
    assert on_cpu.told[0] in caplog.text
