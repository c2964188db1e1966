"""All that computes, on a card that is pretended: nothing on the wrong device, the CPU's numbers.

`tests.pretended` says what such a card refuses and counts. Where there is a real one,
`test_precision` asks for the same of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fpm_inr.calibration.autofocus import autofocus
from fpm_inr.calibration.calibrate import calibrate
from fpm_inr.focus import FocusSettings, all_in_focus
from fpm_inr.focus.residual import score_against_frames
from fpm_inr.reconstruction import data_residual, reconstruct
from fpm_inr.solution import Solution
from fpm_inr.trust.explained import explain
from tests.mosaic.small import small_field, small_plan
from tests.pretended import CARD, OnCard, PretendedCard
from tests.tiny import leave, masked, of_a_size, several_leds, tiny_acquisition

STACK = {"z_range_um": (-3.0, 3.0)}
SOLVES: dict[str, dict[str, Any]] = {
    "spline, 2D": {"steps": 8},
    "spline, 3D": {**STACK, "steps": 24},
    "spline, gains, pupil, background, NA": {
        **STACK,
        "steps": 12,
        "calibrate": {"gains": True, "pupil": True, "background": True, "na": {"init": 0.25}},
    },
    "spline, pose, shifts, pupil map, defocus": {
        "steps": 12,
        "calibrate": {
            "pose": {"init": [0.0] * 6},
            "shifts": True,
            "pupil_map": True,
            "defocus": True,
        },
    },
    "neural": {**STACK, "steps": 8, "recipe": "neural", "calibrate": "gains,pupil"},
    "paper": {**STACK, "steps": 8, "recipe": "paper"},
    "conventional, 3D": {**STACK, "engine": "conventional", "planes": 3, "passes": 4},
    "conventional, pupil": {"engine": "conventional", "recipe": "pupil", "passes": 4},
}


def differs_by(one: Solution, other: Solution) -> float:
    """Relative difference of their images at some heights."""
    heights = np.linspace(*one.z_range_um, 3 if one.z_range_um[0] < one.z_range_um[1] else 1)
    a, b = (solution.render(heights).field_z_y_x for solution in (one, other))
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


@pytest.mark.parametrize("name", SOLVES)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_every_engine_solves_on_a_card(name: str, weighted: bool) -> None:
    acquisition = masked(tiny_acquisition()) if weighted else tiny_acquisition()
    on_cpu = reconstruct(acquisition, device="cpu", **SOLVES[name])
    with PretendedCard():
        on_card = reconstruct(acquisition, device="meta", **SOLVES[name])
    assert on_card.record["device"] == "meta"
    assert on_card.device.type == "cpu"
    assert differs_by(on_card, on_cpu) < 1e-4


@pytest.mark.parametrize(
    "how",
    [
        {"steps": 6, "calibrate": "gains,pupil,background"},
        {"steps": 4, "recipe": "neural", "calibrate": "gains"},
        {"engine": "conventional", "recipe": "pupil", "passes": 3},
    ],
)
def test_frames_of_several_leds_on_a_card(how: dict[str, Any]) -> None:
    acquisition = masked(of_a_size(several_leds()))
    on_cpu = reconstruct(acquisition, device="cpu", listen=leave, **how)
    with PretendedCard():
        on_card = reconstruct(acquisition, device="meta", listen=leave, **how)
    assert differs_by(on_card, on_cpu) < 1e-4
    np.testing.assert_allclose(on_card.instrument.gain_led, on_cpu.instrument.gain_led, rtol=1e-4)


def test_the_instrument_and_the_height_are_found_on_a_card() -> None:
    acquisition = tiny_acquisition()
    on_cpu = calibrate(acquisition, steps=20)
    with PretendedCard():
        on_card = calibrate(acquisition, steps=20, device=CARD)
        height = autofocus(acquisition, steps=10, device=CARD)
    assert on_card.after.residual == pytest.approx(on_cpu.after.residual, rel=1e-3)
    assert height.z_um == pytest.approx(autofocus(acquisition, steps=10).z_um, abs=1e-2)


@pytest.mark.parametrize("engine", ["inr", "conventional"])
def test_a_solution_is_judged_and_rendered_on_a_card(engine: str) -> None:
    acquisition = masked(tiny_acquisition())
    how = {"planes": 3, "passes": 3} if engine == "conventional" else {"steps": 12}
    solution = reconstruct(acquisition, device="cpu", engine=engine, **STACK, **how)
    heights = [-3.0, 0.0, 3.0]
    settings = FocusSettings("residual", 8, 8)

    def judged(there: Solution) -> list[Any]:
        judge = score_against_frames(acquisition, there)
        sharp = all_in_focus(there.slices, np.array(heights), settings, judge=judge)
        told = explain(acquisition, there, heights)
        return [
            there.render(heights).field_z_y_x,
            sharp.depth.scores.whole_z,
            told.residual_z,
            told.error_y_x,
            told.error_led,
        ]

    expected = judged(solution)
    residual = data_residual(acquisition, solution, heights)
    with PretendedCard():
        there = solution.on(CARD)
        assert all(isinstance(value, OnCard) for value in there.field.parameters())
        found = judged(there)
        assert data_residual(acquisition, solution, heights, device="meta") == pytest.approx(
            residual, rel=1e-5
        )
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_a_tile_of_a_mosaic_is_solved_on_a_card(tmp_path: Path) -> None:
    from fpm_inr.mosaic.worker import solved

    acquisition, _ = small_field()
    plan = small_plan(tmp_path, acquisition, device="meta")
    on_cpu = small_plan(tmp_path, acquisition)
    with PretendedCard():
        kind, solution, residual = solved(plan, tmp_path / "out", plan.tiles[0])[:3]
    _, expected, of_cpu = solved(on_cpu, tmp_path / "out", plan.tiles[0])[:3]
    assert kind == "solved"
    assert residual == pytest.approx(of_cpu, rel=1e-4)
    assert differs_by(solution, expected) < 1e-4
