"""The spline field's solve: a group of LEDs corrects one height at a time, by damped steps.

The loss is the paper's (Zhou et al., Optica 10, 1679 (2023), Section 2; its smooth-L1 is a square
for all errors below 1), summed over the LEDs. Its second derivative is known: that of a frequency
that n LEDs bring into the pupil is n / 2 for a weak object, so every frequency has its own step,
1 / (n + floor), akin to rPIE (Maiden, Johnson, Li, Optica 4, 736 (2017)). Frequencies that pass the
pupil with their mirrors take steps in pairs (`fpm_inr.engines.slow_phase`). A linear field needs no
search beyond that.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from fpm_inr.engines.adam_state import load_moments, moments
from fpm_inr.engines.plan import Plan
from fpm_inr.engines.recipe import PassOrder
from fpm_inr.engines.slow_phase import Coupling
from fpm_inr.engines.spline_frames import Frames, Group, as_seen
from fpm_inr.engines.spline_visit import Lesson, Wrong, wrong
from fpm_inr.fields.spline import SplineField, signed_frequencies
from fpm_inr.forward import Instrument
from fpm_inr.instrument import Learning
from fpm_inr.solve.engine import Fit, Solve
from fpm_inr.solve.problem import Problem


class SplineSolve(Solve):
    """A spline field under way.

    It begins with a clear object, on the frequencies that some LED sees.

    Parameters
    ----------
    problem : Problem
    plan : Plan
        Of a height and a group of LEDs at every step.
    order : PassOrder
    planes : int

    Attributes
    ----------
    spline : SplineField
    rim_match_led : Tensor [2, frame]
        Of frames with LEDs at the pupil's edge: measured times predicted amplitude, and predicted
        intensity, as the last visits saw them. Their ratio is a gain; 0 for all others.
    optimiser : Adam, optional
        Of what is learned of the instrument.
    seen_group_led : Tensor [group, beam, 3 + mode], optional
        Direction of every beam's LED, radius of the pupil (0: as stated) and its Zernike
        coefficients, as each group has last taken them into account.
    """

    def __init__(self, problem: Problem, plan: Plan, order: PassOrder, planes: int) -> None:
        self.problem, self.plan, self.order = problem, plan, order
        model, self.learned = problem.model, problem.learned
        self.spline = clear_field(problem, planes)
        self.rim_match_led = torch.zeros(2, model.frame_count, device=model.device)
        groups = [] if self.learned is None else self.learned.groups()
        self.optimiser = torch.optim.Adam(groups, lr=1e-3, betas=(0.9, 0.999)) if groups else None
        self.seen_group_led: Tensor | None = None
        if self.learned is not None:
            seen = as_seen(model, self.learned.instrument())
            self.seen_group_led = seen.repeat(order.groups, 1, 1)
        self._groups = min(order.groups, len(np.unique(plan.leds)))
        self._frames: Frames | None = None

    @property
    def total(self) -> int:
        """Steps of the plan."""
        return len(self.plan)

    @property
    def frames(self) -> Frames:
        """What does not change from step to step."""
        if self._frames is None:
            self._frames = Frames(
                self.problem, self.spline, self.order, self._groups, self.seen_group_led
            )
        return self._frames

    def advance(self) -> Fit:
        """One height, one group of LEDs."""
        step, plan, frames = self.step, self.plan, self.frames
        z_um, rate, done = float(plan.z_um[step]), float(plan.rate[step]), step / len(plan)
        if self.learned is not None:
            self.learned.hold(done)
        kept = self._kept()
        while (asked := frames.portion.tried(lambda: self._ask(z_um, done))) is None:
            self._restore(kept)
        step_k, misfit = asked
        descend(self.spline, frames.coupling, z_um, rate, step_k)
        if self.optimiser is not None:
            _learn(self.optimiser, done, rate / self.order.step)
        return Fit(misfit, 2 * misfit, z_um)

    def _ask(self, z_um: float, done: float) -> tuple[Tensor, Tensor]:
        """The step [sample] of the spectrum that the frames ask for, and the mean misfit."""
        frames, number = self.frames, self.step % self.frames.groups
        group = frames.group(self.plan.leds[self.step], number)
        if self.optimiser is not None:
            self.optimiser.zero_grad(set_to_none=True)
        visit = self.step // frames.groups
        lesson = Lesson(frames, group, visit, self.learned, done, self.seen_group_led)
        found = wrong(self.spline, frames, group, z_um, lesson, self.rim_match_led)
        return asked_step(frames, group, found), found.error / group.led_count

    def _kept(self) -> dict[str, Tensor]:
        """What a visit moves by itself, as it may have to be made again."""
        learned = {} if self.learned is None else self.learned.state_dict()
        moved = {"rim_match_led": self.rim_match_led, **learned}
        return {name: value.detach().clone() for name, value in moved.items()}

    @torch.no_grad()
    def _restore(self, kept: dict[str, Tensor]) -> None:
        """Forget a visit that has not ended; batches are made anew, of fewer frames."""
        self.rim_match_led.copy_(kept["rim_match_led"])
        if self.learned is not None:
            for name, value in self.learned.state_dict().items():
                value.copy_(kept[name])
        self.frames.forget()

    @property
    def told(self) -> list[str]:
        """See `Solve.told`."""
        return [] if self._frames is None else self._frames.portion.told

    def tensors(self) -> dict[str, Tensor]:
        """See `Solve.tensors`."""
        named = {"spectrum": self.spline.spectrum.detach(), "rim_match_led": self.rim_match_led}
        if self.seen_group_led is not None:
            named["seen_group_led"] = self.seen_group_led
        if self.learned is not None:
            for name, value in self.learned.state_dict().items():
                named[f"calibration.{name}"] = value.detach()
            if self.optimiser is not None:
                named |= moments(self.optimiser, self.learned)
        return named

    def load(self, tensors: dict[str, Tensor]) -> None:
        """See `Solve.load`."""
        with torch.no_grad():
            self.spline.spectrum.copy_(tensors["spectrum"])
        self.rim_match_led = tensors["rim_match_led"].to(self.rim_match_led.device)
        if self.seen_group_led is not None:
            self.seen_group_led.copy_(tensors["seen_group_led"])
        if self.learned is not None:
            names = self.learned.state_dict()
            self.learned.load_state_dict({name: tensors[f"calibration.{name}"] for name in names})
            if self.optimiser is not None:
                load_moments(self.optimiser, self.learned, tensors)

    def field(self) -> SplineField:
        """See `Solve.field`."""
        return self.spline.cpu().requires_grad_(False)

    def instrument(self) -> Instrument:
        """As given or learned, with the gains found for LEDs at the rim."""
        learned = self.learned
        used = self.problem.instrument if learned is None else learned.instrument()
        product, intensity = self.rim_match_led
        rim_gain_led = torch.where(intensity > 0, product / intensity, 1)
        rim_gain_led = self.problem.model.gain_of_leds(rim_gain_led)
        return replace(used, gain_led=used.gain_led * rim_gain_led.to(used.gain_led))


@torch.no_grad()
def clear_field(problem: Problem, planes: int) -> SplineField:
    """A clear object, on the model's device, of the frequencies that some LED sees."""
    model = problem.model
    every = torch.arange(model.frame_count, device=model.device)
    seen = model.field_index(every).unique()
    samples = signed_frequencies(seen, model.field_shape_y_x)
    field = SplineField(model.field_shape_y_x, problem.z_range_um, samples, planes=planes)
    field = field.to(model.device)
    if problem.bend_rad_per_px2:
        field.spectrum.copy_(torch.view_as_real(problem.clear_spectrum_y_x.flatten()[seen]))
    return field


@torch.no_grad()
def asked_step(frames: Frames, group: Group, found: Wrong) -> Tensor:
    """The step [sample] of the spectrum that a visit asks for."""
    misfit = found.error / group.power
    slow = frames.slow.step(found.samples, found.gradient_k, found.pair, group.floor_q, misfit)
    step_k = found.gradient_k * group.share_k
    return step_k.index_copy_(0, frames.slow.at, slow)


def _learn(optimiser: torch.optim.Adam, done: float, envelope: float) -> None:
    """Move what is learned of the instrument along the gradients that a visit has left."""
    for settings in optimiser.param_groups:
        learning = settings["learning"]
        assert isinstance(learning, Learning)
        settings["lr"] = learning.rate(done, envelope)
    optimiser.step()


@torch.no_grad()
def descend(
    field: SplineField, coupling: Coupling, z_um: float, rate: float, step_k: Tensor
) -> None:
    """Move the planes so that the spectrum at this height moves by -rate * step [sample].

    Of all changes of the planes that do so the smallest: in proportion to their weights. Slow
    frequencies move at the neighbouring heights too.
    """
    first, shares_z = field.shares(z_um)
    parts = torch.view_as_real(step_k)
    if len(coupling.at):
        weights = field.weights(z_um)[1]
        slow = parts[coupling.at]
        shares = coupling.shares(z_um, first, weights)[:, :, None]
        field.spectrum.index_add_(1, coupling.at, shares * slow, alpha=-rate)
        parts.index_fill_(0, coupling.at, 0)
    moves = np.float32(rate) * shares_z / np.square(shares_z).sum()
    for plane, share in enumerate(moves.tolist(), start=first):
        field.spectrum[plane].sub_(parts, alpha=share)
