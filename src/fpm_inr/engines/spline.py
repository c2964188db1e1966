"""The spline engine: a group of LEDs corrects one height at a time, by damped gradient steps.

The loss is the paper's (Zhou et al., Optica 10, 1679 (2023), Section 2; its smooth-L1 is a square
for all errors below 1), summed over the LEDs. Its second derivative is known: that of a frequency
that n LEDs bring into the pupil is n / 2 for a weak object, so every frequency has its own step,
1 / (n + floor), akin to rPIE (Maiden, Johnson, Li, Optica 4, 736 (2017)). A linear field needs no
search beyond that.
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
from fpm_inr.forward import Aperture, ForwardModel, Instrument

# Pixels of the frames that are worked on together: more would leave the caches of a CPU.
SAMPLES_AT_ONCE = 1 << 19
# Below this intensity (mean bright-field: 1) a predicted pixel has no phase to speak of.
DARK = 1e-12
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
        The instrument as it is, or where a calibration begins.
    amplitude_led_y_x : Tensor [led, y, x]
        Measured amplitudes, bright-field mean 1.
    plan : Plan
        Of a group of LEDs at every step.
    order : PassOrder
    listen, checkpoint, checkpoint_seconds
        As `inr.solve`.
    """
    calibration = state.calibration
    frames = _Frames(model, instrument, amplitude_led_y_x, order)
    if calibration is not None and calibration.free.gains is not None:
        # they are learned: one freedom is enough
        frames.is_rim[:] = False
    aperture = model.aperture(instrument)
    shares: dict[bytes, Tensor] = {}
    began = time.perf_counter() - state.seconds
    saved = time.perf_counter()
    while state.step < len(plan):
        step, z_um, rate = state.step, float(plan.z_um[state.step]), float(plan.rate[state.step])
        leds = torch.from_numpy(plan.leds[step]).to(model.device)
        group = plan.leds[step].tobytes()
        if group not in shares:
            shares[group] = _share(state.field, model, aperture, leds, order.floor)
        share_k = shares[group]
        if calibration is None:
            wrong_k, misfit = _wrong(state, model, aperture, frames, leds, z_um)
        else:
            done = step / len(plan)
            wrong_k, misfit = _learn(state, model, frames, leds, z_um, done, rate / order.step)
        _descend(state.field, z_um, rate * share_k * wrong_k)
        state.step = step + 1
        state.seconds = time.perf_counter() - began
        state.history.append(_report(state, plan, misfit, frames.peak, z_um))
        if not math.isfinite(misfit):
            raise FloatingPointError(f"the loss is not finite at step {state.step}")
        listen(state.history[-1])
        if checkpoint is not None and time.perf_counter() - saved > checkpoint_seconds:
            checkpoint(state)
            saved = time.perf_counter()


class _Frames:
    """What does not change from step to step."""

    def __init__(
        self,
        model: ForwardModel,
        instrument: Instrument,
        amplitude_led_y_x: Tensor,
        order: PassOrder,
    ) -> None:
        self.amplitude_led_y_x = amplitude_led_y_x
        self.weight_y_x = trust(model.shape_y_x, order.edge_px).to(model.device)
        self.is_rim = at_the_rim(model, instrument, order.rim_width).to(model.device)
        self.pixels = math.prod(model.shape_y_x)
        self.peak = float(amplitude_led_y_x.max())
        self.at_once = max(1, SAMPLES_AT_ONCE // self.pixels)
        self.frame_index = model.frame_index()


@torch.no_grad()
def _wrong(
    state: SplineState,
    model: ForwardModel,
    aperture: Aperture,
    frames: _Frames,
    all_leds: Tensor,
    z_um: float,
) -> tuple[Tensor, float]:
    """What is wrong with the spectrum [sample], summed over these LEDs: the loss' gradient by hand.

    Of the loss sum w (|psi| - m)^2 / 2 over LEDs and pixels (divided by the pixels), and the loss
    per LED. Written out, it takes the Fourier transforms that it must and little else.
    """
    field, shape = state.field, model.shape_y_x
    z = torch.tensor([z_um], dtype=torch.float32, device=model.device)
    spectrum = field.spectrum_y_x(z_um).flatten()
    wrong = torch.zeros_like(spectrum)
    error = torch.zeros((), device=model.device)
    for leds in all_leds.split(frames.at_once):
        index = model.field_index(leds)
        seen_by = aperture.select(leds)
        transfer = seen_by.at(z)[0]
        grid = spectrum.new_zeros(len(leds), frames.pixels)
        seen = spectrum.take(index).mul_(transfer)
        grid.index_copy_(1, frames.frame_index, seen)
        light = torch.fft.ifft2(grid.unflatten(1, shape), norm="forward")
        part = torch.view_as_real(light)
        intensity = part[..., 0].square().addcmul_(part[..., 1], part[..., 1]).clamp_min_(DARK)
        measured = frames.amplitude_led_y_x[leds]
        if seen_by.background_led is not None:
            floor = seen_by.background_led[:, None, None]
            measured = (measured.square() - floor).clamp_min_(0).sqrt_()
        inverse = intensity.rsqrt()
        if frames.is_rim[leds].any():
            measured = _matched(state, leds, frames.is_rim[leds], measured, intensity * inverse)
        change = inverse.mul_(measured).neg_().add_(1)
        error += torch.einsum("yx,lyx->", frames.weight_y_x, intensity.mul_(change).mul_(change))
        part.mul_(change.mul_(frames.weight_y_x)[..., None])
        back = torch.fft.fft2(light, norm="forward").flatten(1).index_select(1, frames.frame_index)
        wrong.index_add_(0, index.flatten(), back.mul_(transfer.conj()).flatten())
    return wrong.take(field.flat_index()), float(error) / (2 * frames.pixels * len(all_leds))


def _learn(
    state: SplineState,
    model: ForwardModel,
    frames: _Frames,
    all_leds: Tensor,
    z_um: float,
    done: float,
    envelope: float,
) -> tuple[Tensor, float]:
    """As `_wrong`, and a step of what is learned of the instrument."""
    calibration = state.calibration
    assert calibration is not None
    z = torch.tensor([z_um], dtype=torch.float32, device=model.device)
    if state.optimiser is not None:
        state.optimiser.zero_grad(set_to_none=True)
    samples = state.field.samples(z_um).detach().requires_grad_()
    total = 0.0
    for leds in all_leds.split(frames.at_once):
        aperture = model.aperture(calibration.instrument(), leds)
        spectrum = state.field.place(samples)[None]
        predicted = model.amplitude(spectrum, z, leds, aperture)[0]
        measured = target = frames.amplitude_led_y_x[leds]
        if frames.is_rim[leds].any():
            target = _matched(state, leds, frames.is_rim[leds], measured, predicted.detach())
        misfit = ((predicted - target).square() * frames.weight_y_x).sum() / (2 * frames.pixels)
        loss = misfit
        if calibration.has_penalty:
            loss = misfit + misfit.detach() * calibration.penalty()
        loss.backward()
        total += float(misfit.detach())
        calibration.observe(leds, predicted.detach(), measured, done)
    if state.optimiser is not None:
        for group in state.optimiser.param_groups:
            learning = group["learning"]
            assert isinstance(learning, Learning)
            group["lr"] = learning.rate(done, envelope)
        state.optimiser.step()
    assert samples.grad is not None
    return samples.grad, total / len(all_leds)


@torch.no_grad()
def _share(
    field: SplineField, model: ForwardModel, aperture: Aperture, leds: Tensor, floor: float
) -> Tensor:
    """Step [sample] of each of the field's frequencies: 1 / (LEDs that see it + floor)."""
    cover = torch.zeros(math.prod(model.field_shape_y_x), device=model.device)
    seen = aperture.transmission_led_k[leds].abs().square()
    cover.index_add_(0, model.field_index(leds).flatten(), seen.flatten())
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
    """Move the planes so that the spectrum at this height moves by -step [sample].

    Of all changes of the planes that do so the smallest: in proportion to their weights.
    """
    first, weights = field.weights(z_um)
    parts = torch.view_as_real(step_k) / weights.square().sum()
    for plane, weight in enumerate(weights.tolist(), start=first):
        field.spectrum[plane].sub_(parts, alpha=weight)


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
