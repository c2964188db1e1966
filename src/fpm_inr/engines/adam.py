"""The solve of a neural field, or any other that Adam can improve: one render per z serves a batch.

Smooth-L1 loss on amplitudes, Adam (Zhou et al., Optica 10, 1679 (2023), Section 2).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fpm_inr.beams import Choice, Shares, numbers_of
from fpm_inr.engines.adam_state import load_moments, moments
from fpm_inr.engines.plan import Plan
from fpm_inr.fields.base import Field
from fpm_inr.forward import Aperture, Instrument
from fpm_inr.instrument import Learning
from fpm_inr.memory import Portion
from fpm_inr.solve.engine import Fit, Solve
from fpm_inr.solve.problem import Problem


@dataclass(frozen=True, eq=False)
class _Seen:
    """What some frames of a batch show: their shares of its misfits, and their amplitudes."""

    leds: Tensor
    misfit: Tensor
    mse: Tensor
    predicted: Tensor
    measured: Tensor
    shares: Shares | None


class AdamSolve(Solve):
    """A differentiable field under way; what is learned of the instrument is learned with it.

    Parameters
    ----------
    problem : Problem
    plan : Plan
    field : Field
        As it begins. One with a `plane` of features has a learning rate of its own for it.
    render : callable, optional
        What renders it, where that is not the field itself (`fpm_inr.engines.hastened`).
    """

    def __init__(
        self,
        problem: Problem,
        plan: Plan,
        field: Field,
        render: Callable[..., Tensor] | None = None,
    ) -> None:
        self.problem, self.plan = problem, plan
        self.network = field.to(problem.model.device)
        self._render = field if render is None else render
        learned = problem.learned
        self._modules = nn.ModuleDict({"field": self.network})
        if learned is not None:
            self._modules["calibration"] = learned
        parameters = dict(self.network.named_parameters())
        planes = [parameters.pop("plane")] if "plane" in parameters else []
        groups: list[dict[str, Any]] = [
            {"params": planes, "factor": plan.plane_rate_factor},
            {"params": [*parameters.values()], "factor": 1.0},
            *([] if learned is None else learned.groups()),
        ]
        self.optimiser = torch.optim.Adam(groups, lr=1e-3, betas=(plan.momentum, 0.999))
        model = problem.model
        self._fixed = model.aperture(problem.instrument) if learned is None else None
        self._leds = torch.from_numpy(plan.leds).to(model.device)
        self._highest_rate = float(plan.rate.max())
        # light, its transform, amplitude and error, and what their gradients take
        pixels, samples = math.prod(model.shape_y_x), model.sample_yx.shape[1]
        self._portion = Portion(
            "LEDs",
            model.device,
            bytes_each=8 * 8 * (pixels + samples),
            most=plan.leds.shape[1],
        )

    @property
    def total(self) -> int:
        """Steps of the plan."""
        return len(self.plan)

    def advance(self) -> Fit:
        """One height, one batch of LEDs, one step of Adam."""
        step, plan, learned = self.step, self.plan, self.problem.learned
        for group in self.optimiser.param_groups:
            group["lr"] = _rate(group, plan, step, self._highest_rate)
        z_um = float(plan.z_um[step])
        looked = None
        while looked is None:
            looked = self._portion.tried(lambda: self._look(step, z_um))
        self.optimiser.step()
        if learned is not None:
            for seen in looked:
                done = step / len(plan)
                learned.observe(seen.leds, seen.predicted, seen.measured, done, seen.shares)
        misfit = sum(seen.misfit for seen in looked[1:]) + looked[0].misfit
        mse = sum(seen.mse for seen in looked[1:]) + looked[0].mse
        return Fit(misfit, mse, z_um)

    def _look(self, step: int, z_um: float) -> list[_Seen]:
        """Look at the frames, part after part, and leave the gradients."""
        leds, numbers = self._leds[step], self.plan.leds[step]
        divisor, at_once = int(self.plan.divisor[step]), self._portion.at_once
        self.optimiser.zero_grad(set_to_none=True)
        # only a neural field can be rendered more coarsely
        image = self._render(z_um) if divisor == 1 else self._render(z_um, divisor)
        met = image.detach().requires_grad_()
        seen = [
            self._learn_from(met, frames, z_um, len(frames) / len(leds))
            for frames in self.problem.model.in_parts(leds, numbers, at_once)
        ]
        image.backward(met.grad)
        return seen

    def _learn_from(self, image: Tensor, frames: Choice, z_um: float, share: float) -> _Seen:
        """Leave the gradients of these frames, a share of the batch's."""
        learned, model, leds = self.problem.learned, self.problem.model, numbers_of(frames)
        aperture = self._aperture(frames)
        height = torch.full((1,), z_um, dtype=torch.float32, device=model.device)
        light = model.exit_field(model.spectrum(image)[None], height, frames, aperture)[0]
        predicted = aperture.amplitude(light)
        measured = self._measured(leds, predicted)
        misfit = F.smooth_l1_loss(predicted, measured)
        loss = misfit
        if learned is not None and learned.has_penalty:
            loss = misfit + misfit.detach() * learned.penalty()
        (loss if share == 1 else share * loss).backward()
        found = predicted.detach()
        shares = None if learned is None else model.shares(frames, light)
        mse = F.mse_loss(found, measured)
        return _Seen(leds, share * misfit.detach(), share * mse, found, measured, shares)

    @property
    def told(self) -> list[str]:
        """See `Solve.told`."""
        return self._portion.told

    def tensors(self) -> dict[str, Tensor]:
        """See `Solve.tensors`."""
        named = {name: value.detach() for name, value in self._modules.state_dict().items()}
        return named | moments(self.optimiser, self._modules)

    def load(self, tensors: dict[str, Tensor]) -> None:
        """See `Solve.load`."""
        self._modules.load_state_dict({name: tensors[name] for name in self._modules.state_dict()})
        load_moments(self.optimiser, self._modules, tensors)

    def field(self) -> Field:
        """See `Solve.field`."""
        return self.network.cpu().requires_grad_(False)

    def instrument(self) -> Instrument:
        """See `Solve.instrument`."""
        learned = self.problem.learned
        return self.problem.instrument if learned is None else learned.instrument()

    def _aperture(self, frames: Choice) -> Aperture:
        if self._fixed is not None:
            return self._fixed.select(frames)
        assert self.problem.learned is not None
        return self.problem.model.aperture(self.problem.learned.instrument(), frames)

    def _measured(self, leds: Tensor, predicted: Tensor) -> Tensor:
        """Measured amplitudes of these frames: as predicted, where they say nothing."""
        measured, pixels = self.problem.amplitude_led_y_x[leds], self.problem.pixels
        if pixels is None:
            return measured
        error = predicted.detach() - measured
        return predicted.detach() - pixels.select(leds).error(error)


def _rate(group: dict[str, Any], plan: Plan, step: int, highest_rate: float) -> float:
    """Learning rate of a parameter group: the plan's, or the calibration's own in its shape."""
    rate = float(plan.rate[step])
    learning = group.get("learning")
    if learning is None:
        return rate * float(group["factor"])
    assert isinstance(learning, Learning)
    return learning.rate(step / len(plan), rate / highest_rate)
