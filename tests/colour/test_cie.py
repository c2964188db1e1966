"""Colour from a few wavelengths: laws, and stains whose spectra are known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.colour import LEDS_UM, stain_errors
from fpm_inr.cie import (
    encode_srgb,
    observer,
    rgb_of_channels,
    rgb_of_spectrum,
    wavelengths_nm,
)
from fpm_inr.errors import DataError


def test_clear_is_white_and_grey_is_grey():
    matrix = rgb_of_channels(LEDS_UM)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-12)
    assert encode_srgb(matrix @ np.ones(3)).tolist() == [255] * 3
    assert len(set(encode_srgb(matrix @ np.full(3, 0.3)).tolist())) == 1
    np.testing.assert_allclose(rgb_of_spectrum(np.ones(len(wavelengths_nm()))), 1)


def test_the_observer_is_that_of_1931():
    nm = wavelengths_nm()
    x, y, z = observer(nm)
    assert abs(nm[y.argmax()] - 555) <= 10
    assert y.max() == pytest.approx(1.0, abs=0.02)
    assert nm[z.argmax()] in (440, 450)
    assert nm[x.argmax()] in (590, 600)
    # equal energy has equal tristimulus values
    np.testing.assert_allclose([x.sum() / y.sum(), z.sum() / y.sum()], 1, atol=0.02)


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_hue_of_stains_with_known_spectra(strength):
    for lines, _, hue in stain_errors(strength).values():
        assert abs(hue) < 30
        assert lines < 30


def test_lines_between_leds_are_nearer_than_leds_alone():
    """Taking three lines of light for all there is makes stains garish."""
    lines, alone, _ = zip(*stain_errors().values(), strict=True)
    assert np.mean(lines) < 0.8 * np.mean(alone)


def test_order_of_wavelengths_is_of_no_account():
    matrix = rgb_of_channels(LEDS_UM)
    np.testing.assert_allclose(rgb_of_channels(LEDS_UM[::-1]), matrix[:, ::-1])


@pytest.mark.parametrize("wavelengths", [[0.53], [0.53, 0.53], [0.53, 0.9], [0.3, 0.5]])
def test_what_makes_no_colour_is_refused(wavelengths):
    with pytest.raises(DataError, match="make no colour"):
        rgb_of_channels(wavelengths)
