"""The conventional engine: plane by plane, LED by LED, each frame's modulus put in its place.

Sequential gradient descent of Fourier ptychography (Zheng et al., Nat. Photonics 7, 739 (2013)),
LEDs in order of their NA, with an adaptive step (Zuo et al., Opt. Express 24, 20724 (2016)),
optional pupil recovery (EPRY; Ou et al., Opt. Express 22, 4960 (2014)) and optional momentum
(Maiden et al., Optica 4, 736 (2017)). It is the baseline of Zhou et al., Optica 10, 1679 (2023).

Planes do not know of each other: each has its own step, and is solved as if it were alone. They
only share the FFT calls.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from fpm_inr import transforms
from fpm_inr.engines.progress import Listener, StepReport, ignore, psnr_db
from fpm_inr.engines.recipe import ConventionalRecipe
from fpm_inr.engines.visits import Visits
from fpm_inr.errors import DivergedError
from fpm_inr.forward import ForwardModel, Instrument

# More planes in one batch outgrow the caches of a CPU without making it faster.
CPU_PLANES = 8
CPU_BYTES = 1 << 30
GPU_MEMORY_SHARE = 0.5


@dataclass(eq=False)
class ConventionalState:
    """Everything a solve needs to go on. Planes are solved in batches, one after the other.

    Parameters
    ----------
    z_um : Tensor [z]
        Heights of all planes.
    spectrum_z_y_x : Tensor [z, y, x], complex
        Their spectra so far.
    gain_z_led : Tensor [z, led]
        Amplitude gains that were found for LEDs at the pupil's edge; 1 for all others.
    pupil_y_x : Tensor [y, x], complex, optional
        Recovered factor of the pupil; None where it is not to be recovered.
    planes_at_once : int
    step : int
        Passes taken, over all batches.
    batch, passes : int
        The batch under way, and the passes it has had.
    share_z, error_z : Tensor [plane of the batch]
        Step of every plane, and its error in the pass before.
    velocity_z_k : Tensor [plane of the batch, sample], complex
        Momentum.
    """

    z_um: Tensor
    spectrum_z_y_x: Tensor
    gain_z_led: Tensor
    pupil_y_x: Tensor | None
    planes_at_once: int
    step: int = 0
    batch: int = 0
    passes: int = 0
    share_z: Tensor = field(default_factory=lambda: torch.zeros(0))
    error_z: Tensor = field(default_factory=lambda: torch.zeros(0))
    velocity_z_k: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.complex64))
    seconds: float = 0.0
    history: list[StepReport] = field(default_factory=list)

    @property
    def batches(self) -> int:
        return math.ceil(len(self.z_um) / self.planes_at_once)

    def planes(self, batch: int) -> Tensor:
        """Indices of a batch's planes: spread over the range, so that any batch spans it."""
        return torch.arange(batch, len(self.z_um), self.batches)

    def solved(self) -> Tensor:
        """Indices, ascending, of the planes that have been worked on."""
        begun = min(self.batches, self.batch + (self.passes > 0))
        return torch.cat([self.planes(batch) for batch in range(begun)]).sort().values

    def image_z_y_x(self, planes: Tensor) -> Tensor:
        """Complex images of these planes."""
        return transforms.image(self.spectrum_z_y_x[planes])

    def instrument(self, nominal: Instrument) -> Instrument:
        """Return the instrument as it was used: with the mean gains, and the pupil where found."""
        gain = self.gain_z_led[self.solved()].double().log().mean(dim=0).exp()
        gain = nominal.gain_led * gain.to(nominal.gain_led)
        pupil = nominal.pupil_y_x
        if self.pupil_y_x is not None:
            pupil = self.pupil_y_x if pupil is None else pupil * self.pupil_y_x.to(pupil)
        return replace(nominal, gain_led=gain, pupil_y_x=pupil)

    def tensors(self) -> dict[str, Tensor]:
        """All tensors of the state by name, for a checkpoint."""
        named = {
            "spectrum": torch.view_as_real(self.spectrum_z_y_x),
            "gain": self.gain_z_led,
            "share": self.share_z,
            "error": self.error_z,
            "velocity": torch.view_as_real(self.velocity_z_k),
            "place": torch.tensor([self.planes_at_once, self.batch, self.passes]),
        }
        if self.pupil_y_x is not None:
            named["pupil"] = torch.view_as_real(self.pupil_y_x)
        return named

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Set the tensors of the state from a checkpoint."""
        self.spectrum_z_y_x = torch.view_as_complex(tensors["spectrum"])
        self.gain_z_led = tensors["gain"]
        self.share_z, self.error_z = tensors["share"], tensors["error"]
        self.velocity_z_k = torch.view_as_complex(tensors["velocity"])
        self.planes_at_once, self.batch, self.passes = map(int, tensors["place"])
        if "pupil" in tensors:
            self.pupil_y_x = torch.view_as_complex(tensors["pupil"])


def start(model: ForwardModel, z_um: Tensor, recipe: ConventionalRecipe) -> ConventionalState:
    """Begin with a clear object at every height: it is the same at any defocus."""
    spectrum = torch.zeros(len(z_um), *model.field_shape_y_x, dtype=torch.complex64)
    spectrum[:, 0, 0] = 1
    pupil = torch.ones(model.shape_y_x, dtype=torch.complex64) if recipe.pupil_step > 0 else None
    gain = torch.ones(len(z_um), model.led_count)
    return ConventionalState(z_um, spectrum, gain, pupil, planes_at_once(model, len(z_um)))


def planes_at_once(model: ForwardModel, planes: int) -> int:
    """Planes whose fields, frames and pupils fit into the memory set aside."""
    samples = model.sample_yx.shape[1]
    fields, frames = 3 * math.prod(model.field_shape_y_x), 6 * math.prod(model.shape_y_x)
    per_plane = 8 * (fields + frames + model.led_count * samples)
    most, room = CPU_PLANES, CPU_BYTES
    if model.device.type == "cuda":
        most, room = planes, int(GPU_MEMORY_SHARE * torch.cuda.mem_get_info(model.device)[0])
    return max(1, min(planes, most, room // per_plane))


@torch.no_grad()
def solve(
    state: ConventionalState,
    model: ForwardModel,
    instrument: Instrument,
    amplitude_led_y_x: Tensor,
    recipe: ConventionalRecipe,
    leds: Sequence[int] | None = None,
    *,
    listen: Listener = ignore,
    checkpoint: Callable[[ConventionalState], None] | None = None,
    checkpoint_seconds: float = 60.0,
) -> None:
    """Take the remaining passes, in place. A step of the history is one pass of one batch.

    Parameters
    ----------
    state : ConventionalState
    model : ForwardModel
    instrument : Instrument
    amplitude_led_y_x : Tensor [led, y, x]
        Measured amplitudes, bright-field mean 1.
    recipe : ConventionalRecipe
    leds : sequence of int, optional
        Those that are visited. Default: all.
    listen : Listener
        Called after every pass; see `inr.solve`.
    checkpoint : callable, optional
        Called with the state every `checkpoint_seconds`.
    """
    visits = Visits(model, instrument, amplitude_led_y_x, recipe, leds)
    began = time.perf_counter() - state.seconds
    saved = time.perf_counter()
    while state.batch < state.batches:
        planes = state.planes(state.batch)
        z_um = state.z_um[planes]
        spectrum = state.spectrum_z_y_x[planes].flatten(1).to(model.device)
        pupil = None if state.pupil_y_x is None else state.pupil_y_x.to(model.device)
        if state.passes == 0:
            state.share_z = torch.full((len(planes),), recipe.step)
            state.error_z = torch.full((len(planes),), math.inf)
            shape = spectrum.shape if recipe.momentum > 0 else (0,)
            state.velocity_z_k = torch.zeros(shape, dtype=spectrum.dtype)
        velocity = state.velocity_z_k.to(model.device)
        sight = visits.sight(z_um)
        finished = False
        while not finished:
            before = spectrum.clone() if recipe.momentum > 0 else None
            share = state.share_z.to(model.device)
            error, gain = visits.one_pass(spectrum, share, sight, pupil)
            error = error.cpu()
            # no such thing as progress from a pass that has not been measured yet
            stalls = error > state.error_z * (1 - recipe.least_gain)
            if before is not None:
                velocity = recipe.momentum * velocity + (spectrum - before)
                velocity[stalls.to(model.device)] = 0
                spectrum += recipe.momentum * velocity
            state.share_z = torch.where(stalls, state.share_z * recipe.step_drop, state.share_z)
            state.error_z = error
            state.passes += 1
            state.step += 1
            state.seconds = time.perf_counter() - began
            finished = state.passes == recipe.passes or bool(
                (state.share_z < recipe.least_step).all()
            )
            report = _report(state, recipe, visits, float(z_um.mean()), finished)
            state.history.append(report)
            if not math.isfinite(report.loss):
                raise DivergedError(f"the error is not finite in pass {state.passes}")
            # what an interruption or a checkpoint finds
            state.spectrum_z_y_x[planes] = spectrum.cpu().unflatten(1, model.field_shape_y_x)
            state.gain_z_led[planes] = gain.cpu()
            state.velocity_z_k = velocity.cpu()
            state.pupil_y_x = None if pupil is None else pupil.cpu()
            if finished:
                state.batch, state.passes = state.batch + 1, 0
            listen(report)
            if checkpoint is not None and time.perf_counter() - saved > checkpoint_seconds:
                checkpoint(state)
                saved = time.perf_counter()


def _report(
    state: ConventionalState,
    recipe: ConventionalRecipe,
    visits: Visits,
    z_um: float,
    finished: bool,
) -> StepReport:
    error = float(state.error_z.mean())
    left = 0 if finished else recipe.passes - state.passes
    mse = error * visits.power / visits.amplitude.numel()
    return StepReport(
        state.step,
        state.step + left + recipe.passes * (state.batches - state.batch - 1),
        error,
        psnr_db(visits.peak, mse),
        z_um,
        state.seconds,
    )
