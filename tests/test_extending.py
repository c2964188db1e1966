"""The worked examples of extending: an engine and a kind of field of another package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch

from fpm_inr.cli import main
from fpm_inr.errors import DataError, SettingsError
from fpm_inr.io.native import write_acquisition
from fpm_inr.reconstruction import data_residual, reconstruct
from fpm_inr.registry import Registry
from fpm_inr.solution import load_solution
from fpm_inr.solve.engine import ENGINES
from fpm_inr.solve.progress import StepReport
from fpm_inr.viewer.sources import field_source
from tests.installed import install, install_example
from tests.tiny import tiny_acquisition


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return install_example(monkeypatch, tmp_path / "engines", "engine")


@pytest.fixture
def field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return install_example(monkeypatch, tmp_path / "fields", "field")


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.mark.usefixtures("engine")
def test_an_engine_solves_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out, recipe = tmp_path / "a.h5", tmp_path / "out", tmp_path / "slow.yaml"
    write_acquisition(data, tiny_acquisition())
    command = ("reconstruct", data, "-o", out, "--engine", "descent")
    assert run(*command, "--steps", 3) == 2
    assert "steps: means nothing to the engine descent; leave it out" in capsys.readouterr().err
    recipe.write_text("steps: 30\nspeed: 2\n")
    assert run(*command, "--recipe", recipe) == 2
    assert "speed" in capsys.readouterr().err
    recipe.write_text("steps: 30\n")
    assert run(*command, "--recipe", recipe) == 0
    told = json.loads((out / "run.json").read_text())
    assert (told["engine"], told["steps"]) == ("descent", 30)
    assert told["data_residual"][0] < 0.01


@pytest.mark.usefixtures("engine")
def test_an_engine_finds_the_object_and_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    acquisition, checkpoint = tiny_acquisition(), tmp_path / "checkpoint.safetensors"

    def stop(report: StepReport) -> None:
        if report.step == 20:
            raise KeyboardInterrupt

    whole = reconstruct(acquisition, engine="descent")
    assert data_residual(acquisition, whole, [0.0])[0] < 1e-3
    part = reconstruct(acquisition, engine="descent", checkpoint=checkpoint, listen=stop)
    assert part.record["status"] == "interrupted"
    resumed = reconstruct(acquisition, engine="descent", checkpoint=checkpoint, resume=True)
    np.testing.assert_array_equal(resumed.render(0.0), whole.render(0.0))


def test_a_field_is_solved_stored_rendered_and_shown(tmp_path: Path, field: Path) -> None:
    acquisition = tiny_acquisition(1.0)
    solution = reconstruct(acquisition, z_range_um=(-2, 4), recipe=field / "legendre.yaml")
    assert solution.field.kind == "legendre"
    assert data_residual(acquisition, solution, [1.0])[0] < 0.01
    path = tmp_path / "field.safetensors"
    solution.save(path)
    again = load_solution(path)
    np.testing.assert_array_equal(again.render([-2, 0.3]), solution.render([-2, 0.3]))
    shown = safetensors.numpy.load(field_source(path).read())
    image, z_um = shown["field.image"], float(shown["field.z_um"][20])
    middle = again.render(z_um).field_z_y_x[0]
    np.testing.assert_allclose(image[20, ..., 0] + 1j * image[20, ..., 1], middle, atol=1e-6)


def test_the_field_at_a_height_is_the_polynomial(field: Path) -> None:
    from legendre_field import LegendreField  # type: ignore[import-not-found]

    made = LegendreField((2, 3), (-1.0, 1.0), degree=4)
    with torch.no_grad():
        made.images.copy_(torch.arange(5.0)[:, None, None, None].expand(5, 2, 3, 2))
    for z in (-1.0, -0.3, 0.0, 0.8, 1.0):
        wanted = np.polynomial.legendre.legval(z, np.arange(5))
        np.testing.assert_allclose(made(z).real.detach(), wanted, rtol=1e-5, atol=1e-6)


def test_a_file_of_a_field_whose_package_is_missing_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "field.safetensors"
    with monkeypatch.context() as installed:
        example = install_example(installed, tmp_path / "site", "field")
        recipe = example / "legendre.yaml"
        reconstruct(tiny_acquisition(), recipe=recipe, steps=2).save(path)
    with pytest.raises(DataError, match="is 'legendre'; install the package that has this kind"):
        load_solution(path)
    with pytest.raises(SettingsError, match=r"legendre\.yaml: .*legendre"):
        reconstruct(tiny_acquisition(), recipe=recipe)


@pytest.mark.usefixtures("field")
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"field": {"kind": "legendre", "degree": 99}}, "less than or equal to 16"),
        ({"field": {"kind": "legendre", "size": 1}}, "not permitted"),
        ({"field": {"kind": "pixel"}}, "no recipe solves a pixel field"),
        ({"field": {"degree": 2}}, "kind"),
        ({"order": {"kind": "passes", "passes_per_plane": 1, "step": 1, "floor": 1}}, "legendre"),
    ],
)
def test_what_a_recipe_says_of_a_field_is_checked(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    import yaml

    order = {"kind": "sweep", "steps": 3, "leds_per_step": 5, "learning_rate": 0.1}
    content = {"field": {"kind": "legendre"}, "order": order, **changed}
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(yaml.safe_dump(content))
    with pytest.raises(SettingsError, match=said):
        reconstruct(tiny_acquisition(), recipe=recipe)


def test_a_package_that_cannot_be_loaded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = {"fpm_inr.engines": {"lost": "no_such_module:Engine"}}
    install(monkeypatch, tmp_path, {"name": "lost-engine", "version": "1", "entry-points": points})
    assert "lost" in ENGINES.names
    with pytest.raises(SettingsError, match="'lost' of the package lost-engine cannot be loaded"):
        reconstruct(tiny_acquisition(), engine="lost")
    with pytest.raises(SettingsError, match="give one of inr, conventional, lost"):
        reconstruct(tiny_acquisition(), engine="magic")


def test_what_comes_along_cannot_be_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine: Registry[Any] = Registry("fpm_inr.test", "thing", {"one": "fpm_inr.errors:at"})
    points = {"fpm_inr.test": {"one": "json:loads", "two": "json:dumps"}}
    install(monkeypatch, tmp_path, {"name": "other", "version": "1", "entry-points": points})
    assert mine.names == ["one", "two"]
    assert mine.get("one").__module__ == "fpm_inr.errors"
    assert mine.get("two") is json.dumps
