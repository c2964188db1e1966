"""The neural-field engine: one render per z serves a whole batch of LEDs.

Smooth-L1 loss on amplitudes, Adam (Zhou et al., Optica 10, 1679 (2023), Section 2).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fpm_inr.believed import Believed
from fpm_inr.calibration.parameters import Calibration, Learning
from fpm_inr.engines.plan import Plan
from fpm_inr.engines.progress import Listener, StepReport, ignore, psnr_db
from fpm_inr.errors import DivergedError
from fpm_inr.fields.neural import NeuralField
from fpm_inr.forward import ForwardModel, Instrument


@dataclass(eq=False)
class InrState:
    """Everything a solve needs to go on: the field, the optimiser, the place in the plan.

    `calibration` holds what is learned of the instrument; None: nothing.
    """

    field: NeuralField
    optimiser: torch.optim.Adam
    step: int = 0
    seconds: float = 0.0
    history: list[StepReport] = field(default_factory=list)
    calibration: Calibration | None = None

    def tensors(self) -> dict[str, Tensor]:
        """All tensors of the state by name, for a checkpoint."""
        named = {name: value.detach() for name, value in self._modules().state_dict().items()}
        for name, p in self._modules().named_parameters():
            for key, value in self.optimiser.state[p].items():
                named[f"optimiser.{name}.{key}"] = value
        return named

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Set the tensors of the state from a checkpoint."""
        modules = self._modules()
        modules.load_state_dict({name: tensors[name] for name in modules.state_dict()})
        for name, p in modules.named_parameters():
            prefix = f"optimiser.{name}."
            self.optimiser.state[p] = {
                key.removeprefix(prefix): value.to(p.device).clone()
                for key, value in tensors.items()
                if key.startswith(prefix)
            }

    def _modules(self) -> nn.ModuleDict:
        named: dict[str, nn.Module] = {"field": self.field}
        if self.calibration is not None:
            named["calibration"] = self.calibration
        return nn.ModuleDict(named)


def start(field: NeuralField, plan: Plan, calibration: Calibration | None = None) -> InrState:
    """Begin a solve; what is free in the calibration is learned with the field."""
    others = [p for name, p in field.named_parameters() if name != "plane"]
    groups: list[dict[str, Any]] = [
        {"params": [field.plane], "factor": plan.plane_rate_factor},
        {"params": others, "factor": 1.0},
    ]
    if calibration is not None:
        groups += calibration.groups()
    optimiser = torch.optim.Adam(groups, lr=1e-3, betas=(plan.momentum, 0.999))
    return InrState(field, optimiser, calibration=calibration)


def solve(
    state: InrState,
    model: ForwardModel,
    instrument: Instrument,
    amplitude_led_y_x: Tensor,
    plan: Plan,
    *,
    pixels: Believed | None = None,
    listen: Listener = ignore,
    checkpoint: Callable[[InrState], None] | None = None,
    checkpoint_seconds: float = 60.0,
) -> None:
    """Take the remaining steps of the plan, in place.

    Parameters
    ----------
    state : InrState
    model : ForwardModel
    instrument : Instrument
        The instrument as it is; left aside where the state has a calibration.
    amplitude_led_y_x : Tensor [led, y, x]
        Measured amplitudes, bright-field mean 1.
    plan : Plan
    pixels : Believed, optional
        Which pixels are believed. Default: all.
    listen : Listener
        Called after every step. KeyboardInterrupt, raised there or by the user, leaves the state
        after a whole step.
    checkpoint : callable, optional
        Called with the state every `checkpoint_seconds`.
    """
    device = model.device
    calibration = state.calibration
    fixed = model.aperture(instrument) if calibration is None else None
    highest_rate = float(plan.rate.max())
    all_leds = torch.from_numpy(plan.leds).to(device)
    peak = float(amplitude_led_y_x.max())
    began = time.perf_counter() - state.seconds
    saved = time.perf_counter()
    while state.step < len(plan):
        step = state.step
        for group in state.optimiser.param_groups:
            group["lr"] = _rate(group, plan, step, highest_rate)
        leds = all_leds[step]
        z_um = float(plan.z_um[step])
        measured = amplitude_led_y_x[leds]
        state.optimiser.zero_grad(set_to_none=True)
        if fixed is not None:
            aperture = fixed.select(leds)
        else:
            assert calibration is not None
            aperture = model.aperture(calibration.instrument(), leds)
        image = state.field(z_um, int(plan.divisor[step]))
        light = model.exit_field(
            model.spectrum(image)[None],
            torch.tensor([z_um], dtype=measured.dtype, device=device),
            leds,
            aperture,
        )[0]
        predicted = aperture.amplitude(light)
        if pixels is not None:
            # as if measured were predicted, where it says nothing
            error = predicted.detach() - measured
            measured = predicted.detach() - pixels.select(leds).error(error)
        misfit = F.smooth_l1_loss(predicted, measured)
        loss = misfit
        if calibration is not None and calibration.has_penalty:
            loss = misfit + misfit.detach() * calibration.penalty()
        loss.backward()
        state.optimiser.step()
        if calibration is not None:
            shares = model.shares(leds, light, light.real.new_ones(()))
            calibration.observe(leds, predicted.detach(), measured, step / len(plan), shares)
        state.step = step + 1
        with torch.no_grad():
            mse = float(F.mse_loss(predicted, measured))
        state.seconds = time.perf_counter() - began
        report = StepReport(
            state.step,
            len(plan),
            float(misfit.detach()),
            psnr_db(peak, mse),
            z_um,
            state.seconds,
        )
        state.history.append(report)
        if not math.isfinite(report.loss):
            raise DivergedError(f"the loss is not finite at step {state.step}")
        listen(report)
        if checkpoint is not None and time.perf_counter() - saved > checkpoint_seconds:
            checkpoint(state)
            saved = time.perf_counter()


def _rate(group: dict[str, Any], plan: Plan, step: int, highest_rate: float) -> float:
    """Learning rate of a parameter group: the plan's, or the calibration's own in its shape."""
    rate = float(plan.rate[step])
    learning = group.get("learning")
    if learning is None:
        return rate * float(group["factor"])
    assert isinstance(learning, Learning)
    return learning.rate(step / len(plan), rate / highest_rate)
