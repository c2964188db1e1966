"""The solve of a neural field, or any other that Adam can improve: one render per z serves a batch.

Smooth-L1 loss on amplitudes, Adam (Zhou et al., Optica 10, 1679 (2023), Section 2).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fpm_inr.engines.adam_state import load_moments, moments
from fpm_inr.engines.plan import Plan
from fpm_inr.fields.base import Field
from fpm_inr.forward import Aperture, Instrument
from fpm_inr.instrument import Learning
from fpm_inr.solve.engine import Fit, Solve
from fpm_inr.solve.problem import Problem


class AdamSolve(Solve):
    """A differentiable field under way; what is learned of the instrument is learned with it.

    Parameters
    ----------
    problem : Problem
    plan : Plan
    field : Field
        As it begins. One with a `plane` of features has a learning rate of its own for it.
    """

    def __init__(self, problem: Problem, plan: Plan, field: Field) -> None:
        self.problem, self.plan = problem, plan
        self.network = field.to(problem.model.device)
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

    @property
    def total(self) -> int:
        """Steps of the plan."""
        return len(self.plan)

    def advance(self) -> Fit:
        """One height, one batch of LEDs, one step of Adam."""
        step, plan, learned = self.step, self.plan, self.problem.learned
        for group in self.optimiser.param_groups:
            group["lr"] = _rate(group, plan, step, self._highest_rate)
        leds, z_um = self._leds[step], float(plan.z_um[step])
        self.optimiser.zero_grad(set_to_none=True)
        aperture = self._aperture(leds)
        light = self._light(leds, z_um, int(plan.divisor[step]), aperture)
        predicted = aperture.amplitude(light)
        measured = self._measured(leds, predicted)
        misfit = F.smooth_l1_loss(predicted, measured)
        loss = misfit
        if learned is not None and learned.has_penalty:
            loss = misfit + misfit.detach() * learned.penalty()
        loss.backward()
        self.optimiser.step()
        if learned is not None:
            shares = self.problem.model.shares(leds, light)
            learned.observe(leds, predicted.detach(), measured, step / len(plan), shares)
        with torch.no_grad():
            mse = F.mse_loss(predicted, measured)
        return Fit(misfit.detach(), mse, z_um)

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

    def _aperture(self, leds: Tensor) -> Aperture:
        if self._fixed is not None:
            return self._fixed.select(leds)
        assert self.problem.learned is not None
        return self.problem.model.aperture(self.problem.learned.instrument(), leds)

    def _light(self, leds: Tensor, z_um: float, divisor: int, aperture: Aperture) -> Tensor:
        """Complex field [beam, y, x] of these frames on the camera."""
        model = self.problem.model
        # only a neural field can be rendered more coarsely
        image = self.network(z_um) if divisor == 1 else self.network(z_um, divisor)
        height = torch.full((1,), z_um, dtype=torch.float32, device=model.device)
        return model.exit_field(model.spectrum(image)[None], height, leds, aperture)[0]

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
