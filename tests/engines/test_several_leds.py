"""Engines on frames of several LEDs: the gradient by hand, recovery, one by one as before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import fpm_inr as fpm
from fpm_inr.acquisition import Acquisition, Illumination
from fpm_inr.calibration.file import (
    CalibrationFile,
    read_calibration,
    stored_values,
    write_calibration,
)
from fpm_inr.calibration.solve import fit_plane
from fpm_inr.edges import trust
from fpm_inr.engines import spline_frames
from fpm_inr.engines.plan import Plan
from fpm_inr.engines.recipe import PassOrder
from fpm_inr.engines.spline import SplineSolve
from fpm_inr.engines.spline_visit import Lesson, wrong
from fpm_inr.errors import DataError
from fpm_inr.forward import ForwardModel, Instrument, compile_forward, nominal_instrument
from fpm_inr.instrument import parse_free
from fpm_inr.lighting import Die, Lighting
from tests.engines.known_object import OPTICS, problem_of, smooth_object

SHAPE = (27, 24)
# bright field one by one, the others by fours; weights that differ
SIDE = np.linspace(-0.4, 0.4, 7)
NA_XY = np.array([(x, y) for y in SIDE for x in SIDE])
BRIGHT = np.flatnonzero(np.hypot(*NA_XY.T) < OPTICS.na)
DARK = np.setdiff1d(np.arange(len(NA_XY)), BRIGHT)
GROUPS = [DARK[place::7] for place in range(7)]
LISTS = [[int(led)] for led in BRIGHT] + [one.tolist() for one in GROUPS]
WEIGHTS = [[1.0 + 0.2 * (place % 3) for place, _ in enumerate(one)] for one in LISTS]


def experiment(
    lighting: Lighting | None, die: Die | None = None, z_um: float = 0.0
) -> tuple[ForwardModel, Instrument, Tensor, Acquisition]:
    light = Illumination(NA_XY, lighting=lighting, die=die)
    blank = Acquisition(np.ones((light.frame_count, *SHAPE), np.float32), OPTICS, light)
    model = compile_forward(blank, 3)
    instrument = nominal_instrument(blank).to("cpu")
    truth = smooth_object(model.field_shape_y_x)
    measured = model.amplitude(
        model.spectrum(truth)[None],
        torch.tensor([z_um]),
        torch.arange(model.frame_count),
        model.aperture(instrument),
    )[0]
    scale = 1000.0
    frames = scale * measured.square().numpy()
    return model, instrument, truth, Acquisition(frames, OPTICS, light)


def error_of(image: np.ndarray[Any, Any], truth: Tensor) -> float:
    found = torch.from_numpy(image).flatten()
    factor = torch.vdot(found, truth.flatten()) / found.abs().square().sum()
    wrong_by = torch.linalg.norm(factor * found - truth.flatten())
    return float(wrong_by / torch.linalg.norm(truth))


@pytest.mark.parametrize("at_once", [1, 1 << 20])
@pytest.mark.parametrize("die", [None, Die(size_na=0.03, points_across=2)])
def test_gradient_by_hand_is_that_of_the_loss(
    at_once: int, die: Die | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spline_frames, "SAMPLES_AT_ONCE", at_once)
    model, instrument, truth, seen = experiment(Lighting.of(LISTS, WEIGHTS), die)
    frames = model.frame_count
    instrument = replace(instrument, background_led=torch.linspace(0, 0.05, frames))
    measured = torch.from_numpy(np.sqrt(seen.frames_led_y_x / 1000))
    problem = problem_of(model, instrument, measured, (0.0, 0.0))
    order = PassOrder(passes_per_plane=1, step=1.0, floor=0.2, edge_px=3, rim_width=0.0)
    leds = np.arange(frames)[None]
    plan = Plan(np.zeros(1), leds, np.ones(1), np.ones(1, dtype=np.int64))
    solve = SplineSolve(problem, plan, order, 1)
    field = solve.spline
    with torch.no_grad():
        flat = field.flat_index()
        field.spectrum += torch.view_as_real(model.spectrum(0.3 * truth).flatten()[flat])
    group = solve.frames.group(leds[0], 0)
    lesson = Lesson(solve.frames, group, 0)
    found = wrong(field, solve.frames, group, 0.0, lesson, solve.rim_match_led)

    samples = field.samples(0.0).detach().requires_grad_()
    predicted = model.amplitude(
        field.place(samples)[None],
        torch.zeros(1),
        torch.arange(frames),
        model.aperture(instrument),
    )[0]
    weight = trust(SHAPE, 3)
    loss = (weight * (predicted - measured).square()).sum() / (2 * weight.numel())
    (gradient,) = torch.autograd.grad(loss, samples)
    assert float(found.error) == pytest.approx(float(loss), rel=1e-4)
    # a complex gradient counts both parts; the steps are those of a real one of each
    scale = torch.vdot(found.gradient_k, gradient) / found.gradient_k.abs().square().sum()
    assert abs(complex(scale) - 1) < 1e-3
    assert torch.linalg.norm(found.gradient_k - gradient) < 1e-3 * torch.linalg.norm(gradient)


@pytest.mark.parametrize("engine", ["inr", "conventional"])
def test_a_known_object_is_recovered(engine: str) -> None:
    _, _, truth, seen = experiment(Lighting.of(LISTS, WEIGHTS))
    solution = fpm.reconstruct(seen, engine=engine, upsample=3)
    assert solution.instrument.gain_led.shape == (len(NA_XY),)
    limit = {"inr": 0.02, "conventional": 0.04}[engine]
    assert error_of(solution.render(0.0).field_z_y_x, truth) < limit


def test_a_die_at_the_edge_is_described() -> None:
    _, _, truth, seen = experiment(None, Die(size_na=0.1))
    assert seen.illumination.lighting is None
    known = fpm.reconstruct(seen, upsample=3)
    point = replace(seen, illumination=replace(seen.illumination, die=None))
    unknown = fpm.reconstruct(point, upsample=3)
    errors = [error_of(one.render(0.0).field_z_y_x, truth) for one in (known, unknown)]
    assert errors[0] < 0.5 * errors[1]
    # no brightness is free where all is known
    assert bool((known.instrument.gain_led == 1).all())


def test_gains_of_leds_that_light_together_are_told_apart() -> None:
    # each LED in two frames, with others
    lists = [*LISTS, *[DARK[6 * place : 6 * place + 6].tolist() for place in range(5)]]
    model, instrument, truth, seen = experiment(Lighting.of(lists))
    gain = torch.ones(len(NA_XY))
    gain[DARK[3]], gain[BRIGHT[0]] = 1.4, 0.8
    measured = model.amplitude(
        model.spectrum(truth)[None],
        torch.zeros(1),
        torch.arange(model.frame_count),
        model.aperture(replace(instrument, gain_led=gain)),
    )[0]
    seen = replace(seen, frames_led_y_x=1000 * measured.square().numpy())
    fit = fit_plane(seen, 0.0, parse_free("gains"), upsampling=3, steps=120, leds_per_step=30)
    found = fit.instrument.gain_led.float()
    assert float(found[DARK[3]]) == pytest.approx(1.4, abs=0.15)
    assert float(found[BRIGHT[0]]) == pytest.approx(0.8, abs=0.1)


def test_a_background_of_each_frame_is_found_and_kept(tmp_path: Path) -> None:
    _, _, truth, seen = experiment(Lighting.of(LISTS, WEIGHTS))
    haze = np.float32(0.02 * seen.amplitude_scale**2)
    hazy = replace(seen, frames_led_y_x=seen.frames_led_y_x + haze)
    unknown = fpm.reconstruct(hazy, upsample=3)
    solution = fpm.reconstruct(hazy, upsample=3, steps=200, calibrate="background")
    errors = [error_of(one.render(0.0).field_z_y_x, truth) for one in (solution, unknown)]
    assert errors[0] < 0.5 * errors[1]
    found = solution.instrument.background_led
    assert found is not None
    assert found.shape == (len(LISTS),)
    assert float(found.mean()) == pytest.approx(0.02, rel=0.2)

    solution.save(tmp_path / "field.safetensors")
    loaded = fpm.load_solution(tmp_path / "field.safetensors").instrument
    assert torch.equal(loaded.background_led, found)
    content = CalibrationFile(
        status="accepted",
        z_um=0.0,
        residual_before=0.1,
        residual_after=0.01,
        na=OPTICS.na,
        wavelength_um=OPTICS.wavelength_um,
        nominal_na_led_xy=NA_XY.tolist(),
        **stored_values(solution.instrument, hazy),
    )
    write_calibration(tmp_path / "calibration.json", content)
    again = read_calibration(tmp_path / "calibration.json").instrument_for(hazy)
    torch.testing.assert_close(again.background_led, found)
    one_by_one = Acquisition(np.ones((len(NA_XY), *SHAPE), np.float32), OPTICS, Illumination(NA_XY))
    with pytest.raises(DataError, match="background of 16 frames"):
        content.instrument_for(one_by_one)


def test_one_led_a_frame_takes_the_same_bits_as_before() -> None:
    _, _, _, seen = experiment(None)
    listed = replace(
        seen, illumination=Illumination(NA_XY, lighting=Lighting.of([[i] for i in range(49)]))
    )
    one, other = (fpm.reconstruct(each, steps=3, upsample=3) for each in (seen, listed))
    assert np.array_equal(one.render(0.0).field_z_y_x, other.render(0.0).field_z_y_x)


def test_many_beams_of_one_led_take_the_steps_of_one() -> None:
    # the path of several beams, with a weight that is nearly 1, against the path of one
    _, _, _, seen = experiment(None)
    weights = [[1.0 + 1e-7]] + [[1.0]] * 48
    lists = Lighting.of([[i] for i in range(49)], weights)
    general = replace(seen, illumination=Illumination(NA_XY, lighting=lists))
    fields = [
        fpm.reconstruct(each, steps=5, upsample=3).render(0.0).field_z_y_x
        for each in (seen, general)
    ]
    assert error_of(fields[1], torch.from_numpy(fields[0])) < 1e-4
