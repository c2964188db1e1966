"""A solve that does not stay finite: one sentence, or a solve without what made it so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from fpm_inr.cli import main
from fpm_inr.engines.recipe import load_recipe, make_recipe
from fpm_inr.errors import DivergedError, FpmInrError
from fpm_inr.io.native import write_acquisition
from fpm_inr.reconstruction import reconstruct
from fpm_inr.solve.progress import psnr_db
from tests.tiny import tiny_acquisition


def hot() -> dict[str, Any]:
    content = load_recipe("neural").model_dump(mode="json")
    content["order"]["learning_rate"] = 1e30
    return content


def test_it_is_an_error_of_the_settings() -> None:
    with pytest.raises(DivergedError, match=r"not finite at step \d; lower the recipe") as error:
        reconstruct(tiny_acquisition(), steps=6, recipe=make_recipe(hot()))
    assert isinstance(error.value, FpmInrError)
    assert isinstance(error.value, FloatingPointError)


def test_the_command_ends_with_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, recipe, out = tmp_path / "a.h5", tmp_path / "hot.yaml", tmp_path / "out"
    write_acquisition(data, tiny_acquisition())
    recipe.write_text(yaml.safe_dump(hot()))
    with pytest.raises(SystemExit) as end:
        main(["reconstruct", str(data), "-o", str(out), "--recipe", str(recipe), "--steps", "6"])
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert "Error: the loss is not finite" in said
    assert "Traceback" not in said
    assert not (out / "field.safetensors").exists()


@pytest.mark.parametrize("recipe", ["default", "neural"])
@pytest.mark.parametrize(
    ("name", "rate"), [("background", 1e30), ("pupil_map", 1e3), ("pose", 1e30), ("shifts", 1e30)]
)
def test_what_is_learned_of_the_instrument_and_runs_away_is_left_out(
    recipe: str, name: str, rate: float
) -> None:
    learning = {"learning_rate": rate, **({"init": [0.0] * 6} if name == "pose" else {})}
    solved = reconstruct(tiny_acquisition(), steps=6, recipe=recipe, calibrate={name: learning})
    assert solved.record["calibration_refused"]
    assert np.isfinite(solved.render(0.0)).all()
    assert np.isfinite(solved.instrument.na_led_xy.numpy()).all()


def test_a_ratio_of_any_error_is_a_number() -> None:
    assert psnr_db(2.0, 0.04) == pytest.approx(20)
    assert psnr_db(2.0, 0.0) == np.inf
    assert psnr_db(2.0, np.inf) == -np.inf
    assert np.isnan(psnr_db(2.0, np.nan))
