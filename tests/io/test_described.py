"""An acquisition.yaml means what docs/acquisition-yaml.md says, over every kind of file."""

from __future__ import annotations

import re
from copy import deepcopy
from pathlib import Path
from typing import Any, get_args

import h5py
import imageio.v3 as iio
import numpy as np
import pytest
import scipy.io
import tifffile
import yaml
from pydantic import BaseModel

from fpm_inr.acquisition import Optics
from fpm_inr.errors import DataError, FpmInrError, SettingsError
from fpm_inr.illumination import flat_array, raster_steps, ring_places
from fpm_inr.io import load
from fpm_inr.io.image_files import ImageFiles
from fpm_inr.io.schema import Description
from tests.io.acquisition_files import write_matlab

LEDS, HEIGHT, WIDTH = 6, 12, 9
FRAMES = np.random.default_rng(4).integers(5, 200, (LEDS, HEIGHT, WIDTH)).astype(np.uint8)
GRID = {"rows": 2, "columns": 3, "pitch_mm": 4.0, "distance_mm": 80.0}


def description(**changes: Any) -> dict[str, Any]:
    """A sound description of frames.npy; 'part.key' changes a key, None removes it."""
    content: dict[str, Any] = {
        "frames": {"file": "frames.npy"},
        "optics": {"wavelength_um": 0.5, "na": 0.25, "pixel_um": 0.65},
        "leds": {"grid": dict(GRID)},
    }
    for place, value in changes.items():
        part = content
        *parents, key = place.split("__")
        for parent in parents:
            part = part[parent]
        if value is None:
            del part[key]
        else:
            part[key] = value
    return content


def describe(folder: Path, content: dict[str, Any] | str) -> Path:
    text = content if isinstance(content, str) else yaml.safe_dump(content)
    (folder / "acquisition.yaml").write_text(text, encoding="utf-8")
    if not (folder / "frames.npy").exists():
        np.save(folder / "frames.npy", FRAMES)
    return folder


def test_folder_description_and_file_are_the_same(tmp_path: Path) -> None:
    folder = describe(tmp_path, description())
    for path in (folder, folder / "acquisition.yaml", folder / "frames.npy"):
        read = load(path)
        assert np.array_equal(read.frames_led_y_x, FRAMES)
        assert read.optics == Optics(0.5, 0.25, 0.65)
        expected = flat_array(raster_steps(2, 3) * 4, 80).na_at()
        assert np.array_equal(read.illumination.na_led_xy, expected)


@pytest.mark.parametrize("axes", ["lyx", "lxy", "yxl", "xyl", "ylx", "xly"])
def test_axes_of_arrays_in_every_file(tmp_path: Path, axes: str) -> None:
    stored = FRAMES.transpose(["lyx".index(axis) for axis in axes])
    np.save(tmp_path / "a.npy", stored)
    np.savez(tmp_path / "a.npz", other=1, frames=stored)
    scipy.io.savemat(tmp_path / "five.mat", {"frames": stored})
    write_matlab(tmp_path / "seven.mat", {"frames": stored}, "7.3")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/frames"] = stored
    for name, variable in (
        ("a.npy", None),
        ("a.npz", "frames"),
        ("five.mat", "frames"),
        ("seven.mat", "frames"),
        ("five.mat", None),
        ("a.h5", "group/frames"),
    ):
        frames = {"file": name, "axes": axes} | ({"variable": variable} if variable else {})
        describe(tmp_path, description(frames=frames))
        read = load(tmp_path)
        assert np.array_equal(read.frames_led_y_x, FRAMES), name
        cropped = load(tmp_path, crop=(2, 1, 9, 8))
        assert np.array_equal(cropped.frames_led_y_x, FRAMES[:, 2:11, 1:9]), name


def write_pictures(folder: Path, suffix: str, numbers: list[int]) -> None:
    for number, frame in zip(numbers, FRAMES, strict=True):
        iio.imwrite(folder / f"led_{number}{suffix}", frame)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_pictures_come_in_natural_order(tmp_path: Path, suffix: str) -> None:
    write_pictures(tmp_path, suffix, [1, 2, 9, 10, 11, 100])
    describe(tmp_path, description(frames={"file": f"led_*{suffix}"}))
    assert np.array_equal(load(tmp_path).frames_led_y_x, FRAMES)
    crop = (0, 1, 8, 8)
    assert np.array_equal(load(tmp_path, crop=crop).frames_led_y_x, FRAMES[:, :8, 1:])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_pictures_of_16_bits(tmp_path: Path, suffix: str) -> None:
    deep = FRAMES.astype(np.uint16) * 300
    for number, frame in enumerate(deep):
        iio.imwrite(tmp_path / f"{number}{suffix}", frame)
    describe(tmp_path, description(frames={"file": f"*{suffix}"}))
    assert np.array_equal(load(tmp_path).frames_led_y_x, deep)


def test_pictures_may_lie_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there" / "run 1").mkdir(parents=True)
    write_pictures(tmp_path / "there" / "run 1", ".png", [1, 2, 9, 10, 11, 100])
    for place in (tmp_path.as_posix(), ".."):
        file = f"{place}/there/run */led_*.png"
        describe(tmp_path / "here", description(frames={"file": file}))
        assert np.array_equal(load(tmp_path / "here").frames_led_y_x, FRAMES)


def test_pictures_come_in_the_order_of_a_list(tmp_path: Path) -> None:
    write_pictures(tmp_path, ".png", [1, 2, 3, 4, 5, 6])
    names = [f"led_{n}.png" for n in (6, 5, 4, 3, 2, 1)]
    describe(tmp_path, description(frames={"file": names}))
    assert np.array_equal(load(tmp_path).frames_led_y_x, FRAMES[::-1])


def test_a_tiff_of_many_pages_is_opened_once_to_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", FRAMES[:4], photometric="minisblack")
    tifffile.imwrite(tmp_path / "b.tif", FRAMES[4:], photometric="minisblack")
    stored = ImageFiles([tmp_path / "a.tif", tmp_path / "b.tif"])
    assert stored.shape == FRAMES.shape
    opened = []
    whole = tifffile.TiffFile

    def counted(path: Path) -> tifffile.TiffFile:
        opened.append(path.name)
        return whole(path)

    monkeypatch.setattr(tifffile, "TiffFile", counted)
    np.testing.assert_array_equal(stored[:, 2:5, :], FRAMES[:, 2:5, :])
    assert opened == ["a.tif", "b.tif"]


def test_a_tiff_of_many_pages(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "stack.tif", FRAMES.astype(np.uint16), photometric="minisblack")
    describe(tmp_path, description(frames={"file": "stack.tif"}))
    assert np.array_equal(load(tmp_path).frames_led_y_x, FRAMES)


@pytest.mark.parametrize("values", ["amplitude", "intensity"])
def test_dark_level_adds_to_intensity(tmp_path: Path, values: str) -> None:
    times = [1.0, 2.0, 4.0, 1.0, 1.0, 0.5]
    frames = {"file": "frames.npy", "dark_level": 50, "values": values, "exposure": times}
    describe(tmp_path, description(frames=frames))
    power = 2 if values == "amplitude" else 1
    light = np.maximum(FRAMES.astype(np.float64) ** power - 50.0**power, 0)
    expected = light / np.array(times)[:, None, None]
    np.testing.assert_allclose(load(tmp_path).frames_led_y_x, expected, rtol=1e-6)


def test_leds_left_out_may_be_broken(tmp_path: Path) -> None:
    broken = FRAMES.astype(np.float32)
    broken[[1, 4]] = np.nan
    np.save(tmp_path / "frames.npy", broken)
    times = [1.0, 1.0, 4.0, 1.0, 1.0, 1.0]
    frames = {"file": "frames.npy", "exposure": times}
    describe(tmp_path, description(frames=frames, leds__leave_out=[4, 1]))
    read = load(tmp_path)
    kept = [0, 2, 3, 5]
    assert np.array_equal(read.frames_led_y_x[1], FRAMES[2] / np.float32(4))
    expected = flat_array(raster_steps(2, 3) * 4, 80).na_at()[kept]
    assert np.array_equal(read.illumination.na_led_xy, expected)


def test_camera_pixel_and_magnification_give_the_pixel(tmp_path: Path) -> None:
    optics = {"wavelength_um": 0.5, "na": 0.1, "camera_pixel_um": 6.5, "magnification": 4}
    read = load(describe(tmp_path, description(optics=optics)))
    assert read.optics.pixel_um == 1.625


def test_given_wavelength_and_medium_win(tmp_path: Path) -> None:
    folder = describe(tmp_path, description(optics__medium_index=1.2))
    assert load(folder).optics.medium_index == 1.2
    optics = load(folder, wavelength_um=0.45, medium_index=1.33).optics
    assert (optics.wavelength_um, optics.medium_index) == (0.45, 1.33)
    without = describe(tmp_path, description(optics__wavelength_um=None))
    assert load(without, color="b").optics.wavelength_um == 0.471
    with pytest.raises(SettingsError, match="wavelength_um"):
        load(without)


def test_a_slide_a_turn_and_an_offset(tmp_path: Path) -> None:
    grid = GRID | {
        "flip_x": True,
        "rotation_deg": 90,
        "offset_x_y_mm": [1, 2],
        "slide": {"thickness_mm": 1, "index": 1.5},
    }
    read = load(describe(tmp_path, description(leds__grid=grid)))
    x, y = (raster_steps(2, 3) * 4).T
    places = np.stack([-y + 1, -x + 2], axis=1)
    expected = flat_array(places, 80, 1, 1.5).na_at()
    np.testing.assert_allclose(read.illumination.na_led_xy, expected, atol=1e-15)


def test_listed_places_and_rings(tmp_path: Path) -> None:
    steps = [[0, 0], [1, 0], [2, 0], [0, 1], [0.5, 2], [-1, -1]]
    grid = {"order": "listed", "steps_x_y": steps, "pitch_mm": 2, "distance_mm": 50}
    read = load(describe(tmp_path, description(leds__grid=grid)))
    expected = flat_array(np.array(steps) * 2.0, 50).na_at()
    np.testing.assert_array_equal(read.illumination.na_led_xy, expected)
    rings = {"radii_mm": [0, 9], "counts": [1, 5], "starts_deg": [0, 30], "distance_mm": 50}
    read = load(describe(tmp_path, description(leds={"rings": rings})))
    expected = flat_array(ring_places([0, 9], [1, 5], [0, 30]), 50).na_at()
    np.testing.assert_array_equal(read.illumination.na_led_xy, expected)


@pytest.mark.parametrize("header", ["", "na_x,na_y\n"])
def test_directions_inline_and_in_a_table(tmp_path: Path, header: str) -> None:
    pairs = np.random.default_rng(1).uniform(-0.3, 0.3, (LEDS, 2))
    table = "".join(f"{x!r}, {y!r}\n" for x, y in pairs.tolist())
    (tmp_path / "leds.csv").write_text(header + table + "\n")
    for where in ({"values": pairs.tolist()}, {"file": "leds.csv"}):
        for sign in (1, -1):
            read = load(describe(tmp_path, description(leds={"na_x_y": where | {"sign": sign}})))
            assert np.array_equal(read.illumination.na_led_xy, sign * pairs)


def test_a_crop_sees_the_leds_from_its_own_place(tmp_path: Path) -> None:
    for extra in ({}, {"optics__axis_y_x_px": [30.0, -40.0]}):
        folder = describe(tmp_path, description(**extra))
        whole, crop = load(folder), load(folder, crop=(3, 1, 9, 8))
        again = whole.crop(3, 1, 9, 8)
        assert np.array_equal(crop.illumination.na_led_xy, again.illumination.na_led_xy)
        assert crop.axis_y_x_px == again.axis_y_x_px
        assert np.array_equal(crop.frames_led_y_x, again.frames_led_y_x)
    # the axis lies down left: seen from the frame, the LEDs lie down left as well
    geometry = flat_array(raster_steps(2, 3) * 4, 80)
    x_um, y_um = (4 + 40) * 0.65, (5.5 - 30) * 0.65
    np.testing.assert_allclose(whole.illumination.na_led_xy, geometry.na_at(x_um, y_um))


WRONG: list[tuple[dict[str, Any] | str, str]] = [
    ("", "holds no keys"),
    ("- a\n- b\n", "holds no keys"),
    ("frames: {", "is no YAML text"),
    (description(frame={}), "frame: is no known key; did you mean frames?"),
    (description(optics__wavelenght_um=1), "did you mean wavelength_um?"),
    (description(leds__grid__pitch=1), "did you mean pitch_mm?"),
    (description(optics=None), "optics: is missing"),
    (description(optics__na=None), "optics.na: is missing"),
    (description(optics="good"), "give it the keys na"),
    (description(optics__na="high"), "optics.na: is 'high'"),
    (description(optics__na=True), "optics.na: is True; should be a number"),
    (description(optics__na=float("nan")), "optics.na: is nan"),
    (description(optics__na=1.1), "optics.na: is 1.1, not below the medium index"),
    (description(optics__wavelength_um=532), "looks like nanometres; give micrometres: 0.532"),
    (description(optics__wavelength_um=6.3e-7), "looks like metres; give micrometres: 0.63"),
    (description(optics__pixel_um=None), "optics: does not say one pixel"),
    (description(optics__magnification=4), "optics: does not say one pixel"),
    (description(optics__pixel_um=6.5), "optics.pixel_um: is 6.5 um, too coarse"),
    (description(frames__file="other.npy"), "names 'other.npy', and no such file"),
    (description(frames__file="*.bmp"), "no such file"),
    (description(frames__file=[]), "frames.file: is"),
    (description(frames__file=1), "frames.file: is 1; give names in quotes"),
    (description(frames__file=["a.tif", 2]), "frames.file: is ['a.tif', 2]; give names in quotes"),
    (
        "optics: {na: 0.1}\nleds: {}\noptics: {na: 0.2}\n",
        "optics: comes twice, in lines 1 and 3; keep one",
    ),
    ("optics: {na: 0.1, na: 0.2}\n", "na: comes twice"),
    ("? [a, b]\n: 1\n", "is no YAML text"),
    ("base: &x {na: 1}\noptics: {<<: *x, na: 0.1}\n", "base: is no known key"),
    (description(frames__file="acquisition.yaml"), "is no picture"),
    (description(frames__variable="x", frames__file="a.npz"), "the file holds frames, other"),
    (description(frames__file="a.npz"), "name one"),
    (description(frames__axes="zyx"), "frames.axes: is 'zyx'; order the letters"),
    (description(frames__axes="yxl"), "leds: says 6 LEDs for 9 frames"),
    (description(frames__values="phase"), "frames.values: is 'phase'"),
    (description(frames__exposure=[1, 2]), "frames.exposure: holds 2 times for 6 frames"),
    (description(frames__exposure=[1, 2, 3, 4, 5, 0]), "frames.exposure.5: is 0"),
    (description(frames__dark_level=999), "are all zero"),
    (description(leds={}), "leds: has none of grid, rings, na_x_y and places_x_y_mm"),
    (description(leds__rings={"radii_mm": [1], "counts": [6], "distance_mm": 9}), "exactly one"),
    (description(leds__grid__rows=5), "leds: says 15 LEDs for 6 frames"),
    (description(leds__grid__order="random"), "leds.grid.order: is 'random'"),
    (description(leds__grid__order="listed"), "give steps_x_y"),
    (description(leds__grid__rows=None), "give rows and columns"),
    (description(leds__grid__distance_mm=-80), "leds.grid.distance_mm: is -80"),
    (description(leds__grid__slide={"thickness_mm": 900}), "slide_mm: is 900; give 0"),
    (description(leds__leave_out=[6]), "leds.leave_out: names frame 6 of 6"),
    (description(leds__leave_out=[0, 1, 2, 3, 4, 5]), "keep at least one"),
    (description(leds={"na_x_y": {"sign": 1}}), "needs values or a file"),
    (description(leds={"na_x_y": {"values": [[9, 0]] * 6}}), "light from air has NA below 1"),
    (description(leds={"na_x_y": {"file": "no.csv"}}), "cannot be read"),
    (description(leds={"na_x_y": {"file": "bad.csv"}}), "in line 2; give two numbers"),
    (description(leds={"na_x_y": {"values": [[0, 0]] * 6, "sign": 2}}), "leds.na_x_y.sign: is 2"),
    (description(leds={"rings": {"radii_mm": [1], "counts": [3, 3], "distance_mm": 9}}), "a ring"),
]


@pytest.mark.parametrize(("content", "part"), WRONG, ids=[part for _, part in WRONG])
def test_what_is_wrong_is_named(tmp_path: Path, content: Any, part: str) -> None:
    np.savez(tmp_path / "a.npz", other=1, frames=FRAMES)
    (tmp_path / "bad.csv").write_text("x,y\n0,0\n0;1\n")
    describe(tmp_path, deepcopy(content))
    with pytest.raises(FpmInrError) as caught:
        load(tmp_path)
    assert part in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_pictures_that_do_not_fit_are_named(tmp_path: Path) -> None:
    write_pictures(tmp_path, ".png", [1, 2, 3, 4, 5, 6])
    describe(tmp_path, description(frames={"file": "*.png"}))
    iio.imwrite(tmp_path / "led_3.png", FRAMES[0, :8])
    with pytest.raises(DataError, match=r"led_3\.png: is 8 x 9 pixels"):
        load(tmp_path)
    (tmp_path / "led_3.png").write_bytes(b"nonsense")
    with pytest.raises(DataError, match=r"led_3\.png: cannot be read as a picture"):
        load(tmp_path)


def test_the_guide_names_every_key() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "acquisition-yaml.md").read_text(encoding="utf-8")

    def keys(part: type[BaseModel]) -> set[str]:
        found = set(part.model_fields)
        for field in part.model_fields.values():
            for kind in (field.annotation, *get_args(field.annotation)):
                if isinstance(kind, type) and issubclass(kind, BaseModel):
                    found |= keys(kind)
        return found

    assert {key for key in keys(Description) if not re.search(rf"`[^`]*\b{key}\b", guide)} == set()
