"""Each fault is named, at the right place, and none where there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fpm_inr import reconstruct
from fpm_inr.acquisition import Acquisition, Illumination
from fpm_inr.forward import nominal_instrument
from fpm_inr.sampling import fourier_sample_na
from fpm_inr.trust.clipping import clipped_share
from fpm_inr.trust.model_error import ModelError, model_error
from fpm_inr.trust.responses import MODES
from tests.trust.frames import OPTICS, SIDE, exposed, frames_of, grid, specimen, unlit

NA_XY = grid()
PHOTONS = 4000


def judged(series: Acquisition) -> ModelError:
    return model_error(series, reconstruct(series), 0.0)


@pytest.mark.parametrize("seed", [0, 1])
def test_nothing_is_named_on_right_frames(seed: int) -> None:
    found = judged(exposed(frames_of(specimen(seed), NA_XY), NA_XY, PHOTONS, seed))
    assert list(found.warnings()) == []
    assert abs(found.excess) < 0.6


@pytest.mark.parametrize("mode", [5, 8])
def test_a_wrong_pupil_is_named_with_its_aberration(mode: int) -> None:
    zernike = torch.zeros(11, dtype=torch.float64)
    zernike[mode - 1] = 0.6
    true = replace(nominal_instrument(unlit(NA_XY)), zernike_rad=zernike)
    found = judged(exposed(frames_of(specimen(), NA_XY, true=true), NA_XY, PHOTONS))
    assert found.is_pupil_wrong
    assert MODES[int(np.abs(found.pupil_rad).argmax())] == mode
    assert 0.2 < found.pupil_rad[MODES.index(mode)] < 0.7
    told = list(found.warnings())
    assert len(told) == 1
    assert f"Zernike mode {mode}" in told[0]


def test_an_led_three_samples_off_is_named_with_its_place() -> None:
    series = exposed(frames_of(specimen(detail=0.05), NA_XY), NA_XY, PHOTONS)
    led, sample = 9, fourier_sample_na(OPTICS, (SIDE, SIDE))
    stated = NA_XY.copy()
    stated[led] += sample * np.array([2.4, -1.8])
    found = judged(replace(series, illumination=Illumination(stated)))
    assert [one.led for one in found.moved] == [led]
    np.testing.assert_allclose(found.moved[0].samples_xy, [-2.4, 1.8], atol=1.2)
    told = list(found.warnings())
    assert len(told) == 1
    assert f"LED {led} (counted from 0)" in told[0]


def test_a_part_at_another_height_is_named_at_its_place() -> None:
    here = frames_of(specimen(detail=0.05), NA_XY)
    there = frames_of(specimen(detail=0.05), NA_XY, z_um=15.0)
    part = np.zeros((SIDE, SIDE))
    part[36:56, 34:56] = 1
    found = judged(exposed(here * (1 - part) + there * part, NA_XY, PHOTONS))
    inside = part > 0
    assert found.thick_y_x[inside].mean() > 0.5
    assert found.thick_y_x[:24].mean() < 0.05
    told = list(found.warnings())
    assert len(told) == 1
    assert "lower right" in told[0] or "centre" in told[0]
    assert "One thin image does not explain" in told[0]


def test_clipped_frames_are_named_unless_marked_as_saturated() -> None:
    series = exposed(frames_of(specimen(), NA_XY), NA_XY, PHOTONS)
    frames = series.frames_led_y_x.copy()
    limit = np.percentile(frames[[4, 11]], 70)
    frames[[4, 11]] = np.minimum(frames[[4, 11]], limit)
    clipped = replace(series, frames_led_y_x=frames)
    found = judged(clipped)
    assert found.clipped_leds.tolist() == [4, 11]
    told = list(found.warnings())
    assert len(told) == 1
    assert "those of LEDs 4, 11 (counted from 0)" in told[0]
    marked = replace(clipped, saturated_led_y_x=frames == frames[4].max())
    assert clipped_share(marked, np.arange(len(NA_XY))) == {}


def test_few_electrons_are_no_clipping() -> None:
    dark = np.random.default_rng(0).poisson(0.7, (3, SIDE, SIDE)).astype(np.float32)
    series = replace(unlit(NA_XY[:3]), frames_led_y_x=dark)
    assert clipped_share(series, np.arange(3)) == {}
