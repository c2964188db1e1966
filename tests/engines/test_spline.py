"""The spline engine: its gradient, recovery of a known object, resuming."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from fpm_inr.calibration.parameters import Calibration, parse_free
from fpm_inr.engines import spline
from fpm_inr.engines.frames import at_the_rim, trust
from fpm_inr.engines.plan import Plan, make_plan
from fpm_inr.engines.recipe import PassOrder
from fpm_inr.forward import Instrument
from fpm_inr.solve.progress import StepReport
from tests.engines.known_object import OPTICS, experiment

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


def relative_error(found: Tensor, truth: Tensor) -> float:
    factor = torch.vdot(found.flatten(), truth.flatten()) / found.abs().square().sum()
    return float(torch.linalg.norm(factor * found - truth) / torch.linalg.norm(truth))


@pytest.mark.parametrize("with_background", [False, True])
@pytest.mark.parametrize("at_once", [1, 1 << 20])
def test_gradient_by_hand_is_that_of_the_loss(
    with_background: bool, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spline, "SAMPLES_AT_ONCE", at_once)
    model, instrument, truth, measured, _ = experiment(3.0, SHAPE, NA_REACH)
    if with_background:
        instrument = Instrument(
            instrument.na_led_xy,
            instrument.gain_led,
            instrument.zernike_rad,
            background_led=torch.full((25,), 0.02),
        )
    order = PassOrder(passes_per_plane=1, step=1.0, floor=0.2, edge_px=3, rim_width=0.3)
    state = spline.start(model, (0.0, 6.0), 5)
    place = spline.signed_frequencies(torch.arange(truth.numel()), model.field_shape_y_x)
    flat = state.field.flat_index()
    assert torch.equal(place[:, flat].int(), state.field.sample_yx)
    with torch.no_grad():
        state.field.spectrum += torch.view_as_real(model.spectrum(0.3 * truth).flatten()[flat])
    frames = spline._Frames(state, model, instrument, measured, order, 1)
    group = frames.group(np.arange(25), 0)
    assert any(batch.rim_count for batch in group.batches)
    found = spline._wrong(state, frames, group, 3.0, 0.0)

    samples = state.field.samples(3.0).detach().requires_grad_()
    aperture = model.aperture(instrument)
    predicted = model.amplitude(
        state.field.place(samples)[None], torch.tensor([3.0]), torch.arange(25), aperture
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
    monkeypatch.setattr(spline, "TAUGHT_ONE_IN", 1)
    model, instrument, truth, measured, acquisition = experiment(3.0, SHAPE, NA_REACH)
    free = parse_free(learned)
    calibration = Calibration(instrument, free, OPTICS, acquisition.shape_y_x, height_is_free=False)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in calibration.parameters():
            value += 0.05 * torch.rand(value.shape, generator=generator)
    order = PassOrder(passes_per_plane=1, step=1.0, floor=0.2, edge_px=3, rim_width=0.0)
    state = spline.start(model, (0.0, 6.0), 5, calibration, groups=ORDER.groups)
    with torch.no_grad():
        flat = state.field.flat_index()
        state.field.spectrum += torch.view_as_real(model.spectrum(0.3 * truth).flatten()[flat])
    frames = spline._Frames(state, model, instrument, measured, order, order.groups)
    # gains, which the visit moves, are those of before it
    light = model.amplitude(
        state.field.spectrum_y_x(3.0)[None].detach(),
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
    spline._wrong(state, frames, frames.group(np.arange(25), 0), 3.0, 0.5)
    for name, gradient in zip(names, wanted, strict=True):
        found = calibration.get_parameter(name).grad
        torch.testing.assert_close(found, gradient, rtol=2e-3, atol=2e-6, msg=name)


def test_known_object_is_recovered() -> None:
    model, instrument, truth, measured, _ = experiment(6.0, SHAPE, NA_REACH)
    plan = planned((6.0, 6.0), 200)
    state = spline.start(model, (6.0, 6.0), 1)
    spline.solve(state, model, instrument, measured, plan, ORDER)
    with torch.no_grad():
        assert relative_error(state.field(6.0), truth) < 0.01
    assert state.history[-1].psnr_db > state.history[0].psnr_db + 20


def test_a_thin_object_in_a_stack_is_recovered_at_its_height_only() -> None:
    model, instrument, truth, measured, _ = experiment(6.0, SHAPE, NA_REACH)
    state = spline.start(model, (-14.0, 14.0), 9)
    spline.solve(state, model, instrument, measured, planned((-14.0, 14.0), 120), ORDER)
    with torch.no_grad():
        errors = [relative_error(state.field(z), truth) for z in (-14.0, -6.0, 6.0, 14.0)]
    assert errors[2] < 0.05
    assert errors[2] == min(errors)


def test_brightness_of_an_led_at_the_rim_is_found() -> None:
    model, instrument, truth, measured, _ = experiment(0.0, SHAPE, NA_REACH)
    order = ORDER.model_copy(update={"rim_width": 0.05})
    rim = at_the_rim(model, instrument, 0.05)
    assert rim.sum() == 4
    measured[rim] *= 0.7
    state = spline.start(model, (0.0, 0.0), 1)
    spline.solve(state, model, instrument, measured, planned((0.0, 0.0), 80), order)
    with torch.no_grad():
        assert relative_error(state.field(0.0), truth) < 0.02
    gains = spline.instrument_as_used(state, instrument).gain_led
    torch.testing.assert_close(gains[rim], torch.full((4,), 0.7), rtol=0.02, atol=0)
    assert torch.equal(gains[~rim], torch.ones(21))


@pytest.mark.parametrize("learned", [None, "gains,pupil,pose", "gains,na"])
def test_resumed_run_equals_unbroken_one(learned: str | None) -> None:
    model, instrument, _, measured, acquisition = experiment(0.0, SHAPE, NA_REACH)
    z_range, plan = (-5.0, 5.0), planned((-5.0, 5.0), 20)

    def begun() -> spline.SplineState:
        calibration = None
        if learned is not None:
            calibration = Calibration(
                instrument, parse_free(learned), OPTICS, acquisition.shape_y_x, height_is_free=True
            )
        return spline.start(model, z_range, 5, calibration, groups=ORDER.groups)

    whole = begun()
    spline.solve(whole, model, instrument, measured, plan, ORDER)

    def stop(report: StepReport) -> None:
        if report.step == 9:
            raise KeyboardInterrupt

    first = begun()
    with pytest.raises(KeyboardInterrupt):
        spline.solve(first, model, instrument, measured, plan, ORDER, listen=stop)
    second = begun()
    second.load({name: value.clone() for name, value in first.tensors().items()})
    second.step, second.history = first.step, list(first.history)
    spline.solve(second, model, instrument, measured, plan, ORDER)
    for name, value in whole.tensors().items():
        torch.testing.assert_close(second.tensors()[name], value, rtol=0, atol=0)
    assert [r.loss for r in second.history] == [r.loss for r in whole.history]


def test_gains_are_learned_along() -> None:
    model, instrument, truth, measured, acquisition = experiment(0.0, SHAPE, NA_REACH)
    generator = torch.Generator().manual_seed(1)
    gains = torch.exp(0.1 * torch.randn(25, generator=generator))
    calibration = Calibration(
        instrument, parse_free("gains"), OPTICS, acquisition.shape_y_x, height_is_free=False
    )
    state = spline.start(model, (0.0, 0.0), 1, calibration)
    plan = planned((0.0, 0.0), 150)
    spline.solve(state, model, instrument, measured * gains[:, None, None], plan, ORDER)
    found = spline.instrument_as_used(state, instrument).gain_led
    ratio = found / gains
    assert float((ratio / ratio.mean() - 1).abs().max()) < 0.01
    with torch.no_grad():
        assert relative_error(state.field(0.0), truth) < 0.02


def test_a_diverging_solve_says_so() -> None:
    model, instrument, _, measured, _ = experiment(0.0, SHAPE, NA_REACH)
    state = spline.start(model, (0.0, 0.0), 1)
    with pytest.raises(FloatingPointError, match="step 1"):
        spline.solve(
            state, model, instrument, measured * float("nan"), planned((0.0, 0.0), 3), ORDER
        )


def test_checkpoints_are_offered_while_it_runs() -> None:
    model, instrument, _, measured, _ = experiment(0.0, SHAPE, NA_REACH)
    seen: list[int] = []
    spline.solve(
        spline.start(model, (0.0, 0.0), 1),
        model,
        instrument,
        measured,
        planned((0.0, 0.0), 4),
        ORDER,
        checkpoint=lambda state: seen.append(state.step),
        checkpoint_seconds=0.0,
    )
    assert seen == [1, 2, 3, 4]
