"""The spline engine: a group of LEDs corrects one height at a time, by damped gradient steps.

The loss is the paper's (Zhou et al., Optica 10, 1679 (2023), Section 2; its smooth-L1 is a square
for all errors below 1), summed over the LEDs. Its second derivative is known: that of a frequency
that n LEDs bring into the pupil is n / 2 for a weak object, so every frequency has its own step,
1 / (n + floor), akin to rPIE (Maiden, Johnson, Li, Optica 4, 736 (2017)). Frequencies that pass the
pupil with their mirrors take steps in pairs (`fpm_inr.engines.slow_phase`). A linear field needs no
search beyond that.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fpm_inr import transforms
from fpm_inr.believed import Believed
from fpm_inr.edges import at_the_rim, trust
from fpm_inr.engines.plan import Plan
from fpm_inr.engines.progress import Listener, StepReport, ignore, psnr_db
from fpm_inr.engines.recipe import PassOrder
from fpm_inr.engines.slow_phase import Coupling, SlowBand
from fpm_inr.errors import DivergedError
from fpm_inr.fields.spline import SplineField, signed_frequencies
from fpm_inr.forward import Aperture, ForwardModel, Instrument, Sight, with_phase
from fpm_inr.instrument import Calibration, Free, Learning

# Pixels of the frames that are worked on together: more would leave the caches of a CPU.
SAMPLES_AT_ONCE = 1 << 19
# One LED in so many teaches about the instrument at a visit, in turn: its gradient costs more than
# the field's, and takes fewer frames.
TAUGHT_ONE_IN = 4
# Added to every predicted intensity (mean bright-field: 1): a dark pixel has no phase to speak of.
DARK = 1e-12
# Damping, as a share of the most seen frequency's number of LEDs, of what those at the pupil's edge
# alone see: how much of their light passes where is not known, and fringes would answer it.
RIM_FLOOR = 0.3
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
    seen_group_led : Tensor [group, led, 3 + mode], optional
        Direction of every LED, radius of the pupil (0: as stated) and its Zernike coefficients, as
        each group has last taken them into account.
    """

    field: SplineField
    rim_gain_led: Tensor
    optimiser: torch.optim.Adam | None = None
    calibration: Calibration | None = None
    seen_group_led: Tensor | None = None
    step: int = 0
    seconds: float = 0.0
    history: list[StepReport] = field(default_factory=list)

    def tensors(self) -> dict[str, Tensor]:
        """All tensors of the state by name, for a checkpoint."""
        named = {"spectrum": self.field.spectrum.detach(), "rim_gain_led": self.rim_gain_led}
        if self.seen_group_led is not None:
            named["seen_group_led"] = self.seen_group_led
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
        if self.seen_group_led is not None:
            self.seen_group_led.copy_(tensors["seen_group_led"])
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
    *,
    groups: int = 1,
) -> SplineState:
    """Begin with a clear object, on the frequencies that some LED sees.

    `groups` is the number of groups that the LEDs will come in (`PassOrder.groups`).
    """
    every = torch.arange(model.led_count, device=model.device)
    seen = model.field_index(every).unique()
    samples = signed_frequencies(seen, model.field_shape_y_x)
    made = SplineField(model.field_shape_y_x, z_range_um, samples, planes=planes)
    learned = [] if calibration is None else calibration.groups()
    seen_now = None
    if calibration is not None:
        seen_now = _seen(calibration.instrument()).repeat(groups, 1, 1)
    return SplineState(
        made.to(model.device),
        torch.ones(model.led_count, device=model.device),
        torch.optim.Adam(learned, lr=1e-3, betas=(0.9, 0.999)) if learned else None,
        calibration,
        seen_now,
    )


def solve(
    state: SplineState,
    model: ForwardModel,
    instrument: Instrument,
    amplitude_led_y_x: Tensor,
    plan: Plan,
    order: PassOrder,
    *,
    pixels: Believed | None = None,
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
    pixels : Believed, optional
        Which pixels are believed. Default: all.
    listen, checkpoint, checkpoint_seconds
        As `inr.solve`.
    """
    groups = min(order.groups, len(np.unique(plan.leds)))
    frames = _Frames(state, model, instrument, amplitude_led_y_x, order, groups, pixels)
    began = time.perf_counter() - state.seconds
    saved = time.perf_counter()
    while state.step < len(plan):
        step, z_um, rate = state.step, float(plan.z_um[state.step]), float(plan.rate[state.step])
        group = frames.group(plan.leds[step], step % frames.groups)
        done = step / len(plan)
        if state.calibration is not None:
            state.calibration.hold(done)
        wrong = _wrong(state, frames, group, z_um, done)
        if state.optimiser is not None:
            _learn(state.optimiser, done, rate / order.step)
        _descend(state.field, frames.coupling, z_um, rate, _step(frames, group, wrong))
        misfit = float(wrong.error) / group.led_count
        state.step = step + 1
        state.seconds = time.perf_counter() - began
        state.history.append(_report(state, plan, misfit, frames.peak, z_um))
        if not math.isfinite(misfit):
            raise DivergedError(f"the loss is not finite at step {state.step}")
        listen(state.history[-1])
        if checkpoint is not None and time.perf_counter() - saved > checkpoint_seconds:
            checkpoint(state)
            saved = time.perf_counter()


def _seen(instrument: Instrument) -> Tensor:
    """Directions, radius (where it is not as stated) and Zernike coefficients [led, 3 + mode]."""
    na, zernike = instrument.na_led_xy.detach(), instrument.zernike_rad.detach()
    radius = na.new_zeros(1) if instrument.na is None else instrument.na.detach().reshape(1)
    return torch.cat([na, torch.cat([radius, zernike]).expand(len(na), -1)], dim=1)


@dataclass(eq=False)
class _Batch:
    """LEDs that are worked on together.

    Parameters
    ----------
    leds : Tensor [led]
    na_led_xy : Tensor [led, 2]
    window_led_yx : Tensor [led, 2]
        Where the light of each was when it was last taken into account.
    index_led_k : Tensor [led, sample]
        Which of the field's frequencies each brings into the pupil.
    sight : Sight, optional
        What their light meets in the pupil, as last taken into account; of no use, and not kept,
        where nothing is learned.
    aperture : Aperture
        The pupil as they see it, before anything is learned.
    measured_led_y_x : Tensor [led, y, x]
    rim_count : int
        LEDs whose brightness is free; they come first.
    rim_power : Tensor [rim_count]
        Sum of their squared amplitudes.
    believed : Believed, optional
        Which of their pixels are believed.
    """

    leds: Tensor
    na_led_xy: Tensor
    window_led_yx: Tensor
    index_led_k: Tensor
    sight: Sight | None
    aperture: Aperture
    measured_led_y_x: Tensor
    rim_count: int
    rim_power: Tensor
    believed: Believed | None = None


@dataclass(frozen=True, eq=False)
class _Group:
    """LEDs of a step in batches.

    Parameters
    ----------
    number : int
    batches : list of _Batch
    share_k : Tensor [sample]
        Step of each of the field's frequencies, were it alone.
    floor_q : Tensor [q]
        Damping of those of the slow band, for lack of LEDs.
    power : Tensor, scalar
        Half the mean over pixels of the frames' intensity, summed over LEDs.
    led_count : int
    """

    number: int
    batches: list[_Batch]
    share_k: Tensor
    floor_q: Tensor
    power: Tensor
    led_count: int

    def teaches(self, visit: int) -> list[_Batch]:
        """The batches that teach about the instrument at this visit: a quarter of the LEDs."""
        return self.batches[visit % TAUGHT_ONE_IN :: TAUGHT_ONE_IN]


class _Frames:
    """What does not change from step to step: everything that a group of LEDs needs."""

    def __init__(
        self,
        state: SplineState,
        model: ForwardModel,
        instrument: Instrument,
        amplitude_led_y_x: Tensor,
        order: PassOrder,
        groups: int,
        believed: Believed | None = None,
    ) -> None:
        # windows follow LEDs that move, as far as the field has frequencies for them
        self.model, self._reached = model.narrowed(), model
        self.weight_y_x = trust(model.shape_y_x, order.edge_px).to(model.device)
        self.pixels = math.prod(model.shape_y_x)
        self.peak = float(amplitude_led_y_x.max())
        self._instrument = instrument
        self.instrument: Instrument | None = None  # as learned, until it changes
        self._free = Free() if state.calibration is None else state.calibration.free
        self._seen_group_led = state.seen_group_led
        self._amplitude_led_y_x, self._believed = amplitude_led_y_x, believed
        self._floor = order.floor
        self._is_rim = at_the_rim(model, instrument, order.rim_width).to(model.device)
        self._on_rim = self._is_rim.clone()
        if state.calibration is not None and state.calibration.free.gains is not None:
            # they are learned: one freedom is enough
            self._is_rim[:] = False
        self.slow = SlowBand(model, state.field)
        self.coupling = Coupling(self.slow, state.field)
        self.groups = groups
        self._groups: dict[int, _Group] = {}
        on_gpu = model.device.type != "cpu"
        self._at_once = model.led_count if on_gpu else max(1, SAMPLES_AT_ONCE // self.pixels)
        samples = state.field.flat_index()
        # a window sample that no field frequency is at does not occur
        self._sample_at = samples.new_zeros(math.prod(model.field_shape_y_x))
        self._sample_at[samples] = torch.arange(len(samples), device=model.device)
        self._sample_count = len(samples)
        self._frame_index = self.model.frame_index()
        self._grid = torch.zeros(0, dtype=torch.complex64, device=model.device)
        self._places = self._frame_index[None]

    def group(self, leds: NDArray[np.int64], number: int) -> _Group:
        """The group of this number, of these LEDs; made when it is first asked for."""
        if number not in self._groups:
            leds_there = torch.from_numpy(leds).to(self.model.device)
            self._groups[number] = self._prepared(leds_there, number)
        return self._groups[number]

    def look(self, batch: _Batch, instrument: Instrument) -> Sight:
        """What the light of a batch meets in the pupil now, differentiable in the instrument."""
        sight, na_led_xy = batch.sight, instrument.na_led_xy
        na = instrument.na
        stays = sight is not None and not na_led_xy.requires_grad
        stays = stays and (na is None or not (na.requires_grad or self._free.widens_pupil))
        if sight is None or not (stays and torch.equal(batch.na_led_xy, na_led_xy[batch.leds])):
            window = self._reached.windows_following(na_led_xy.detach())
            sighting = self.model.at_windows(window)
            moved = (window[batch.leds] != batch.window_led_yx).any(dim=1)
            if moved.any():
                batch.window_led_yx = window[batch.leds]
                batch.index_led_k[moved] = self._sample_at[sighting.field_index(batch.leds[moved])]
            sight = sighting.sight(na_led_xy, batch.leds, na)
            batch.na_led_xy = na_led_xy.detach()[batch.leds]
        if sight is not batch.sight or self._free.pupil is not None:
            sight = self.model.aberrated(sight, instrument.zernike_rad)
        batch.sight = sight.detached()
        return sight

    def light(self, pupil_led_k: Tensor) -> Tensor:
        """Complex field [led, y, x] on the camera of light [led, sample] in the pupil."""
        # the grid stays: outside the pupil it is always 0
        grid = self._grid[: len(pupil_led_k)]
        grid.index_copy_(1, self._frame_index, pupil_led_k)
        return transforms.image(grid.unflatten(1, self.model.shape_y_x))

    def back(self, light_led_y_x: Tensor) -> Tensor:
        """The adjoint of `light`, over the number of pixels."""
        spectrum = transforms.summed(light_led_y_x)
        return spectrum.take(self._places[: len(light_led_y_x)]).div_(self.pixels)

    def _prepared(self, all_leds: Tensor, number: int) -> _Group:
        model, nominal = self.model, self._instrument
        cover, of_rim = torch.zeros(2, self._sample_count, device=model.device)
        batches = []
        all_leds = all_leds[self._is_rim[all_leds].logical_not().argsort(stable=True)]
        power = torch.zeros((), device=model.device)
        count = math.ceil(len(all_leds) / self._at_once)
        if self._free.names:
            # each quarter of the LEDs in batches of its own, each with LEDs from all of the pupil
            count = min(TAUGHT_ONE_IN * math.ceil(count / TAUGHT_ONE_IN), len(all_leds))
        for leds in (all_leds[place::count] for place in range(count)):
            index = self._sample_at[self.model.field_index(leds)]
            aperture = self.model.aperture(nominal, leds)
            seen_k = aperture.transmission_led_k.abs().square()
            cover.index_add_(0, index.flatten(), seen_k.flatten())
            of_rim.index_add_(0, index.flatten(), (seen_k * self._on_rim[leds, None]).flatten())
            rim_count = int(self._is_rim[leds].sum())
            measured = self._amplitude_led_y_x[leds]
            power += torch.einsum("lyx,lyx,yx->", measured, measured, self.weight_y_x)
            rim_power = measured[:rim_count].square().sum(dim=(1, 2)).clamp_min(DARK)
            na_xy, window = nominal.na_led_xy[leds], self.model.window_led_yx[leds]
            pixels = None if self._believed is None else self._believed.select(leds)
            batch = _Batch(
                leds, na_xy, window, index, None, aperture, measured, rim_count, rim_power, pixels
            )
            if self._seen_group_led is not None:
                seen = self._seen_group_led[number]
                # LEDs of a batch have seen the same pupil
                radius, zernike = seen[int(leds[0]), 2], seen[int(leds[0]), 3:]
                was = replace(
                    nominal,
                    na_led_xy=seen[:, :2],
                    zernike_rad=zernike,
                    na=radius if radius > 0 else None,
                )
                self.look(batch, was)
            batches.append(batch)
        most = len(batches[0].leds)
        if most > len(self._grid):
            self._grid = self._grid.new_zeros(most, self.pixels)
            of_led = self.pixels * torch.arange(most, device=model.device)
            self._places = of_led[:, None] + self._frame_index
        most_seen = cover.max()
        return _Group(
            number,
            batches,
            1 / (cover + (self._floor + RIM_FLOOR * of_rim / cover.clamp_min(DARK)) * most_seen),
            self._floor * (most_seen - cover[self.slow.at]),
            power / (2 * self.pixels),
            len(all_leds),
        )


@dataclass(frozen=True, eq=False)
class _Wrong:
    """What a visit finds.

    Parameters
    ----------
    samples : Tensor [sample]
        The field's spectrum as it was met.
    gradient_k : Tensor [sample]
        Of the loss in it.
    pair : (Tensor [q], Tensor [q])
        See `SlowBand.pair`.
    error : Tensor, scalar
        The loss.
    """

    samples: Tensor
    gradient_k: Tensor
    pair: tuple[Tensor, Tensor]
    error: Tensor


@torch.no_grad()
def _wrong(state: SplineState, frames: _Frames, group: _Group, z_um: float, done: float) -> _Wrong:
    """What is wrong with the spectrum by these LEDs: the loss' gradient by hand.

    Of the loss sum w (A - m)^2 / 2 over LEDs and pixels (divided by the pixels), A^2 = |psi|^2 +
    background. Written out, it takes the Fourier transforms that it must and little else. Gradients
    of what is learned of the instrument are left in its parameters; only the pupil's transfer needs
    automatic differentiation.
    """
    calibration = state.calibration
    z = torch.tensor([z_um], dtype=torch.float32, device=frames.model.device)
    samples = state.field.samples(z_um)
    wrong = torch.zeros_like(samples)
    error = torch.zeros((), device=samples.device)
    own, cross = torch.zeros(()), torch.zeros(())
    one, dark = torch.tensor([1.0, DARK], device=samples.device)
    teachers: list[_Batch] = []
    instrument = None
    pulls: list[tuple[Tensor, Tensor]] = []
    if calibration is not None:
        teachers = group.teaches(state.step // frames.groups)
        if teachers or frames.instrument is None:
            with torch.set_grad_enabled(bool(teachers)):
                instrument = calibration.instrument()
            # what teaches changes it
            frames.instrument = None if teachers else instrument
        else:
            instrument = frames.instrument
    for batch in group.batches:
        teaches = batch in teachers
        with torch.set_grad_enabled(teaches):
            aperture = batch.aperture
            if instrument is not None:
                sight = batch.sight
                if teaches:
                    assert state.seen_group_led is not None
                    sight = frames.look(batch, instrument)
                    state.seen_group_led[group.number, batch.leds] = _seen(instrument)[batch.leds]
                aperture = frames.model.aperture(instrument, batch.leds, sight)
            phase = aperture.phase_at(z)[0]
        background = aperture.background_led
        transmission = aperture.transmission_led_k.detach()
        transfer = with_phase(transmission, phase.detach())
        seen = samples.take(batch.index_led_k)
        light = frames.light(seen * transfer)
        part = torch.view_as_real(light)
        intensity = torch.addcmul(dark, part[..., 0], part[..., 0])
        intensity.addcmul_(part[..., 1], part[..., 1])
        if background is not None:
            intensity += background.detach()[:, None, None]
        inverse = intensity.rsqrt()
        if teaches:
            assert calibration is not None
            calibration.observe(batch.leds, intensity * inverse, batch.measured_led_y_x, done)
        if batch.rim_count:
            _match(state, batch, intensity, inverse)
        change = torch.addcmul(one, batch.measured_led_y_x, inverse, value=-1)
        if batch.believed is not None:
            change.masked_fill_(batch.believed.ignored(change), 0)
        intensity.mul_(change)
        change.mul_(frames.weight_y_x)
        missed = torch.dot(change.view(-1), intensity.view(-1)) / (2 * frames.pixels)
        error += missed
        # vectorised, which a product of complex and real values is not
        light.mul_(change.to(light.dtype))
        back = frames.back(light)
        if teaches:
            assert calibration is not None
            # a change of the transfer's logarithm, d log t + i d phase, changes the loss by the
            # real part of pull* times it; what has no transmission has no light to change
            pull = back * seen.mul_(transfer).conj()
            pulls.append((phase, pull.imag))
            if aperture.transmission_led_k.requires_grad:
                some = torch.where(transmission == 0, 1, transmission)
                of_transmission = (pull / some.conj()) if some.is_complex() else pull.real / some
                pulls.append((aperture.transmission_led_k, of_transmission))
            if background is not None:
                pulls.append((background, change.sum(dim=(1, 2)) / (2 * frames.pixels)))
            if calibration.has_penalty:
                with torch.enable_grad():
                    pulls.append((missed * calibration.penalty(), one))
        wrong.scatter_add_(0, batch.index_led_k.view(-1), back.mul_(transfer.conj()).view(-1))
        pair = frames.slow.pair(transfer, batch.index_led_k)
        own, cross = own + pair[0], cross + pair[1]
    pulls = [(value, pull) for value, pull in pulls if value.requires_grad]
    if state.optimiser is not None:
        state.optimiser.zero_grad(set_to_none=True)
    if pulls:
        values, of_values = zip(*pulls, strict=True)
        torch.autograd.backward(values, of_values)
    return _Wrong(samples, wrong, (own, cross), error)


@torch.no_grad()
def _step(frames: _Frames, group: _Group, wrong: _Wrong) -> Tensor:
    """The step [sample] of the spectrum that a visit asks for."""
    slow = frames.slow.step(
        wrong.samples, wrong.gradient_k, wrong.pair, group.floor_q, wrong.error / group.power
    )
    step_k = wrong.gradient_k * group.share_k
    return step_k.index_copy_(0, frames.slow.at, slow)


def _learn(optimiser: torch.optim.Adam, done: float, envelope: float) -> None:
    """Move what is learned of the instrument along the gradients that `_wrong` has left."""
    for settings in optimiser.param_groups:
        learning = settings["learning"]
        assert isinstance(learning, Learning)
        settings["lr"] = learning.rate(done, envelope)
    optimiser.step()


def _match(state: SplineState, batch: _Batch, intensity: Tensor, inverse: Tensor) -> None:
    """Scale measured over predicted amplitude, in place, where an LED's brightness is free.

    `inverse` [led, y, x], that of the predicted amplitude, takes the factor.
    """
    rim = batch.rim_count
    product = (intensity[:rim] * inverse[:rim]).mul_(batch.measured_led_y_x[:rim]).sum(dim=(1, 2))
    inverse[:rim] *= (product / batch.rim_power)[:, None, None]
    found = product / intensity[:rim].sum(dim=(1, 2))
    leds = batch.leds[:rim]
    state.rim_gain_led[leds] = torch.lerp(state.rim_gain_led[leds], found, RIM_GAIN_SHARE)


@torch.no_grad()
def _descend(
    field: SplineField, coupling: Coupling, z_um: float, rate: float, step_k: Tensor
) -> None:
    """Move the planes so that the spectrum at this height moves by -rate * step [sample].

    Of all changes of the planes that do so the smallest: in proportion to their weights. Slow
    frequencies move at the neighbouring heights too.
    """
    first, weights = field.weights(z_um)
    parts = torch.view_as_real(step_k)
    if len(coupling.at):
        slow = parts[coupling.at]
        shares = coupling.shares(z_um, first, weights)[:, :, None]
        field.spectrum.index_add_(1, coupling.at, shares * slow, alpha=-rate)
        parts[coupling.at] = 0
    for plane, share in enumerate((rate * weights / weights.square().sum()).tolist(), start=first):
        field.spectrum[plane].sub_(parts, alpha=share)


def _report(state: SplineState, plan: Plan, misfit: float, peak: float, z_um: float) -> StepReport:
    mse = 2 * misfit
    return StepReport(
        state.step,
        len(plan),
        misfit,
        psnr_db(peak, mse),
        z_um,
        state.seconds,
    )


def instrument_as_used(state: SplineState, given: Instrument) -> Instrument:
    """Return the instrument: as given or learned, with the gains found for LEDs at the rim."""
    used = given if state.calibration is None else state.calibration.instrument()
    return replace(used, gain_led=used.gain_led * state.rim_gain_led.to(used.gain_led))
