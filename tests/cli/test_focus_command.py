"""``fpm-inr focus`` on small solutions of known specimens."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from fpm_inr.acquisition import Optics
from fpm_inr.cli import main
from fpm_inr.cli.focus import FILES
from fpm_inr.fields.pixel import PixelField
from fpm_inr.forward import Instrument
from fpm_inr.optics import propagate
from fpm_inr.solution import Solution

OPTICS = Optics(wavelength_um=0.5, na=0.25, pixel_um=1.0)
INSTRUMENT = Instrument(
    torch.zeros(1, 2, dtype=torch.float64),
    torch.ones(1, dtype=torch.float64),
    torch.zeros(0, dtype=torch.float64),
)
DEPTH_UM = 4.0


@pytest.fixture(scope="module")
def solution(tmp_path_factory) -> Path:
    random = np.random.default_rng(0)
    coarse = np.kron(random.random((24, 32)), np.ones((4, 4)))
    sharp = torch.from_numpy((1 - 0.5 * (coarse > 0.6)).astype(np.complex64))
    z_um = torch.arange(-20.0, 20.1, 2.0)
    planes = torch.stack(
        [propagate(sharp, float(z) - DEPTH_UM, pixel_um=0.5, wavelength_um=0.5) for z in z_um]
    )
    path = tmp_path_factory.mktemp("solution") / "field.safetensors"
    Solution(PixelField(planes, z_um), OPTICS, INSTRUMENT, 2, 7.0).save(path)
    np.save(path.with_name("sharp.npy"), sharp.numpy())
    return path


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["focus", *map(str, arguments)])
    return int(stopped.value.code or 0)


@pytest.mark.parametrize("method", ["edges", "normal-variance", "light-field"])
def test_everything_is_written_and_right(solution, tmp_path, capsys, method):
    out = tmp_path / "out"
    assert run(solution, "-o", out, "--method", method, "--patch", 32, "--point", 48, 60) == 0
    assert sorted(p.name for p in out.iterdir()) == sorted(FILES)
    said = capsys.readouterr().out
    best = float(said.split("Best z ")[1].split(" um")[0])
    assert best == pytest.approx(DEPTH_UM, abs=0.5)
    assert "confidence" in said
    sharp = np.load(solution.with_name("sharp.npy"))
    image = np.load(out / "all_in_focus.npy")
    assert image.dtype == np.complex64
    np.testing.assert_allclose(np.abs(image), 7 * np.abs(sharp), atol=1.5)
    with tifffile.TiffFile(out / "depth_um.tif") as file:
        depth = file.asarray()
        per_cm = file.pages[0].tags["XResolution"].value
    assert depth.dtype == np.float32
    assert np.median(depth) == pytest.approx(DEPTH_UM, abs=0.5)
    assert per_cm[0] / per_cm[1] == pytest.approx(1e4 / 0.5)
    with (out / "focus_curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["z_um"]) for row in rows] == list(np.arange(-20, 21, 2))
    assert max(rows, key=lambda row: float(row["whole_image"]))["z_um"] == "4"
    assert max(rows, key=lambda row: float(row["at_point"]))["z_um"] == "4"


def test_nothing_is_replaced_unasked_and_nothing_else_is_touched(solution, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("keep")
    assert run(solution, "-o", tmp_path) == 0
    assert run(solution, "-o", tmp_path) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run(solution, "-o", tmp_path, "--overwrite") == 0
    assert (tmp_path / "mine.txt").read_text() == "keep"
    assert len(list(tmp_path.iterdir())) == len(FILES) + 1


def test_focus_at_the_end_of_the_range_is_a_warning(solution, tmp_path, capsys):
    assert run(solution, "-o", tmp_path / "out", "--z", "-20:0:4") == 0
    assert "beyond" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--patch", 500], "larger than the image"),
        (["--stride", 65], "stride"),
        (["--background-clip", -1], "positive amplitude"),
        (["--background-clip", 1], "no use to the method"),
        (["--point", 96, 0], "outside the image"),
        (["--z", "0:90:1"], "outside the solved range"),
        (["--z", "0,2"], "3 heights"),
        (["--z", "a"], "no heights"),
        (["--method", "laplacian"], "laplacian"),
    ],
)
def test_wrong_options_end_in_a_sentence(solution, tmp_path, capsys, options, says):
    assert run(solution, "-o", tmp_path / "out", *options) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_wrong_places(solution, tmp_path, capsys):
    assert run(tmp_path / "none.safetensors", "-o", tmp_path / "out") == 2
    assert run(solution, "-o", tmp_path / "no" / "out") == 2
    assert "folder does not exist" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert run(solution, "-o", tmp_path / "file") == 2
    assert "is a file" in capsys.readouterr().err
