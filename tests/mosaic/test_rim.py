"""LEDs that contradict their angle, and frames without a specimen, are told from others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.forward import nominal_instrument
from fpm_inr.illumination import LedGeometry
from fpm_inr.mosaic.calibrated import sure_leds
from fpm_inr.mosaic.empty import contrast, is_empty
from fpm_inr.mosaic.rim import contradicting, crossing, doubtful

OPTICS = Optics(wavelength_um=0.53, na=0.2, pixel_um=0.5)
NA = np.array([0.0, 0.1, 0.195, 0.195, 0.205, 0.205, 0.3])


def _lit(share_led: list[float]) -> Acquisition:
    frames = np.ones((7, 64, 64), np.float32) * np.array(share_led, np.float32)[:, None, None]
    light = Illumination(np.stack([NA, np.zeros(7)], axis=1))
    return Acquisition(1000 * frames, OPTICS, light)


def test_only_leds_near_the_edge_with_the_wrong_brightness_contradict() -> None:
    seen = _lit([1.0, 1.0, 0.9, 0.1, 0.9, 0.05, 0.9])
    doubtful = contradicting(seen, nominal_instrument(seen))
    # the last one is bright too, but far outside: another fault, which is not hidden
    assert doubtful.tolist() == [False, False, False, True, True, False, False]


def test_no_led_is_doubted_where_none_is_sure() -> None:
    seen = _lit([1.0, 1.0, 0.9, 0.1, 0.9, 0.05, 0.9]).select(np.array([2, 3, 4, 5]))
    assert not contradicting(seen, nominal_instrument(seen)).any()


def _of_na(na_led: list[float]) -> Acquisition:
    frames = np.full((len(na_led), 64, 64), 1000, np.float32)
    return Acquisition(frames, OPTICS, Illumination(np.array([(na, 0.0) for na in na_led])))


def test_leds_that_cross_the_edge_within_a_tile_are_left_out() -> None:
    # two Fourier samples of this tile are 0.033
    seen = _of_na([0.0, 0.1, 0.15, 0.195, 0.199, 0.201, 0.3, 0.3, 0.3])
    instrument = nominal_instrument(seen)
    assert not crossing(seen, instrument, 0.0).any()
    # the angle changes by 0.015 up to a corner
    bend = 1e-3
    assert np.flatnonzero(crossing(seen, instrument, bend)).tolist() == [3, 4, 5]
    # angles that change so much leave no bright-field LED but the middle one: too few
    assert crossing(seen, instrument, 1e-2)[1]
    left_out = doubtful(seen, instrument, 1e-2)
    assert left_out.tolist() == contradicting(seen, instrument).tolist()


def test_without_dark_field_only_those_that_do_cross_are_left_out() -> None:
    for beyond, expected in (([0.3] * 4, [2, 3, 4, 5]), ([0.3], [4, 5]), ([], [4, 5])):
        seen = _of_na([0.0, 0.1, 0.18, 0.195, 0.1995, 0.2005, *beyond])
        crosses = crossing(seen, nominal_instrument(seen), 1e-4)
        assert np.flatnonzero(crosses).tolist() == expected


@pytest.mark.parametrize("beyond", [0, 4])
def test_a_tile_without_dark_field_tells_of_all_leds(beyond: int) -> None:
    """Of those at the pupil's edge it tells their gains, where nothing else tells the phase."""
    seen = _of_na([0.0, 0.1, 0.12, 0.18, 0.195, 0.1995, 0.2005, *[0.3] * beyond])
    place_mm = [(one * 100, 0.0, 100.0) for one in (0.0, 0.1, 0.12, 0.18, 0.2, 0.204, 0.205)]
    place_mm += [(31.4, 0.0, 100.0)] * beyond
    geometry = LedGeometry(np.array(place_mm))
    seen = replace(seen, illumination=replace(seen.illumination, geometry=geometry))
    sees = sure_leds(seen, nominal_instrument(seen))
    assert sees[:3].all()
    assert sees[4:7].any() == (beyond == 0)
    assert sees.all() == (beyond == 0)


@pytest.mark.parametrize("photons", [50.0, 1000.0])
@pytest.mark.parametrize("uneven", [0.0, 0.3])
def test_noise_and_uneven_light_are_no_specimen(photons: float, uneven: float) -> None:
    random = np.random.default_rng(0)
    light = 1 + uneven * np.linspace(-1, 1, 64)[:, None] * np.ones(64)
    clear = _lit([1.0, 1.0, 0.9, 0.9, 0.01, 0.01, 0.01])
    frames = random.poisson(clear.frames_led_y_x / 1000 * light * photons).astype(np.float32)
    assert is_empty(Acquisition(frames, OPTICS, clear.illumination))


@pytest.mark.parametrize("depth", [0.1, 0.5])
def test_one_small_cell_is_a_specimen(depth: float) -> None:
    random = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    cell = 1 - depth * np.exp(-((y - 30) ** 2 + (x - 25) ** 2) / (2 * 3.0**2))
    clear = _lit([1.0, 1.0, 0.9, 0.9, 0.01, 0.01, 0.01])
    frames = random.poisson(clear.frames_led_y_x * cell).astype(np.float32)
    seen = Acquisition(frames, OPTICS, clear.illumination)
    assert not is_empty(seen)
    assert contrast(seen)[0] > contrast(seen)[1]
