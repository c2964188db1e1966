"""What each engine needs to start, and what it leaves: the two sides of a solve."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.believed import Believed, believed
from fpm_inr.calibration.joint import JointStart
from fpm_inr.engines import conventional, inr, spline
from fpm_inr.engines.plan import Plan, make_plan
from fpm_inr.engines.progress import Listener
from fpm_inr.engines.recipe import (
    ConventionalRecipe,
    PassOrder,
    Recipe,
)
from fpm_inr.errors import SettingsError
from fpm_inr.fields.neural import NeuralField
from fpm_inr.fields.pixel import PixelField
from fpm_inr.fields.spline import SplineField
from fpm_inr.heights import MOST
from fpm_inr.sampling import synthetic_na

if TYPE_CHECKING:
    from fpm_inr.calibration.parameters import Calibration
    from fpm_inr.forward import ForwardModel, Instrument

# Of a stack: its spectra, their images, and the field that is handed on.
STACK_COPIES = 3


@dataclass(frozen=True, eq=False)
class Task:
    """A solve that is ready to run.

    Parameters
    ----------
    state : InrState, SplineState or ConventionalState
        Its `tensors`, `load`, `step`, `seconds` and `history` make the checkpoint.
    solve : callable
        Takes the remaining steps: (amplitude, listener, checkpoint, seconds between checkpoints).
    field, instrument : callable
        What has been solved so far.
    """

    state: inr.InrState | spline.SplineState | conventional.ConventionalState
    solve: Callable[[Tensor, Listener, Callable[[Any], None], float], None]
    field: Callable[[], SplineField | NeuralField | PixelField]
    instrument: Callable[[], Instrument]


def _solving(
    engine_solve: Callable[..., None],
    state: Any,
    model: ForwardModel,
    instrument: Instrument,
    pixels: Believed | None,
    *how: Any,
) -> Callable[[Tensor, Listener, Callable[[Any], None], float], None]:
    """A `Task.solve`: an engine's, with all but the frames and the listeners given."""

    def solve(
        amplitude: Tensor, listen: Listener, keep: Callable[[Any], None], seconds: float
    ) -> None:
        engine_solve(
            state,
            model,
            instrument,
            amplitude,
            *how,
            pixels=pixels,
            listen=listen,
            checkpoint=keep,
            checkpoint_seconds=seconds,
        )

    return solve


def inr_task(
    acquisition: Acquisition,
    begin: JointStart,
    model: ForwardModel,
    recipe: Recipe,
    *,
    z_range_um: tuple[float, float],
    steps: int | None,
    seed: int,
) -> Task:
    """Prepare the engine inr, with the field of the recipe, on the model's device."""
    is_flat = z_range_um[0] == z_range_um[1]
    torch.manual_seed(seed)
    optics, illumination = acquisition.optics, acquisition.illumination
    sizes = recipe.field_settings(z_range_um, optics, synthetic_na(optics, illumination))
    order = recipe.order_for(is_flat)
    plan = make_plan(
        order,
        na_led=illumination.na_frame,
        na_objective=optics.na,
        z_range_um=z_range_um,
        seed=seed,
        steps=steps,
        planes=sizes.get("planes", 1),
        left_out_led=_left_out(illumination, begin),
    )
    learned = None if begin.calibration is None else begin.calibration.to(model.device)
    instrument = begin.instrument.to(model.device)
    pixels = believed(acquisition, model.device)
    if isinstance(order, PassOrder):
        return _spline_task(model, instrument, pixels, learned, plan, order, z_range_um, sizes)
    field = NeuralField(model.field_shape_y_x, z_range_um, **sizes)
    state = inr.start(field.to(model.device), plan, learned)

    solve = _solving(inr.solve, state, model, instrument, pixels, plan)

    return Task(
        state,
        solve,
        lambda: state.field.cpu().requires_grad_(False),
        lambda: instrument if learned is None else learned.instrument(),
    )


def _left_out(illumination: Illumination, begin: JointStart) -> NDArray[np.bool_]:
    """Which frames are not used: those that an LED lights that is left out."""
    used = illumination.frames_without(np.flatnonzero(begin.left_out_led))
    return ~np.isin(np.arange(illumination.frame_count), used)


def _spline_task(
    model: ForwardModel,
    instrument: Instrument,
    pixels: Believed | None,
    learned: Calibration | None,
    plan: Plan,
    order: PassOrder,
    z_range_um: tuple[float, float],
    sizes: dict[str, Any],
) -> Task:
    state = spline.start(model, z_range_um, sizes["planes"], learned, groups=order.groups)

    solve = _solving(spline.solve, state, model, instrument, pixels, plan, order)

    return Task(
        state,
        solve,
        lambda: state.field.cpu().requires_grad_(False),
        lambda: spline.instrument_as_used(state, instrument),
    )


def conventional_task(
    acquisition: Acquisition,
    begin: JointStart,
    model: ForwardModel,
    recipe: ConventionalRecipe,
    *,
    z_um: NDArray[np.float64],
) -> Task:
    """Prepare the conventional engine on the model's device.

    Raises
    ------
    SettingsError
        Recovering the pupil of more than one plane, or too little memory for the stack.
    """
    if recipe.pupil_step > 0 and len(z_um) > 1:
        raise SettingsError(
            "recovers the pupil, whose defocus cannot be told from a height, for a range of z",
            "choose one height, or give the stack a calibration.json",
            field="recipe",
        )
    _check_memory(model, len(z_um))
    state = conventional.start(model, torch.from_numpy(z_um), recipe)
    instrument = begin.instrument.to(model.device)

    used = np.flatnonzero(~_left_out(acquisition.illumination, begin)).tolist()

    pixels = believed(acquisition, model.device)
    solve = _solving(conventional.solve, state, model, instrument, pixels, recipe, used)

    def field() -> PixelField:
        solved = state.solved()
        return PixelField(state.image_z_y_x(solved), state.z_um[solved]).requires_grad_(False)

    return Task(
        state,
        solve,
        field,
        lambda: state.instrument(begin.instrument),
    )


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
