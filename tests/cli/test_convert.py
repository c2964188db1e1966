"""``fpm-inr convert`` as a user meets it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from fpm_inr.cli import main
from fpm_inr.io import load


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rng = np.random.default_rng(4)
    variables = {
        "I_low": rng.integers(1, 4000, (20, 16, 3)).astype(np.uint16),
        "na_calib": rng.uniform(-0.2, 0.2, (3, 2)),
        **{"mag": 10.0, "dpix_c": 6.5, "na_cal": 0.25},
    }
    scipy.io.savemat(tmp_path / "a.mat", variables)
    return tmp_path / "a.mat"


def convert(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["convert", *map(str, arguments)])
    return int(stopped.value.code or 0)


def test_converted_data_needs_no_options(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "a.h5"
    assert convert(data, "-o", made, "--color", "g", "--medium-index", 1.33) == 0
    assert capsys.readouterr().out == f"{made}: 3 frames of 20 x 16\n"
    original, read = load(data, color="g", medium_index=1.33), load(made)
    assert np.array_equal(read.frames_led_y_x, original.frames_led_y_x)
    assert np.array_equal(read.illumination.na_led_xy, original.illumination.na_led_xy)
    assert read.optics == original.optics


def test_a_crop_and_onto_itself(data: Path, tmp_path: Path) -> None:
    made = tmp_path / "a.h5"
    assert convert(data, "-o", made, "--wavelength", 0.5) == 0
    whole = load(made)
    assert convert(made, "-o", made, "--overwrite", "--crop", 2, 3, 10, 9) == 0
    read = load(made)
    assert np.array_equal(read.frames_led_y_x, whole.frames_led_y_x[:, 2:12, 3:12])
    assert read.axis_y_x_px == (7.5, 4.5)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "wavelength: is not stored"),
        (["--color", "g", "--wavelength", 0.5], "give only one"),
        (["--color", "green"], "--color"),
        (["--wavelength", 500], "nanometres"),
        (["--wavelength", "nan"], "not a positive number"),
        (["--color", "g", "--medium-index", 0.5], "medium_index: is 0.5"),
        (["--color", "g", "--crop", 0, 0, 21, 8], "leaves the frame of 20 x 16"),
        (["--color", "g", "--crop", 0, 0, 4, 4], "at least 8 x 8"),
        (["--color", "g", "--crop", 0, 0, 8], "4 arguments"),
        (["--color", "g", "--colour", "g"], "No such option"),
    ],
)
def test_mistakes_end_in_a_sentence(
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[object],
    said: str,
) -> None:
    assert convert(data, "-o", tmp_path / "a.h5", *arguments) == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.mat"]


def test_missing_data_and_bad_places(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(tmp_path / "none.mat", "-o", tmp_path / "a.h5") == 2
    assert "none.mat: does not exist" in capsys.readouterr().err
    assert convert(data, "--color", "g", "-o", tmp_path / "no" / "a.h5") == 2
    assert "folder does not exist" in capsys.readouterr().err
    assert convert(data, "--color", "g", "-o", data) == 2
    assert "give --overwrite" in capsys.readouterr().err
    assert load(data, color="g").led_count == 3


def test_a_full_disk_leaves_nothing(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("resource")
    script = (
        "import resource, signal, sys; from fpm_inr.cli import main;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000));"
        "main(sys.argv[1:])"
    )
    made = tmp_path / "a.h5"
    ended = subprocess.run(
        [sys.executable, "-c", script, "convert", data, "--color", "g", "-o", made],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert f"{made}: cannot be written (File too large)" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.mat"]
