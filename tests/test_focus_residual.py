"""Depth by the frames: right for a specimen that only refracts, where sharpness misleads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fpm_inr.acquisition import Acquisition, Illumination
from fpm_inr.cli import main
from fpm_inr.errors import DataError, SettingsError
from fpm_inr.focus import FocusSettings, all_in_focus, score_slices
from fpm_inr.focus.residual import score_against_frames
from fpm_inr.forward import nominal_instrument
from fpm_inr.io.native import write_acquisition
from fpm_inr.reconstruction import data_residual, reconstruct
from fpm_inr.solution import Solution
from tests.tiny import tiny_acquisition

HEIGHTS = np.linspace(-12, 12, 25)
SETTINGS = FocusSettings("residual", 16, 8)


@pytest.fixture(scope="module")
def solved() -> tuple[Acquisition, Solution]:
    acquisition = tiny_acquisition(4.0)
    return acquisition, reconstruct(acquisition, z_range_um=(-12, 12), steps=200)


def test_depth_is_where_the_frames_agree(solved: tuple[Acquisition, Solution]) -> None:
    acquisition, solution = solved
    judge = score_against_frames(acquisition, solution)
    result = all_in_focus(solution.slices, HEIGHTS, SETTINGS, judge=judge)
    assert np.abs(np.median(result.depth_um_y_x) - 4.0) < 0.7
    assert np.abs(result.depth_um_y_x - 4.0).max() < 3.0
    scores = result.depth.scores
    assert abs(HEIGHTS[scores.whole_z.argmax()] - 4.0) <= 1.0
    # the score is the inverse residual: positive, larger where the fit is better
    assert (scores.score_z_y_x > 0).all()


def test_other_frames_and_missing_frames_are_refused(solved: tuple[Acquisition, Solution]) -> None:
    acquisition, solution = solved
    with pytest.raises(DataError, match=r"^data: .*crop"):
        score_against_frames(acquisition.crop(0, 0, 16, 16), solution)
    with pytest.raises(DataError, match=r"^data: "):
        score_against_frames(acquisition.select(np.arange(9)), solution)
    with pytest.raises(SettingsError, match="--data"):
        score_slices(solution.slices(HEIGHTS), SETTINGS)


def test_command(
    solved: tuple[Acquisition, Solution], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    acquisition, solution = solved
    solution.save(tmp_path / "field.safetensors")
    write_acquisition(tmp_path / "acquisition.h5", acquisition)
    base = ["focus", str(tmp_path / "field.safetensors"), "-o", str(tmp_path / "out")]
    sizes = ["--patch", "16", "--stride", "8"]
    with pytest.raises(SystemExit) as end:
        main([*base, *sizes, "--method", "residual"])
    assert end.value.code == 2
    assert "--data" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        main([*base, *sizes, "--data", str(tmp_path / "acquisition.h5"), "--point", "20", "20"])
    assert end.value.code == 0
    assert (tmp_path / "out" / "depth_um.tif").is_file()


def test_leds_that_a_calibration_moved_are_where_it_put_them() -> None:
    true = tiny_acquisition(4.0)
    sample_na = 0.53 / (24 * 0.5)
    moved = Illumination(true.illumination.na_led_xy + 2 * sample_na)
    stated = replace(true, illumination=moved)
    instrument = nominal_instrument(true)
    solution = reconstruct(stated, z_range_um=(-12, 12), steps=60, calibration=instrument)
    heights = np.linspace(-12, 12, 5)
    judge = score_against_frames(stated, solution)
    scores = all_in_focus(solution.slices, heights, SETTINGS, judge=judge).depth.scores
    residual = data_residual(stated, solution, heights.tolist())
    np.testing.assert_allclose(scores.whole_z, 1 / np.array(residual), rtol=1e-4)
    assert min(residual) < 0.01
