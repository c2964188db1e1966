"""The conventional engine behind `reconstruct` and the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fpm_inr.cli import main
from fpm_inr.engines.conventional import plane_heights_um
from fpm_inr.engines.recipe import ConventionalRecipe, Recipe, load_conventional_recipe
from fpm_inr.errors import SettingsError
from fpm_inr.forward import nominal_instrument
from fpm_inr.io.native import write_acquisition
from fpm_inr.reconstruction import data_residual, reconstruct
from fpm_inr.solution import load_solution
from tests.tiny import tiny_acquisition

NEURAL = Recipe.model_validate({"order": {"kind": "epochs"}})


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    assert isinstance(end.value.code, int)
    return end.value.code


def heights(low: float, high: float, **wanted: Any) -> list[float]:
    acquisition = tiny_acquisition()
    found = plane_heights_um((low, high), acquisition.optics, acquisition.illumination, **wanted)
    return [round(float(z), 6) for z in found]


def test_planes_are_even_and_reach_both_ends() -> None:
    assert heights(-4, 4, planes=5) == [-4, -2, 0, 2, 4]
    assert heights(-4, 4, z_step_um=2) == [-4, -2, 0, 2, 4]
    assert heights(0, 1, z_step_um=0.3) == [0, 0.25, 0.5, 0.75, 1]
    assert heights(0, 0.7, z_step_um=0.1) == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    assert heights(3, 3) == heights(3, 3, planes=1) == heights(3, 3, z_step_um=9) == [3]
    step = np.diff(heights(-4, 4))
    acquisition = tiny_acquisition()
    steepest = 0.25 + acquisition.illumination.na_led.max()
    assert 0.8 < step[0] / (0.53 / steepest**2 / 2) <= 1


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0, 4, {"planes": 1}),
        (0, 4, {"planes": 0}),
        (2, 2, {"planes": 3}),
        (0, 4, {"planes": 3, "z_step_um": 1.0}),
        (0, 4, {"z_step_um": 0.0}),
        (0, 4, {"z_step_um": float("nan")}),
    ],
)
def test_planes_that_contradict_the_range_are_refused(
    low: float, high: float, wanted: dict[str, Any]
) -> None:
    with pytest.raises(SettingsError):
        heights(low, high, **wanted)


def test_the_stack_explains_the_frames_at_its_height_only(tmp_path: Path) -> None:
    acquisition = tiny_acquisition(4.0)
    solution = reconstruct(
        acquisition,
        z_range_um=(-12, 12),
        z_step_um=4,
        engine="conventional",
        recipe=ConventionalRecipe(edge_px=0),
    )
    assert solution.planes_um is not None
    assert solution.planes_um.tolist() == [-12, -8, -4, 0, 4, 8, 12]
    residual = data_residual(acquisition, solution, solution.planes_um.tolist())
    assert int(np.argmin(residual)) == 4
    assert residual[4] < 1e-4
    solution.save(tmp_path / "field.safetensors")
    again = load_solution(tmp_path / "field.safetensors")
    np.testing.assert_array_equal(
        again.render(solution.planes_um).field_z_y_x, solution.render(again.planes_um).field_z_y_x
    )


def test_a_calibrated_instrument_is_used_and_kept() -> None:
    acquisition = tiny_acquisition()
    wrong = nominal_instrument(acquisition)
    moved = wrong.na_led_xy + 0.01
    solution = reconstruct(
        acquisition,
        engine="conventional",
        passes=3,
        calibration=type(wrong)(moved, wrong.gain_led, wrong.zernike_rad),
    )
    np.testing.assert_allclose(solution.instrument.na_led_xy, moved, atol=1e-6)


def test_the_pupil_belongs_to_one_height() -> None:
    acquisition = tiny_acquisition()
    solution = reconstruct(acquisition, engine="conventional", recipe="pupil", passes=3)
    assert solution.instrument.pupil_y_x is not None
    assert solution.instrument.pupil_y_x.shape == acquisition.shape_y_x
    with pytest.raises(SettingsError, match="one height"):
        reconstruct(acquisition, engine="conventional", recipe="pupil", z_range_um=(-1, 1))


@pytest.mark.parametrize(
    ("engine", "settings", "field"),
    [
        ("conventional", {"steps": 3}, "steps"),
        ("conventional", {"calibrate": "gains"}, "calibrate"),
        ("conventional", {"passes": 0}, "passes"),
        (
            "conventional",
            {"recipe": NEURAL},
            "recipe",
        ),
        ("conventional", {"z_range_um": (0, 1), "planes": 10**9}, "planes"),
        ("conventional", {"z_range_um": (0, 1), "planes": 99_999}, "planes"),
        ("conventional", {"z_range_um": (0, 1), "z_step_um": 1e-320}, "planes"),
        ("inr", {"planes": 3}, "planes"),
        ("inr", {"z_step_um": 1.0}, "z_step_um"),
        ("inr", {"passes": 3}, "passes"),
        ("inr", {"recipe": ConventionalRecipe()}, "recipe"),
        ("magic", {}, "engine"),
    ],
)
def test_options_of_another_engine_are_refused(
    engine: Any, settings: dict[str, Any], field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "fpm_inr.engines.conventional.STACK_COPIES", 10**6
    )  # as if memory were short
    with pytest.raises(SettingsError) as refused:
        reconstruct(tiny_acquisition(), engine=engine, **settings)
    assert refused.value.field == field


def test_recipes_are_read_and_checked(tmp_path: Path) -> None:
    assert load_conventional_recipe("default") == ConventionalRecipe()
    assert load_conventional_recipe("paper").rim_width == 0
    file = tmp_path / "mine.yaml"
    file.write_text("passes: 3\nspeed: 9\n")
    with pytest.raises(SettingsError, match="speed"):
        load_conventional_recipe(file)


def test_command_line_solves_and_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "acquisition.h5", tmp_path / "out"
    write_acquisition(data, tiny_acquisition(2.0))
    conventional = ("reconstruct", data, "-o", out, "--engine", "conventional")
    z_range = ("--z-range", -4, 4)
    assert run(*conventional, *z_range, "--seed", 1) == 2
    assert "seed" in capsys.readouterr().err
    assert not out.exists()
    assert run(*conventional, *z_range, "--planes", 4, "--passes", 3) == 0
    record = json.loads((out / "run.json").read_text())
    assert (record["engine"], record["steps"]) == ("conventional", 3)
    np.testing.assert_allclose(record["z_um"], [-4, -4 / 3, 4 / 3, 4])
    assert len(record["data_residual"]) == 4
    assert {"history.csv", "preview.png"} <= {path.name for path in out.iterdir()}
