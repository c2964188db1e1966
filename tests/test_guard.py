"""A band of field beside the frames: what it leaves as it was, and what it sets right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

import fpm_inr as fpm
from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.errors import SettingsError
from fpm_inr.focus.residual import FineMisfit
from fpm_inr.guard import guarded, with_band, without_band
from fpm_inr.metrics import complex_error
from fpm_inr.mosaic.levels import level_of, read_level
from fpm_inr.reconstruction import data_residual, reconstruct
from fpm_inr.solution import Solution
from fpm_inr.trust.assess import assess
from fpm_inr.trust.explained import explain

OPTICS = Optics(wavelength_um=0.53, na=0.2, pixel_um=0.5)
SIDE, GUARD = 64, 16


def world() -> tuple[Acquisition, NDArray[np.complex128]]:
    """Frames of the middle of a world of twice the side, by NumPy alone; and the object there."""
    side, big = 2 * SIDE, 4 * SIDE
    draw = np.random.default_rng(1).standard_normal
    fine, slow = (gaussian_filter(draw((big, big)), s, mode="wrap") for s in (2.0, 30.0))
    amplitude = 0.8 + 0.1 * fine / fine.std()
    truth = amplitude * np.exp(1j * (0.6 * slow / slow.std() + 0.2 * fine / fine.std()))
    axis = np.arange(-4, 5) * 0.055
    na = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    na = na[np.hypot(*na.T) < 0.25]
    sample = OPTICS.wavelength_um / (side * OPTICS.pixel_um)
    samples = np.rint(na / sample).astype(int)  # on whole samples the world goes on periodically
    k = (np.arange(side) - side // 2) * sample
    pupil = np.hypot(k[:, None], k) <= OPTICS.na
    spectrum = np.fft.fftshift(np.fft.fft2(truth))
    middle = np.s_[(big - side) // 2 : (big + side) // 2]
    frames = []
    for x, y in samples:
        seen = np.roll(spectrum, (-y, -x), (0, 1))[middle, middle] * pupil
        field = np.fft.ifft2(np.fft.ifftshift(seen)) / 4
        frames.append(np.abs(field[SIDE // 2 : -SIDE // 2, SIDE // 2 : -SIDE // 2]) ** 2)
    light = Illumination(samples * sample)
    return Acquisition(np.array(frames, np.float32), OPTICS, light), truth[SIDE:-SIDE, SIDE:-SIDE]


@pytest.fixture(scope="module")
def seen() -> tuple[Acquisition, NDArray[np.complex128]]:
    return world()


@pytest.fixture(scope="module")
def solutions(seen: tuple[Acquisition, NDArray[np.complex128]]) -> tuple[Solution, Solution]:
    """Without a band, and with one."""
    bare, banded = (reconstruct(seen[0], upsample=2, guard_px=px) for px in (0, GUARD))
    return bare, banded


def test_frames_keep_their_pixels_and_directions_in_a_band_that_does_not_count(
    seen: tuple[Acquisition, NDArray[np.complex128]],
) -> None:
    frames = seen[0]
    wide = guarded(frames, 5)
    assert wide.shape_y_x == (SIDE + 10, SIDE + 10)
    assert np.array_equal(wide.frames_led_y_x[:, 5:-5, 5:-5], frames.frames_led_y_x)
    assert wide.weight_led_y_x is not None
    assert wide.weight_led_y_x.sum() == frames.frames_led_y_x.size
    assert (without_band(wide.weight_led_y_x, 5) == 1).all()
    assert np.array_equal(wide.illumination.na_led_xy, frames.illumination.na_led_xy)
    assert wide.amplitude_scale == pytest.approx(frames.amplitude_scale, rel=1e-6)
    # the axis stays where it is: a crop of the same pixels is the same again
    back = wide.crop(5, 5, SIDE, SIDE)
    assert back.axis_y_x_px == pytest.approx(frames.axis_y_x_px)
    assert guarded(frames, 0) is frames


def test_weights_and_saturation_move_along() -> None:
    frames = np.ones((1, 8, 9), np.float32)
    weight, top = np.ones((1, 8, 9), np.uint8), np.zeros((1, 8, 9), bool)
    weight[0, 1, 2], top[0, 3, 4] = 0, True
    one = Acquisition(frames, OPTICS, Illumination(np.zeros((1, 2))), (1.0, 2.0), weight, top)
    wide = guarded(one, 3)
    assert wide.weight_led_y_x is not None
    assert wide.saturated_led_y_x is not None
    assert wide.weight_led_y_x[0, 4, 5] == 0
    assert wide.weight_led_y_x.sum() == 8 * 9 - 1
    assert np.argwhere(wide.saturated_led_y_x).tolist() == [[0, 6, 7]]
    assert wide.axis_y_x_px == (4.0, 5.0)


def test_phase_that_varies_slowly_is_righter_and_frames_are_explained(
    seen: tuple[Acquisition, NDArray[np.complex128]], solutions: tuple[Solution, Solution]
) -> None:
    frames, truth = seen
    inner = np.s_[16:-16, 16:-16]
    error = [
        complex_error(one.render(0.0).field_z_y_x[0][inner], truth[inner]) for one in solutions
    ]
    residual = [data_residual(frames, one, [0.0])[0] for one in solutions]
    assert error[1] < 0.6 * error[0]
    assert residual[1] < 0.5 * residual[0]


def test_images_are_those_of_the_frames_and_the_file_keeps_the_band(
    solutions: tuple[Solution, Solution], tmp_path_factory: pytest.TempPathFactory
) -> None:
    bare, banded = solutions
    assert banded.shape_y_x == bare.shape_y_x == (2 * SIDE, 2 * SIDE)
    path = tmp_path_factory.mktemp("file") / "field.safetensors"
    banded.save(path, precision="full")
    again = fpm.load_solution(path)
    assert isinstance(again, Solution)
    assert again.guard_px == GUARD
    image = again.render(0.0).field_z_y_x
    assert np.allclose(image, banded.render(0.0).field_z_y_x, atol=1e-6)
    whole = replace(banded, guard_px=0).render(0.0).field_z_y_x
    assert np.array_equal(without_band(whole, 2 * GUARD), banded.render(0.0).field_z_y_x)


def test_levels_show_the_places_that_they_are_asked_for(
    solutions: tuple[Solution, Solution], tmp_path_factory: pytest.TempPathFactory
) -> None:
    banded = solutions[1]
    at = np.arange(8.0), np.arange(4.0, 20.0)
    (image,) = level_of(banded, 0).sampler(*(one / 2 for one in at))(np.array([0.0])).numpy()
    assert np.allclose(image, banded.render(0.0).field_z_y_x[0][:8, 4:20], atol=1e-5)
    path = tmp_path_factory.mktemp("level") / "field.safetensors"
    banded.save(path)
    stored, made = read_level(path, 1), level_of(banded, 1)
    assert stored is not None
    places = np.arange(0, SIDE, 1.0), np.arange(0, SIDE, 1.0)
    first, second = (one.sampler(*places)(np.array([0.0]))[0].numpy() for one in (stored, made))
    assert np.abs(first - second).max() < 0.02
    # a level is the image, low-passed: about its every second pixel
    assert complex_error(second, banded.render(0.0).field_z_y_x[0][::2, ::2]) < 0.2


def test_what_compares_frames_takes_the_band_into_account(
    seen: tuple[Acquisition, NDArray[np.complex128]], solutions: tuple[Solution, Solution]
) -> None:
    frames, banded = seen[0], solutions[1]
    (residual,) = data_residual(frames, banded, [0.0])
    told = explain(frames, banded, [0.0])
    assert told.residual_z[0] == pytest.approx(residual, rel=1e-3)
    misfit = FineMisfit(frames, banded)
    fine, whole = misfit.of(banded.render(0.0))
    assert fine.shape == misfit.power_y_x.shape == (SIDE, SIDE)
    assert whole / misfit.power_y_x.sum() == pytest.approx(residual, rel=1e-3)
    # the same by hand, of the field with its band
    wide, shown = with_band(frames, banded)
    model, aperture, measured = shown.forward(wide)
    image = torch.from_numpy(shown.render(0.0).field_z_y_x[0])
    leds = torch.arange(frames.frame_count)
    predicted = model.amplitude(model.spectrum(image)[None], torch.zeros(1), leds, aperture)[0]
    missed, light = (without_band(one, GUARD) for one in (predicted - measured, measured))
    assert float(missed.square().sum() / light.square().sum()) == pytest.approx(residual, rel=1e-3)


def test_trust_is_of_the_pixels_that_are_shown(
    seen: tuple[Acquisition, NDArray[np.complex128]], solutions: tuple[Solution, Solution]
) -> None:
    found = assess(seen[0], solutions[1])
    assert found.noise[0].phase_y_x.shape == (2 * SIDE, 2 * SIDE)
    assert np.isfinite(found.noise[0].phase_y_x).all()
    assert found.model.excess_y_x.shape == (SIDE, SIDE)


def test_a_band_has_a_width(seen: tuple[Acquisition, NDArray[np.complex128]]) -> None:
    with pytest.raises(SettingsError, match="0 or more"):
        reconstruct(seen[0], guard_px=-1)
