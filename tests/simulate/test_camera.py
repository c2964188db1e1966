"""What the camera and the instrument's errors do to the frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fpm_inr.errors import SettingsError
from fpm_inr.simulate import Camera, Errors, preset, simulate
from fpm_inr.simulate.camera import PupilLight, expose

FLAT = np.full((2, 200, 200), 0.4, np.float32)


def quick(**changes: object) -> object:
    setup = replace(preset("demo"), shape_y_x=(24, 24), scan_z_um=(), camera=Camera())
    return replace(setup, **changes)


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_no_camera_leaves_the_intensity_alone() -> None:
    assert np.array_equal(expose(FLAT, Camera(), rng()), FLAT)


def test_shot_noise_is_that_of_the_photons() -> None:
    frames = expose(FLAT, Camera(photons=900), rng())
    assert np.isclose(frames.mean(), 900, rtol=0.005)
    assert np.isclose(frames.var(), 900, rtol=0.03)


def test_read_noise_adds_its_variance() -> None:
    frames = expose(FLAT, Camera(photons=900, read_noise_e=40), rng())
    assert np.isclose(frames.var(), 900 + 1600, rtol=0.03)


def test_the_brightest_pixel_fills_nine_tenths_of_the_range() -> None:
    frames = expose(FLAT, Camera(bits=12), rng())
    assert set(np.unique(frames)) == {round(0.9 * 4095)}
    assert expose(FLAT, Camera(photons=20, bits=12), rng()).max() <= 4095


def test_the_dark_level_is_subtracted_or_kept() -> None:
    dim = FLAT.copy()
    dim[1] = 0
    camera = Camera(photons=1e6, read_noise_e=300, bits=12, dark_level=100)
    subtracted = expose(dim, camera, rng())
    kept = expose(dim, replace(camera, subtract_dark=False), rng())
    assert np.array_equal(subtracted, np.maximum(kept - 100, 0))
    assert np.isclose(kept[1].mean(), 100, atol=0.1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"fill_factor": -0.1},
        {"fill_factor": 1.1},
        {"photons": 0},
        {"read_noise_e": 2},
        {"photons": 100, "read_noise_e": -1},
        {"bits": 2},
        {"dark_level": 5},
        {"bits": 8, "dark_level": 200},
        {"bits": 8, "subtract_dark": False},
        {"photons": float("nan")},
    ],
)
def test_impossible_cameras_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="give"):
        Camera(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"aberration_waves": ((1, 0.1),)},
        {"aberration_waves": ((4, 99.0),)},
        {"aberration_waves": ((4, 0.1), (4, 0.2))},
        {"led_jitter_na": -0.1},
        {"array_pitch_factor": 0.0},
        {"array_shift_mm": (float("nan"), 0.0)},
        {"gain_spread": 3.0},
    ],
)
def test_impossible_errors_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="give"):
        Errors(**wrong)


def test_gains_brighten_frames_by_what_the_truth_says() -> None:
    plain, uneven = simulate(quick()), simulate(quick(errors=Errors(gain_spread=0.2)))
    ratio = uneven.acquisition.frames_led_y_x / plain.acquisition.frames_led_y_x
    gains = uneven.truth.intensity_gain_led
    assert np.allclose(ratio, gains[:, None, None], rtol=1e-4)
    assert np.isclose(gains.mean(), 1)
    assert 0.1 < np.log(gains).std() < 0.3


def test_led_errors_are_in_the_truth_and_not_in_the_acquisition() -> None:
    errors = Errors(array_rotation_deg=90.0, array_pitch_factor=1.01, led_jitter_na=0.0)
    made, plain = simulate(quick(errors=errors)), simulate(quick())
    stated = made.acquisition.illumination.na_led_xy
    assert np.array_equal(stated, plain.truth.na_led_xy)
    # a turn of 90 degrees from x towards y: (x, y) -> (-y, x)
    turned = np.stack([-stated[:, 1], stated[:, 0]], axis=1)
    assert np.allclose(made.truth.na_led_xy, turned * 1.01, rtol=2e-3, atol=1e-6)
    assert not np.allclose(made.acquisition.frames_led_y_x, plain.acquisition.frames_led_y_x)


def test_jitter_and_shift_have_their_size() -> None:
    jittered = simulate(quick(errors=Errors(led_jitter_na=0.003)))
    off = jittered.truth.na_led_xy - jittered.acquisition.illumination.na_led_xy
    assert 0.0015 < off.std() < 0.0045
    shifted = simulate(quick(errors=Errors(array_shift_mm=(0.66, -0.33))))
    assert np.allclose(shifted.truth.na_led_xy[0], [0.01, -0.005], rtol=1e-3)


def test_the_seed_decides_everything() -> None:
    errors = Errors(led_jitter_na=0.002, gain_spread=0.1)
    setup = quick(errors=errors, camera=Camera(photons=1000, bits=12))
    first, again = simulate(setup), simulate(setup)
    other = simulate(replace(setup, seed=1))
    assert np.array_equal(first.acquisition.frames_led_y_x, again.acquisition.frames_led_y_x)
    assert np.array_equal(first.truth.na_led_xy, again.truth.na_led_xy)
    assert not np.array_equal(first.truth.na_led_xy, other.truth.na_led_xy)
    assert not np.array_equal(first.truth.object_y_x, other.truth.object_y_x)


def light_of(field_y_x: np.ndarray) -> PupilLight:
    return PupilLight(np.fft.fft2(field_y_x, norm="forward"), np.zeros(field_y_x.shape))


def test_a_pixels_area_is_averaged_over() -> None:
    """Fringes of two waves, whose mean over a square is known."""
    y, x = np.mgrid[:24, :32]
    for fill_factor, cycles in ((1.0, 5), (0.5, 5), (1.0, 24)):
        # 24 cycles of intensity over 32 pixels: beyond the pixels' own Nyquist frequency
        field = np.exp(2j * np.pi * (cycles // 2) * x / 32)
        field = field + 0.5 * np.exp(-2j * np.pi * (cycles - cycles // 2) * x / 32)
        seen = light_of(field).intensity(fill_factor=fill_factor)
        damped = np.sinc(np.sqrt(fill_factor) * cycles / 32)
        expected = 1.25 + damped * np.cos(2 * np.pi * cycles * x / 32)
        np.testing.assert_allclose(seen, np.broadcast_to(expected, y.shape), atol=1e-12)


def test_a_small_pixel_is_a_point_and_a_full_one_loses_no_light() -> None:
    random = np.random.default_rng(0)
    field = random.normal(size=(20, 24)) + 1j * random.normal(size=(20, 24))
    light = light_of(field)
    np.testing.assert_allclose(light.intensity(fill_factor=1e-9), light.intensity(), atol=1e-6)
    assert light.intensity(fill_factor=1.0).mean() == pytest.approx((np.abs(field) ** 2).mean())
    assert light.intensity(fill_factor=1.0).std() < light.intensity().std()


def test_the_fill_factor_reaches_the_frames() -> None:
    point, area = simulate(quick()), simulate(quick(camera=Camera(fill_factor=1.0)))
    frames, means = (one.acquisition.frames_led_y_x for one in (point, area))
    assert 0 < np.abs(frames - means).max() < 0.3 * frames.max()
    assert means.mean() == pytest.approx(frames.mean(), rel=0.01)
