"""Whole fields of view in colour: mosaics of several wavelengths laid over each other."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
import zarr
from safetensors.torch import load

from fpm_inr.chromatic_offset import Offset, laid_over, shifted
from fpm_inr.cli import main
from fpm_inr.colour.compare import colour_errors
from fpm_inr.colour.whole_field import registered_fields, windows_of_detail
from fpm_inr.errors import DataError
from fpm_inr.field_header import FIELD_PREFIX
from fpm_inr.fields.spline import SplineField
from fpm_inr.focus import all_in_focus
from fpm_inr.io.native import write_acquisition
from fpm_inr.io.rendering import Part
from fpm_inr.io.sharp import sharp_rendering
from fpm_inr.laid_over import LaidOver
from fpm_inr.mosaic.mosaic import Mosaic
from fpm_inr.napari_plugin import field_reader
from fpm_inr.solution import ImageStack
from fpm_inr.solution_set import SolutionSet, load_result, load_set
from fpm_inr.viewer.sources import gather, title_of
from tests.colour import sections

PIXEL_UM = 0.2


@dataclass(frozen=True, eq=False)
class Pictured:
    """What stands for a mosaic: one image, at every height."""

    image_y_x: np.ndarray
    optics: object = None
    pixel_um: float = PIXEL_UM
    amplitude_scale: float = 1.0
    z_range_um: tuple[float, float] = (-5.0, 5.0)
    planes_um: None = None
    levels: int = 1
    cutoff_per_um: float = 1.2

    @property
    def shape_y_x(self) -> tuple[int, int]:
        return self.image_y_x.shape

    def level_shape_y_x(self, level: int) -> tuple[int, int]:
        return self.shape_y_x[0] >> level, self.shape_y_x[1] >> level

    def render(self, z_um, *, window=None, level=0) -> ImageStack:
        assert level == 0
        y, x, height, width = window or (0, 0, *self.shape_y_x)
        return ImageStack(self.image_y_x[None, y : y + height, x : x + width], np.atleast_1d(z_um),
                          self.pixel_um)  # fmt: skip


def band_limited(shape: tuple[int, int], seed: int, cutoff: float = 0.24) -> np.ndarray:
    """A periodic field that no frequency beyond the cutoff (cycles a pixel) has, richer at left."""
    noise = np.random.default_rng(seed).normal(size=(2, *shape))
    y, x = (np.fft.fftfreq(side) for side in shape)
    disc = np.hypot(y[:, None], x) < cutoff
    parts = np.fft.ifft2(np.fft.fft2(noise) * disc).real
    return (1 + 0.3 * (parts[0] + 1j * parts[1])).astype(np.complex64)


def test_windows_fit_each_other_and_the_whole():
    """Sampled window by window, a field is what it is as a whole: a shift of what is periodic."""
    image = band_limited((200, 240), 0, cutoff=0.4)
    offset = Offset(0.0, 0.37 * PIXEL_UM, -1.81 * PIXEL_UM)
    laid = LaidOver(Pictured(image), offset, image.shape, PIXEL_UM)  # type: ignore[arg-type]
    (whole,) = laid.slices(0.0)
    exact = shifted(image, 0.37, -1.81)
    inside = (slice(16, -16), slice(16, -16))
    error = np.abs(whole.field_z_y_x[0] - exact)[inside]
    assert error.max() < 0.01
    for window in ((0, 0, 90, 100), (90, 100, 110, 140), (13, 57, 1, 1)):
        (part,) = laid.slices(0.0, window=window)
        y, x, height, width = window
        np.testing.assert_allclose(
            part.field_z_y_x[0], whole.field_z_y_x[0, y : y + height, x : x + width], atol=1e-5
        )


@pytest.mark.parametrize("magnification", [1.0, 1.0008])
def test_offsets_of_a_whole_field_come_from_many_windows(magnification: float):
    """0.8 in a thousand moves the corner of 900 pixels by a third of one; no window shows it."""
    shape = (900, 1000)
    reference = band_limited(shape, 1)
    true = Offset(0.0, 1.3 * PIXEL_UM, -0.6 * PIXEL_UM, magnification)
    # laid over with its offset undone it is the reference
    undone = Offset(0.0, -true.y_um / magnification, -true.x_um / magnification, 1 / magnification)
    other = laid_over(reference, PIXEL_UM, undone, shape, PIXEL_UM)
    mosaics = {"green": Pictured(reference), "red": Pictured(other)}
    windows = windows_of_detail(mosaics["green"])  # type: ignore[arg-type]
    assert len(windows) >= 9
    offset, agreement = offset_of(mosaics, windows)
    assert agreement > 0.9
    assert abs(offset.y_um - true.y_um) < 0.05 * PIXEL_UM
    assert abs(offset.x_um - true.x_um) < 0.05 * PIXEL_UM
    assert offset.magnification == pytest.approx(magnification, abs=5e-5)
    assert offset.z_um == 2.0


def offset_of(mosaics: dict[str, Pictured], windows: list) -> tuple[Offset, float]:
    seen: dict[str, object] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "fpm_inr.colour.whole_field.SolutionSet",
            lambda _, __, offsets, record: seen.update(offsets=offsets, record=record),
        )
        registered_fields(mosaics, "green", {"green": 1.0, "red": 3.0}, windows)  # type: ignore[arg-type]
    return seen["offsets"]["red"], seen["record"]["offsets"]["red"]["agreement"]  # type: ignore[index]


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([*map(str, arguments)])
    return int(stopped.value.code or 0)


OPTIONS = ("--z-range", -1, 1, "--steps", 20, "--tile", 64, "--overlap", 32, "--device", "cpu",
           "--workers", 1, "--scheduler", "processes")  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A description with channels, of one file each."""
    folder, channels = tmp_path_factory.mktemp("data"), {}
    for name in ("red", "green"):
        one = sections.acquisitions()[name]
        np.save(folder / f"{name}.npy", one.frames_led_y_x)
        channels[name] = {
            "wavelength_um": one.optics.wavelength_um,
            "frames": {"file": f"{name}.npy"},
        }
    light = sections.acquisitions()["green"].illumination
    content = {
        "frames": {"values": "intensity"},
        "optics": {"na": 0.256, "pixel_um": 0.345},
        "leds": {"na_x_y": {"values": light.na_led_xy.tolist()}},
        "channels": channels,
    }
    (folder / "acquisition.yaml").write_text(yaml.safe_dump(content))
    return folder


@pytest.fixture(scope="module")
def out(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mosaic") / "out"
    assert run("mosaic", data, "-o", folder, *OPTIONS) == 0
    return folder


def test_a_mosaic_in_colour(out: Path):
    solutions = load_set(out)
    assert solutions.is_mosaic
    assert all(isinstance(one, Mosaic) for one in solutions.solutions.values())
    assert solutions.z_range_um == pytest.approx((-1, 1))
    for name, offset in solutions.offsets.items():
        assert abs(offset.z_um - sections.Z_UM[name]) < 0.3
        for found, true in zip((offset.y_um, offset.x_um), sections.SHIFT_PX[name], strict=True):
            assert abs(found / 0.345 - true) < 0.1
    errors = colour_errors(solutions.colour(0.0), sections.true_colour(solutions))
    assert errors["rgb_rmse"] < 0.06
    assert "windows that told it" in (out / "report.html").read_text()
    assert (out / "red" / "report.html").is_file()
    # by windows it is what it is as a whole
    (whole,), (part,) = solutions.fields(0.0), solutions.fields(0.0, window=(30, 41, 70, 90))
    np.testing.assert_allclose(part, whole[:, 30:100, 41:131], atol=1e-4 * np.abs(whole).max())


def test_every_verb_takes_it(out: Path, tmp_path: Path, capsys):
    true = load_set(out).colour(0.0)
    assert run("render", out, "-o", tmp_path / "s.ome.tif", "--z", 0) == 0
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "s.ome.tif"), true)
    for version in ("0.4", "0.5"):
        slide = tmp_path / f"{version}.ome.zarr"
        assert run("render", out, "-o", slide, "--z", 0, "--ome-zarr", version, "--workers",
                   1) == 0  # fmt: skip
        array = zarr.open_group(str(slide), mode="r")["0"]
        np.testing.assert_array_equal(np.moveaxis(array[:, 0], 0, -1), true)
        assert not (slide / "written").exists()
    assert run("render", out / "green", "-o", tmp_path / "g.ome.zarr", "--z", 0, "--bits", 16,
               "--part", "amplitude", "--workers", 1) == 0  # fmt: skip
    group = zarr.open_group(str(tmp_path / "g.ome.zarr"), mode="r")
    says = group.attrs["fpm_inr"]["units"]["amplitude"].split(" ")
    stack = load_result(out / "green").render(0.0)
    amplitude = float(says[2]) + float(says[4]) * group["0"][0, 0]
    expected = np.abs(stack.field_z_y_x[0]) * stack.amplitude_scale
    np.testing.assert_allclose(amplitude, expected, atol=float(says[4]))
    assert run("render", out, "-o", tmp_path / "sharp.ome.zarr", "--all-in-focus") == 0
    assert run("focus", out, "-o", tmp_path / "focus", "--z=-1:1:0.5") == 0
    assert (tmp_path / "focus" / "all_in_focus_colour.png").is_file()
    assert run("render", out, "-o", tmp_path / "c.png", "--z", 0) == 0
    assert run("evaluate", out, tmp_path / "c.png", "--z", 0) == 0
    assert "rgb_rmse                           0" in capsys.readouterr().out
    sources = gather(out, None, False)
    assert [one.name for one in sources] == ["green", "red"]
    assert title_of(sources) == "out"
    assert run("export", out, "-o", tmp_path / "page.html") == 0
    read = field_reader(str(out))
    assert read is not None
    layers = read(str(out))
    assert layers[-1][1]["name"] == "out colour"


def test_going_on_is_going_on_with_the_same(data: Path, out: Path, tmp_path: Path, capsys):
    assert run("mosaic", data, "-o", out, *OPTIONS) == 2
    assert "holds results already" in capsys.readouterr().err
    again = tmp_path / "out"
    shutil.copytree(out, again)
    tile = again / "red" / "tiles" / "00001.safetensors"
    other = again / "red" / "tiles" / "00000.safetensors"
    written, kept = tile.read_bytes(), other.stat().st_mtime_ns
    tile.unlink()
    (again / "colours.json").unlink()
    assert run("mosaic", data, "-o", again, *OPTIONS, "--resume", "--white", 0, 0, 40, 30) == 0
    assert tile.read_bytes() == written
    assert other.stat().st_mtime_ns == kept
    solutions = load_set(again)
    assert solutions.offsets == load_set(out).offsets
    white = solutions.linear_rgb(next(solutions.fields(0.0, window=(0, 0, 40, 30)))).mean()
    assert white == pytest.approx(1, abs=1e-3)
    capsys.readouterr()
    for change, says in ((("--steps", 21), "steps"), (("--offset", "red=3,0,0"), "offset z")):
        assert run("mosaic", data, "-o", again, *OPTIONS, *change, "--resume") == 2
        told = capsys.readouterr().err
        assert f"other settings or data ({says})" in told


def test_wavelengths_that_do_not_go_together_are_refused(tmp_path: Path, capsys):
    sizes = {"red": (0, 0, 72, 90), "green": (0, 0, 80, 96)}
    for name, crop in sizes.items():
        write_acquisition(tmp_path / f"{name}.h5", sections.acquisitions()[name].crop(*crop))
    red, green, out = tmp_path / "red.h5", tmp_path / "green.h5", tmp_path / "out"
    for given, says in (
        ((red, green), "give frames of one camera and objective"),
        ((red, red), "alike in two of them"),
        ((red, green, "--wavelengths", 0.6), "are 1 for 2 acquisitions"),
        ((red, green, "--calibration", "c.json"), "for one wavelength"),
        ((green, "--white", 0, 0, 9, 9), "is for several wavelengths"),
    ):
        assert run("mosaic", *given, "-o", out, *OPTIONS) == 2
        told = capsys.readouterr().err
        assert says in told
        assert "Traceback" not in told
    assert not out.exists()


def test_mosaics_and_single_fields_do_not_mix(out: Path):
    from tests.colour.test_solution_set import solution_at

    mixed = {"green": load_result(out / "green"), "red": solution_at(0.632, (-1, 1))}
    with pytest.raises(DataError, match="whole fields of view of some and not of all"):
        SolutionSet(mixed, "green")  # type: ignore[arg-type]


def test_the_page_has_an_overview_that_is_true(out: Path):
    """A spline through a few heights, a byte a number: within 1 % of what the mosaic renders."""
    solutions = load_set(out)
    for source in gather(out, None, False):
        assert isinstance(source.content, bytes)
        mosaic = solutions.solutions[source.name]
        tensors = {
            name.removeprefix(FIELD_PREFIX): value for name, value in load(source.content).items()
        }
        field = SplineField.from_tensors(
            mosaic.shape_y_x, mosaic.z_range_um, {"planes": len(tensors["spectrum"])}, tensors
        )
        low, high = mosaic.z_range_um
        for z_um in (low, 0.3 * low + 0.7 * high):
            (true,) = mosaic.render(z_um).field_z_y_x
            shown = field(z_um).detach().numpy()
            assert np.linalg.norm(shown - true) < 0.01 * np.linalg.norm(true)


@pytest.mark.parametrize("part", ["colour", "amplitude"])
def test_all_in_focus_by_windows_is_that_of_the_whole(out: Path, part: Part):
    solutions = load_set(out)
    source = solutions if part == "colour" else solutions.solutions["green"]
    heights = np.linspace(-1, 1, 5)
    sharp = sharp_rendering(source, part, heights)
    assert sharp.windows is not None
    regions = sharp.windows(0.0)
    (whole,) = sharp.planes()
    part_of_it = regions.read(20, 30, 60, 50)
    error = np.abs(part_of_it.astype(np.complex64) - whole[..., 20:80, 30:80])
    assert error.max() <= (1 if part == "colour" else 1e-3 * np.abs(whole).max())
    if part == "amplitude":
        once = all_in_focus(solutions.solutions["green"].slices, heights)
        expected = np.abs(once.field_y_x) * once.amplitude_scale
        np.testing.assert_allclose(np.abs(whole), expected, rtol=1e-3, atol=1e-3)
