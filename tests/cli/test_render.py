"""``fpm-inr render`` on small real solutions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
import zarr

from fpm_inr.acquisition import Optics
from fpm_inr.cli import main
from fpm_inr.fields.neural import NeuralField
from fpm_inr.fields.pixel import PixelField
from fpm_inr.forward import Instrument
from fpm_inr.solution import Solution, load_solution

OPTICS = Optics(wavelength_um=0.53, na=0.1, pixel_um=1.0)
INSTRUMENT = Instrument(
    torch.zeros(1, 2, dtype=torch.float64),
    torch.ones(1, dtype=torch.float64),
    torch.zeros(0, dtype=torch.float64),
)


@pytest.fixture(scope="module")
def neural(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    field = NeuralField((24, 32), (-20, 20), channels=4, unit_start=False)
    path = tmp_path_factory.mktemp("solution") / "field.safetensors"
    Solution(field, OPTICS, INSTRUMENT, 2, 7.0).save(path, precision="full")
    return path


@pytest.fixture(scope="module")
def planes(tmp_path_factory) -> Path:
    image = torch.randn(3, 16, 16, dtype=torch.complex64)
    field = PixelField(image, torch.tensor([-5.0, 0.0, 7.0]))
    path = tmp_path_factory.mktemp("planes") / "field.safetensors"
    Solution(field, OPTICS, INSTRUMENT, 1, 2.0).save(path)
    return path


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["render", *map(str, arguments)])
    return int(stopped.value.code or 0)


def test_every_numeric_format_holds_what_the_solution_renders(neural: Path, tmp_path: Path):
    z_um = np.arange(-20, 20.1, 10)
    truth = 7 * load_solution(neural).render(z_um).field_z_y_x
    for name in ("s.npy", "s.ome.tif", "s.ome.zarr"):
        assert run(neural, "-o", tmp_path / name, "--z", "-20:20:10", "--part", "complex") == 0
    np.testing.assert_allclose(np.load(tmp_path / "s.npy"), truth, rtol=1e-5)
    real, imaginary = tifffile.imread(tmp_path / "s.ome.tif").swapaxes(0, 1)
    np.testing.assert_allclose(real + 1j * imaginary, truth, rtol=1e-5)
    real, imaginary = zarr.open_group(str(tmp_path / "s.ome.zarr"), mode="r")["0"]
    np.testing.assert_allclose(real + 1j * imaginary, truth, rtol=1e-5)
    about = json.loads((tmp_path / "s.json").read_text())
    assert about["z_um"] == z_um.tolist()
    assert about["pixel_um"] == 0.5


@pytest.mark.parametrize("name", ["s.mp4", "s.gif", "s_{z}.png", "s"])
def test_every_picture_format_is_written(neural: Path, tmp_path: Path, name):
    assert run(neural, "-o", tmp_path / name, "--z", "0,-3,5.5") == 0
    assert any(tmp_path.iterdir())


def test_a_list_may_start_below_zero(neural: Path, tmp_path: Path):
    assert run(neural, "-o", tmp_path / "s.npy", "--z", "-10,0,5.5") == 0
    assert json.loads((tmp_path / "s.json").read_text())["z_um"] == [-10, 0, 5.5]


def test_planes_of_a_conventional_solution(planes: Path, tmp_path: Path, capsys):
    assert run(planes, "-o", tmp_path / "s.npy") == 0
    assert json.loads((tmp_path / "s.json").read_text())["z_um"] == [-5, 0, 7]
    assert run(planes, "-o", tmp_path / "t.npy", "--z", "1") == 2
    assert "1 um is none of the planes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["-o", "{}/s.jpg"], "has a suffix that is not written"),
        (["-o", "{}/s.npy", "--z", "-30:0:1"], "outside the solved range -20 to 20 um"),
        (["-o", "{}/s.npy", "--z", "a:b"], "gives no heights"),
        (["-o", "{}/s.mp4", "--part", "complex"], "cannot be written as .mp4"),
        (["-o", "{}/s.ome.zarr", "--z", "0,1,5"], "not evenly spaced"),
        (["-o", "{}/s.png"], "is one picture for 41 heights"),
        (["-o", "{}/no/s.npy"], "its folder does not exist"),
        (["-o", "{}/s.npy", "--zz", "1"], "No such option"),
        ([], "Missing option"),
    ],
)
def test_mistakes_end_in_one_sentence(neural: Path, tmp_path: Path, capsys, options, says):
    assert run(neural, *[o.format(tmp_path) for o in options]) == 2
    told = capsys.readouterr().err
    assert says in told
    assert "Traceback" not in told
    assert not any(tmp_path.iterdir())


def test_a_file_that_is_no_solution_is_refused(tmp_path: Path, capsys):
    (tmp_path / "field.safetensors").write_bytes(b"nothing")
    assert run(tmp_path / "field.safetensors", "-o", tmp_path / "s.npy") == 2
    assert "field.safetensors" in capsys.readouterr().err
    assert run(tmp_path / "none.safetensors", "-o", tmp_path / "s.npy") == 2


def test_help_loads_nothing_heavy():
    code = (
        "import sys, fpm_inr.cli.render;"
        "print({'torch', 'numpy', 'zarr', 'matplotlib', 'tifffile'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
