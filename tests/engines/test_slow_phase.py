"""Slow phase: its curvature, steps that reach it, and what ties the heights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.engines import spline_frames
from fpm_inr.engines.plan import make_plan
from fpm_inr.engines.recipe import PassOrder
from fpm_inr.engines.spline import SplineSolve, asked_step
from fpm_inr.engines.spline_visit import Lesson, wrong
from fpm_inr.forward import ForwardModel, Instrument, compile_forward, nominal_instrument
from fpm_inr.instrument import Calibration, parse_free
from fpm_inr.reconstruction import reconstruct
from fpm_inr.solve.problem import Problem
from tests.engines.known_object import problem_of

OPTICS = Optics(wavelength_um=0.6, na=0.25, pixel_um=0.5)
SIDE = 40
ORDER = PassOrder(passes_per_plane=1, step=2.0, floor=0.01, edge_px=0, rim_width=0.0)


def begun(problem: Problem) -> SplineSolve:
    plan = make_plan(
        ORDER, na_led=problem.illumination.na_led, na_objective=OPTICS.na, z_range_um=(0, 0), seed=0
    )
    return SplineSolve(problem, plan, ORDER, 1)


def microscope() -> tuple[ForwardModel, Instrument, Acquisition]:
    """LEDs inside the pupil and on a ring near its edge, at whole Fourier samples."""
    sample = OPTICS.wavelength_um / (SIDE * OPTICS.pixel_um)
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    ring = 7.6 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    inner = np.array([(x, y) for y in (-3, 0, 3) for x in (-3, 0, 3)])
    na_xy = np.concatenate([inner, ring]).round() * sample
    frames = np.ones((len(na_xy), SIDE, SIDE), np.float32)
    acquisition = Acquisition(frames, OPTICS, Illumination(na_xy))
    return compile_forward(acquisition, 2), nominal_instrument(acquisition).to("cpu"), acquisition


def phase(size_rad: float) -> torch.Tensor:
    turn = 2 * np.pi * torch.arange(2 * SIDE) / (2 * SIDE)
    return size_rad * (turn.cos()[:, None] + (2 * turn).sin())


def frames_of(model: ForwardModel, instrument: Instrument, field: torch.Tensor) -> torch.Tensor:
    leds = torch.arange(model.led_count)
    aperture = model.aperture(instrument)
    return model.amplitude(model.spectrum(field)[None], torch.zeros(1), leds, aperture)[0]


def error_rad(found: torch.Tensor, wanted: torch.Tensor) -> float:
    away = torch.angle(found * torch.exp(-1j * wanted))
    return float((away - away.mean()).square().mean().sqrt())


def test_one_step_reaches_weak_slow_phase_which_a_step_for_each_frequency_does_not() -> None:
    model, instrument, _ = microscope()
    wanted = phase(0.005)
    measured = frames_of(model, instrument, torch.exp(1j * wanted))
    solve = begun(problem_of(model, instrument, measured, (0.0, 0.0)))
    field, frames = solve.spline, solve.frames
    group = frames.group(np.arange(model.led_count), 0)
    found = wrong(field, frames, group, 0.0, Lesson(frames, group, 0), solve.rim_match_led)
    before = field.samples(0.0).detach()

    def after(step_k: torch.Tensor) -> float:
        spectrum = field.place(before - ORDER.step * step_k)
        return error_rad(torch.fft.ifft2(spectrum, norm="forward"), wanted)

    size = float(wanted.std())
    assert after(asked_step(frames, group, found)) < 0.2 * size
    assert after(found.gradient_k * group.share_k) > 0.5 * size


@pytest.mark.parametrize("size_rad", [0.3, 1.2])
def test_strong_slow_phase_is_found(size_rad: float) -> None:
    model, instrument, acquisition = microscope()
    wanted = phase(size_rad)
    amplitude = frames_of(model, instrument, torch.exp(1j * wanted)).numpy()
    seen = Acquisition(1000 * amplitude**2, OPTICS, acquisition.illumination)
    solution = reconstruct(seen, upsample=2)
    found = torch.from_numpy(solution.render(0.0).field_z_y_x[0])
    assert error_rad(found, wanted) < 0.05 * size_rad


def test_all_heights_of_a_stack_share_one_phase() -> None:
    model, instrument, acquisition = microscope()
    amplitude = frames_of(model, instrument, torch.exp(1j * phase(0.3))).numpy()
    seen = Acquisition(1000 * amplitude**2, OPTICS, acquisition.illumination)
    stack = reconstruct(seen, z_range_um=(-6, 6), upsample=2).render([-6, -3, 0, 3, 6]).field_z_y_x
    mean = stack.mean(axis=(1, 2))
    assert np.abs(np.angle(mean / mean[2])).max() < 0.05


@pytest.mark.parametrize("at_once", [1, 1 << 20])
def test_a_quarter_of_the_leds_teaches_at_a_visit_whatever_the_batches(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spline_frames, "SAMPLES_AT_ONCE", at_once)
    model, instrument, acquisition = microscope()
    measured = frames_of(model, instrument, torch.ones(2 * SIDE, 2 * SIDE, dtype=torch.complex64))
    free = parse_free("pupil")
    calibration = Calibration(instrument, free, OPTICS, acquisition.shape_y_x, height_is_free=False)
    frames = begun(problem_of(model, instrument, measured, (0.0, 0.0), learned=calibration)).frames
    group = frames.group(np.arange(model.led_count), 0)
    taught = [
        sorted(led for batch in group.teaches(visit) for led in batch.leds.tolist())
        for visit in range(4)
    ]
    assert sorted(led for leds in taught for led in leds) == list(range(model.led_count))
    assert {len(leds) for leds in taught} <= {6, 7}
