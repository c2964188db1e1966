"""Planes of the conventional engine under way: their batches, steps and passes.

Planes do not know of each other: each has its own step, and is solved as if it were alone. They
only share the FFT calls.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fpm_inr import transforms
from fpm_inr.engines.recipe import ConventionalRecipe
from fpm_inr.engines.visits import Visits
from fpm_inr.fields.pixel import PixelField
from fpm_inr.forward import ForwardModel, Instrument
from fpm_inr.memory import Portion, room_bytes
from fpm_inr.solve.engine import Fit, Solve
from fpm_inr.solve.problem import Problem

# More planes in one batch outgrow the caches of a CPU without making it faster.
CPU_PLANES = 8


class ConventionalSolve(Solve):
    """Planes under way. They are solved in batches, one after the other; a step is a pass of one.

    Parameters
    ----------
    problem : Problem
    z_um : Tensor [z]
        Heights of all planes.

    Attributes
    ----------
    spectrum_z_y_x : Tensor [z, y, x], complex
        Their spectra so far.
    gain_z_led : Tensor [z, frame]
        Amplitude gains found for frames with LEDs at the pupil's edge; 1 for all others.
    pupil_y_x : Tensor [y, x], complex, optional
        Recovered factor of the pupil; None where it is not to be recovered.
    planes_at_once : int
    batch, passes : int
        The batch under way, and the passes it has had.

    What belongs to the batch under way stays on the device from pass to pass.
    """

    def __init__(self, problem: Problem, z_um: Tensor) -> None:
        self.problem, self.z_um = problem, z_um
        self.recipe: ConventionalRecipe = problem.settings
        model, planes = problem.model, len(z_um)
        # a clear object is the same at any defocus
        self.spectrum_z_y_x = torch.zeros(planes, *model.field_shape_y_x, dtype=torch.complex64)
        if problem.bend_rad_per_px2:
            self.spectrum_z_y_x[:] = problem.clear_spectrum_y_x.cpu()
        else:
            self.spectrum_z_y_x[:, 0, 0] = 1
        self.gain_z_led = torch.ones(planes, model.frame_count)
        recovers = self.recipe.pupil_step > 0
        self.pupil_y_x = torch.ones(model.shape_y_x, dtype=torch.complex64) if recovers else None
        self.planes_at_once = planes_at_once(model, planes)
        self.batch = self.passes = 0
        self._under_way: _Batch | None = None
        self._visits: Visits | None = None
        self._sight: tuple[int, list[Tensor]] | None = None
        self._portion = Portion(
            "planes",
            model.device,
            bytes_each=_bytes_a_plane(model),
            most=self.planes_at_once,
        )

    @property
    def batches(self) -> int:
        """How many batches the planes come in."""
        return math.ceil(len(self.z_um) / self.planes_at_once)

    @property
    def total(self) -> int:
        """Passes of all batches, if those to come take as many as they may."""
        left = self.recipe.passes * (self.batches - self.batch)
        return self.step + left - self.passes

    @torch.no_grad()
    def advance(self) -> Fit:
        """One pass of the batch under way."""
        recipe, planes = self.recipe, self.planes(self.batch)
        now = self._begun()
        spectrum = now.spectrum_z_k
        passed = []
        for part, (worked, error, gain) in self._portion.over(len(spectrum), self._passed):
            passed.append((error, gain))
            if recipe.momentum > 0:
                # no such thing as progress from a pass that has not been measured yet
                stalls = error > now.error_z[part] * (1 - recipe.least_gain)
                velocity = recipe.momentum * now.velocity_z_k[part] + (worked - spectrum[part])
                velocity = velocity.masked_fill_(stalls[:, None], 0)
                worked += recipe.momentum * velocity
                now.velocity_z_k[part] = velocity
            spectrum[part] = worked
        error, now.gain_z_led = (torch.cat(one) for one in zip(*passed, strict=True))
        stalls = error > now.error_z * (1 - recipe.least_gain)
        now.share_z = torch.where(stalls, now.share_z * recipe.step_drop, now.share_z)
        now.error_z = error
        self.passes += 1
        is_spent = (now.share_z < recipe.least_step).all()
        missed = error.mean()
        # the one thing that a pass waits for
        is_over, lost = torch.stack([is_spent.to(missed), missed]).tolist()
        if self.passes == recipe.passes or is_over:
            self._put_back()
            self._under_way = None
            self.batch, self.passes = self.batch + 1, 0
        visits = self.visits
        mse = lost * visits.power / visits.amplitude.numel()
        return Fit(lost, mse, float(self.z_um[planes].mean()))

    def _passed(self, part: slice) -> tuple[slice, tuple[Tensor, Tensor, Tensor]]:
        """Spectra [z, k] of some planes of the batch after a pass, errors and gains."""
        now = self._under_way
        assert now is not None
        worked = now.spectrum_z_k[part].clone()
        pupil = None if now.pupil_y_x is None else now.pupil_y_x.clone()
        sight = self._sight_of(part)
        error, gain = self.visits.one_pass(worked, now.share_z[part], sight, pupil)
        now.pupil_y_x = pupil
        return part, (worked, error, gain)

    @property
    def visits(self) -> Visits:
        """What does not change from pass to pass."""
        if self._visits is None:
            problem = self.problem
            self._visits = Visits(
                problem.model,
                problem.instrument,
                problem.amplitude_led_y_x[:],
                self.recipe,
                problem.used_led.tolist(),
                problem.pixels,
            )
        return self._visits

    def planes(self, batch: int) -> Tensor:
        """Indices of a batch's planes: spread over the range, so that any batch spans it."""
        return torch.arange(batch, len(self.z_um), self.batches)

    def solved(self) -> Tensor:
        """Indices, ascending, of the planes that have been worked on."""
        begun = min(self.batches, self.batch + (self.passes > 0))
        return torch.cat([self.planes(batch) for batch in range(begun)]).sort().values

    def image_z_y_x(self, planes: Tensor) -> Tensor:
        """Complex images of these planes."""
        self._put_back()
        return transforms.image(self.spectrum_z_y_x[planes])

    def field(self) -> PixelField:
        """The planes that have been worked on."""
        solved = self.solved()
        return PixelField(self.image_z_y_x(solved), self.z_um[solved]).requires_grad_(False)

    def instrument(self) -> Instrument:
        """As given, with the mean gains, and the pupil where it was recovered."""
        self._put_back()
        nominal = self.problem.instrument.to("cpu")
        gain = self.gain_z_led[self.solved()].double().log().mean(dim=0).exp()
        gain = self.problem.model.to("cpu").gain_of_leds(gain)
        gain = nominal.gain_led * gain.to(nominal.gain_led)
        pupil = nominal.pupil_y_x
        if self.pupil_y_x is not None:
            pupil = self.pupil_y_x if pupil is None else pupil * self.pupil_y_x.to(pupil)
        return replace(nominal, gain_led=gain, pupil_y_x=pupil)

    def tensors(self) -> dict[str, Tensor]:
        """See `Solve.tensors`."""
        self._put_back()
        named = {
            "spectrum": torch.view_as_real(self.spectrum_z_y_x),
            "gain": self.gain_z_led,
            "place": torch.tensor([self.planes_at_once, self.batch, self.passes]),
        }
        now = self._under_way
        if now is not None:
            named |= {"share": now.share_z, "error": now.error_z}
            named["velocity"] = torch.view_as_real(now.velocity_z_k)
        if self.pupil_y_x is not None:
            named["pupil"] = torch.view_as_real(self.pupil_y_x)
        return named

    def load(self, tensors: dict[str, Tensor]) -> None:
        """See `Solve.load`."""
        self.spectrum_z_y_x = torch.view_as_complex(tensors["spectrum"])
        self.gain_z_led = tensors["gain"]
        self.planes_at_once, self.batch, self.passes = map(int, tensors["place"])
        if "pupil" in tensors:
            self.pupil_y_x = torch.view_as_complex(tensors["pupil"])
        self._under_way = None
        if "share" in tensors:
            now, device = self._begun(), self.problem.model.device
            now.share_z, now.error_z = (tensors[n].to(device) for n in ("share", "error"))
            now.velocity_z_k = torch.view_as_complex(tensors["velocity"]).to(device)

    @property
    def told(self) -> list[str]:
        """See `Solve.told`."""
        return self._portion.told

    def _begun(self) -> _Batch:
        """The batch under way, on the device."""
        if self._under_way is None:
            planes, device = self.planes(self.batch), self.problem.model.device
            spectrum = self.spectrum_z_y_x[planes].flatten(1).to(device)
            shape = spectrum.shape if self.recipe.momentum > 0 else (0,)
            self._under_way = _Batch(
                spectrum,
                self.gain_z_led[planes].to(device),
                torch.full((len(planes),), self.recipe.step, device=device),
                torch.full((len(planes),), math.inf, device=device),
                torch.zeros(shape, dtype=spectrum.dtype, device=device),
                None if self.pupil_y_x is None else self.pupil_y_x.to(device),
            )
        return self._under_way

    def _put_back(self) -> None:
        """Bring what the batch under way has come to among the planes, on the CPU."""
        now = self._under_way
        if now is None:
            return
        planes, shape = self.planes(self.batch), self.problem.model.field_shape_y_x
        self.spectrum_z_y_x[planes] = now.spectrum_z_k.cpu().unflatten(1, shape)
        self.gain_z_led[planes] = now.gain_z_led.cpu()
        if now.pupil_y_x is not None:
            self.pupil_y_x = now.pupil_y_x.cpu().clone()

    def _sight_of(self, part: slice) -> list[Tensor]:
        """What every LED meets in the pupil at the heights of some planes of the batch."""
        planes = self.planes(self.batch)
        if part.stop - part.start < len(planes):
            self._sight = None  # not all of them fit
            return self.visits.sight(self.z_um[planes[part]])
        if self._sight is None or self._sight[0] != self.batch:
            self._sight = self.batch, self.visits.sight(self.z_um[planes])
        return self._sight[1]


@dataclass(eq=False)
class _Batch:
    """Planes under way, on the device.

    Parameters
    ----------
    spectrum_z_k : Tensor [z, sample], complex
    gain_z_led : Tensor [z, led]
    share_z, error_z : Tensor [z]
        Step of every plane, and its error in the pass before.
    velocity_z_k : Tensor [z, sample], complex
        Momentum.
    pupil_y_x : Tensor [y, x], complex, optional
    """

    spectrum_z_k: Tensor
    gain_z_led: Tensor
    share_z: Tensor
    error_z: Tensor
    velocity_z_k: Tensor
    pupil_y_x: Tensor | None


def planes_at_once(model: ForwardModel, planes: int) -> int:
    """Planes whose fields, frames and pupils fit into the memory set aside."""
    on_cpu = min(CPU_PLANES, room_bytes(model.device) // _bytes_a_plane(model))
    return Portion(
        "planes",
        model.device,
        bytes_each=_bytes_a_plane(model),
        most=planes,
        most_on_cpu=on_cpu,
    ).at_once


def _bytes_a_plane(model: ForwardModel) -> int:
    samples = model.sample_yx.shape[1]
    fields, frames = 5 * math.prod(model.field_shape_y_x), 6 * math.prod(model.shape_y_x)
    return 8 * (fields + frames + model.beam_count * samples)
