"""fpm-inr inspect prints and draws what the acquisition holds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from click.testing import CliRunner

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.calibration.orientation import Orientation, oriented
from fpm_inr.cli import cli, main
from fpm_inr.illumination import flat_array, raster_steps
from fpm_inr.inspection import acquisition_figure, coverage, summarise
from fpm_inr.io.native import write_acquisition
from tests.tiny import tiny_acquisition

OPTICS = Optics(0.5, 0.1, 1.0)


def acquire(pitch_mm: float = 4.0, shape_y_x: tuple[int, int] = (16, 24)) -> Acquisition:
    geometry = flat_array(raster_steps(5, 5) * pitch_mm, 80.0)
    light = Illumination(geometry.na_at(), geometry)
    texture = np.random.default_rng(0).uniform(0, 1, (25, *shape_y_x)) ** 3
    level = np.where(light.na_led < OPTICS.na, 1000.0, 5.0)
    return Acquisition(texture * level[:, None, None], OPTICS, light)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_acquisition(tmp_path / "acquisition.h5", acquire())
    return tmp_path / "acquisition.h5"


def test_json_holds_the_numbers(data: Path) -> None:
    result = CliRunner().invoke(cli, ["inspect", str(data), "--json", "--no-orientation"])
    assert result.exit_code == 0
    read = json.loads(result.stdout)
    told = read.pop("transfer")
    assert told["its_amplitude_in_frames"] > 5 * told["its_phase_in_frames"] > 0
    assert told["phase_not_determined_um"] is None
    assert read == summarise(acquire())
    na = 8 * np.sqrt(2) / np.hypot(8 * np.sqrt(2), 80)
    assert read["leds"]["na_largest"] == pytest.approx(na)
    assert read["reconstruction"]["resolution_um"] == pytest.approx(0.5 / (0.1 + na))
    assert read["leds"]["bright_field"] + read["leds"]["dark_field"] == 25
    assert read["frames"]["shape_y_x"] == [16, 24]
    assert read["reconstruction"]["shape_y_x"] == [16 * 2, 24 * 2]


def test_tables_show_every_part_and_the_warnings(tmp_path: Path) -> None:
    write_acquisition(tmp_path / "sparse.h5", acquire(pitch_mm=20.0))
    result = CliRunner().invoke(cli, ["inspect", str(tmp_path / "sparse.h5")])
    assert result.exit_code == 0
    for words in ("Frames", "Optics", "LEDs", "synthetic NA", "wavelength", "0.5 um", "Warnings"):
        assert words in result.stdout
    assert "overlap by" in result.stdout


def test_picture_crop_and_options(data: Path, tmp_path: Path) -> None:
    picture = tmp_path / "look.png"
    arguments = ["inspect", str(data), "-o", str(picture), "--crop", "2", "4", "8", "16"]
    arguments += ["--wavelength", "0.6", "--json"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0
    read = json.loads(result.stdout)
    assert read["frames"]["shape_y_x"] == [8, 16]
    assert read["frames"]["axis_y_x_px"] == [5.5, 7.5]
    assert read["optics"]["wavelength_um"] == 0.6
    image = iio.imread(picture)
    assert image.shape[1] > 1000
    assert image.std() > 10


def test_mistakes_end_in_one_sentence(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (
        ["inspect", str(tmp_path / "absent.h5")],
        ["inspect", str(data), "-o", str(tmp_path / "look.bmp")],
        ["inspect", str(data), "-o", str(tmp_path / "absent" / "look.png")],
        ["inspect", str(data), "--crop", "0", "0", "99", "9"],
    ):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
        error = capsys.readouterr().err
        assert error.startswith("Error: ")
        assert error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["acquisition.h5"]


@pytest.mark.parametrize("shape_y_x", [(8, 64), (64, 8)])
def test_odd_shapes_single_leds_and_dark_leds_are_drawn(shape_y_x: tuple[int, int]) -> None:
    acquisition = acquire(shape_y_x=shape_y_x)
    assert len(acquisition_figure(acquisition).axes) == 8  # four panels with their colour bars
    frames = np.array(acquisition.frames_led_y_x)
    frames[0] = 0
    acquisition_figure(Acquisition(frames, OPTICS, acquisition.illumination))
    one = acquisition.select(np.array([12]))
    assert summarise(one)["leds"]["overlap_median"] == 0  # type: ignore[call-overload]
    acquisition_figure(one)


def test_coverage_counts_discs() -> None:
    light = Illumination(np.array([[0.1, 0.0], [0.1, 0.0], [-0.1, 0.0]]))
    count = coverage(OPTICS, light, 201)
    at = np.linspace(-0.2, 0.2, 201)
    assert count[100, np.argmin(np.abs(at - 0.15))] == 2
    assert count[100, np.argmin(np.abs(at + 0.15))] == 1
    assert count[0, 0] == 0


def test_the_orientation_is_tried(data: Path) -> None:
    result = CliRunner().invoke(cli, ["inspect", str(data), "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["orientation"]
    assert len([name for name in found if name.startswith("residual")]) == 4
    shown = CliRunner().invoke(cli, ["inspect", str(data)])
    assert "Orientation of the LED map" in shown.stdout


def test_a_mirrored_led_map_is_warned_of(tmp_path: Path) -> None:
    acquisition = tiny_acquisition(-4.0)
    mirrored = oriented(acquisition, Orientation(flip_x=True))
    write_acquisition(tmp_path / "mirrored.h5", mirrored)
    result = CliRunner().invoke(cli, ["inspect", str(tmp_path / "mirrored.h5"), "--json"])
    assert any("--orient auto" in text for text in json.loads(result.stdout)["warnings"])
    write_acquisition(tmp_path / "right.h5", acquisition)
    result = CliRunner().invoke(cli, ["inspect", str(tmp_path / "right.h5"), "--json"])
    assert not any("--orient auto" in text for text in json.loads(result.stdout)["warnings"])


@pytest.mark.parametrize("leds", [[12], [11, 12], list(range(25))])
@pytest.mark.parametrize("level", [1e-6, 7.0])
def test_frames_that_tell_no_orientation_are_left_as_stated(
    leds: list[int], level: float, tmp_path: Path
) -> None:
    acquisition = acquire().select(np.array(leds))
    even = replace(acquisition, frames_led_y_x=np.full((len(leds), 16, 24), level))
    write_acquisition(tmp_path / "even.h5", even)
    result = CliRunner().invoke(cli, ["inspect", str(tmp_path / "even.h5"), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["orientation"]["fits best"] == "as stated"
