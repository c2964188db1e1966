"""One wavelength solved, the colour of the others carried over from their bright-field frames."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from fpm_inr.acquisition import Illumination
from fpm_inr.cli import main
from fpm_inr.colour.compare import colour_errors
from fpm_inr.colour.solve import reconstruct_with_transfer
from fpm_inr.colour.transfer import carried, transferred
from fpm_inr.errors import DataError
from fpm_inr.fields.spline import SplineField
from fpm_inr.io.native import write_acquisition
from fpm_inr.reconstruction import reconstruct
from fpm_inr.solution import Solution
from fpm_inr.solution_set import SolutionSet, load_set
from fpm_inr.viewer.sources import gather
from tests.colour import sections


@pytest.fixture(scope="module")
def green() -> Solution:
    acquisition = sections.acquisitions()["green"]
    return reconstruct(acquisition, z_range_um=(-2, 2), steps=80, device="cpu")


def test_colours_are_nearly_true(green: Solution):
    frames = sections.acquisitions()
    solutions = reconstruct_with_transfer(
        frames, z_range_um=(-2, 2), solve=lambda name, one, **options: green
    )
    assert solutions.transferred == {"red": "green", "blue": "green"}
    assert solutions.labels == ("red (transferred)", "green", "blue (transferred)")
    known = sections.true_white(solutions)
    true = sections.true_colour(solutions)
    error = colour_errors(known.colour(0.0), true)["rgb_rmse"]
    assert error < 0.045
    # far from what the solved wavelength alone would show
    grey = SolutionSet({n: one if n == "green" else replace(one, field=green.field)
                        for n, one in known.solutions.items()}, "green")  # fmt: skip
    assert colour_errors(sections.true_white(grey).colour(0.0), true)["rgb_rmse"] > 2 * error
    # the frames' sideways shift is found, and taken out
    for name, told in solutions.record["transferred"].items():
        for key, px in zip(("y_um", "x_um"), sections.SHIFT_PX[name], strict=True):
            assert abs(told[key] / 0.345 - px) < 0.15


def test_a_wavelength_carried_to_itself_is_itself(green: Solution):
    acquisition = sections.acquisitions()["green"]
    found = carried(acquisition, acquisition)
    assert np.abs(found.rate_y_x - 1).max() < 0.01
    assert np.abs(found.start_y_x).max() < 0.1
    again = transferred(acquisition, acquisition, green, "green")
    (ours,), (theirs,) = green.slices(0.7), again.slices(0.7)
    assert np.abs(theirs.field_z_y_x - ours.field_z_y_x).max() < 0.02
    assert again.z_range_um == green.z_range_um


def test_one_frame_is_enough_and_none_is_refused(green: Solution):
    frames = sections.acquisitions()
    centre = int(frames["red"].illumination.na_led.argmin())
    one = transferred(frames["red"].select(np.array([centre])), frames["green"], green, "green")
    all_of_them = transferred(frames["red"], frames["green"], green, "green")
    (few,), (many,) = one.slices(0.0), all_of_them.slices(0.0)
    few_counts, many_counts = (
        (np.abs(stack.field_z_y_x[0]) * stack.amplitude_scale) ** 2 for stack in (few, many)
    )
    assert np.corrcoef(few_counts.ravel(), many_counts.ravel())[0, 1] > 0.97
    red = frames["red"].select(np.array([centre]))
    dark = replace(red, illumination=Illumination(np.array([[0.4, 0.0]])))
    with pytest.raises(DataError, match="hold no bright-field frame"):
        transferred(dark, frames["green"], green, "green")


@pytest.mark.parametrize("planes", [4, 7, 20])
def test_a_spline_through_images_shows_them(planes: int):
    generator = torch.Generator().manual_seed(planes)
    images = torch.randn(planes, 12, 15, dtype=torch.complex64, generator=generator)
    y, x = torch.meshgrid(torch.arange(-6, 6), torch.arange(-7, 8), indexing="ij")
    field = SplineField.through(images, (-3.0, 5.0), torch.stack([y.flatten(), x.flatten()]))
    for z_um, image in zip(np.linspace(-3, 5, planes), images, strict=True):
        np.testing.assert_allclose(field(float(z_um)).detach(), image, atol=1e-3)


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([*map(str, arguments)])
    return int(stopped.value.code or 0)


def test_every_output_says_so(tmp_path: Path, capsys):
    for name, acquisition in sections.acquisitions().items():
        part = acquisition.crop(8, 8, 40, 40)
        few = part.illumination.na_led.argsort()[:3] if name != "green" else slice(None)
        write_acquisition(tmp_path / f"{name}.h5", part.select(np.arange(part.frame_count)[few]))
    data = [tmp_path / f"{name}.h5" for name in ("red", "green", "blue")]
    out = tmp_path / "out"
    options = ["-o", out, "--z-range", -1, 1, "--steps", 12, "--device", "cpu", "--transfer"]
    assert run("reconstruct", *data, *options, "--offset", "red=1,0,0") == 2
    assert "by itself" in capsys.readouterr().err
    assert run("reconstruct", data[0], *options) == 2
    assert "is for several wavelengths" in capsys.readouterr().err
    assert run("reconstruct", *data, *options) == 0
    assert "Red was not solved" in " ".join(capsys.readouterr().err.split())
    told = json.loads((out / "colours.json").read_text())
    sources = {one["name"]: one["transferred_from"] for one in told["channels"]}
    assert sources == {"red": "green", "green": None, "blue": "green"}
    for name in ("red", "blue"):
        own = json.loads((out / name / "run.json").read_text())
        assert own["transferred_from"] == "green"
        assert "was not solved" in own["warnings"][0]
        assert "was not solved" in (out / name / "report.html").read_text()
    assert "transferred_from" not in json.loads((out / "green" / "run.json").read_text())
    assert "Red was not solved" in (out / "report.html").read_text()
    assert load_set(out).transferred == {"red": "green", "blue": "green"}
    assert [one.name for one in gather(out, None, False)] == [
        "green", "red (transferred)", "blue (transferred)",
    ]  # fmt: skip
    for part, says in (
        ("colour", "transferred, not solved: red has the detail of green"),
        ("amplitude", 'Name="red (transferred) amplitude"'),
    ):
        slide = tmp_path / f"{part}.ome.tif"
        assert run("render", out, "-o", slide, "--z", 0, "--part", part) == 0
        with tifffile.TiffFile(slide) as tiff:
            assert says in (tiff.ome_metadata or "")
    assert run("render", out, "-o", tmp_path / "s.ome.zarr", "--all-in-focus") == 0
    assert "not solved: red has" in (tmp_path / "s.ome.zarr" / "zarr.json").read_text()
