"""MATLAB, Octave, Python, fpm-rs and fpm-py hold the same frames in their own ways."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile

from fpm_inr.cli import main
from fpm_inr.errors import DataError
from fpm_inr.io import load
from tests.io.acquisition_files import (
    LEDS,
    WAVELENGTH_UM,
    matlab_variables,
    plain_acquisition,
    write_hdf5,
    write_matlab,
)

VARIABLES = matlab_variables()
FRAMES = VARIABLES["I_low"].transpose(2, 0, 1)


def cells(path: Path) -> None:
    held = np.empty((1, LEDS), object)
    for led in range(LEDS):
        held[0, led] = FRAMES[led]
    scipy.io.savemat(path, VARIABLES | {"I_low": held})


def octave(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for name, value in VARIABLES.items():
            group = file.create_group(name)
            group["type"] = b"matrix"
            group["value"] = np.atleast_2d(np.asarray(value)).T


def matlab_struct(path: Path) -> None:
    write_matlab(path, {f"data/{name}": value for name, value in VARIABLES.items()}, "7.3")


def matlab_cells(path: Path) -> None:
    write_matlab(path, {k: v for k, v in VARIABLES.items() if k != "I_low"}, "7.3")
    with h5py.File(path, "r+") as file:
        held = file.create_dataset("I_low", (LEDS, 1), dtype=h5py.ref_dtype)
        held.attrs["MATLAB_class"] = np.bytes_("cell")
        for led in range(LEDS):
            one = file.create_dataset(f"#refs#/{led}", data=FRAMES[led].T)
            held[led, 0] = one.ref


LAYOUTS: dict[str, Callable[[Path], Any]] = {
    "struct": lambda path: scipy.io.savemat(path, {"data": VARIABLES}),
    "cells": cells,
    "empty calibration": lambda path: scipy.io.savemat(
        path,
        VARIABLES | {"na_calib": np.zeros((0, 0)), "na_design": VARIABLES["na_calib"]},
    ),
    "turned directions": lambda path: scipy.io.savemat(
        path, VARIABLES | {"na_calib": VARIABLES["na_calib"].T}
    ),
    "LEDs first": lambda path: scipy.io.savemat(path, VARIABLES | {"I_low": FRAMES}),
    "Python, LEDs first": lambda path: write_hdf5(path, VARIABLES | {"I_low": FRAMES}),
    "Python, as documented": lambda path: write_hdf5(path, VARIABLES),
    "Octave": octave,
    "MATLAB 7.3 struct": matlab_struct,
    "MATLAB 7.3 cells": matlab_cells,
    "MATLAB 7.3, LEDs first": lambda path: write_matlab(path, VARIABLES | {"I_low": FRAMES}, "7.3"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_the_same_acquisition(tmp_path: Path, layout: str) -> None:
    LAYOUTS[layout](tmp_path / "a.mat")
    read = load(tmp_path / "a.mat", wavelength_um=WAVELENGTH_UM)
    assert np.array_equal(read.frames_led_y_x, FRAMES)
    np.testing.assert_allclose(read.illumination.na_led_xy, -VARIABLES["na_calib"])
    assert read.optics.na == 0.25
    crop = load(tmp_path / "a.mat", wavelength_um=WAVELENGTH_UM, crop=(2, 1, 9, 8))
    assert np.array_equal(crop.frames_led_y_x, read.frames_led_y_x[:, 2:11, 1:9])


def test_axes_that_could_be_either_are_asked_about(tmp_path: Path) -> None:
    cube = matlab_variables(leds=9, height=9, width=12)
    write_hdf5(tmp_path / "python.h5", cube)
    with pytest.raises(DataError, match=r"say which counts them: frames\.axes"):
        load(tmp_path / "python.h5", wavelength_um=WAVELENGTH_UM)
    # MATLAB keeps to the documented order, and that is said
    write_matlab(tmp_path / "a.mat", cube, "7.3")
    read = load(tmp_path / "a.mat", wavelength_um=WAVELENGTH_UM)
    assert np.array_equal(read.frames_led_y_x, cube["I_low"].transpose(2, 0, 1))
    assert any("documented order" in note for note in read.notes)


def fpm_rs(folder: Path) -> Path:
    acquisition = plain_acquisition()
    optics, light = acquisition.optics, acquisition.illumination
    vectors = [
        {"kx": float(x), "ky": float(y)}
        for x, y in light.na_led_xy * 2 * np.pi / (optics.wavelength_um * 1e-6)
    ]
    content: dict[str, Any] = {
        "dataset": {
            "format_version": 1,
            "measurement_manifest": "measurements.json",
            "configuration": "configuration.json",
        },
        "measurements": {
            "frames": [
                {"path": f"frames/{led}.tiff", "exposure_time": 0.02 * (1 + led % 2)}
                for led in range(LEDS)
            ],
            "dark_frame": "dark.tiff",
            "mask": "mask.tiff",
            "preprocessing": {
                "subtract_dark": True,
                "divide_flat_field": False,
                "normalize_exposure": True,
                "subtract_background": False,
                "clamp_negative": True,
            },
        },
        "configuration": {
            "reconstruction_experiment": {
                "optics": {
                    "wavelength_vacuum_m": optics.wavelength_um * 1e-6,
                    "objective_na": optics.na,
                    "magnification": 10.0,
                    "camera_pixel_size": 6.5e-6,
                    "objective_medium_refractive_index": 1.33,
                }
            },
            "compiled_models": {
                "reconstruction_model": {"k_vectors": vectors, "multiplexing_matrix": None}
            },
        },
    }
    (folder / "frames").mkdir(exist_ok=True)
    for name, part in content.items():
        (folder / f"{name}.json").write_text(json.dumps(part))
    for led, frame in enumerate(FRAMES):
        tifffile.imwrite(folder / f"frames/{led}.tiff", (frame + 30).astype(np.uint16))
    tifffile.imwrite(folder / "dark.tiff", np.full(FRAMES.shape[1:], 30, np.uint16))
    mask = np.ones(FRAMES.shape[1:], np.uint8)
    mask[3, 4] = 0
    tifffile.imwrite(folder / "mask.tiff", mask)
    return folder


def test_a_bundle_of_fpm_rs(tmp_path: Path) -> None:
    expected = plain_acquisition()
    for path in (fpm_rs(tmp_path), tmp_path / "dataset.json"):
        read = load(path)
        np.testing.assert_allclose(read.illumination.na_led_xy, expected.illumination.na_led_xy)
        assert read.optics.pixel_um == pytest.approx(0.65)
        assert read.optics.medium_index == 1.33
        times = np.where(np.arange(LEDS) % 2, 1.0, 0.5)[:, None, None]
        good = np.ones(FRAMES.shape, bool)
        good[:, 3, 4] = False
        np.testing.assert_allclose(read.frames_led_y_x[good], (FRAMES / times)[good], rtol=1e-5)
        assert read.weight_led_y_x is not None
        assert (read.weight_led_y_x == good).all()


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("measurements", {"frames": []}, "0 frames for 5 wave vectors"),
        ("measurements", {"frames": [{"path": "../x.tiff"}] * LEDS}, "no file under its folder"),
        ("configuration", {"compiled_models": {}}, "has no 'reconstruction_model'"),
        ("configuration", {"reconstruction_experiment": 3}, "holds something unexpected"),
        ("dataset", {"configuration": None}, "no file under its folder"),
    ],
)
def test_a_wrong_bundle_is_refused_in_one_sentence(
    tmp_path: Path, name: str, change: dict[str, Any], words: str
) -> None:
    fpm_rs(tmp_path)
    content = json.loads((tmp_path / f"{name}.json").read_text())
    (tmp_path / f"{name}.json").write_text(json.dumps(content | change))
    with pytest.raises(DataError, match=words):
        load(tmp_path)


def fpm_py(folder: Path, **changes: Any) -> Path:
    geometry = [(0.004 * (led % 3 - 1), 0.004 * (led // 3 - 1), 0.08) for led in range(LEDS)]
    captures = [
        {
            "filename": f"{led}.npy",
            "wavelength": 5e-7,
            "exposure": 10.0,
            "led_positions": [dict(zip("xyz", place, strict=True))],
        }
        for led, place in enumerate(geometry)
    ]
    captures.append({"filename": "dark.npy", "led_positions": []})
    content = {
        "study_id": "0",
        "magnification": 10.0,
        "sensor_pixel_size": 6.5e-6,
        "captures": captures,
        "metadata": {"objective_na": 0.25},
    }
    (folder / "info.json").write_text(json.dumps(content | changes))
    for led, frame in enumerate(FRAMES):
        np.save(folder / f"{led}.npy", frame.astype(np.float32) + 7)
    np.save(folder / "dark.npy", np.full(FRAMES.shape[1:], 7, np.float32))
    return folder


def test_a_folder_of_fpm_py(tmp_path: Path) -> None:
    read = load(fpm_py(tmp_path))
    np.testing.assert_allclose(read.frames_led_y_x, FRAMES)
    assert read.optics.pixel_um == pytest.approx(0.65)
    reach = np.hypot(0.08, np.hypot(0.004, 0.004))
    np.testing.assert_allclose(read.illumination.na_led_xy[0], [-0.004 / reach, -0.004 / reach])
    with pytest.raises(DataError, match="objective_na"):
        load(fpm_py(tmp_path, metadata={}))


def test_convert_to_ptylab_is_read_back_alike(tmp_path: Path) -> None:
    write_hdf5(tmp_path / "a.h5", VARIABLES)
    options = ["--wavelength", str(WAVELENGTH_UM), "--medium-index", "1.33"]
    command = ["convert", str(tmp_path / "a.h5"), *options, "--to", "ptylab"]
    with pytest.raises(SystemExit) as ended:
        main([*command, "-o", str(tmp_path / "b.hdf5")])
    assert ended.value.code == 0
    first = load(tmp_path / "a.h5", wavelength_um=WAVELENGTH_UM)
    again = load(tmp_path / "b.hdf5")
    assert np.array_equal(again.frames_led_y_x, first.frames_led_y_x)
    np.testing.assert_allclose(again.illumination.na_led_xy, first.illumination.na_led_xy)
    assert again.optics.pixel_um == pytest.approx(first.optics.pixel_um)
