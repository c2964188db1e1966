"""Colour from a few wavelengths: laws, and stains whose spectra are known."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2lab

from fpm_inr.cie import (
    encode_srgb,
    observer,
    rgb_of_channels,
    rgb_of_spectrum,
    wavelengths_nm,
)
from fpm_inr.errors import DataError

LEDS_UM = [0.632, 0.530, 0.470]


def absorbance(*bands: tuple[float, float, float]) -> np.ndarray:
    """Sum of Gaussian bands: height, middle in nm, width in nm."""
    nm = wavelengths_nm()
    return sum(h * np.exp(-0.5 * ((nm - middle) / width) ** 2) for h, middle, width in bands)


# the main bands of the stains, as their spectra are published
STAINS = {
    "haematoxylin": absorbance((0.9, 590, 55), (0.25, 430, 40)),
    "eosin": absorbance((1.0, 525, 22), (0.45, 490, 25)),
    "DAB": absorbance((0.9, 400, 110)),
    "methylene blue": absorbance((0.9, 665, 25), (0.6, 615, 35)),
    "both": 0.6 * absorbance((0.9, 590, 55), (1.0, 525, 22), (0.45, 490, 25)),
}


def lab_of_channels(transmission_nm: np.ndarray) -> np.ndarray:
    at_leds = np.interp(1e3 * np.array(LEDS_UM), wavelengths_nm(), transmission_nm)
    return lab(rgb_of_channels(LEDS_UM) @ at_leds)


def lab(linear: np.ndarray) -> np.ndarray:
    return rgb2lab(encode_srgb(linear)[None, None] / 255.0)[0, 0]


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


@pytest.mark.parametrize("stain", STAINS)
@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_hue_of_a_known_stain(stain, strength):
    transmission = 10 ** (-strength * STAINS[stain])
    seen = lab(rgb_of_spectrum(transmission))
    drawn = lab_of_channels(transmission)
    hue = np.degrees(np.angle(complex(*drawn[1:]) * complex(*seen[1:]).conjugate()))
    assert abs(hue) < 30
    assert np.linalg.norm(drawn - seen) < 30


def test_lines_between_leds_are_nearer_than_leds_alone():
    """Taking three lines of light for all there is makes stains garish."""
    from fpm_inr.cie import RGB_OF_XYZ

    primaries = RGB_OF_XYZ @ observer(1e3 * np.array(LEDS_UM))
    alone = primaries * np.linalg.solve(primaries, np.ones(3))
    errors = {"lines": [], "alone": []}
    for absorbed in STAINS.values():
        transmission = 10**-absorbed
        seen = lab(rgb_of_spectrum(transmission))
        at_leds = np.interp(1e3 * np.array(LEDS_UM), wavelengths_nm(), transmission)
        errors["lines"].append(np.linalg.norm(lab_of_channels(transmission) - seen))
        errors["alone"].append(np.linalg.norm(lab(alone @ at_leds) - seen))
    assert np.mean(errors["lines"]) < 0.8 * np.mean(errors["alone"])


def test_order_of_wavelengths_is_of_no_account():
    matrix = rgb_of_channels(LEDS_UM)
    np.testing.assert_allclose(rgb_of_channels(LEDS_UM[::-1]), matrix[:, ::-1])


@pytest.mark.parametrize("wavelengths", [[0.53], [0.53, 0.53], [0.53, 0.9], [0.3, 0.5]])
def test_what_makes_no_colour_is_refused(wavelengths):
    with pytest.raises(DataError, match="make no colour"):
        rgb_of_channels(wavelengths)
