"""Laws of what is learned: gauges leave every frame as it is, files give back what they got."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.calibration.calibrate import CalibrationResult
from fpm_inr.calibration.file import read_calibration, write_calibration
from fpm_inr.calibration.solve import PlaneFit
from fpm_inr.fields.pixel import PixelField
from fpm_inr.forward import ForwardModel, Instrument, compile_forward, nominal_instrument
from fpm_inr.instrument import PARAMETERS, Calibration, parse_free
from fpm_inr.optics import zernike
from fpm_inr.solution import Solution, load_solution

OPTICS = Optics(wavelength_um=0.53, na=0.1, pixel_um=1.6)
SIDE, UPSAMPLING = 32, 3
SAMPLE_NA = OPTICS.wavelength_um / (SIDE * OPTICS.pixel_um)
CUTOFF = OPTICS.na / OPTICS.wavelength_um
few = settings(max_examples=12, deadline=None)
sizes = st.floats(-1.0, 1.0).filter(lambda value: abs(value) > 0.05)
seeds = st.integers(0, 2**31)


@cache
def acquisition() -> Acquisition:
    side = np.linspace(-0.12, 0.12, 5)
    na_xy = np.array([(x, y) for y in side for x in side])
    frames = np.random.default_rng(0).uniform(1.0, 4.0, (25, SIDE, SIDE))
    return Acquisition(frames, OPTICS, Illumination(na_xy))


def made(names: Any, *, height_is_free: bool = False) -> Calibration:
    return Calibration(
        nominal_instrument(acquisition()),
        parse_free(names),
        OPTICS,
        (SIDE, SIDE),
        height_is_free=height_is_free,
    )


def strayed(names: Any, seed: int) -> Instrument:
    """An instrument that learning could find: every number off by its own unit."""
    calibration = made(names)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in calibration.parameters():
            value += 0.3 * torch.randn(value.shape, generator=random)
        if "gains" in calibration.free.names:
            log_gain = calibration.learned["gains"].log_gain_led
            log_gain += 0.3 * torch.randn(log_gain.shape, generator=random)
        return calibration.instrument()


@cache
def model() -> ForwardModel:
    return compile_forward(acquisition(), UPSAMPLING, margin_samples=4.0)


def coordinates() -> tuple[Tensor, Tensor]:
    """Frequencies (y, x) of the object's spectrum, in 1/um."""
    step = torch.fft.fftfreq(SIDE * UPSAMPLING, OPTICS.pixel_um / UPSAMPLING)
    return step[:, None], step[None, :]


def specimen(seed: int) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    side = SIDE * UPSAMPLING
    y, x = coordinates()
    noise = torch.fft.fft2(torch.randn(2, side, side, generator=random))
    part = torch.fft.ifft2(noise * torch.exp(-(y**2 + x**2) / 0.2**2)).real
    part = part / part.abs().amax(dim=(1, 2), keepdim=True)
    return torch.polar(1 + 0.4 * part[0], part[1])


def frames(instrument: Instrument, image: Tensor, z_um: float = 0.0) -> Tensor:
    """Amplitude [led, y, x]; windows follow the LEDs."""
    here = instrument.to("cpu")
    seen = model().at_windows(model().windows(here.na_led_xy))
    with torch.no_grad():
        return seen.amplitude(
            seen.spectrum(image)[None],
            torch.tensor([z_um]),
            torch.arange(seen.led_count),
            seen.aperture(here),
        )[0]


def same(one: Tensor, other: Tensor, atol: float = 2e-4) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=atol)


def turned(image: Tensor, phase_rad: Tensor) -> Tensor:
    """The object with its spectrum turned by a phase [y, x]."""
    return torch.fft.ifft2(
        torch.fft.fft2(image) * torch.polar(torch.ones_like(phase_rad), phase_rad)
    )


@few
@given(seeds, sizes)
def test_gains_and_the_objects_amplitude_are_told_apart_by_their_mean(seed: int, by: float) -> None:
    found, image = strayed("gains", seed), specimen(seed)
    brighter = replace(found, gain_led=found.gain_led * math.exp(by))
    same(frames(brighter, image * math.exp(-by)), frames(found, image))
    calibration = made("gains")
    before = calibration.instrument().gain_led
    calibration.learned["gains"].log_gain_led += by
    same(calibration.instrument().gain_led, before, 1e-5)
    # given gains that are not learned have the same gauge
    given_gains = Calibration(
        brighter, parse_free("pupil"), OPTICS, (SIDE, SIDE), height_is_free=False
    )
    same(given_gains.instrument().gain_led, found.gain_led, 1e-5)


@few
@given(seeds, sizes)
def test_piston_tip_and_tilt_of_the_pupil_are_the_objects(seed: int, by: float) -> None:
    found, image = strayed("pupil", seed), specimen(seed)
    y, x = coordinates()
    # an object's shift turns its spectrum as the pupil's tilt turns every window of it
    of_object = {
        1: torch.full((SIDE * UPSAMPLING,) * 2, -by),
        2: -2 * by * (x / CUTOFF).expand(len(x[0]), -1),
        3: -2 * by * (y / CUTOFF).expand(-1, len(y)),
    }
    for mode, phase in of_object.items():
        more = found.zernike_rad.clone()
        more[mode - 1] += by
        same(frames(replace(found, zernike_rad=more), turned(image, phase)), frames(found, image))
    calibration = made("pupil")
    with torch.no_grad():
        calibration.learned["pupil"].step[:3] += by
    assert not calibration.instrument().zernike_rad.any()


@few
@given(seeds, sizes)
def test_defocus_is_a_height_and_the_pupils_own(seed: int, by: float) -> None:
    image, z_um = specimen(seed), 10 * by
    found = strayed("defocus", seed)
    moved = replace(found, defocus_um=found.defocus_um + z_um)
    same(frames(moved, image, -z_um), frames(found, image), 1e-3)
    # a height of lambda / NA^2 turns the edge of the pupil by half a wave against its middle
    rad = math.pi * by / 2 / math.sqrt(3)
    depth_um = by * OPTICS.wavelength_um / OPTICS.na**2
    curved = replace(nominal(), zernike_rad=torch.tensor([0.0, 0.0, 0.0, rad]))
    same(frames(curved, image, depth_um), frames(nominal(), image), 0.02 * abs(by))
    for names, height_is_free in (("pupil", True), ("pupil,defocus", False)):
        calibration = made(names, height_is_free=height_is_free)
        with torch.no_grad():
            calibration.learned["pupil"].step[3] += by
        assert not calibration.instrument().zernike_rad.any()


def nominal() -> Instrument:
    return nominal_instrument(acquisition()).to("cpu")


@few
@given(seeds, st.integers(-3, 3), st.integers(-3, 3))
def test_a_shift_of_all_leds_is_a_ramp_of_the_objects_phase(seed: int, x: int, y: int) -> None:
    for names in ("pose", "shifts"):
        found, image = strayed(names, seed), specimen(seed)
        shift = SAMPLE_NA * torch.tensor([x, y])
        moved = replace(found, na_led_xy=found.na_led_xy + shift)
        rolled = torch.fft.ifft2(torch.fft.fft2(image).roll((y, x), (0, 1)))
        same(frames(moved, rolled), frames(found, image), 2e-3)


@few
@given(seeds, sizes)
def test_a_pupil_map_holds_nothing_that_is_the_objects_or_a_modes(seed: int, by: float) -> None:
    found, image = strayed("pupil_map", seed), specimen(seed)
    factor = math.exp(by) * complex(math.cos(by), math.sin(by))
    same(
        frames(replace(found, pupil_y_x=found.pupil_y_x * factor), image / factor),
        frames(found, image),
    )
    for names in ("pupil_map", "pupil,pupil_map"):
        calibration = made(names)
        learned = calibration.learned["pupil_map"]
        random = torch.Generator().manual_seed(seed)
        axis = torch.linspace(-1, 1, learned.values.shape[1], dtype=torch.float64)
        down, right = torch.meshgrid(axis, axis, indexing="ij")
        inside = (down**2 + right**2 <= 1).double()
        with torch.no_grad():
            learned.values += torch.randn(learned.values.shape, generator=random)
            before = learned.nodes()
            learned.values[0] += by
            for mode in (1, 2, 3) if names == "pupil_map" else range(1, 12):
                learned.values[1] += by * zernike(mode, down, right) * inside
            same(learned.nodes(), before, 1e-4)


@few
@given(seeds, st.floats(0.1, 1.0))
def test_background_and_na_have_no_gauge(seed: int, by: float) -> None:
    """Every frame changes, by its own amount: no factor of the object brings them back."""
    image = specimen(seed)
    before = frames(nominal(), image)
    hazy = replace(nominal(), background_led=torch.full((25,), 0.1 * by))
    wide = replace(nominal(), na=torch.tensor(OPTICS.na + 2 * by * SAMPLE_NA))
    for changed in (hazy, wide):
        power = [one.square().mean(dim=(1, 2)) for one in (frames(changed, image), before)]
        ratio = power[0] / power[1]
        assert float(ratio.max() / ratio.min()) > 1 + 0.01 * by


@pytest.mark.parametrize("names", [*PARAMETERS.own, ",".join(PARAMETERS.own)])
@settings(max_examples=4, deadline=None)
@given(seeds)
def test_a_calibration_file_gives_back_the_instrument(names: str, seed: int) -> None:
    data, found = acquisition(), strayed(names, seed).to("cpu", torch.float64)
    plane = PlaneFit(torch.zeros(1, 1), found, 0.0, 0.1)
    result = CalibrationResult(
        True, "", nominal_instrument(data), found, plane, plane, parse_free(names)
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "calibration.json"
        write_calibration(path, result.file(data))
        content = read_calibration(path)
    assert parse_free(content.free) == parse_free(names)
    kept, image = content.instrument_for(data), specimen(seed)
    for name in ("na_led_xy", "gain_led", "zernike_rad", "na"):
        if getattr(found, name) is not None:
            same(getattr(kept, name), getattr(found, name), 1e-9)
    # nodes that are joined lose a little of a map that is as rough as noise
    loose = "pupil_map" in names
    error = (frames(kept, image) - frames(found, image)).square().mean().sqrt()
    assert float(error) < (0.1 if loose else 1e-5)


@pytest.mark.parametrize("names", [*PARAMETERS.own, ",".join(PARAMETERS.own)])
@settings(max_examples=4, deadline=None)
@given(seeds)
def test_a_field_file_gives_back_the_instrument(names: str, seed: int) -> None:
    found = strayed(names, seed).to("cpu", torch.float64)
    # digits that single precision has not
    found = replace(found, na_led_xy=found.na_led_xy / 3, gain_led=found.gain_led / 3)
    field = PixelField(specimen(seed)[None], torch.zeros(1, dtype=torch.float64))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "field.safetensors"
        Solution(field, OPTICS, found, UPSAMPLING, 1.0).save(path)
        kept = load_solution(path).instrument
    for name, value in vars(found).items():
        if value is None:
            assert getattr(kept, name) is None
        elif value.is_complex():
            assert torch.equal(getattr(kept, name), value.to(torch.complex64))
        else:
            assert torch.equal(getattr(kept, name), value)


@pytest.mark.parametrize("name", PARAMETERS.own)
def test_each_parameter_changes_what_it_says_and_nothing_else(name: str) -> None:
    places = {
        "gains": "gain_led",
        "pupil": "zernike_rad",
        "pupil_map": "pupil_y_x",
        "pose": "na_led_xy",
        "shifts": "na_led_xy",
        "background": "background_led",
        "defocus": "defocus_um",
        "na": "na",
    }
    for other, value in vars(strayed(name, 3)).items():
        stated = getattr(nominal(), other)
        moved = value is not None and (stated is None or not torch.equal(value.detach(), stated))
        assert moved == (other == places[name])


@few
@given(st.permutations(list(PARAMETERS.own)))
def test_the_order_of_names_does_not_matter(names: list[str]) -> None:
    assert parse_free(",".join(names)) == parse_free(list(PARAMETERS.own))
    assert parse_free(",".join(names)).names == list(PARAMETERS.own)
