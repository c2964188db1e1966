"""Halves agree as far as the whole agrees with the truth."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from fpm_inr.trust.resolution import resolution_map

SIDE, PIXEL_UM, CUTOFF = 192, 0.2, 2.0
RADIUS = np.hypot(*np.meshgrid(*2 * [np.fft.fftfreq(SIDE, PIXEL_UM)]))


def random_image(power: NDArray[np.float64], seed: int) -> NDArray[np.complex128]:
    random = np.random.default_rng(seed)
    noise = random.standard_normal((2, SIDE, SIDE))
    white = np.fft.fft2(noise[0] + 1j * noise[1])
    return np.asarray(np.fft.ifft2(white * np.sqrt(power) * (RADIUS <= CUTOFF)))


@pytest.mark.parametrize("level", [0.003, 0.02, 0.1])
def test_the_period_is_where_signal_falls_under_a_third_of_the_noise(level: float) -> None:
    signal = np.exp(-5 * RADIUS)
    truth, noise = random_image(signal, 0), random_image(np.full_like(signal, level), 1)
    draw = random_image(np.full_like(signal, level), 2)
    found = resolution_map(truth + noise + draw, truth + noise - draw, PIXEL_UM, CUTOFF)
    # correlation of halves 1/7: signal / (signal + 2 noise); with the truth 1/2: one third
    expected = -5 / np.log(level / 3)
    assert found.whole_um == pytest.approx(expected, rel=0.1)
    assert np.median(found.resolution_um) == pytest.approx(expected, rel=0.15)


def test_what_agrees_everywhere_is_resolved_to_the_cutoff() -> None:
    image = random_image(np.ones((SIDE, SIDE)), 0)
    found = resolution_map(image, image, PIXEL_UM, CUTOFF)
    assert found.whole_um == found.cutoff_um == 1 / CUTOFF
    assert (found.resolution_um == 1 / CUTOFF).all()


def test_noise_alone_resolves_nothing() -> None:
    one, other = (random_image(np.ones((SIDE, SIDE)), seed) for seed in (0, 1))
    found = resolution_map(one, other, PIXEL_UM, CUTOFF)
    assert not np.isfinite(found.whole_um)


def test_a_place_without_detail_is_told_from_one_with_it() -> None:
    fine, coarse = (random_image(np.exp(-rate * RADIUS), 0) for rate in (1, 8))
    right = np.arange(SIDE) >= SIDE // 2
    truth = np.where(right, fine, coarse)
    noise, draw = (random_image(np.full((SIDE, SIDE), 0.05), seed) for seed in (1, 2))
    found = resolution_map(truth + noise + draw, truth + noise - draw, PIXEL_UM, CUTOFF)
    at = found.at_pixels((SIDE, SIDE))
    assert at.shape == (SIDE, SIDE)
    assert np.median(at[:, : SIDE // 4]) > 2 * np.median(at[:, -SIDE // 4 :])
