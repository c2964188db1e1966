"""The objective's NA is found from the frames where it is stated wrongly."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from fpm_inr import Acquisition, load_solution, reconstruct
from fpm_inr.calibration.brightfield import check_na, na_from_circles
from fpm_inr.calibration.calibrate import calibrate
from fpm_inr.errors import DataError
from fpm_inr.forward import compile_forward, nominal_instrument
from fpm_inr.instrument import Calibration, parse_free
from tests.calibration.test_recovery import OPTICS, SIDE, frames, grid
from tests.tiny import tiny_acquisition


@cache
def right() -> Acquisition:
    return frames(0.0, na_xy=grid(9, 0.16))


def stating(factor: float) -> Acquisition:
    return replace(right(), optics=replace(OPTICS, na=factor * OPTICS.na))


def test_the_radius_has_its_gradient() -> None:
    acquisition = tiny_acquisition()
    model = compile_forward(acquisition, 2, largest_na=0.3)
    places = nominal_instrument(acquisition).na_led_xy
    weight = torch.linspace(0.3, 2, model.sample_yx.shape[1], dtype=torch.float64)
    na = torch.tensor(0.2513, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda one: (model.sight(places, None, one).disc_led_k * weight).sum(), (na,), eps=1e-8
    )


def test_as_stated_is_the_same_as_that_number() -> None:
    acquisition = tiny_acquisition()
    nominal = nominal_instrument(acquisition)
    named = replace(nominal, na=torch.tensor(acquisition.optics.na, dtype=torch.float64))
    model = compile_forward(acquisition, 2)
    torch.testing.assert_close(
        model.aperture(nominal).transmission_led_k, model.aperture(named).transmission_led_k
    )


def test_a_wider_pupil_has_all_its_samples() -> None:
    acquisition = tiny_acquisition()
    wide = replace(nominal_instrument(acquisition), na=torch.tensor(0.31, dtype=torch.float64))
    model = compile_forward(acquisition, 2, instrument=wide)
    truly = replace(acquisition, optics=replace(acquisition.optics, na=0.31))
    other = compile_forward(truly, 2)
    torch.testing.assert_close(
        model.aperture(wide).transmission_led_k.sum(dim=1),
        other.aperture(nominal_instrument(truly)).transmission_led_k.sum(dim=1),
    )


@pytest.mark.parametrize("factor", [0.8, 0.9, 1.0, 1.1, 1.2])
def test_circles_tell_it_and_the_check_says_so(factor: float) -> None:
    stated = stating(factor)
    # to a step of the search, a twentieth
    assert na_from_circles(stated) == pytest.approx(OPTICS.na, rel=0.0501)
    check = check_na(stated)
    assert check is not None
    if factor in (0.8, 1.0, 1.2):  # the frames are too small to tell a tenth for certain
        assert bool(check.warnings) == (factor != 1.0)


def test_dark_field_alone_tells_nothing() -> None:
    dark = right().select(np.flatnonzero(~right().is_bright_field))
    assert check_na(dark) is None
    with pytest.raises(DataError, match="bright-field frames"):
        na_from_circles(dark)


@pytest.mark.parametrize("factor", [0.85, 1.2])
def test_calibrate_finds_it(factor: float) -> None:
    stated = stating(factor)
    found = calibrate(stated, free="na", steps=80)
    assert found.accepted
    assert found.instrument.na is not None
    assert float(found.instrument.na) == pytest.approx(OPTICS.na, rel=0.01)
    assert found.after.residual < 0.05 * found.before.residual
    content = found.file(stated)
    assert content.na_found == pytest.approx(OPTICS.na, rel=0.01)
    again = content.instrument_for(stated)
    torch.testing.assert_close(again.na, found.instrument.na)


def test_it_is_learned_with_the_field_and_stays_with_it(tmp_path: Path) -> None:
    solution = reconstruct(stating(1.15), calibrate="na")
    assert "calibration_refused" not in solution.record
    assert solution.instrument.na is not None
    assert float(solution.instrument.na) == pytest.approx(OPTICS.na, rel=0.015)
    solution.save(tmp_path / "field.safetensors")
    kept = load_solution(tmp_path / "field.safetensors")
    torch.testing.assert_close(kept.instrument.na, solution.instrument.na)


def test_it_may_be_given_and_is_held_within_its_bounds() -> None:
    def made(free: object) -> Calibration:
        nominal = nominal_instrument(right())
        return Calibration(nominal, parse_free(free), OPTICS, (SIDE, SIDE), height_is_free=False)

    fixed = made({"na": 0.11})
    assert not fixed.free.widens_pupil
    assert float(fixed.instrument().na) == pytest.approx(0.11)  # type: ignore[arg-type]
    free = made("na")
    with torch.no_grad():
        free.learned["na"].step += 100
    assert float(free.instrument().na) == pytest.approx(1.3 * OPTICS.na)  # type: ignore[arg-type]
    assert "ran to" in free.objection(free.instrument())
