"""A simulated stained section through all of it: frames of three wavelengths -> colour."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml

from fpm_inr.chromatic_offset import Offset
from fpm_inr.cli import main
from fpm_inr.colour.compare import colour_errors
from fpm_inr.colour.solve import joined, reconstruct_colours
from fpm_inr.colour.white import balanced
from fpm_inr.errors import DataError
from fpm_inr.io.channels import load_channels
from fpm_inr.io.native import write_acquisition
from fpm_inr.reconstruction import data_residual
from fpm_inr.sampling import depth_of_field_um
from fpm_inr.solution_set import SolutionSet, load_set
from fpm_inr.solve.progress import StepReport
from tests.colour import sections
from tests.tiny import tiny_acquisition

STEPS = 80


@pytest.fixture(scope="module")
def solved() -> SolutionSet:
    return reconstruct_colours(
        sections.acquisitions(), z_range_um=(-3, 3), steps=STEPS, device="cpu"
    )


def check_offsets(solutions: SolutionSet) -> None:
    for name, offset in solutions.offsets.items():
        depth_um = depth_of_field_um(solutions.solutions[name].optics)
        assert abs(offset.z_um - sections.Z_UM[name]) < 0.2 * depth_um
        frame_px = 2 * solutions.pixel_um
        for found, true in zip((offset.y_um, offset.x_um), sections.SHIFT_PX[name], strict=True):
            assert abs(found / frame_px - true) < 0.1
        assert offset.magnification == 1


def test_chromatic_offsets_are_found(solved: SolutionSet):
    check_offsets(solved)
    # all heights that were asked for are there, in spite of the offsets
    assert solved.z_range_um == pytest.approx((-3, 3))


def test_the_colours_are_true(solved: SolutionSet):
    errors = colour_errors(solved.colour(0.0), sections.true_colour(solved))
    assert errors["rgb_rmse"] < 0.05
    assert errors["hue_error_deg"] < 5
    # most of that is the ground, which is not quite clear: with the true white, less is left
    true = sections.true_white(solved)
    known = colour_errors(true.colour(0.0), sections.true_colour(solved))["rgb_rmse"]
    assert known < 0.025
    # without the offsets, more
    plain = true.with_(offsets={})
    assert colour_errors(plain.colour(0.0), sections.true_colour(solved))["rgb_rmse"] > 2 * known


def test_offsets_and_white_may_be_given(solved: SolutionSet):
    offsets = {"red": Offset(3.0, 0.1, 0.0), "blue": Offset(-2.0)}
    again = joined(solved.solutions, offsets=offsets, white_window=(100, 60, 30, 40))
    assert again.offsets["red"] == offsets["red"]
    (fields,) = again.fields(0.0)
    inside = (np.abs(fields) ** 2)[:, 100:130, 60:100].mean(axis=(1, 2))
    np.testing.assert_allclose(list(again.white.values()), np.sqrt(inside), rtol=1e-4)
    assert again.linear_rgb(fields)[:, 100:130, 60:100].mean() == pytest.approx(1, abs=1e-4)
    with pytest.raises(DataError, match="leaves the frame"):
        balanced(solved, (150, 0, 30, 40))


def test_a_mosaic_of_filters_is_not_interpolated(tmp_path: Path):
    cell = "grbg"
    raw = sections.raw_mosaic(cell)
    np.save(tmp_path / "raw.npy", raw)
    description = {
        "frames": {"file": "raw.npy", "bayer": cell},
        "optics": {"na": 0.256, "pixel_um": 0.345},
        "leds": {
            "na_x_y": {"values": sections.acquisitions()["red"].illumination.na_led_xy.tolist()}
        },
        "channels": {
            "red": {"wavelength_um": 0.632},
            "green": {"wavelength_um": 0.530},
            "blue": {"wavelength_um": 0.470},
        },
    }
    (tmp_path / "acquisition.yaml").write_text(yaml.safe_dump(description))
    channels = load_channels([tmp_path])
    shares = {"red": 0.25, "green": 0.5, "blue": 0.25}
    for name, one in channels.items():
        assert one.shape_y_x == sections.SIZE
        assert one.optics.pixel_um == 0.345
        assert one.weight_led_y_x is not None
        assert one.weight_led_y_x.mean() == shares[name]
        counts = one.weight_led_y_x > 0
        np.testing.assert_allclose(one.frames_led_y_x[counts], raw[counts], rtol=1e-6)
    # of a window too, whose first pixel may be any of the cell's
    part = load_channels([tmp_path], crop=(7, 10, 41, 50))["blue"]
    whole = channels["blue"].crop(7, 10, 41, 50)
    np.testing.assert_array_equal(part.weight_led_y_x, whole.weight_led_y_x)
    np.testing.assert_allclose(part.frames_led_y_x, whole.frames_led_y_x)
    assert part.axis_y_x_px == whole.axis_y_x_px
    solved = reconstruct_colours(channels, z_range_um=(-3, 3), steps=STEPS, device="cpu")
    check_offsets(solved)
    # LEDs at the pupil's edge, whose brightness is free, are judged by these pixels alone
    for name, one in channels.items():
        (residual,) = data_residual(one, solved.solutions[name], sections.Z_UM[name])
        assert residual < 0.01
    errors = colour_errors(solved.colour(0.0), sections.true_colour(solved))
    assert errors["rgb_rmse"] < 0.05


def test_an_interrupted_wavelength_ends_all() -> None:
    one = tiny_acquisition()
    channels = {
        name: replace(one, optics=replace(one.optics, wavelength_um=wavelength_um))
        for name, wavelength_um in (("green", 0.53), ("red", 0.6))
    }
    begun = []

    def stop(report: StepReport) -> None:
        begun.append(report.step)
        if report.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reconstruct_colours(channels, offsets={}, device="cpu", listen=stop)
    assert begun == [1, 2]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c["channels"].pop("red"), "two or more channels"),
        (lambda c: c["channels"]["red"].pop("wavelength_um"), "channels.red.wavelength_um"),
        (lambda c: c["channels"]["red"].update(colour="r"), "channels.red.colour"),
        (lambda c: c["channels"]["red"].update(frames={"fil": 1}), "fil"),
        (lambda c: c["channels"].update({"../x": {"wavelength_um": 0.6}}), "letters and digits"),
        (lambda c: c["channels"]["red"].update(frames={"file": "no.npy"}), "channels.red"),
        (lambda c: c["optics"].update(na=3), "na"),
    ],
)
def test_mistakes_in_channels_are_named(tmp_path: Path, change, says):
    np.save(tmp_path / "raw.npy", np.ones((5, 16, 16), np.float32))
    content = {
        "frames": {"file": "raw.npy"},
        "optics": {"na": 0.2, "pixel_um": 0.5},
        "leds": {"na_x_y": {"values": [[0, 0], [0.1, 0], [0, 0.1], [-0.1, 0], [0, -0.1]]}},
        "channels": {"red": {"wavelength_um": 0.63}, "green": {"wavelength_um": 0.53}},
    }
    change(content)
    (tmp_path / "acquisition.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(DataError, match=says) as told:
        load_channels([tmp_path])
    assert "acquisition.yaml" in str(told.value) or "no.npy" in str(told.value)


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([*map(str, arguments)])
    return int(stopped.value.code or 0)


def test_the_command_line(tmp_path: Path, capsys):
    for name, acquisition in sections.acquisitions().items():
        write_acquisition(tmp_path / f"{name}.h5", acquisition.crop(8, 8, 32, 32))
    data = [tmp_path / f"{name}.h5" for name in ("red", "green")]
    out = tmp_path / "out"
    options = ["--z-range", -1, 1, "--steps", 10, "--device", "cpu"]
    offsets = ["--offset", "red=3,0.24,-0.1"]
    assert run("reconstruct", *data, "-o", out, *options, *offsets) == 0
    for name in ("colours.json", "preview.png", "report.html", "red/field.safetensors"):
        assert (out / name).is_file()
    report = (out / "report.html").read_text()
    assert "focus lies higher by" in report
    assert "given" in report
    solutions = load_set(out)
    assert solutions.offsets["red"] == Offset(3.0, 0.24, -0.1)
    assert solutions.solutions["red"].z_range_um == pytest.approx((2, 4))
    assert run("reconstruct", *data, "-o", out, *options) == 2
    assert "already" in capsys.readouterr().err
    # what is done is not done again
    written = (out / "red" / "field.safetensors").stat().st_mtime_ns
    assert run("reconstruct", *data, "-o", out, *options, *offsets, "--resume") == 0
    assert (out / "red" / "field.safetensors").stat().st_mtime_ns == written
    # nor is it mixed with what is solved otherwise
    for other, says in (
        (["--steps", 12], "steps"),
        (["--offset", "red=2,0.24,-0.1"], "offset z"),
        (["--crop", 0, 0, 24, 24], "the data of red"),
    ):
        given = [*options, *(offsets if other[0] != "--offset" else []), *other]
        assert run("reconstruct", *data, "-o", out, *given, "--resume") == 2
        told = capsys.readouterr().err
        assert "other settings or data" in told
        assert says in told
    # white and sideways offsets are no part of the solves
    moved = ["--offset", "red=3,0,0", "--white", 0, 0, 20, 20]
    assert run("reconstruct", *data, "-o", out, *options, *moved, "--resume") == 0
    assert load_set(out).offsets["red"] == Offset(3.0)
    assert run("reconstruct", *data, "-o", out, *options, *offsets, "--resume") == 0
    assert run("render", out, "-o", tmp_path / "slide.ome.tif", "--z", 0, "--compression",
               "jpeg") == 0  # fmt: skip
    assert tifffile.imread(tmp_path / "slide.ome.tif").shape == (64, 64, 3)
    assert run("render", out, "-o", tmp_path / "sharp.tif", "--all-in-focus") == 0
    assert tifffile.imread(tmp_path / "sharp.tif").shape == (64, 64, 3)
    assert run("focus", out, "-o", tmp_path / "focus") == 0
    assert (tmp_path / "focus" / "all_in_focus_colour.png").is_file()
    assert run("render", out, "-o", tmp_path / "c.png", "--z", 0) == 0
    capsys.readouterr()
    assert run("evaluate", out, tmp_path / "c.png", "--z", 0, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["compared"] == "colour"
    assert told["rgb_rmse"] == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["{red}", "{green}", "--wavelength", "0.5"], "for one wavelength"),
        (["{red}", "{red}"], "are 0.632 um in two of them"),
        (["{red}", "{green}", "--wavelengths", "0.6"], "are 1 for 2 acquisitions"),
        (["{red}", "{green}", "--wavelengths", "a"], "no list of numbers"),
        (["{red}", "{green}", "--offset", "red=1"], "NAME=Z,Y,X"),
        (["{red}", "{green}", "--offset", "violet=1,0,0", "--steps", "2"], "is none of"),
        (["{red}", "--white", "0", "0", "5", "5"], "is for several wavelengths"),
        (["{red}", "{small}"], "give frames of one camera"),
    ],
)
def test_mistakes_end_in_one_sentence(tmp_path: Path, capsys, arguments, says):
    places = {name: tmp_path / f"{name}.h5" for name in ("red", "green", "small")}
    for name in ("red", "green"):
        part = sections.acquisitions()[name].crop(8, 8, 32, 32)
        write_acquisition(places[name], part)
    write_acquisition(places["small"], sections.acquisitions()["green"].crop(8, 8, 24, 32))
    given = [argument.format(**places) for argument in arguments]
    assert run("reconstruct", *given, "-o", tmp_path / "out", "--device", "cpu") == 2
    told = capsys.readouterr().err
    assert says in told
    assert "Traceback" not in told
