"""The neural field's solve: recovery of a known object, determinism, resuming."""

from __future__ import annotations

import pytest
import torch

from fpm_inr.acquisition import Acquisition
from fpm_inr.engines.adam import AdamSolve
from fpm_inr.engines.plan import Plan, make_plan
from fpm_inr.engines.recipe import SweepOrder
from fpm_inr.fields.neural import NeuralField
from fpm_inr.solve.problem import Problem
from fpm_inr.solve.progress import StepReport
from tests.engines.known_object import OPTICS, driven, experiment, problem_of


def sweep(acquisition: Acquisition, z_range_um: tuple[float, float], steps: int) -> Plan:
    return make_plan(
        SweepOrder(steps=steps, leds_per_step=9, learning_rate=2e-2),
        na_led=acquisition.illumination.na_led,
        na_objective=OPTICS.na,
        z_range_um=z_range_um,
        seed=0,
    )


def begin(problem: Problem, plan: Plan, seed: int = 0) -> AdamSolve:
    torch.manual_seed(seed)
    field = NeuralField(problem.model.field_shape_y_x, problem.z_range_um)
    return AdamSolve(problem, plan, field)


def test_known_object_is_recovered() -> None:
    model, instrument, truth, measured, acquisition = experiment(6.0)
    problem = problem_of(model, instrument, measured, (6.0, 6.0))
    solve = begin(problem, sweep(acquisition, (6.0, 6.0), 300))
    history = driven(solve, problem)
    with torch.no_grad():
        found = solve.field()(6.0)
    factor = torch.vdot(found.flatten(), truth.flatten()) / found.abs().square().sum()
    error = torch.linalg.norm(factor * found - truth) / torch.linalg.norm(truth)
    assert error < 0.05
    assert history[-1].psnr_db > history[0].psnr_db + 15


def test_same_seed_same_result_and_resumed_run_equals_unbroken_one() -> None:
    model, instrument, _, measured, acquisition = experiment(0.0)
    problem = problem_of(model, instrument, measured, (-5.0, 5.0))
    plan = sweep(acquisition, (-5.0, 5.0), 30)
    whole = begin(problem, plan)
    losses = [row.loss for row in driven(whole, problem)]

    def stop(report: StepReport) -> None:
        if report.step == 11:
            raise KeyboardInterrupt

    first = begin(problem, plan)
    with pytest.raises(KeyboardInterrupt):
        driven(first, problem, stop)
    assert first.step == 11
    second = begin(problem, plan, seed=99)
    second.step = first.step
    second.load({name: value.clone() for name, value in first.tensors().items()})
    assert [row.loss for row in driven(second, problem)] == losses[11:]
    for name, value in whole.tensors().items():
        torch.testing.assert_close(second.tensors()[name], value, rtol=0, atol=0)
