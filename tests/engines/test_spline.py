"""The spline engine: its gradient, recovery of a known object, resuming."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

import fpm_inr as fpm
from fpm_inr.acquisition import Acquisition, Illumination
from fpm_inr.edges import at_the_rim, trust
from fpm_inr.engines import spline_frames
from fpm_inr.engines.plan import Plan, make_plan
from fpm_inr.engines.recipe import PassOrder
from fpm_inr.engines.spline import SplineSolve
from fpm_inr.engines.spline_visit import Lesson, wrong
from fpm_inr.fields.spline import signed_frequencies
from fpm_inr.forward import Instrument, compile_forward, nominal_instrument
from fpm_inr.instrument import Calibration, parse_free
from fpm_inr.solve.problem import Problem
from fpm_inr.solve.progress import StepReport
from tests.engines.known_object import OPTICS, driven, experiment, problem_of, smooth_object

SHAPE, NA_REACH = (32, 27), 0.18
ORDER = PassOrder(passes_per_plane=12, step=2.0, floor=0.2, edge_px=0)


def planned(z_range_um: tuple[float, float], steps: int) -> Plan:
    return make_plan(
        ORDER,
        na_led=np.zeros(25),
        na_objective=OPTICS.na,
        z_range_um=z_range_um,
        seed=0,
        steps=steps,
    )


def begun(
    problem: Problem, steps: int = 1, planes: int = 1, order: PassOrder = ORDER
) -> SplineSolve:
    return SplineSolve(problem, planned(problem.z_range_um, steps), order, planes)


def relative_error(found: Tensor, truth: Tensor) -> float:
    factor = torch.vdot(found.flatten(), truth.flatten()) / found.abs().square().sum()
    return float(torch.linalg.norm(factor * found - truth) / torch.linalg.norm(truth))


@pytest.mark.parametrize("with_background", [False, True])
@pytest.mark.parametrize("at_once", [1, 1 << 20])
def test_gradient_by_hand_is_that_of_the_loss(
    with_background: bool, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spline_frames, "SAMPLES_AT_ONCE", at_once)
    model, instrument, truth, measured, _ = experiment(3.0, SHAPE, NA_REACH)
    if with_background:
        instrument = Instrument(
            instrument.na_led_xy,
            instrument.gain_led,
            instrument.zernike_rad,
            background_led=torch.full((25,), 0.02),
        )
    order = PassOrder(passes_per_plane=1, step=1.0, floor=0.2, edge_px=3, rim_width=0.3)
    problem = problem_of(model, instrument, measured, (0.0, 6.0))
    solve = begun(problem, planes=5, order=order)
    field, frames = solve.spline, solve.frames
    place = signed_frequencies(torch.arange(truth.numel()), model.field_shape_y_x)
    flat = field.flat_index()
    assert torch.equal(place[:, flat].int(), field.sample_yx)
    with torch.no_grad():
        field.spectrum += torch.view_as_real(model.spectrum(0.3 * truth).flatten()[flat])
    group = frames.group(np.arange(25), 0)
    assert any(batch.rim_count for batch in group.batches)
    found = wrong(field, frames, group, 3.0, Lesson(frames, group, 0), solve.rim_match_led)

    samples = field.samples(3.0).detach().requires_grad_()
    aperture = model.aperture(instrument)
    predicted = model.amplitude(
        field.place(samples)[None], torch.tensor([3.0]), torch.arange(25), aperture
    )[0]
    rim = at_the_rim(model, instrument, 0.3)
    product = (measured * predicted.detach()).sum(dim=(1, 2))
    factor = torch.where(rim, product / measured.square().sum(dim=(1, 2)), 1.0)
    wanted = measured * factor[:, None, None]
    loss = ((predicted - wanted).square() * trust(model.shape_y_x, 3)).sum() / 2 / (32 * 27)
    loss.backward()
    torch.testing.assert_close(found.gradient_k, samples.grad, rtol=1e-4, atol=1e-6)
    assert float(found.error) == pytest.approx(float(loss.detach()), rel=1e-5)


@pytest.mark.parametrize(
    "learned", ["pupil,pose", "shifts,pupil_map", "background,defocus", "gains,pupil,background"]
)
def test_gradient_of_the_instrument_is_that_of_the_loss(
    learned: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spline_frames, "TAUGHT_ONE_IN", 1)
    model, instrument, truth, measured, acquisition = experiment(3.0, SHAPE, NA_REACH)
    free = parse_free(learned)
    calibration = Calibration(instrument, free, OPTICS, acquisition.shape_y_x, height_is_free=False)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in calibration.parameters():
            value += 0.05 * torch.rand(value.shape, generator=generator)
    order = PassOrder(passes_per_plane=1, step=1.0, floor=0.2, edge_px=3, rim_width=0.0)
    problem = problem_of(model, instrument, measured, (0.0, 6.0), learned=calibration)
    solve = begun(problem, planes=5, order=order)
    field, frames = solve.spline, solve.frames
    with torch.no_grad():
        flat = field.flat_index()
        field.spectrum += torch.view_as_real(model.spectrum(0.3 * truth).flatten()[flat])
    # gains, which the visit moves, are those of before it
    light = model.amplitude(
        field.spectrum_y_x(3.0)[None].detach(),
        torch.tensor([3.0]),
        torch.arange(25),
        model.aperture(calibration.instrument()),
    )[0]
    loss = ((light - measured).square() * trust(model.shape_y_x, 3)).sum() / 2 / (32 * 27)
    total = loss
    if calibration.has_penalty:
        total = loss + loss.detach() * calibration.penalty()
    names = [name for name, _ in calibration.named_parameters()]
    wanted = torch.autograd.grad(total, list(calibration.parameters()))
    group = frames.group(np.arange(25), 0)
    lesson = Lesson(frames, group, 0, calibration, 0.5, solve.seen_group_led)
    wrong(field, frames, group, 3.0, lesson, solve.rim_match_led)
    for name, gradient in zip(names, wanted, strict=True):
        found = calibration.get_parameter(name).grad
        torch.testing.assert_close(found, gradient, rtol=2e-3, atol=2e-6, msg=name)


def test_known_object_is_recovered() -> None:
    model, instrument, truth, measured, _ = experiment(6.0, SHAPE, NA_REACH)
    problem = problem_of(model, instrument, measured, (6.0, 6.0))
    solve = begun(problem, 200)
    history = driven(solve, problem)
    with torch.no_grad():
        assert relative_error(solve.field()(6.0), truth) < 0.01
    assert history[-1].psnr_db > history[0].psnr_db + 20


def test_a_thin_object_in_a_stack_is_recovered_at_its_height_only() -> None:
    model, instrument, truth, measured, _ = experiment(6.0, SHAPE, NA_REACH)
    problem = problem_of(model, instrument, measured, (-14.0, 14.0))
    solve = begun(problem, 120, planes=9)
    driven(solve, problem)
    with torch.no_grad():
        errors = [relative_error(solve.field()(z), truth) for z in (-14.0, -6.0, 6.0, 14.0)]
    assert errors[2] < 0.05
    assert errors[2] == min(errors)


def test_brightness_of_an_led_at_the_rim_is_found() -> None:
    model, instrument, truth, measured, _ = experiment(0.0, SHAPE, NA_REACH)
    order = ORDER.model_copy(update={"rim_width": 0.05})
    rim = at_the_rim(model, instrument, 0.05)
    assert rim.sum() == 4
    measured[rim] *= 0.7
    problem = problem_of(model, instrument, measured, (0.0, 0.0))
    solve = begun(problem, 80, order=order)
    driven(solve, problem)
    with torch.no_grad():
        assert relative_error(solve.field()(0.0), truth) < 0.02
    gains = solve.instrument().gain_led
    torch.testing.assert_close(gains[rim], torch.full((4,), 0.7), rtol=0.02, atol=0)
    assert torch.equal(gains[~rim], torch.ones(21))


@pytest.mark.parametrize("learned", [None, "gains,pupil,pose", "gains,na"])
def test_resumed_run_equals_unbroken_one(learned: str | None) -> None:
    model, instrument, _, measured, acquisition = experiment(0.0, SHAPE, NA_REACH)

    def problem() -> Problem:
        calibration = None
        if learned is not None:
            calibration = Calibration(
                instrument, parse_free(learned), OPTICS, acquisition.shape_y_x, height_is_free=True
            )
        return problem_of(model, instrument, measured, (-5.0, 5.0), learned=calibration)

    whole = begun(problem(), 20, planes=5)
    losses = [row.loss for row in driven(whole, whole.problem)]

    def stop(report: StepReport) -> None:
        if report.step == 9:
            raise KeyboardInterrupt

    first = begun(problem(), 20, planes=5)
    with pytest.raises(KeyboardInterrupt):
        driven(first, first.problem, stop)
    second = begun(problem(), 20, planes=5)
    second.step = first.step
    second.load({name: value.clone() for name, value in first.tensors().items()})
    assert [row.loss for row in driven(second, second.problem)] == losses[9:]
    for name, value in whole.tensors().items():
        torch.testing.assert_close(second.tensors()[name], value, rtol=0, atol=0)


def test_gains_are_learned_along() -> None:
    model, instrument, truth, measured, acquisition = experiment(0.0, SHAPE, NA_REACH)
    generator = torch.Generator().manual_seed(1)
    gains = torch.exp(0.1 * torch.randn(25, generator=generator))
    calibration = Calibration(
        instrument, parse_free("gains"), OPTICS, acquisition.shape_y_x, height_is_free=False
    )
    lit = measured * gains[:, None, None]
    problem = problem_of(model, instrument, lit, (0.0, 0.0), learned=calibration)
    solve = begun(problem, 150)
    driven(solve, problem)
    ratio = solve.instrument().gain_led / gains
    assert float((ratio / ratio.mean() - 1).abs().max()) < 0.01
    with torch.no_grad():
        assert relative_error(solve.field()(0.0), truth) < 0.02


@pytest.mark.parametrize("radius", [0.98, 1.03])
@pytest.mark.parametrize("z_range_um", [(0.0, 0.0), (-4.0, 4.0)])
def test_the_brightness_of_leds_at_the_edge_is_found(
    radius: float, z_range_um: tuple[float, float]
) -> None:
    # just outside the pupil, the first visits predict no light at all
    side, turn = np.linspace(-0.4, 0.4, 7), np.arange(8) * np.pi / 4 + 0.1
    ring = radius * OPTICS.na * np.stack((np.cos(turn), np.sin(turn)), axis=1)
    na_xy = np.concatenate(([(x, y) for y in side for x in side], ring))
    blank = Acquisition(np.ones((57, 32, 28), np.float32), OPTICS, Illumination(na_xy))
    model = compile_forward(blank, 3)
    gain = torch.ones(57)
    gain[-8:] = torch.linspace(0.8, 1.2, 8)
    instrument = replace(nominal_instrument(blank).to("cpu"), gain_led=gain)
    frames = model.amplitude(
        model.spectrum(smooth_object(model.field_shape_y_x))[None],
        torch.zeros(1),
        torch.arange(57),
        model.aperture(instrument),
    )[0].square()
    acquisition = replace(blank, frames_led_y_x=1000 * frames.numpy())
    found = fpm.reconstruct(acquisition, upsample=3, z_range_um=z_range_um).instrument.gain_led
    torch.testing.assert_close(found.float(), gain, rtol=0.1, atol=0)
