"""The paper's MATLAB layout, from MATLAB 5 and from MATLAB 7.3 files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fpm_inr.errors import DataError, SettingsError
from fpm_inr.io import load
from tests.io.acquisition_files import (
    HEIGHT,
    LEDS,
    WAVELENGTH_UM,
    WIDTH,
    matlab_variables,
    write_matlab,
)

VERSIONS = ("5", "7.3")
ALGAE = Path(__file__).parents[3] / "shared" / "data" / "algae_r.mat"
needs_algae = pytest.mark.skipif(not ALGAE.is_file(), reason="needs ../shared/data/algae_r.mat")


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_values(tmp_path: Path, version: str) -> None:
    variables = matlab_variables()
    path = write_matlab(tmp_path / "a.mat", variables, version)
    read = load(path, wavelength_um=WAVELENGTH_UM, medium_index=1.33)
    assert np.array_equal(read.frames_led_y_x, variables["I_low"].transpose(2, 0, 1))
    assert np.array_equal(read.illumination.na_led_xy, -variables["na_calib"])
    assert (read.optics.wavelength_um, read.optics.na) == (WAVELENGTH_UM, 0.25)
    assert read.optics.pixel_um == pytest.approx(0.65)
    assert read.optics.medium_index == 1.33


def test_color_is_a_wavelength(tmp_path: Path, version: str) -> None:
    path = write_matlab(tmp_path / "a.mat", matlab_variables(), version)
    waves = [load(path, color=color).optics.wavelength_um for color in "rgb"]
    assert waves == [0.632, 0.5126, 0.471]


def test_designed_directions_stand_in_for_calibrated_ones(tmp_path: Path, version: str) -> None:
    variables = matlab_variables()
    calibrated = variables["na_calib"]
    both = variables | {"na_design": calibrated / 2}
    read = load(write_matlab(tmp_path / "a.mat", both, version), color="g")
    assert np.array_equal(read.illumination.na_led_xy, -calibrated)
    del both["na_calib"]
    read = load(write_matlab(tmp_path / "b.mat", both, version), color="g")
    assert np.array_equal(read.illumination.na_led_xy, -calibrated / 2)


@settings(max_examples=20)
@given(st.data())
def test_crop_equals_slicing(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("crop")
    height, width = data.draw(st.integers(8, HEIGHT)), data.draw(st.integers(8, WIDTH))
    y, x = data.draw(st.integers(0, HEIGHT - height)), data.draw(st.integers(0, WIDTH - width))
    for version in VERSIONS:
        path = write_matlab(folder / f"{version}.mat", matlab_variables(), version)
        whole = load(path, color="g")
        read = load(path, color="g", crop=(y, x, height, width))
        expected = whole.crop(y, x, height, width)
        assert np.array_equal(read.frames_led_y_x, expected.frames_led_y_x)
        assert read.axis_y_x_px == expected.axis_y_x_px


def without(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda variables: variables.pop(name)


def changed(name: str, change: Callable[[Any], Any]) -> Callable[[dict[str, Any]], None]:
    return lambda variables: variables.update({name: change(variables[name])})


DAMAGE = [
    *((without(name), f"{name}.*is missing") for name in ("I_low", "mag", "dpix_c", "na_cal")),
    (without("na_calib"), "na_calib: is missing"),
    (changed("I_low", lambda v: v[..., 0]), "I_low: has shape"),
    (changed("I_low", lambda v: v[..., :-1]), "one frame for each of 5 LEDs"),
    (changed("I_low", lambda v: v[:, :, :2]), "give it axes \\(y, x, LED\\)"),
    (changed("I_low", lambda v: v + 1j), "I_low: is not an array of real numbers"),
    (changed("I_low", lambda v: v[:0]), "I_low: is empty"),
    (changed("I_low", lambda v: v.astype(float) * np.nan), "without weight"),
    (changed("I_low", lambda v: v.astype(float) - 1e4), "all zero"),
    (changed("I_low", lambda v: v * 0), "all zero"),
    (changed("I_low", lambda v: v[:4]), "at least 8 x 8"),
    (changed("na_calib", lambda v: v[:, :1]), "na_calib or na_design: has shape \\(5, 1\\)"),
    (changed("na_calib", lambda v: v[:3]), "one frame for each of 3 LEDs"),
    (changed("na_calib", lambda v: v * 100), "below 1"),
    (changed("na_calib", lambda v: v * np.nan), "not finite for LED 0"),
    (changed("na_calib", lambda v: v * 1j), "na_calib: is not an array of real numbers"),
    (changed("mag", lambda v: np.ones((1, 2))), "mag: has shape"),
    (changed("mag", lambda v: v * 0), "mag: is 0; give a positive number"),
    (changed("mag", lambda v: np.zeros((0, 0))), "mag: is empty"),
    (changed("na_cal", lambda v: v * np.nan), "na_cal: is nan"),
    (changed("dpix_c", lambda v: v * 1e-6), "in micrometres"),
]


@pytest.mark.parametrize(("damage", "said"), DAMAGE)
def test_one_sentence_names_file_and_variable(
    tmp_path: Path, version: str, damage: Callable[[dict[str, Any]], None], said: str
) -> None:
    variables = matlab_variables()
    damage(variables)
    path = write_matlab(tmp_path / "a.mat", variables, version)
    with pytest.raises(DataError, match=said) as raised:
        load(path, color="g")
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


def test_text_instead_of_a_number(tmp_path: Path) -> None:
    path = write_matlab(tmp_path / "a.mat", matlab_variables() | {"mag": "ten"}, "5")
    with pytest.raises(DataError, match="mag: is not an array of real numbers"):
        load(path, color="g")
    text = matlab_variables() | {"mag": np.array([[116]], np.uint16)}
    path = write_matlab(tmp_path / "b.mat", text, "7.3")
    import h5py

    with h5py.File(path, "r+") as file:
        file["mag"].attrs["MATLAB_class"] = np.bytes_("char")
    with pytest.raises(DataError, match="mag: is text"):
        load(path, color="g")


def test_wavelength_must_be_given(tmp_path: Path, version: str) -> None:
    path = write_matlab(tmp_path / "a.mat", matlab_variables(), version)
    with pytest.raises(SettingsError, match="wavelength: is not stored"):
        load(path)
    with pytest.raises(SettingsError, match="give only one"):
        load(path, wavelength_um=0.5, color="g")
    with pytest.raises(SettingsError, match="give r, g or b"):
        load(path, color="green")
    with pytest.raises(DataError, match="nanometres"):
        load(path, wavelength_um=500)


def test_crop_refused(tmp_path: Path, version: str) -> None:
    path = write_matlab(tmp_path / "a.mat", matlab_variables(), version)
    with pytest.raises(DataError, match="crop: 0 0 99 8 leaves the frame"):
        load(path, color="g", crop=(0, 0, 99, 8))
    with pytest.raises(DataError, match="four whole numbers"):
        load(path, color="g", crop=(0, 0, 8.5, 8))  # type: ignore[arg-type]


def test_frames_beyond_memory_ask_for_a_crop(tmp_path: Path) -> None:
    import h5py

    path = write_matlab(tmp_path / "a.mat", matlab_variables(), "7.3")
    with h5py.File(path, "r+") as file:
        del file["I_low"]
        file.create_dataset("I_low", (LEDS, 10**6, 10**6), "u2", chunks=(1, 64, 64), fillvalue=7)
    with pytest.raises(DataError, match=r"of memory.*give a smaller crop"):
        load(path, color="g")
    assert load(path, color="g", crop=(10**5, 10**5, 16, 16)).frames_led_y_x.max() == 7


@needs_algae
def test_algae() -> None:
    whole = load(ALGAE, wavelength_um=0.63, medium_index=1.33)
    assert whole.frames_led_y_x.shape == (89, 256, 256)
    assert whole.is_bright_field.all()
    assert whole.optics.pixel_um == pytest.approx(6.5 / 10.07)
    part = load(ALGAE, wavelength_um=0.63, crop=(17, 101, 64, 80))
    assert np.array_equal(part.frames_led_y_x, whole.frames_led_y_x[:, 17:81, 101:181])


def test_a_description_that_names_the_file_wins(tmp_path: Path, version: str) -> None:
    path = write_matlab(tmp_path / "a.mat", matlab_variables(), version)
    description = """
    frames: {file: %s, variable: I_low, axes: yxl, values: amplitude}
    optics: {wavelength_um: 0.5, na: 0.25, pixel_um: 0.65}
    leds: {na_x_y: {values: [[0, 0], [0.1, 0], [0, 0.1], [-0.1, 0], [0, -0.1]]}}
    """
    (tmp_path / "acquisition.yaml").write_text(description % "a.mat")
    described = load(path)
    assert described.illumination.na_led_xy[1].tolist() == [0.1, 0]
    expected = matlab_variables()["I_low"].transpose(2, 0, 1).astype(np.float32) ** 2
    assert np.array_equal(described.frames_led_y_x, expected)
    (tmp_path / "acquisition.yaml").write_text(description % "another.mat")
    assert load(path, color="g").illumination.na_led_xy[1, 0] != 0.1
    (tmp_path / "acquisition.yaml").write_text("{ no yaml")
    assert load(path, color="g").led_count == LEDS
