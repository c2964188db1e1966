"""Published acquisitions are read as their microscopes took them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fpm_inr.io import load
from fpm_inr.sampling import smallest_upsampling

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"real data is not at {DATA}")


def test_blood_smear() -> None:
    acquisition = load(ROOT / "examples" / "bloodsmear_red")
    light, optics = acquisition.illumination, acquisition.optics
    assert acquisition.frames_led_y_x.shape == (225, 128, 128)
    assert light.na_led.max() == pytest.approx(0.40, abs=0.005)
    assert smallest_upsampling(optics, light) == 3
    # LEDs that the geometry calls bright-field are the bright ones
    mean = acquisition.frames_led_y_x.mean(axis=(1, 2))
    assert mean[acquisition.is_bright_field].min() > 20 * mean[~acquisition.is_bright_field].max()
    # the published formula: 90.88 mm of air behind the slide, whose refraction pulls the LED in
    height, slide, index = 90.88, 1.0, 1.52
    x = 7 * 4 * np.sqrt(2)  # a corner
    aside = 0.0
    for _ in range(50):
        sine = (x - aside) / np.hypot(x - aside, height)
        aside = slide * np.tan(np.arcsin(sine / index))
    assert light.na_led.max() == pytest.approx(sine, rel=1e-9)


def test_resolution_target() -> None:
    acquisition = load(ROOT / "examples" / "usaf")
    assert acquisition.frames_led_y_x.shape == (121, 128, 128)
    assert acquisition.optics.pixel_um == 1.625
    assert acquisition.illumination.na_led.argmin() == 60
    assert smallest_upsampling(acquisition.optics, acquisition.illumination) == 3
    assert acquisition.is_bright_field.sum() == 9


def test_algae() -> None:
    path = DATA / "algae_r.mat"
    acquisition = load(path, wavelength_um=0.63, medium_index=1.33)
    assert acquisition.frames_led_y_x.shape == (89, 256, 256)
    assert acquisition.is_bright_field.all()
    assert acquisition.illumination.na_led.max() == pytest.approx(0.24998, abs=1e-5)
    crop = load(path, wavelength_um=0.63, crop=(100, 30, 40, 64))
    assert np.array_equal(crop.frames_led_y_x, acquisition.frames_led_y_x[:, 100:140, 30:94])
