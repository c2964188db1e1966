"""`fpm-inr calibrate`, and what `reconstruct` does with its file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fpm_inr.calibration.file import read_calibration
from fpm_inr.cli import main
from fpm_inr.io.native import write_acquisition
from fpm_inr.simulate import Errors, Specimen, preset, simulate


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(one) for one in arguments])
    return int(left.value.code or 0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("calibrate") / "acquisition.h5"
    setup = replace(
        preset("demo"),
        shape_y_x=(40, 40),
        specimen=Specimen("smear", "thin"),
        errors=Errors(gain_spread=0.3, aberration_waves=((5, 0.1), (7, -0.1))),
        scan_z_um=(),
    )
    write_acquisition(path, simulate(setup).acquisition)
    return path


def test_a_calibration_is_written_and_used(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cal"
    arguments = ("calibrate", data, "-o", out, "--z", 0, "--free", "gains,pupil", "--steps", 30)
    assert run(*arguments) == 0
    assert (out / "calibration.png").stat().st_size > 10_000
    found = read_calibration(out / "calibration.json")
    assert found.status == "accepted"
    assert found.residual_after < 0.7 * found.residual_before
    assert str(out / "calibration.json") in capsys.readouterr().out
    assert run(*arguments) == 2
    assert "holds a calibration already" in capsys.readouterr().err

    residuals = []
    for name, more in (("plain", ()), ("used", ("--calibration", out / "calibration.json"))):
        solve = ("reconstruct", data, "-o", tmp_path / name, "--recipe", "neural", "--steps", 30)
        assert run(*solve, *more) == 0
        run_json = json.loads((tmp_path / name / "run.json").read_text())
        residuals.append(run_json["data_residual"][0])
    assert residuals[1] < 0.8 * residuals[0]


def test_the_height_is_found_where_it_is_not_given(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("calibrate", data, "-o", tmp_path / "cal", "--free", "gains", "--steps", 20) == 0
    assert "Autofocus" in capsys.readouterr().err
    assert abs(read_calibration(tmp_path / "cal" / "calibration.json").z_um) < 5


def test_reconstruct_finds_orientation_and_heights(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    options: tuple[str, ...] = ("--z-range", "auto", "--orient", "auto", "--calibrate", "gains")
    options += ("--recipe", "neural", "--steps", "4")
    assert run("reconstruct", data, "-o", out, *options) == 0
    told = capsys.readouterr().err
    assert "Orientation of the LED map: as stated" in told
    low, high = json.loads((out / "run.json").read_text())["settings"]["resolved"]["z_range_um"]
    assert low < 0 < high


@pytest.mark.parametrize(
    ("verb", "options", "text"),
    [
        ("calibrate", ("--free", "colour"), "names 'colour'"),
        ("calibrate", ("--z", "nan"), "z: is nan"),
        ("calibrate", ("--z", "0", "--steps", "0"), "steps: is 0"),
        ("calibrate", ("--z", "0", "--max-move", "0"), "most move"),
        ("reconstruct", ("--calibrate", "colour"), "names 'colour'"),
        ("reconstruct", ("--calibration", "none.json"), "none.json: is not a file"),
        ("reconstruct", ("--z-range", "auto", "1"), "1: does not exist"),
        ("reconstruct", ("--z-range", "1", "auto"), "is no range of heights"),
    ],
)
def test_mistakes_end_in_one_sentence(
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    verb: str,
    options: tuple[str, ...],
    text: str,
) -> None:
    assert run(verb, data, "-o", tmp_path / "out", *options) == 2
    told = capsys.readouterr().err
    assert text in told
    assert "Traceback" not in told
    assert not (tmp_path / "out" / "calibration.json").exists()
