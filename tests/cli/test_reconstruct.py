"""``fpm-inr reconstruct`` as a user meets it."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fpm_inr.cli import main
from fpm_inr.io.native import write_acquisition
from fpm_inr.solution import load_solution
from fpm_inr.solve.progress import StepReport
from tests.tiny import tiny_acquisition

# The contract of run.json (docs/outputs.md)
RUN_KEYS = {
    "engine", "recipe", "status", "device", "threads", "seconds", "steps", "z_um",
    "data_residual", "peak_memory_mb", "field_bytes", "upsampling", "shape", "settings", "version",
}  # fmt: skip


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "acquisition.h5"
    write_acquisition(path, tiny_acquisition(2.0))
    return path


def test_writes_everything_that_is_promised(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    z_range = ("--z-range", -4, 4)
    assert run("reconstruct", data, "-o", out, *z_range, "--steps", 25, "--device", "cpu") == 0
    names = {path.name for path in out.iterdir()}
    assert {"field.safetensors", "run.json", "history.csv", "preview.png", "report.html"} <= names
    assert "checkpoint.safetensors" not in names
    record: dict[str, Any] = json.loads((out / "run.json").read_text())
    assert set(record) >= RUN_KEYS
    assert set(record["seconds"]) == {"load", "solve", "write"}
    assert record["steps"] == 25
    assert record["shape"] == [40, 48]
    assert record["upsampling"] == 2
    assert len(record["data_residual"]) == len(record["z_um"]) == 9
    assert all(0 < value < 1 for value in record["data_residual"])
    assert record["field_bytes"] == (out / "field.safetensors").stat().st_size
    with (out / "history.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 25
    with Image.open(out / "preview.png") as preview:
        assert preview.width > 500
    assert load_solution(out / "field.safetensors").z_range_um == (-4.0, 4.0)


def test_a_flat_range_and_a_config_file(data: Path, tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text("z_range_um: [2, 2]\nsteps: 500\nseed: 4\ncrop: [2, 4, 16, 12]\n")
    out = tmp_path / "out"
    assert run("reconstruct", data, "-o", out, "--config", config, "--steps", 5) == 0
    record = json.loads((out / "run.json").read_text())
    assert record["z_um"] == [2.0]
    assert record["steps"] == 5
    assert record["shape"] == [32, 24]
    assert record["settings"]["seed"] == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("z_ragne_um: [0, 1]", "z_ragne_um"),
        ("steps: many", "steps"),
        ("- 1", "mapping"),
        ("a: [", "YAML"),
    ],
)
def test_bad_config_is_one_sentence(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text(content)
    assert run("reconstruct", data, "-o", tmp_path / "out", "--config", config) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--z-range", "5", "-5"], "z range"),
        (["--recipe", "fastest"], "recipe"),
        (["--upsample", "0"], "upsample"),
        (["--crop", "0", "0", "100", "100"], "crop"),
        (["--wavelength", "530"], "nanometres"),
        (["--steps", "0"], "steps"),
        (["--resume"], "checkpoint"),
        (["--speed", "9"], "--speed"),
    ],
)
def test_bad_options_exit_2_and_leave_no_result(
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    out = tmp_path / "out"
    assert run("reconstruct", data, "-o", out, *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not out.exists() or not list(out.iterdir())


def test_missing_data_and_occupied_or_unwritable_places(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run("reconstruct", tmp_path / "nothing.mat", "-o", out) == 2
    assert "nothing.mat" in capsys.readouterr().err
    out.mkdir(exist_ok=True)
    (out / "field.safetensors").write_bytes(b"precious")
    assert run("reconstruct", data, "-o", out, "--steps", 2) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (out / "field.safetensors").read_bytes() == b"precious"
    file = tmp_path / "file"
    file.write_text("")
    assert run("reconstruct", data, "-o", file / "out", "--steps", 2) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_ctrl_c_leaves_a_usable_field_and_resume_goes_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:

    out = tmp_path / "out"
    arguments = ("reconstruct", data, "-o", out, "--z-range", -4, 4, "--steps", 12)
    from fpm_inr.cli.progress import SolveProgress

    told = SolveProgress.__call__

    def interrupt(progress: SolveProgress, report: StepReport) -> None:
        told(progress, report)
        if report.step == 5:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(SolveProgress, "__call__", interrupt)
        assert run(*arguments) == 130
    assert "--resume" in capsys.readouterr().err
    record = json.loads((out / "run.json").read_text())
    assert (record["status"], record["steps"]) == ("interrupted", 5)
    assert load_solution(out / "field.safetensors").render(0.0).shape_y_x == (40, 48)
    assert run(*arguments, "--resume") == 0
    assert run("reconstruct", data, "-o", tmp_path / "whole", *arguments[4:]) == 0
    resumed = load_solution(out / "field.safetensors").render(1.0).field_z_y_x
    whole = load_solution(tmp_path / "whole" / "field.safetensors").render(1.0).field_z_y_x
    assert (resumed == whole).all()


def test_help_is_quick_to_import() -> None:
    """Neither the package nor the command's help loads torch."""
    for program in (
        "import sys, fpm_inr; assert 'torch' not in sys.modules and 'numpy' not in sys.modules",
        "import sys\nfrom fpm_inr.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'scipy', 'matplotlib', 'pydantic', 'h5py'} & set(sys.modules)\n"
        "assert not heavy, heavy",
    ):
        subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)


def test_a_wrong_calibrate_in_a_config_names_the_file(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text("calibrate: {pupil: {mode: 3}}\n")
    assert run("reconstruct", data, "-o", tmp_path / "out", "--config", config) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"Error: {config}: calibrate.pupil.mode: is no setting")
    assert run("reconstruct", data, "-o", tmp_path / "out", "--calibrate", "colour") == 2
    assert capsys.readouterr().err.startswith("Error: calibrate: names 'colour'")


def test_resuming_what_was_never_begun_ends_at_once(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run("reconstruct", data, "-o", out, "--resume", "--calibrate", "pose") == 2
    assert "there is no checkpoint to resume from" in capsys.readouterr().err
    assert not (out / "field.safetensors").exists()


def test_killed_while_the_results_are_written_nothing_is_lost(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    solve = ("reconstruct", data, "--steps", 8, "--calibrate", "gains", "--device", "cpu")
    assert run(*solve, "-o", tmp_path / "whole") == 0
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr("fpm_inr.results.write_results", die)
        with pytest.raises(Killed):
            main([str(part) for part in (*solve, "-o", out)])
    assert (out / "checkpoint.safetensors").is_file()
    assert run(*solve, "-o", out, "--resume") == 0
    assert not (out / "checkpoint.safetensors").exists()
    one, other = (load_solution(f / "field.safetensors") for f in (tmp_path / "whole", out))
    assert (one.render(0.0).field_z_y_x == other.render(0.0).field_z_y_x).all()
