"""fpm-inr init writes a description that a person can complete."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import imageio.v3 as iio
import numpy as np
import pytest
import scipy.io
import yaml
from click.testing import CliRunner

from fpm_inr.cli import cli, main
from fpm_inr.errors import DataError
from fpm_inr.io import load

FRAMES = np.random.default_rng(0).integers(5, 200, (9, 12, 10)).astype(np.uint8)


def start(folder: Path, *options: str) -> str:
    result = CliRunner().invoke(cli, ["init", str(folder), *options], catch_exceptions=False)
    assert result.exit_code == 0
    return (folder / "acquisition.yaml").read_text()


def completed(text: str) -> str:
    values = {
        "wavelength_um": 0.5,
        "na": 0.1,
        "camera_pixel_um": 6.5,
        "magnification": 10,
        "pitch_mm": 4,
        "distance_mm": 80,
    }
    for key, value in values.items():
        text, times = re.subn(rf"(?m)^( +{key}:) ", rf"\1 {value} ", text)
        assert times == 1
    return text


def test_pictures(tmp_path: Path) -> None:
    for number, frame in enumerate(FRAMES, 3):
        iio.imwrite(tmp_path / f"led {number}.tif", frame)
    (tmp_path / "notes.txt").write_text("hello")
    text = start(tmp_path)
    assert "9 frames of 12 x 10 pixels (y x x), led 3.tif ... led 11.tif" in text
    with pytest.raises(DataError, match=r"optics\.na: is empty; fill it in"):
        load(tmp_path)
    (tmp_path / "acquisition.yaml").write_text(completed(text))
    read = load(tmp_path)
    assert np.array_equal(read.frames_led_y_x, FRAMES)
    assert read.led_count == 9


@pytest.mark.parametrize("suffix", [".mat", ".npy", ".npz", ".h5"])
def test_arrays(tmp_path: Path, suffix: str) -> None:
    square = FRAMES[:, :10]
    stored = square.transpose(1, 2, 0) if suffix == ".mat" else square
    path = tmp_path / f"data{suffix}"
    if suffix == ".mat":
        scipy.io.savemat(path, {"frames": stored, "other": np.eye(4)})
    elif suffix == ".npy":
        np.save(path, stored)
    elif suffix == ".npz":
        np.savez(path, frames=stored, other=np.eye(4))
    else:
        with h5py.File(path, "w") as file:
            file["group/frames"] = stored
            file["other"] = 3
    (tmp_path / "acquisition.yaml").write_text(completed(start(tmp_path)))
    assert np.array_equal(load(tmp_path).frames_led_y_x, square)


def test_every_key_that_it_shows_is_known(tmp_path: Path) -> None:
    np.save(tmp_path / "frames.npy", FRAMES)
    text = completed(start(tmp_path))
    shown = re.sub(r"(?m)^( *)# (pixel_um|exposure|slide|rings|na_x_y):", r"\1\2:", text)
    described = yaml.safe_load(shown)
    assert {"pixel_um", "camera_pixel_um"} <= set(described["optics"]) | {"pixel_um"}
    for other in ("rings", "na_x_y"):
        del described["leds"][other]
    described["optics"].pop("pixel_um")
    described["frames"]["exposure"] = [1] * 9
    (tmp_path / "acquisition.yaml").write_text(yaml.safe_dump(described))
    assert load(tmp_path).illumination.geometry is not None


def test_what_is_there_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "frames.npy", FRAMES)
    (tmp_path / "acquisition.yaml").write_text("mine")
    with pytest.raises(SystemExit) as caught:
        main(["init", str(tmp_path)])
    assert caught.value.code == 2
    assert "--force" in capsys.readouterr().err
    assert (tmp_path / "acquisition.yaml").read_text() == "mine"
    assert "frames.npy" in start(tmp_path, "--force")


def test_folders_without_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "a.tif").write_bytes(b"nonsense")
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder, words in (
        (empty, "holds no frames"),
        (tmp_path / "absent", "is no folder"),
        (broken, "cannot be read as a picture"),
    ):
        with pytest.raises(SystemExit) as caught:
            main(["init", str(folder)])
        assert caught.value.code == 2
        assert words in capsys.readouterr().err
        assert not (folder / "acquisition.yaml").exists()
