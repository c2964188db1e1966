"""Depth of a mosaic by its frames, tile by tile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fpm_inr.cli import main
from fpm_inr.errors import DataError
from fpm_inr.focus import FocusSettings, all_in_focus
from fpm_inr.focus.residual import score_against_frames
from fpm_inr.forward import compile_forward, nominal_instrument
from fpm_inr.mosaic.focus import plan_of_data, score_mosaic_against_frames
from fpm_inr.mosaic.mosaic import Mosaic, load_mosaic
from fpm_inr.mosaic.run import prepare, run
from tests.mosaic.small import small_field, small_plan

HEIGHT_UM = 4.0
SETTINGS = FocusSettings("residual", 32, 16)


@pytest.fixture(scope="module")
def mosaic(tmp_path_factory: pytest.TempPathFactory) -> Mosaic:
    """A specimen that lies at a height of its own, solved over a range of heights."""
    folder = tmp_path_factory.mktemp("focus")
    seen, field = small_field()
    model = compile_forward(seen, 2)
    frames = model.amplitude(
        model.spectrum(torch.from_numpy(field))[None],
        torch.tensor([HEIGHT_UM]),
        torch.arange(seen.led_count),
        model.aperture(nominal_instrument(seen).to("cpu")),
    )[0]
    seen = replace(seen, frames_led_y_x=(30 * frames.numpy()) ** 2)
    plan = small_plan(folder, seen, z_range_um=(-12.0, 12.0), steps=60)
    run(plan, folder / "out", prepare(folder / "out", plan, resume=False, overwrite=False),
        workers=2, scheduler="processes")  # fmt: skip
    return load_mosaic(folder / "out")


def test_every_tile_asks_its_own_frames(mosaic: Mosaic) -> None:
    z_um = np.linspace(-12, 12, 13)
    plan = plan_of_data(mosaic, mosaic.folder.parent / "data.h5")
    told: list[None] = []
    judge = score_mosaic_against_frames(mosaic, plan, z_um)
    found = all_in_focus(mosaic.slices, z_um, SETTINGS, lambda: told.append(None), judge)
    assert found.depth_um_y_x.shape == mosaic.shape_y_x
    assert np.median(found.depth_um_y_x) == pytest.approx(HEIGHT_UM, abs=1.5)
    assert z_um[np.argmax(found.depth.scores.whole_z)] == pytest.approx(HEIGHT_UM, abs=2.5)
    assert len(z_um) <= len(told) <= 2 * len(z_um)


def test_of_one_tile_scores_are_those_of_its_solution(tmp_path: Path) -> None:
    seen, _ = small_field((36, 36))
    plan = small_plan(tmp_path, seen, z_range_um=(-4.0, 4.0))
    out = tmp_path / "out"
    run(plan, out, prepare(out, plan, resume=False, overwrite=False),
        workers=1, scheduler="processes")  # fmt: skip
    mosaic, z_um = load_mosaic(out), np.linspace(-4, 4, 5)
    solution = mosaic.tile_solution(0)
    alone = score_against_frames(seen, solution)(solution.slices(z_um), SETTINGS, lambda: None)
    judge = score_mosaic_against_frames(mosaic, plan, z_um)
    tiled = judge((), SETTINGS, lambda: None)
    assert np.allclose(tiled.score_z_y_x, alone.score_z_y_x, rtol=1e-3)
    assert np.allclose(tiled.whole_z, alone.whole_z, rtol=1e-3)


def test_other_data_are_refused(mosaic: Mosaic, tmp_path: Path) -> None:
    (tmp_path / "other.h5").write_bytes(b"something else")
    with pytest.raises(DataError, match="not what the mosaic was made from"):
        plan_of_data(mosaic, tmp_path / "other.h5")


def test_the_command_takes_a_mosaic_with_its_data(mosaic: Mosaic, tmp_path: Path) -> None:
    data = mosaic.folder.parent / "data.h5"
    words = ["focus", str(mosaic.folder), "--data", str(data), "-o", str(tmp_path / "focus")]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--z", "-12:12:4", "--patch", "32", "--stride", "16"])
    assert ended.value.code in (0, None)
    assert (tmp_path / "focus" / "depth_um.tif").is_file()
    with pytest.raises(SystemExit) as ended:
        main([*words, "--crop", "0", "0", "8", "8", "--overwrite"])
    assert ended.value.code == 2
