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
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor

from fpm_inr import transforms
from fpm_inr.engines.recipe import CONVENTIONAL_FOLDER, ConventionalRecipe
from fpm_inr.engines.visits import Visits
from fpm_inr.errors import SettingsError
from fpm_inr.fields.pixel import PixelField
from fpm_inr.forward import ForwardModel, Instrument
from fpm_inr.heights import MOST
from fpm_inr.sampling import synthetic_na
from fpm_inr.solve.engine import Engine, Fit, Solve
from fpm_inr.solve.problem import Problem

if TYPE_CHECKING:
    from fpm_inr.acquisition import Acquisition, Illumination, Optics

# More planes in one batch outgrow the caches of a CPU without making it faster.
CPU_PLANES = 8
CPU_BYTES = 1 << 30
GPU_MEMORY_SHARE = 0.5
# Of a stack: its spectra, their images, and the field that is handed on.
STACK_COPIES = 3


class Conventional(Engine):
    """A stack of planes, solved one by one."""

    name: ClassVar[str] = "conventional"
    settings: ClassVar[type[ConventionalRecipe]] = ConventionalRecipe
    recipes: ClassVar[Path | None] = CONVENTIONAL_FOLDER
    options: ClassVar[frozenset[str]] = frozenset({"passes", "planes", "z_step_um"})

    def resolve(
        self,
        acquisition: Acquisition,
        z_range_um: tuple[float, float],
        settings: ConventionalRecipe,
        options: Mapping[str, Any],
        seed: int,
    ) -> tuple[ConventionalRecipe, dict[str, Any]]:
        """Passes and the heights of the planes; see `Engine.resolve`.

        Raises
        ------
        SettingsError
            Heights that contradict each other, or a pupil that is recovered from several planes.
        """
        if options.get("passes") is not None:
            settings = settings.model_copy(update={"passes": options["passes"]})
        z_um = plane_heights_um(
            z_range_um,
            acquisition.optics,
            acquisition.illumination,
            planes=options.get("planes"),
            z_step_um=options.get("z_step_um"),
        )
        if settings.pupil_step > 0 and len(z_um) > 1:
            raise SettingsError(
                "recovers the pupil, whose defocus cannot be told from a height, for a range of z",
                "choose one height, or give the stack a calibration.json",
                field="recipe",
            )
        return settings, {"z_um": z_um.tolist()}

    def start(self, problem: Problem) -> Solve:
        """Begin with a clear object at every height.

        Raises
        ------
        SettingsError
            Too little memory for the stack.
        """
        z_um = torch.tensor(problem.options["z_um"], dtype=torch.float64)
        _check_memory(problem.model, len(z_um))
        return ConventionalSolve(problem, z_um)


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
    share_z, error_z : Tensor [plane of the batch]
        Step of every plane, and its error in the pass before.
    velocity_z_k : Tensor [plane of the batch, sample], complex
        Momentum.
    """

    def __init__(self, problem: Problem, z_um: Tensor) -> None:
        self.problem, self.z_um = problem, z_um
        self.recipe: ConventionalRecipe = problem.settings
        model, planes = problem.model, len(z_um)
        # a clear object is the same at any defocus
        self.spectrum_z_y_x = torch.zeros(planes, *model.field_shape_y_x, dtype=torch.complex64)
        self.spectrum_z_y_x[:, 0, 0] = 1
        self.gain_z_led = torch.ones(planes, model.frame_count)
        recovers = self.recipe.pupil_step > 0
        self.pupil_y_x = torch.ones(model.shape_y_x, dtype=torch.complex64) if recovers else None
        self.planes_at_once = planes_at_once(model, planes)
        self.batch = self.passes = 0
        self.share_z = self.error_z = torch.zeros(0)
        self.velocity_z_k = torch.zeros(0, dtype=torch.complex64)
        self._visits: Visits | None = None
        self._sight: tuple[int, list[Tensor]] | None = None

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
        recipe, device = self.recipe, self.problem.model.device
        planes = self.planes(self.batch)
        # what an interruption or a checkpoint finds is on the CPU, after a whole pass
        spectrum = self.spectrum_z_y_x[planes].flatten(1).to(device)
        pupil = None if self.pupil_y_x is None else self.pupil_y_x.to(device)
        if self.passes == 0:
            self._begin_batch(spectrum)
        before = spectrum.clone() if recipe.momentum > 0 else None
        error, gain = self.visits.one_pass(
            spectrum, self.share_z.to(device), self._sight_of(planes), pupil
        )
        error = error.cpu()
        # no such thing as progress from a pass that has not been measured yet
        stalls = error > self.error_z * (1 - recipe.least_gain)
        if before is not None:
            velocity = recipe.momentum * self.velocity_z_k.to(device) + (spectrum - before)
            velocity[stalls.to(device)] = 0
            spectrum += recipe.momentum * velocity
            self.velocity_z_k = velocity.cpu()
        self.share_z = torch.where(stalls, self.share_z * recipe.step_drop, self.share_z)
        self.error_z = error
        self.passes += 1
        shape = self.problem.model.field_shape_y_x
        self.spectrum_z_y_x[planes] = spectrum.cpu().unflatten(1, shape)
        self.gain_z_led[planes] = gain.cpu()
        self.pupil_y_x = None if pupil is None else pupil.cpu()
        if self.passes == recipe.passes or bool((self.share_z < recipe.least_step).all()):
            self.batch, self.passes = self.batch + 1, 0
        missed = float(error.mean())
        visits = self.visits
        mse = missed * visits.power / visits.amplitude.numel()
        return Fit(missed, mse, float(self.z_um[planes].mean()))

    @property
    def visits(self) -> Visits:
        """What does not change from pass to pass."""
        if self._visits is None:
            problem = self.problem
            self._visits = Visits(
                problem.model,
                problem.instrument,
                problem.amplitude_led_y_x,
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
        return transforms.image(self.spectrum_z_y_x[planes])

    def field(self) -> PixelField:
        """The planes that have been worked on."""
        solved = self.solved()
        return PixelField(self.image_z_y_x(solved), self.z_um[solved]).requires_grad_(False)

    def instrument(self) -> Instrument:
        """As given, with the mean gains, and the pupil where it was recovered."""
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
        """See `Solve.load`."""
        self.spectrum_z_y_x = torch.view_as_complex(tensors["spectrum"])
        self.gain_z_led = tensors["gain"]
        self.share_z, self.error_z = tensors["share"], tensors["error"]
        self.velocity_z_k = torch.view_as_complex(tensors["velocity"])
        self.planes_at_once, self.batch, self.passes = map(int, tensors["place"])
        if "pupil" in tensors:
            self.pupil_y_x = torch.view_as_complex(tensors["pupil"])

    def _begin_batch(self, spectrum: Tensor) -> None:
        planes, recipe = len(spectrum), self.recipe
        self.share_z = torch.full((planes,), recipe.step)
        self.error_z = torch.full((planes,), math.inf)
        shape = spectrum.shape if recipe.momentum > 0 else (0,)
        self.velocity_z_k = torch.zeros(shape, dtype=spectrum.dtype)

    def _sight_of(self, planes: Tensor) -> list[Tensor]:
        """What every LED meets in the pupil at the heights of the batch under way."""
        if self._sight is None or self._sight[0] != self.batch:
            self._sight = self.batch, self.visits.sight(self.z_um[planes])
        return self._sight[1]


def planes_at_once(model: ForwardModel, planes: int) -> int:
    """Planes whose fields, frames and pupils fit into the memory set aside."""
    samples = model.sample_yx.shape[1]
    fields, frames = 3 * math.prod(model.field_shape_y_x), 6 * math.prod(model.shape_y_x)
    per_plane = 8 * (fields + frames + model.beam_count * samples)
    most, room = CPU_PLANES, CPU_BYTES
    if model.device.type == "cuda":
        most, room = planes, int(GPU_MEMORY_SHARE * torch.cuda.mem_get_info(model.device)[0])
    return max(1, min(planes, most, room // per_plane))


def plane_heights_um(
    z_range_um: tuple[float, float],
    optics: Optics,
    illumination: Illumination,
    *,
    planes: int | None = None,
    z_step_um: float | None = None,
) -> NDArray[np.float64]:
    """Heights [z] of a conventional stack: even, both ends of the range included.

    Parameters
    ----------
    z_range_um : (float, float)
    optics : Optics
    illumination : Illumination
    planes : int, optional
        Their number.
    z_step_um : float, optional
        Their largest distance. Default: half of the depth of field of the solved image,
        index * wavelength / (NA of objective + largest NA of the LEDs)^2 / 2.

    Raises
    ------
    SettingsError
        Both are given, one is out of range, or they contradict the range.
    """
    low, high = z_range_um
    if planes is not None and z_step_um is not None:
        raise SettingsError(
            "is given together with the z step", "give only one of them", field="planes"
        )
    if planes is not None:
        if planes < 1 or (planes > 1) != (high > low):
            raise SettingsError(
                f"is {planes} for the z range {low:g} to {high:g} um",
                "give at least 2 for a range, and 1 for a single height",
                field="planes",
            )
        return _even(low, high, planes)
    if z_step_um is None:
        steepest = synthetic_na(optics, illumination)
        z_step_um = optics.medium_index * optics.wavelength_um / steepest**2 / 2
    if not (math.isfinite(z_step_um) and z_step_um > 0):
        raise SettingsError(f"is {z_step_um:g} um", "give a positive number", field="z step")
    # a step that is hardly above 0 gives more planes than there are whole numbers
    return _even(low, high, math.ceil(min((high - low) / z_step_um, MOST) - 1e-6) + 1)


def _even(low: float, high: float, planes: int) -> NDArray[np.float64]:
    if planes > MOST:
        raise SettingsError(f"are over {MOST}", "choose fewer planes", field="planes")
    return np.linspace(low, high, planes)


def _check_memory(model: ForwardModel, planes: int) -> None:
    needed = 8 * STACK_COPIES * planes * math.prod(model.field_shape_y_x)
    free = psutil.virtual_memory().available
    if needed > free:
        raise SettingsError(
            f"are {planes}, which take about {needed / 2**30:.1f} GiB, "
            f"and {free / 2**30:.1f} GiB are free",
            "choose fewer planes or a smaller crop",
            field="planes",
        )
