"""The command as a user meets it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from fpm_inr.cli import main


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["simulate", *arguments])
    return int(stopped.value.code or 0)


def test_writes_acquisition_truth_and_picture(tmp_path, capsys) -> None:
    pytest.importorskip("fpm_inr.io.native")
    from fpm_inr.io import load
    from fpm_inr.simulate import load_truth

    folder = tmp_path / "made"
    assert (
        run(
            *("-o", str(folder), "--preset", "demo", "--size", "24", "32", "--tilt", "10"),
            *("--aberration", "5=0.1", "--aberration", "7=-0.05", "--led-jitter", "0.002"),
            *("--dark", "50", "--scan", "-4", "4", "3", "--seed", "7"),
        )
        == 0
    )
    assert sorted(path.name for path in folder.iterdir()) == [
        "acquisition.h5",
        "specimen.png",
        "truth.h5",
    ]
    said = capsys.readouterr().out
    assert "37 frames of 24 x 32" in said
    assert "scan of 3 planes" in said
    acquisition, truth = load(folder / "acquisition.h5"), load_truth(folder / "truth.h5")
    assert acquisition.shape_y_x == (24, 32)
    assert truth.settings["camera"]["dark_level"] == 50
    assert np.allclose(truth.zernike_waves, [0, 0, 0, 0, 0.1, 0, -0.05])
    assert not np.allclose(truth.na_led_xy, acquisition.illumination.na_led_xy)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--shape", "thin", "--tilt", "3"], "--tilt: is 3 for a thin specimen"),
        (["--shape", "wavy"], "--depth: is 0"),
        (["--specimen", "elephant"], "--specimen: is 'elephant'"),
        (["--preset", "elephant"], "--preset: is 'elephant'"),
        (["--size", "8", "8"], "--size: is 8 x 8"),
        (["--upsampling", "1", "--preset", "siemens"], "--upsampling: is 1"),
        (["--aberration", "x=1"], "'x=1' is not MODE=WAVES"),
        (["--aberration", "1=1"], "--aberration: names the Zernike mode 1"),
        (["--noiseless", "--photons", "100"], "--photons: adds noise"),
        (["--scan", "5", "-5", "3"], "--scan: is 5 -5 3"),
        (["--scan", "-5", "5", "3", "--no-scan"], "--scan: is asked for and forbidden"),
        (["--array-shift", "1e5", "0"], "--array-shift"),
        (["--wobble", "3"], "No such option"),
    ],
)
def test_mistakes_end_in_one_sentence_and_nothing_written(
    tmp_path, capsys, arguments: list[str], expected: str
) -> None:
    folder = tmp_path / "made"
    assert run("-o", str(folder), *arguments) == 2
    assert expected in capsys.readouterr().err
    assert not folder.exists()


def test_a_simulation_is_not_written_over_unasked(tmp_path, capsys) -> None:
    (tmp_path / "acquisition.h5").write_text("mine")
    assert run("-o", str(tmp_path), "--preset", "demo") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (tmp_path / "acquisition.h5").read_text() == "mine"


def test_help_is_light() -> None:
    check = (
        "import sys, fpm_inr.cli.simulate; "
        "assert not {'numpy', 'torch', 'scipy', 'h5py'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
