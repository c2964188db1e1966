"""Laws of complex error, phase error and errors by band."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fpm_inr import metrics
from fpm_inr.errors import DataError, SettingsError

SHAPE = (48, 64)
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]]


def field(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    coarse = random.normal(size=(2, *SHAPE))
    spectrum = np.fft.fft2(coarse[0] + 1j * coarse[1])
    radius = np.hypot(np.fft.fftfreq(SHAPE[0])[:, None], np.fft.fftfreq(SHAPE[1]))
    image = np.fft.ifft2(spectrum * np.exp(-((radius / 0.15) ** 2)))
    return 1 + 0.3 * image / np.abs(image).std()


def rss(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).sum()))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.floats(0.01, 100), st.floats(-3.1, 3.1), st.floats(0.05, 0.7))
def test_bands_add_up_to_the_whole_whatever_the_factor(seed, modulus, angle, cutoff):
    reference = field(seed)
    result = modulus * np.exp(1j * angle) * (reference + 0.2 * field(seed + 100))
    bands = metrics.band_errors(result, reference, cutoff)
    assert rss(bands.error) == pytest.approx(metrics.complex_error(result, reference), rel=1e-9)
    assert bands.phase_error_rad is not None
    whole = metrics.phase_error(result, reference)
    assert rss(bands.phase_error_rad) == pytest.approx(whole, rel=1e-9)
    assert rss(bands.reference) == pytest.approx(1, rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.01, 100), st.floats(-3.1, 3.1))
def test_one_complex_factor_is_no_error(modulus, angle):
    reference = field(1)
    result = modulus * np.exp(1j * angle) * reference
    assert metrics.complex_error(result, reference) < 1e-9
    assert metrics.phase_error(result, reference) < 1e-9


def test_a_ramp_is_an_error_of_phase_that_the_rampless_number_does_not_see():
    reference = field(2)
    ramp = 0.5 * (X / SHAPE[1] - 0.5 + 0.5 / SHAPE[1])  # 0.5 rad across, mean 0
    result = reference * np.exp(1j * ramp)
    weight = np.abs(reference) ** 2
    expected = np.sqrt((weight * ramp**2).sum() / weight.sum())
    assert metrics.phase_error(result, reference) == pytest.approx(expected, rel=0.02)
    assert metrics.complex_error(result, reference) == pytest.approx(expected, rel=0.03)
    assert metrics.phase_rmse(result, reference) < 1e-6


@pytest.mark.parametrize("cycles", [1, 3, 6, 12])
def test_an_error_of_one_frequency_is_in_its_band(cycles):
    reference = np.exp(0.1j) * np.ones(SHAPE)
    phase = 0.02 * np.sin(2 * np.pi * cycles * Y / SHAPE[0])  # the shorter side
    bands = metrics.band_errors(reference * np.exp(1j * phase), reference)
    band = int(np.digitize(cycles, bands.edges_cycles)) - 1
    assert bands.edges_cycles[band] <= cycles < bands.edges_cycles[band + 1]
    assert bands.phase_error_rad is not None
    for errors in (bands.error, bands.phase_error_rad):
        assert errors[band] == pytest.approx(0.02 / np.sqrt(2), rel=0.01)
        assert rss(np.delete(errors, band)) < 0.001


def test_real_images_have_bands_and_no_phase():
    reference = np.abs(field(3))
    bands = metrics.band_errors(reference + 0.1 * np.cos(2 * np.pi * 5 * X / SHAPE[1]), reference)
    assert bands.phase_error_rad is None
    assert bands.names[int(bands.error.argmax())] == "2-4"  # 5 across 64 pixels: 3.75 across 48
    assert "phase_error_rad" not in bands.rows()[0]


@settings(max_examples=50, deadline=None)
@given(st.integers(16, 4096), st.integers(16, 4096), st.floats(1e-3, 2))
def test_bands_cover_every_frequency_once(height, width, cutoff):
    edges = metrics.band_edges_cycles((height, width), cutoff)
    assert edges[0] == 0
    assert edges[-1] == np.inf
    assert (np.diff(edges) > 0).all()
    assert edges[-2] == pytest.approx(cutoff * min(height, width))


@pytest.mark.parametrize("cutoff", [0, -1, np.nan, np.inf])
def test_a_cutoff_that_is_none_is_refused(cutoff):
    with pytest.raises(SettingsError, match="cutoff"):
        metrics.band_edges_cycles(SHAPE, cutoff)


def test_images_that_cannot_be_compared_are_refused():
    for measure in (metrics.complex_error, metrics.phase_error, metrics.band_errors):
        with pytest.raises(DataError, match="one grid"):
            measure(field(1), field(1)[:40])


def test_darkness_has_no_phase():
    reference = field(5)
    reference[:20] = 1e-9
    result = reference.copy()
    result[:20] *= np.exp(2j)
    assert metrics.phase_error(result, reference) < 1e-3


def test_compare_takes_the_bands_from_the_cutoff():
    reference = field(6)
    comparison = metrics.compare(1j * reference, reference, 0.2, cutoff_per_um=1.5)
    assert comparison.bands.edges_cycles[-2] == pytest.approx(1.5 * 0.2 * 48)
    assert list(comparison.numbers)[:2] == ["relative_l2", "phase_error_rad"]
    nyquist = metrics.compare(1j * reference, reference)
    assert nyquist.bands.edges_cycles[-2] == pytest.approx(24)
