"""PtyLab's FPM files: its conventions, written out from its formula, against ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fpm_inr.errors import DataError
from fpm_inr.io import load
from tests.io.acquisition_files import HEIGHT, WIDTH, ptylab_variables, write_hdf5


def centred_fft(field: np.ndarray) -> np.ndarray:
    return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(field)))


def test_values(tmp_path: Path) -> None:
    variables = ptylab_variables()
    read = load(write_hdf5(tmp_path / "a.hdf5", variables))
    assert np.array_equal(read.frames_led_y_x, variables["ptychogram"])
    assert read.optics.wavelength_um == pytest.approx(0.5)
    assert read.optics.pixel_um == pytest.approx(0.65)
    assert read.optics.na == 0.25
    geometry = read.illumination.geometry
    assert geometry is not None
    np.testing.assert_allclose(
        geometry.position_led_xyz_mm[:, :2], variables["encoder"][:, ::-1] * 1e3
    )
    np.testing.assert_allclose(geometry.position_led_xyz_mm[:, 2], 80)


def test_led_directions_are_those_that_ptylab_reconstructs_with(tmp_path: Path) -> None:
    """Frames of PtyLab's own model are those of ours, with the directions that we read."""
    rng = np.random.default_rng(3)
    size, wide, wavelength, pixel, distance = 16, 32, 5e-7, 0.65e-6, 0.08
    steps_row_column = np.array([[0, 0], [3, 1], [-2, 4], [5, -3]])
    sines = steps_row_column * wavelength / (size * pixel)
    encoder = distance * sines / np.sqrt(1 - (sines**2).sum(axis=1, keepdims=True))

    field = rng.normal(size=(wide, wide)) + 1j * rng.normal(size=(wide, wide))
    frequency = np.arange(size) - size // 2
    pupil = np.hypot(*np.meshgrid(frequency, frequency)) < 5
    # PtyLab: object spectrum A with fft2c(A) the object; frame |fft2c(pupil A[patch])|^2, and the
    # patch starts at round(-size pixel / wavelength * encoder / distance) + wide/2 - size/2
    spectrum = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(field)))
    length = np.sqrt((encoder**2).sum(axis=1, keepdims=True) + distance**2)
    starts = np.round(-size * pixel / wavelength * encoder / length).astype(int)
    starts = starts + wide // 2 - size // 2
    frames = [
        np.abs(centred_fft(pupil * spectrum[row : row + size, column : column + size])) ** 2
        for row, column in starts
    ]
    read = load(
        write_hdf5(
            tmp_path / "a.h5",
            ptylab_variables()
            | {"ptychogram": np.array(frames, np.float32), "encoder": encoder, "zled": distance},
        )
    )

    shifts_xy = read.illumination.na_led_xy * size * read.optics.pixel_um / 0.5
    ours = centred_fft(field) / field.size
    for frame, (x, y) in zip(read.frames_led_y_x, np.round(shifts_xy).astype(int), strict=True):
        row, column = y + wide // 2 - size // 2, x + wide // 2 - size // 2
        patch = pupil * ours[row : row + size, column : column + size]
        image = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(patch))) * size**2
        np.testing.assert_allclose(frame, np.abs(image) ** 2, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("orientation", range(8))
def test_orientation_and_its_crop(tmp_path: Path, orientation: int) -> None:
    variables = ptylab_variables()
    path = write_hdf5(tmp_path / "a.h5", variables | {"orientation": orientation})
    expected = variables["ptychogram"]
    if orientation >= 4:
        expected = expected.transpose(0, 2, 1)
    if orientation % 4 in (1, 3):
        expected = expected[:, :, ::-1]
    if orientation % 4 in (2, 3):
        expected = expected[:, ::-1]
    assert np.array_equal(load(path).frames_led_y_x, expected)
    window = (1, 0, 8, 8) if orientation >= 4 else (3, 1, 8, 8)
    part, whole = load(path, crop=window), load(path).crop(*window)
    assert np.array_equal(part.frames_led_y_x, whole.frames_led_y_x)
    assert np.array_equal(part.illumination.na_led_xy, whole.illumination.na_led_xy)
    assert part.axis_y_x_px == whole.axis_y_x_px


def test_numbers_may_be_arrays_of_one(tmp_path: Path) -> None:
    variables = ptylab_variables()
    wrapped = {
        name: value if np.ndim(value) else np.array([[value]]) for name, value in variables.items()
    }
    read = load(write_hdf5(tmp_path / "a.h5", wrapped), wavelength_um=0.6, medium_index=1.33)
    assert (read.optics.wavelength_um, read.optics.medium_index) == (0.6, 1.33)


def encoder(change: Any) -> dict[str, Any]:
    return {"encoder": change(ptylab_variables()["encoder"])}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        *(({name: None}, f"{name}: is missing") for name in ptylab_variables() if name[0] != "p"),
        ({"zled": None, "zo": 0.1}, "a scanned probe, not an LED array"),
        ({"wavelength": 500.0}, "wavelength: is 500, not a length"),
        ({"dxd": 6.5}, "dxd: is 6.5, not a length"),
        ({"zled": 80.0}, "zled: is 80, not a length"),
        ({"zled": -0.08}, "zled: is -0.08"),
        ({"zled": np.nan}, "zled: is nan"),
        ({"magnification": 0.0}, "magnification: is 0; store a positive number"),
        ({"magnification": [1.0, 2.0]}, "magnification: has shape"),
        ({"magnification": "ten"}, "magnification: is not an array of real numbers"),
        ({"NA": 1.2}, "na: is 1.2"),
        (encoder(lambda e: e[:, :1]), "encoder: has shape \\(5, 1\\)"),
        (encoder(lambda e: e * 1e3), "encoder: reaches .* looks like millimetres"),
        (
            encoder(lambda e: e[:3]),
            "ptychogram: of shape 12 x 9 x 5 does not hold one frame for each of 3",
        ),
        (encoder(lambda e: e * np.nan), "LED positions"),
        (encoder(lambda e: e[:0]), "encoder: is empty"),
        ({"ptychogram": np.ones((HEIGHT, WIDTH))}, "ptychogram: has shape"),
        ({"ptychogram": np.ones((5, HEIGHT, WIDTH), complex)}, "ptychogram: is not an array"),
        ({"ptychogram": np.ones((0, HEIGHT, WIDTH))}, "ptychogram: is empty"),
        ({"orientation": 8}, "orientation: is 8"),
        ({"orientation": 0.5}, "orientation: is 0.5"),
    ],
)
def test_one_sentence_names_file_and_dataset(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    variables = {k: v for k, v in (ptylab_variables() | changes).items() if v is not None}
    path = write_hdf5(tmp_path / "a.h5", variables)
    with pytest.raises(DataError, match=said) as raised:
        load(path)
    assert str(raised.value).startswith(f"{path}: ")
