"""The conventional engine: plane by plane, LED by LED, each frame's modulus put in its place.

Sequential gradient descent of Fourier ptychography (Zheng et al., Nat. Photonics 7, 739 (2013)),
LEDs in order of their NA, with an adaptive step (Zuo et al., Opt. Express 24, 20724 (2016)),
optional pupil recovery (EPRY; Ou et al., Opt. Express 22, 4960 (2014)) and optional momentum
(Maiden et al., Optica 4, 736 (2017)). It is the baseline of Zhou et al., Optica 10, 1679 (2023).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from fpm_inr.engines.recipe import CONVENTIONAL_FOLDER, ConventionalRecipe
from fpm_inr.errors import SettingsError
from fpm_inr.forward import ForwardModel
from fpm_inr.heights import MOST
from fpm_inr.sampling import synthetic_na
from fpm_inr.solve.engine import Engine, Solve
from fpm_inr.solve.problem import Problem

if TYPE_CHECKING:
    from fpm_inr.acquisition import Acquisition, Illumination, Optics

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

        from fpm_inr.engines.planes import ConventionalSolve

        z_um = torch.tensor(problem.options["z_um"], dtype=torch.float64)
        _check_memory(problem.model, len(z_um))
        return ConventionalSolve(problem, z_um)


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
