"""From an acquisition to a solution, in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import fpm_inr as fpm
from fpm_inr.acquisition import Acquisition, Illumination
from fpm_inr.errors import DataError, FpmInrError, SettingsError
from fpm_inr.reconstruction import data_residual, reconstruct
from fpm_inr.solve.progress import StepReport
from tests.tiny import tiny_acquisition


def stop_at(step: int) -> Any:
    def listen(report: StepReport) -> None:
        if report.step == step:
            raise KeyboardInterrupt

    return listen


def test_public_names_do_what_the_readme_says(tmp_path: Path) -> None:
    acquisition = tiny_acquisition(4.0)
    solution = fpm.reconstruct(acquisition, z_range_um=(2, 6), steps=60)
    stack = solution.render(z_um=[2, 4, 6])
    assert stack.field_z_y_x.shape == (3, 40, 48)
    assert stack.pixel_um == 0.25
    solution.save(tmp_path / "field.safetensors")
    again = fpm.load_solution(tmp_path / "field.safetensors").render(4.0)
    assert np.abs(again.field_z_y_x[0] - stack.field_z_y_x[1]).max() < 1e-2


def test_residual_is_small_at_the_right_height_only() -> None:
    acquisition = tiny_acquisition(4.0)
    solution = reconstruct(acquisition, z_range_um=(-12, 12), steps=250)
    residual = data_residual(acquisition, solution, [-12.0, 4.0])
    assert residual[1] < 2e-3
    assert residual[1] < residual[0] / 3


def test_amplitude_scale_brings_back_counts() -> None:
    acquisition = tiny_acquisition()
    solution = reconstruct(acquisition, steps=80)
    assert solution.amplitude_scale == pytest.approx(acquisition.amplitude_scale)
    amplitude = solution.render(0.0).amplitude_z_y_x * solution.amplitude_scale
    assert amplitude.mean() == pytest.approx(acquisition.amplitude_led_y_x[12].mean(), rel=0.05)


def test_equal_seeds_give_equal_fields() -> None:
    acquisition = tiny_acquisition()
    one, two, other = (
        reconstruct(acquisition, z_range_um=(-3, 3), steps=8, seed=seed).render(1.0).field_z_y_x
        for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


def test_interrupted_and_resumed_equals_unbroken(tmp_path: Path) -> None:
    acquisition = tiny_acquisition()
    settings: dict[str, Any] = {"z_range_um": (-3, 3), "steps": 12, "seed": 3}
    checkpoint = tmp_path / "checkpoint.safetensors"
    whole = reconstruct(acquisition, **settings)
    part = reconstruct(acquisition, **settings, checkpoint=checkpoint, listen=stop_at(5))
    assert part.record["status"] == "interrupted"
    assert part.record["steps"] == 5
    assert np.isfinite(part.render(0.0).field_z_y_x).all()
    torch.manual_seed(1234)
    resumed = reconstruct(acquisition, **settings, checkpoint=checkpoint, resume=True)
    assert resumed.record["status"] == "done"
    assert not checkpoint.exists()
    np.testing.assert_array_equal(
        resumed.render([-3, 1]).field_z_y_x, whole.render([-3, 1]).field_z_y_x
    )
    assert [row["loss"] for row in resumed.history] == [row["loss"] for row in whole.history]


def test_a_checkpoint_of_other_data_or_settings_is_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    reconstruct(tiny_acquisition(), steps=9, checkpoint=checkpoint, listen=stop_at(2))
    resume: dict[str, Any] = {"checkpoint": checkpoint, "resume": True}
    with pytest.raises(SettingsError, match="other data or other settings"):
        reconstruct(tiny_acquisition(), steps=10, **resume)
    with pytest.raises(SettingsError, match="other data or other settings"):
        reconstruct(tiny_acquisition(seed=1), steps=9, **resume)
    checkpoint.write_bytes(checkpoint.read_bytes()[:50])
    with pytest.raises(DataError, match="damaged checkpoint"):
        reconstruct(tiny_acquisition(), steps=9, **resume)
    checkpoint.unlink()
    with pytest.raises(SettingsError, match="no checkpoint"):
        reconstruct(tiny_acquisition(), steps=9, **resume)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"z_range_um": (5, -5)}, "z range"),
        ({"z_range_um": (0, float("nan"))}, "z range"),
        ({"z_range_um": (0, 1, 2)}, "z range"),
        ({"steps": 0}, "steps"),
        ({"recipe": "fastest"}, "recipe"),
        ({"device": "tpu"}, "device"),
        ({"upsample": 0}, "upsampl"),
        ({"engine": "magic"}, "engine"),
        ({"resume": True}, "resume"),
    ],
)
def test_bad_settings_are_refused_before_any_work(settings: dict[str, Any], field: str) -> None:
    def never(report: StepReport) -> None:
        raise AssertionError("it began")

    with pytest.raises(FpmInrError, match=field):
        reconstruct(tiny_acquisition(), listen=never, **settings)


def test_illumination_beyond_the_grid_is_refused() -> None:
    acquisition = tiny_acquisition()
    steep = Acquisition(
        acquisition.frames_led_y_x,
        acquisition.optics,
        Illumination(acquisition.illumination.na_led_xy * 3),
    )
    with pytest.raises(SettingsError, match="upsampl"):
        reconstruct(steep, upsample=1)


def test_paper_recipe_runs_one_led_a_step() -> None:
    solution = reconstruct(tiny_acquisition(), z_range_um=(-4, 4), recipe="paper", steps=30)
    assert solution.record["steps"] == 30
    assert solution.history[-1]["loss"] < solution.history[0]["loss"]
