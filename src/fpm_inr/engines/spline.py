"""The spline engine: all LEDs correct one height at a time, by damped gradient steps.

The loss is the paper's (Zhou et al., Optica 10, 1679 (2023), Section 2; its smooth-L1 is a square for
all errors below 1), summed over all LEDs. Its second derivative is known: a frequency of the object
that n LEDs bring into the pupil has curvature n / 2 at most, so every frequency has its own step,
1 / (n + floor), as in difference-map and rPIE solvers (Maiden, Johnson, Li, Optica 4, 736 (2017)).
A linear field needs no search beyond that.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from fpm_inr.calibration.parameters import Calibration, Learning
from fpm_inr.engines.frames import at_the_rim, matching_factor, trust
from fpm_inr.engines.plan import Plan
from fpm_inr.engines.progress import Listener, StepReport, ignore
from fpm_inr.engines.recipe import PassOrder
from fpm_inr.fields.spline import SplineField, signed_frequencies
from fpm_inr.forward import ForwardModel, Instrument

# Frames that are worked on together: complex numbers of one intermediate result.
SAMPLES_AT_ONCE = 1 << 24
RIM_GAIN_SHARE = 0.2  # of the newest visit in the gain of an LED at the pupil's edge


@dataclass(eq=False)
class SplineState:
    """Everything a solve needs to go on.

    Parameters
    ----------
    field : SplineField
    rim_gain_led : Tensor [led]
        Amplitude gains found for LEDs at the pupil's edge; 1 for all others.
    optimiser : Adam, optional
        Of what is learned of the instrument.
    calibration : Calibration, optional
    """

    field: SplineField
    rim_gain_led: Tensor
    optimiser: torch.optim.Adam | None = None
    calibration: Calibration | None = None
    step: int = 0
    seconds: float = 0.0
    history: list[StepReport] = field(default_factory=list)

    def tensors(self) -> dict[str, Tensor]:
        """All tensors of the state by name, for a checkpoint."""
        named = {"spectrum": self.field.spectrum.detach(), "rim_gain_led": self.rim_gain_led}
        if self.calibration is not None:
            for name, value in self.calibration.state_dict().items():
                named[f"calibration.{name}"] = value.detach()
            for name, p in self._learned():
                for key, value in self._adam().state[p].items():
                    named[f"optimiser.{name}.{key}"] = value
        return named

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Set the tensors of the state from a checkpoint."""
        with torch.no_grad():
            self.field.spectrum.copy_(tensors["spectrum"])
        self.rim_gain_led = tensors["rim_gain_led"].to(self.rim_gain_led.device)
        if self.calibration is not None:
            names = self.calibration.state_dict()
            self.calibration.load_state_dict(
                {name: tensors[f"calibration.{name}"] for name in names}
            )
            for name, p in self._learned():
                prefix = f"optimiser.{name}."
                self._adam().state[p] = {
                    key.removeprefix(prefix): value.to(p.device).clone()
                    for key, value in tensors.items()
                    if key.startswith(prefix)
                }

    def _learned(self) -> list[tuple[str, torch.nn.Parameter]]:
        return [] if self.optimiser is None else list(self._calibration().named_parameters())

    def _adam(self) -> torch.optim.Adam:
        assert self.optimiser is not None
        return self.optimiser

    def _calibration(self) -> Calibration:
        assert self.calibration is not None
        return self.calibration


def start(
    model: ForwardModel,
    z_range_um: tuple[float, float],
    planes: int,
    calibration: Calibration | None = None,
) -> SplineState:
    """Begin with a clear object, on the frequencies that some LED sees."""
    every = torch.arange(model.led_count, device=model.device)
    seen = model.field_index(every).unique()
    samples = signed_frequencies(seen, model.field_shape_y_x)
    made = SplineField(model.field_shape_y_x, z_range_um, samples, planes=planes)
    groups = [] if calibration is None else calibration.groups()
    return SplineState(
        made.to(model.device),
        torch.ones(model.led_count, device=model.device),
        torch.optim.Adam(groups, lr=1e-3, betas=(0.9, 0.999)) if groups else None,
        calibration,
    )


def solve(
    state: SplineState,
    model: ForwardModel,
    instrument: Instrument,
    amplitude_led_y_x: Tensor,
    plan: Plan,
    order: PassOrder,
    *,
    listen: Listener = ignore,
    checkpoint: Callable[[SplineState], None] | None = None,
    checkpoint_seconds: float = 60.0,
) -> None:
    """Take the remaining steps of the plan, in place; see `inr.solve`.

    Parameters
    ----------
    state : SplineState
    model : ForwardModel
    instrument : Instrument
        The instrument as it is; left aside where the state has a calibration.
    amplitude_led_y_x : Tensor [led, y, x]
        Measured amplitudes, bright-field mean 1.
    plan : Plan
        Of all LEDs at every step.
    order : PassOrder
    listen, checkpoint, checkpoint_seconds
        As `inr.solve`.
    """
    device, calibration = model.device, state.calibration
    begun = instrument  # not as learned so far: a resumed solve takes the same steps
    aperture = model.aperture(begun.to(device))
    weight_y_x = trust(model.shape_y_x, order.edge_px).to(device)
    is_rim = at_the_rim(model, begun, order.rim_width).to(device)
    if calibration is not None and calibration.free.gains is not None:
        # they are learned: one freedom is enough
        is_rim = torch.zeros_like(is_rim)
    share_k = _share(state.field, model, aperture.transmission_led_k, order.floor)
    pixels = math.prod(model.shape_y_x)
    parts = torch.arange(model.led_count, device=device).split(max(1, SAMPLES_AT_ONCE // pixels))
    peak = float(amplitude_led_y_x.max())
    began = time.perf_counter() - state.seconds
    saved = time.perf_counter()
    while state.step < len(plan):
        step = state.step
        z_um = float(plan.z_um[step])
        z = torch.tensor([z_um], dtype=torch.float32, device=device)
        state.field.spectrum.grad = None
        if state.optimiser is not None:
            state.optimiser.zero_grad(set_to_none=True)
        error = torch.zeros((), device=device)
        for leds in parts:
            seen_by = (
                aperture.select(leds)
                if calibration is None
                else model.aperture(calibration.instrument(), leds)
            )
            spectrum = state.field.spectrum_y_x(z_um)[None]
            predicted = model.amplitude(spectrum, z, leds, seen_by)[0]
            measured = amplitude_led_y_x[leds]
            target = measured
            if is_rim[leds].any():
                target = _matched(state, leds, is_rim[leds], measured, predicted.detach())
            misfit = ((predicted - target).square() * weight_y_x).sum() / (2 * pixels)
            misfit = misfit / model.led_count
            loss = misfit
            if calibration is not None and calibration.has_penalty:
                loss = misfit + misfit.detach() * calibration.penalty()
            loss.backward()  # type: ignore[no-untyped-call]
            error += misfit.detach()
            if calibration is not None:
                calibration.observe(leds, predicted.detach(), measured, step / len(plan))
        _descend(state.field, z_um, float(plan.rate[step]) * model.led_count * share_k)
        if state.optimiser is not None:
            for group in state.optimiser.param_groups:
                learning = group["learning"]
                assert isinstance(learning, Learning)
                group["lr"] = learning.rate(step / len(plan), float(plan.rate[step] / order.step))
            state.optimiser.step()
        state.step = step + 1
        state.seconds = time.perf_counter() - began
        state.history.append(_report(state, plan, float(error), peak, z_um))
        if not math.isfinite(state.history[-1].loss):
            raise FloatingPointError(f"the loss is not finite at step {state.step}")
        listen(state.history[-1])
        if checkpoint is not None and time.perf_counter() - saved > checkpoint_seconds:
            checkpoint(state)
            saved = time.perf_counter()


def _share(field: SplineField, model: ForwardModel, seen_led_k: Tensor, floor: float) -> Tensor:
    """Step [sample] of each of the field's frequencies: 1 / (LEDs that see it + floor)."""
    every = torch.arange(model.led_count, device=model.device)
    cover = torch.zeros(math.prod(model.field_shape_y_x), device=model.device)
    seen = seen_led_k.detach().abs().square().float()
    cover.index_add_(0, model.field_index(every).flatten(), seen.flatten())
    cover = cover[field.flat_index()]
    return 1 / (cover + floor * cover.max())


@torch.no_grad()
def _matched(
    state: SplineState, leds: Tensor, is_rim: Tensor, measured: Tensor, predicted: Tensor
) -> Tensor:
    """Measured amplitudes [led, y, x], those of LEDs at the rim as bright as predicted."""
    factor = torch.where(is_rim, matching_factor(measured, predicted), 1.0)
    found = torch.where(is_rim, matching_factor(predicted, measured), 1.0)
    state.rim_gain_led[leds] = torch.lerp(state.rim_gain_led[leds], found, RIM_GAIN_SHARE)
    return measured * factor[:, None, None]


@torch.no_grad()
def _descend(field: SplineField, z_um: float, step_k: Tensor) -> None:
    """Move the planes so that the spectrum at this height moves by step * its gradient.

    Of all changes of the planes that do so this is the smallest: in proportion to the weights, as
    the gradient of the planes is.
    """
    first, weights = field.weights(z_um)
    gradient = field.spectrum.grad
    assert gradient is not None
    near = slice(first, first + len(weights))
    field.spectrum[near] -= step_k[:, None] * gradient[near] / weights.square().sum()


def _report(state: SplineState, plan: Plan, misfit: float, peak: float, z_um: float) -> StepReport:
    mse = 2 * misfit
    return StepReport(
        state.step,
        len(plan),
        misfit,
        10 * math.log10(peak**2 / mse) if mse > 0 else math.inf,
        z_um,
        state.seconds,
    )


def instrument_as_used(state: SplineState, given: Instrument) -> Instrument:
    """Return the instrument: as given or learned, with the gains found for LEDs at the rim."""
    used = given if state.calibration is None else state.calibration.instrument()
    return replace(used, gain_led=used.gain_led * state.rim_gain_led.to(used.gain_led))
