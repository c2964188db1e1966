"""fpm-inr trust leaves maps, numbers, pictures and a section of the report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from safetensors.numpy import load

from fpm_inr import load_solution
from fpm_inr.cli import cli, main
from fpm_inr.io.native import write_acquisition
from fpm_inr.viewer.sources import gather
from tests.tiny import tiny_acquisition


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("trust")
    write_acquisition(place / "data.h5", tiny_acquisition())
    asked = [
        "reconstruct",
        str(place / "data.h5"),
        "-o",
        str(place / "out"),
        "--z-range",
        "-4",
        "4",
    ]
    assert CliRunner().invoke(cli, asked).exit_code == 0
    return place


def test_everything_is_written_and_told(folder: Path) -> None:
    out = folder / "out"
    before = json.loads((out / "run.json").read_text())
    result = CliRunner().invoke(cli, ["trust", str(out), "--z", "-2,0", "--halves", "leds"])
    assert result.exit_code == 0, result.output
    maps = np.load(out / "trust" / "maps.npz")
    solution = load_solution(out / "field.safetensors")
    assert maps["z_um"].tolist() == [-2.0, 0.0]
    assert maps["phase_noise"].shape == (2, *solution.shape_y_x)
    assert (maps["phase_noise"] > 0).all()
    shown = solution.render([-2.0, 0.0]).amplitude_z_y_x * solution.amplitude_scale
    np.testing.assert_allclose(maps["amplitude"], shown, rtol=1e-4)
    with tifffile.TiffFile(out / "trust" / "maps.ome.tif") as tiff:
        assert tiff.series[0].axes == "ZCYX"
        assert 'Name="phase_noise"' in (tiff.ome_metadata or "")
        np.testing.assert_array_equal(tiff.asarray()[:, 3], maps["phase_noise"])
    run = json.loads((out / "run.json").read_text())
    told = run.pop("trust")
    assert run == before
    assert told["z_um"] == [-2.0, 0.0]
    assert len(told["phase_noise_rad"]) == 2
    assert "LEDs" in told["resolution"]["definition"]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "How far to trust it" in page
    assert "Convergence" in page
    # what the page shows on its other side
    beside = gather(out, out / "trust" / "phase_noise.safetensors", raw=False)[1]
    assert beside.name == "phase_noise"
    planes = load(beside.read())["field.image"]
    np.testing.assert_array_equal(planes[..., 0], maps["phase_noise"])
    for name in ("noise.png", "model.png", "leds.png"):
        assert (out / "trust" / name).stat().st_size > 1000


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["--z", "50"], "outside the solved range"),
        (["--data", "nowhere.h5"], "nowhere.h5"),
        (["--halves", "pixels"], "pixels"),
        (["--workers", "2"], "is of a mosaic"),
    ],
)
def test_bad_requests_are_refused(
    folder: Path, asked: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["trust", str(folder / "out"), *asked])
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


def test_a_folder_without_a_record_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "field.safetensors").write_bytes((folder / "out/field.safetensors").read_bytes())
    with pytest.raises(SystemExit) as ended:
        main(["trust", str(tmp_path)])
    assert ended.value.code == 2
    assert "run.json" in capsys.readouterr().err


def test_a_result_in_colour_is_judged_by_wavelength(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "colours.json").write_text("{}")
    with pytest.raises(SystemExit) as ended:
        main(["trust", str(tmp_path)])
    assert ended.value.code == 2
    assert "give the folder of one wavelength" in capsys.readouterr().err


def test_the_calibration_that_a_solve_began_with_is_used_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fpm_inr.trust.again as again

    out, file = tmp_path / "out", tmp_path / "found" / "calibration.json"
    data = str(folder / "data.h5")
    for asked in (
        ["calibrate", data, "-o", str(file.parent), "--free", "gains"],
        ["reconstruct", data, "-o", str(out), "--calibration", str(file)],
    ):
        result = CliRunner().invoke(cli, asked)
        assert result.exit_code == 0, result.output
    solves: list[object] = []
    solve = again.solve_again
    monkeypatch.setattr(again, "solve_again", lambda *a, **k: (solves.append(a), solve(*a, **k))[1])
    assert CliRunner().invoke(cli, ["trust", str(out)]).exit_code == 0
    assert len(solves) == 1
    # without it both sides are solved anew
    file.unlink()
    assert CliRunner().invoke(cli, ["trust", str(out)]).exit_code == 0
    assert len(solves) == 3
