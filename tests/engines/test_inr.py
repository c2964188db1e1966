"""The neural-field engine: recovery of a known object, determinism, resuming."""

from __future__ import annotations

import pytest
import torch

from fpm_inr.acquisition import Acquisition
from fpm_inr.engines import inr
from fpm_inr.engines.plan import Plan, make_plan
from fpm_inr.engines.recipe import SweepOrder
from fpm_inr.fields.neural import NeuralField
from fpm_inr.forward import ForwardModel
from fpm_inr.solve.progress import StepReport
from tests.engines.known_object import OPTICS, experiment


def sweep(acquisition: Acquisition, z_range_um: tuple[float, float], steps: int) -> Plan:
    return make_plan(
        SweepOrder(steps=steps, leds_per_step=9, learning_rate=2e-2),
        na_led=acquisition.illumination.na_led,
        na_objective=OPTICS.na,
        z_range_um=z_range_um,
        seed=0,
    )


def begin(model: ForwardModel, plan: Plan, z_range_um: tuple[float, float]) -> inr.InrState:
    torch.manual_seed(0)
    return inr.start(NeuralField(model.field_shape_y_x, z_range_um), plan)


def test_known_object_is_recovered() -> None:
    model, instrument, truth, measured, acquisition = experiment(6.0)
    plan = sweep(acquisition, (6.0, 6.0), 300)
    state = begin(model, plan, (6.0, 6.0))
    inr.solve(state, model, instrument, measured, plan)
    with torch.no_grad():
        found = state.field(6.0)
    factor = torch.vdot(found.flatten(), truth.flatten()) / found.abs().square().sum()
    error = torch.linalg.norm(factor * found - truth) / torch.linalg.norm(truth)
    assert error < 0.05
    assert state.history[-1].psnr_db > state.history[0].psnr_db + 15


def test_same_seed_same_result_and_resumed_run_equals_unbroken_one() -> None:
    model, instrument, _, measured, acquisition = experiment(0.0)
    z_range = (-5.0, 5.0)
    plan = sweep(acquisition, z_range, 30)
    whole = begin(model, plan, z_range)
    inr.solve(whole, model, instrument, measured, plan)

    def stop(report: StepReport) -> None:
        if report.step == 11:
            raise KeyboardInterrupt

    first = begin(model, plan, z_range)
    with pytest.raises(KeyboardInterrupt):
        inr.solve(first, model, instrument, measured, plan, listen=stop)
    assert first.step == 11
    torch.manual_seed(99)
    second = inr.start(NeuralField(model.field_shape_y_x, z_range), plan)
    second.load({name: value.clone() for name, value in first.tensors().items()})
    second.step, second.history = first.step, list(first.history)
    inr.solve(second, model, instrument, measured, plan)
    for name, value in whole.tensors().items():
        torch.testing.assert_close(second.tensors()[name], value, rtol=0, atol=0)
    assert [r.loss for r in second.history] == [r.loss for r in whole.history]


def test_checkpoints_are_offered_while_it_runs() -> None:
    model, instrument, _, measured, acquisition = experiment(0.0)
    plan = sweep(acquisition, (0.0, 0.0), 4)
    seen: list[int] = []
    inr.solve(
        begin(model, plan, (0.0, 0.0)),
        model,
        instrument,
        measured,
        plan,
        checkpoint=lambda state: seen.append(state.step),
        checkpoint_seconds=0.0,
    )
    assert seen == [1, 2, 3, 4]


def test_a_diverging_solve_says_so() -> None:
    model, instrument, _, measured, acquisition = experiment(0.0)
    plan = sweep(acquisition, (0.0, 0.0), 3)
    with pytest.raises(FloatingPointError, match="step 1"):
        inr.solve(begin(model, plan, (0.0, 0.0)), model, instrument, measured * float("nan"), plan)
