"""Photons and read noise are found from the frames, and with them the error that they leave."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.trust.noise import estimate_noise

PIXEL_UM, WAVELENGTH_UM, NA, SIDE = 0.345, 0.53, 0.25, 96


def clean(brightness: np.ndarray, pixel_um: float = PIXEL_UM, seed: int = 0) -> Acquisition:
    """Squares of band-limited amplitudes, of different brightness; the world goes on beyond."""
    random = np.random.default_rng(seed)
    big = 2 * SIDE
    y, x = np.fft.fftfreq(big, pixel_um)[:, None], np.fft.fftfreq(big, pixel_um)
    disc = np.hypot(y, x) < NA / WAVELENGTH_UM
    frames = []
    for level in brightness:
        noise = random.normal(size=(big, big)) + 1j * random.normal(size=(big, big))
        varied = np.fft.ifft2(np.fft.fft2(noise) * disc)
        field = 1 + 0.4 * varied / np.abs(varied).std()
        frames.append(level * np.abs(field[:SIDE, :SIDE]) ** 2)
    na_xy = np.stack([np.linspace(0, 0.2, len(frames)), np.zeros(len(frames))], axis=1)
    optics = Optics(WAVELENGTH_UM, NA, pixel_um)
    return Acquisition(np.array(frames), optics, Illumination(na_xy))


def exposed(truth: Acquisition, gain: float, read_e: float, seed: int = 1) -> Acquisition:
    random = np.random.default_rng(seed)
    electrons = random.poisson(truth.frames_led_y_x).astype(float)
    electrons += random.normal(0, read_e, electrons.shape) if read_e else 0
    return replace(truth, frames_led_y_x=np.maximum(gain * electrons, 0))


@pytest.mark.parametrize("photons", [100, 1000, 10_000])
@pytest.mark.parametrize("gain", [0.2, 5.0])
def test_gain_is_found_and_the_error_that_photons_leave(photons: float, gain: float) -> None:
    truth = clean(photons * np.geomspace(0.1, 1, 6))
    noise = estimate_noise(exposed(truth, gain, 0.0))
    np.testing.assert_allclose(noise.gain_led[-1], gain, rtol=0.12)
    assert not noise.is_bound
    seen = exposed(truth, gain, 0.0).frames_led_y_x[-1]
    left = np.square(np.sqrt(seen) - np.sqrt(gain * truth.frames_led_y_x[-1])).sum()
    assert noise.squared_error(5, seen).sum() == pytest.approx(left, rel=0.12)


def test_read_noise_is_told_from_photons() -> None:
    truth = clean(3000 * np.geomspace(0.01, 1, 9))
    noise = estimate_noise(exposed(truth, 2.0, 15.0))
    # in counts: two a photo-electron
    assert np.sqrt(noise.read_variance) == pytest.approx(30, rel=0.15)
    assert noise.gain_led[-1] == pytest.approx(2.0, rel=0.15)


def test_every_exposure_has_its_own_gain() -> None:
    seen = exposed(clean(np.full(6, 2000.0)), 1.0, 0.0)
    scale = np.array([1, 1, 1, 0.1, 0.1, 0.1])[:, None, None]
    noise = estimate_noise(replace(seen, frames_led_y_x=seen.frames_led_y_x * scale))
    assert noise.gain_led[:3].mean() == pytest.approx(1.0, rel=0.2)
    assert noise.gain_led[3:].mean() == pytest.approx(0.1, rel=0.2)


def test_a_pattern_of_pixels_is_no_noise() -> None:
    seen = exposed(clean(np.full(4, 3000.0)), 1.0, 0.0)
    # columns read out alternately, as some sensors do
    pattern = 300.0 * (np.arange(SIDE) % 2)
    with_pattern = replace(seen, frames_led_y_x=seen.frames_led_y_x + pattern)
    assert np.median(estimate_noise(with_pattern).gain_led) == pytest.approx(1.0, rel=0.15)


@pytest.mark.parametrize("seed", range(4))
def test_frames_of_one_brightness_have_the_noise_that_they_have(seed: int) -> None:
    # what is photons and what is read noise cannot be told, and where it is dark they differ
    truth = clean(np.linspace(2800, 3000, 12), seed=seed)
    seen = exposed(truth, 1.0, 0.0, seed)
    left = np.square(np.sqrt(seen.frames_led_y_x) - np.sqrt(truth.frames_led_y_x)).sum()
    noise = estimate_noise(seen)
    told = sum(noise.squared_error(n, frame).sum() for n, frame in enumerate(seen.frames_led_y_x))
    assert told == pytest.approx(left, rel=0.05)


def test_without_noise_there_is_none() -> None:
    noise = estimate_noise(clean(np.geomspace(10, 1000, 4)))
    frame = clean(np.geomspace(10, 1000, 4)).frames_led_y_x[0]
    assert noise.squared_error(0, frame).sum() < 2e-5 * frame.sum()


def test_a_coarse_camera_gives_a_bound() -> None:
    # the corners of the spectrum hold light too where the pixel is this coarse
    seen = exposed(clean(np.full(4, 500.0), pixel_um=WAVELENGTH_UM / 2 / NA), 1.0, 0.0)
    noise = estimate_noise(seen)
    assert noise.is_bound
    assert noise.gain_led.min() > 0.7


def test_the_root_of_what_is_clipped_at_zero_saturates() -> None:
    seen = exposed(clean(np.full(4, 500.0)), 1.0, 10.0)
    noise = replace(estimate_noise(seen), gain_led=np.zeros(4), read_variance=100.0)
    random = np.random.default_rng(3)
    for level in (0.0, 5.0, 20.0, 400.0):
        drawn = np.maximum(level + random.normal(0, 10, 200_000), 0)
        truth = np.square(np.sqrt(drawn) - np.sqrt(level)).mean()
        assert float(noise.squared_error(0, level)) == pytest.approx(truth, rel=0.02)
