"""From an acquisition to a solution: checks, then solves; and how far a solution is from frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fpm_inr.acquisition import Acquisition
from fpm_inr.device import in_plain_words, pick_device
from fpm_inr.errors import SettingsError
from fpm_inr.guard import guarded, with_band
from fpm_inr.sampling import check_upsampling, default_upsampling
from fpm_inr.solution import Solution
from fpm_inr.solve.engine import check_options, engine_named
from fpm_inr.solve.progress import Listener, ignore
from fpm_inr.solve.recipe_file import DEFAULT
from fpm_inr.solve.request import Request, check_recipe, check_z_range

if TYPE_CHECKING:
    from pydantic import BaseModel

    from fpm_inr.forward import Instrument
    from fpm_inr.instrument import Free

__all__ = ["check_options", "check_z_range", "data_residual", "pick_device", "reconstruct"]


@in_plain_words()
def reconstruct(
    acquisition: Acquisition,
    *,
    z_range_um: Sequence[float] = (0.0, 0.0),
    upsample: int | None = None,
    engine: str = "inr",
    recipe: str | Path | BaseModel = DEFAULT,
    steps: int | None = None,
    passes: int | None = None,
    planes: int | None = None,
    z_step_um: float | None = None,
    device: str = "auto",
    seed: int = 0,
    listen: Listener = ignore,
    listen_calibration: Callable[[int, int, float], None] | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    keep_checkpoint: bool = False,
    calibration: str | Path | Instrument | None = None,
    calibrate: str | Mapping[str, Any] | Free | None = None,
    bend_rad_per_px2: float = 0.0,
    guard_px: int = 0,
) -> Solution:
    """Solve an acquisition for a focus stack.

    Ctrl-C ends the solve after the step under way: the solution so far is returned, with
    ``record["status"] == "interrupted"``. A second Ctrl-C ends it at once, with nothing returned.

    Parameters
    ----------
    acquisition : Acquisition
    z_range_um : (float, float)
        Range of heights to solve; zero width solves a single image.
    upsample : int, optional
        Sampling of the result over that of the frames. Default: the smallest that holds the
        synthetic aperture, at least 2.
    engine : str
        "inr": one field over the whole range (a spline of complex planes; with the recipes neural
        and paper a neural field); "conventional": a stack of planes solved one by one; or the name
        of an engine that another package has (`fpm_inr.solve.engine`).
    recipe : str, Path or model
        A recipe's name, a YAML file, or the settings of the engine
        (`fpm_inr.engines.recipe.Recipe`, `ConventionalRecipe`).
    steps : int, optional
        inr: number of steps instead of the recipe's.
    passes : int, optional
        conventional: most passes over the LEDs instead of the recipe's.
    planes, z_step_um : int or float, optional
        conventional: number of planes, or their largest distance; see
        `fpm_inr.engines.conventional.plane_heights_um`.
    device : str
        "auto" (a GPU where there is one), "cpu", "cuda:1", "mps" or another device of torch.
    seed : int
        On a CPU, equal seeds give equal results. The conventional engine draws no numbers.
    listen : callable
        Receives a `StepReport` after every step.
    listen_calibration : callable, optional
        Told step, steps and residual of a plane that is calibrated first.
    checkpoint : str or Path, optional
        File that is written at the start, every minute and on interruption, and removed at the end.
    resume : bool
        Go on from `checkpoint`, whatever was under way. On a CPU the result is that of an unbroken
        solve, bit by bit.
    keep_checkpoint : bool
        Leave `checkpoint` there at the end, for who has yet to write the result.
    calibration : str, Path or Instrument, optional
        A calibration.json, or an instrument, to use instead of the acquisition's nominal one.
    calibrate : str, mapping or Free, optional
        inr: what to learn of the instrument together with the field ("gains,pupil,pose"); see
        docs/calibration.md. Default: what the recipe says. Where LEDs are to move and there is no
        `calibration`, a plane is calibrated first. Where the solve diverges, moves an LED
        beyond four Fourier samples, or finds an instrument that explains the frames no better, it
        is made again without, and ``record["calibration_refused"]`` says why; else
        ``record["calibration_residual"]`` has the residuals of two short solves, with the
        instrument as it began and as found. `Solution.leds_left_out` names LEDs that a
        calibration has moved to just outside the pupil, which are not used; where they came there
        during the solve, it is made again with the instrument that was found.
    bend_rad_per_px2 : float
        Phase that light of LEDs at a finite distance brings, over the squared distance from the
        middle of the frame in its pixels (`fpm_inr.mosaic.plan.bend_of`): the solve begins with it,
        but for neural fields. It is part of the solution.
    guard_px : int
        Width of a band that the field has beyond the frames, in their pixels: room for the
        specimen beside them, whose light they show too (`fpm_inr.guard`). Frames of a camera take
        one; those of a periodic simulation do not.

    Returns
    -------
    Solution

    Raises
    ------
    SettingsError
        A setting cannot be used, or settings contradict each other.
    DataError
        The calibration or the checkpoint cannot be used.
    DivergedError
        The solve does not stay finite.
    OutputError
        The checkpoint cannot be written.
    """
    _check_resume(checkpoint, resume)
    options = {"steps": steps, "passes": passes, "planes": planes, "z_step_um": z_step_um}
    request = _asked(
        acquisition,
        engine,
        recipe,
        {**options, "seed": seed, "calibrate": calibrate},
        z_range_um=check_z_range(z_range_um),
        upsample=upsample,
        device=device,
        calibration=calibration,
        bend_rad_per_px2=bend_rad_per_px2,
        guard_px=guard_px,
    )

    from fpm_inr.solve import judged

    return judged.solve(
        request,
        listen=listen,
        listen_placing=listen_calibration,
        checkpoint=None if checkpoint is None else Path(checkpoint),
        resume=resume,
        keep_checkpoint=keep_checkpoint,
    )


def _asked(
    acquisition: Acquisition,
    engine: str,
    recipe: str | Path | BaseModel,
    options: Mapping[str, Any],
    *,
    z_range_um: tuple[float, float],
    upsample: int | None,
    device: str,
    calibration: str | Path | Instrument | None,
    bend_rad_per_px2: float,
    guard_px: int,
) -> Request:
    """What was asked for, every part of it checked; see `reconstruct`."""
    # a seed has a default: every engine is given one
    check_options(engine, {**options, "seed": None})
    solver = engine_named(engine)
    check_recipe(solver, recipe)
    for name in ("steps", "passes"):
        count = options[name]
        if count is not None and count < 1:
            raise SettingsError(f"is {count}", "give at least 1", field=name)
    if guard_px < 0:
        raise SettingsError(f"is {guard_px}", "give pixels of the frames, 0 or more", field="guard")
    usual = default_upsampling(acquisition.optics, acquisition.illumination)
    check_upsampling(acquisition, usual if upsample is None else upsample)
    on = pick_device(device)

    from fpm_inr.instrument import Free, parse_free
    from fpm_inr.solve.start import given_instrument

    settings = solver.recipe(recipe) if isinstance(recipe, str | Path) else recipe
    solver.check_device(settings, on)
    settings, resolved = solver.resolve(
        acquisition, z_range_um, settings, options, int(options["seed"])
    )
    calibrate = options["calibrate"]
    if calibrate is None:
        calibrate = getattr(settings, "calibrate", None)
    return Request(
        guarded(acquisition, guard_px),
        z_range_um,
        upsample,
        solver,
        settings,
        recipe if isinstance(recipe, str) else "custom",
        on,
        int(options["seed"]),
        Free() if calibrate is None else parse_free(calibrate),
        resolved,
        given_instrument(acquisition, calibration),
        bend_rad_per_px2,
        guard_px,
    )


def _check_resume(checkpoint: str | Path | None, resume: bool) -> None:
    if resume and checkpoint is None:
        raise SettingsError("needs a checkpoint", "name its file", field="resume")
    if resume and not Path(checkpoint or "").is_file():
        raise SettingsError(
            "there is no checkpoint to resume from",
            "start without it",
            field="resume",
            source=checkpoint or "",
        )


@in_plain_words()
def data_residual(
    acquisition: Acquisition, solution: Solution, z_um: Sequence[float], device: str = "cpu"
) -> list[float]:
    """How far a solution is from the frames, at each height.

    Parameters
    ----------
    acquisition : Acquisition
        What the solution was solved from.
    solution : Solution
    z_um : sequence of float
    device : str
        As of `reconstruct`; predicted frames and images are made there.

    Returns
    -------
    list of float
        sum (predicted - measured amplitude)^2 / sum measured amplitude^2, over pixels and the LEDs
        that were used.
    """
    import torch

    from fpm_inr.believed import believed
    from fpm_inr.forward import residual_by_led

    acquisition, solution = with_band(acquisition, solution)
    there = solution.on(pick_device(device))
    model, aperture, amplitude = there.forward(acquisition)
    pixels = believed(acquisition.select(solution.frames_used(acquisition)), there.device)
    residuals = []
    for height_um, image in there.images(np.asarray(z_um)):
        error, power = residual_by_led(model, aperture, amplitude, image, height_um, pixels)
        residuals.append(error.sum() / power.sum())
    found: list[float] = torch.stack(residuals).tolist()
    return found
