"""From an acquisition to a solution: checks, compiles the physics, runs an engine."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fpm_inr import __version__
from fpm_inr.acquisition import Acquisition
from fpm_inr.checkpoint import fingerprint, read_checkpoint, write_checkpoint
from fpm_inr.engines.progress import Listener, StepReport, ignore
from fpm_inr.engines.recipe import ConventionalRecipe, Recipe, load_recipe
from fpm_inr.errors import SettingsError
from fpm_inr.sampling import check_upsampling, default_upsampling
from fpm_inr.solution import Solution

if TYPE_CHECKING:
    import torch

    from fpm_inr.calibration.parameters import Free
    from fpm_inr.forward import Instrument

CHECKPOINT_SECONDS = 60.0

# By engine: options of the other one, and what to do instead.
FOREIGN_OPTIONS = {
    "inr": {
        "passes": "give --steps, or choose --engine conventional",
        "planes": "leave it out (any z can be rendered), or choose --engine conventional",
        "z_step_um": "leave it out (any z can be rendered), or choose --engine conventional",
    },
    "conventional": {
        "steps": "give --passes, or choose --engine inr",
        "seed": "leave it out (no numbers are drawn), or choose --engine inr",
        "calibrate": "run fpm-inr calibrate and give its file as --calibration",
    },
}


def reconstruct(
    acquisition: Acquisition,
    *,
    z_range_um: Sequence[float] = (0.0, 0.0),
    upsample: int | None = None,
    engine: Literal["inr", "conventional"] = "inr",
    recipe: str | Path | Recipe | ConventionalRecipe = "default",
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
    calibration: str | Path | Instrument | None = None,
    calibrate: str | Mapping[str, Any] | Free | None = None,
) -> Solution:
    """Solve an acquisition for a focus stack.

    Ctrl-C ends the solve after the step under way: the solution so far is returned, with
    ``record["status"] == "interrupted"``.

    Parameters
    ----------
    acquisition : Acquisition
    z_range_um : (float, float)
        Range of heights to solve; zero width solves a single image.
    upsample : int, optional
        Sampling of the result over that of the frames. Default: the smallest that holds the
        synthetic aperture, at least 2.
    engine : {"inr", "conventional"}
        A neural field over the whole range, or a stack of planes solved one by one.
    recipe : str, Path, Recipe or ConventionalRecipe
        A recipe's name, a YAML file, or a recipe of the engine.
    steps : int, optional
        inr: number of steps instead of the recipe's.
    passes : int, optional
        conventional: most passes over the LEDs instead of the recipe's.
    planes, z_step_um : int or float, optional
        conventional: number of planes, or their largest distance; see
        `fpm_inr.solving.plane_heights_um`.
    device : str
        "auto" (a GPU where there is one), "cpu" or "cuda".
    seed : int
        On a CPU, equal seeds give equal results. The conventional engine draws no numbers.
    listen : callable
        Receives a `StepReport` after every step.
    listen_calibration : callable, optional
        Told step, steps and residual of a plane that is calibrated first.
    checkpoint : str or Path, optional
        File that is written every minute and on interruption, and removed at the end.
    resume : bool
        Go on from `checkpoint`.
    calibration : str, Path or Instrument, optional
        A calibration.json, or an instrument, to use instead of the acquisition's nominal one.
    calibrate : str, mapping or Free, optional
        inr: what to learn of the instrument together with the field ("gains,pupil,pose"); see
        docs/calibration.md. Default: what the recipe says. Where LEDs are to move and there is no
        `calibration`, a plane is calibrated first. Where the solve diverges, moves an LED
        beyond four Fourier samples, or finds an instrument that explains the frames no better, it
        is made again without, and ``record["calibration_refused"]`` says why; else
        ``record["calibration_residual"]`` has the residuals of two short solves, with the
        instrument as it began and as found. ``record["leds_left_out"]`` names LEDs that a
        calibration has moved to just outside the pupil, which are not used; where they came there
        during the solve, it is made again with the instrument that was found.

    Returns
    -------
    Solution

    Raises
    ------
    SettingsError
        A setting cannot be used, or settings contradict each other.
    """
    import torch

    from fpm_inr.calibration.joint import joint_start, straddling
    from fpm_inr.calibration.parameters import Free
    from fpm_inr.forward import nominal_instrument
    from fpm_inr.solving import conventional_task, inr_task, plane_heights_um

    check_options(
        engine,
        {
            "steps": steps,
            "calibrate": calibrate,
            "passes": passes,
            "planes": planes,
            "z_step_um": z_step_um,
        },
    )
    _check_recipe(engine, recipe)
    low, high = check_z_range(z_range_um)
    for name, count in (("steps", steps), ("passes", passes)):
        if count is not None and count < 1:
            raise SettingsError(f"is {count}", "give at least 1", field=name)
    if resume and checkpoint is None:
        raise SettingsError("needs a checkpoint", "name its file", field="resume")
    if resume and not Path(checkpoint or "").is_file():
        raise SettingsError(
            "there is no checkpoint to resume from",
            "start without it",
            field="resume",
            source=checkpoint or "",
        )
    upsampling = (
        default_upsampling(acquisition.optics, acquisition.illumination)
        if upsample is None
        else upsample
    )
    check_upsampling(acquisition, upsampling)
    on = pick_device(device)

    if engine == "inr":
        assert not isinstance(recipe, ConventionalRecipe)
        recipe_used = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
        calibrate = recipe_used.calibrate if calibrate is None else calibrate
    begin = joint_start(
        acquisition,
        calibration=calibration,
        calibrate=calibrate,
        z_range_um=(low, high),
        seed=seed,
        device=on,
        listen=listen_calibration,
    )
    model = begin.compile(acquisition, upsampling).to(on)
    if engine == "conventional":
        heights = plane_heights_um(
            (low, high),
            acquisition.optics,
            acquisition.illumination,
            planes=planes,
            z_step_um=z_step_um,
        )
        assert not isinstance(recipe, Recipe)
        task = conventional_task(acquisition, begin, model, recipe, z_um=heights, passes=passes)
    else:
        assert not isinstance(recipe, ConventionalRecipe)
        task = inr_task(
            acquisition, begin, model, recipe, z_range_um=(low, high), steps=steps, seed=seed
        )
    state = task.state
    settings: dict[str, Any] = {
        "z_range_um": [low, high],
        "upsampling": upsampling,
        "engine": engine,
        **task.settings,
        "version": __version__,
        **begin.settings,
    }
    digest = fingerprint(acquisition, settings)
    if resume:
        assert checkpoint is not None
        tensors, header = read_checkpoint(Path(checkpoint), digest)
        state.load(tensors)
        state.step, state.seconds = int(header["step"]), float(header["seconds"])
        state.history = [StepReport(**row) for row in header["history"]]

    def keep(_: object = None) -> None:
        if checkpoint is not None:
            header = {
                "fingerprint": digest,
                "step": state.step,
                "seconds": state.seconds,
                "history": [asdict(row) for row in state.history],
            }
            write_checkpoint(Path(checkpoint), state.tensors(), header)

    amplitude = torch.from_numpy(acquisition.amplitude_led_y_x / acquisition.amplitude_scale)
    status, refused = "done", ""
    try:
        with stop_between_steps(listen) as listener:
            task.solve(amplitude.to(on), listener, keep, CHECKPOINT_SECONDS)
        if checkpoint is not None:
            Path(checkpoint).unlink(missing_ok=True)
        refused = begin.objection(task.instrument())
    except FloatingPointError as error:
        if begin.calibration is None:
            raise
        refused = str(error)
    except KeyboardInterrupt:
        status = "interrupted"
        keep()
    residuals: list[float] = []
    found = task.instrument().to("cpu", torch.float64)
    if begin.calibration is not None and status == "done" and not refused:
        keys = {"z_range_um": (low, high), "upsample": upsampling, "device": device, "seed": seed}
        stated = nominal_instrument(acquisition) if calibration is None else begin.instrument
        try:
            residuals = _short_solve_residuals(acquisition, stated, found, **keys)
        except KeyboardInterrupt:
            residuals = []  # not compared; the solve itself is done
        if residuals and not residuals[1] < residuals[0]:
            refused = (
                "the residual of a short solve did not fall: "
                f"{residuals[0]:.4f} as stated, {residuals[1]:.4f} as found"
            )
    crossed = residuals and (straddling(acquisition, found) & ~begin.left_out_led).any()
    if refused or crossed:
        # Solved again, with the instrument as it was: a calibration must not spoil a result in
        # silence. Or as found: LEDs that came to straddle the pupil's edge have left their traces.
        solution = reconstruct(
            acquisition,
            z_range_um=(low, high),
            upsample=upsampling,
            recipe=recipe,
            steps=steps,
            device=device,
            seed=seed,
            listen=listen,
            checkpoint=checkpoint,
            calibration=calibration if refused else found,
            calibrate=Free(),
        )
        solution.record["solve_seconds"] += state.seconds
        if refused:
            solution.record["calibration_refused"] = refused
            return solution
        left_out = solution.record["leds_left_out"]
        solution.record.update(
            {
                **begin.record,
                "settings": settings,
                "calibration_residual": residuals,
                "leds_left_out": left_out,
            }
        )
        return solution
    return Solution(
        task.field(),
        acquisition.optics,
        found,
        upsampling,
        acquisition.amplitude_scale,
        {
            "status": status,
            "engine": engine,
            "recipe": recipe if isinstance(recipe, str) else "custom",
            "device": describe_device(on),
            "threads": torch.get_num_threads(),
            "solve_seconds": state.seconds,
            "steps": state.step,
            "settings": settings,
            "version": __version__,
            "torch": torch.__version__,
            **begin.record,
            **({"calibration_residual": residuals} if residuals else {}),
        },
        [asdict(row) for row in state.history],
    )


def _short_solve_residuals(
    acquisition: Acquisition, stated: Instrument, found: Instrument, **keys: Any
) -> list[float]:
    """Residual of a short solve with each instrument, over the LEDs that both can describe."""
    import torch

    from fpm_inr.calibration.joint import straddling

    kept = np.flatnonzero(~straddling(acquisition, found))
    frames = acquisition.select(kept)
    # a background is in units of the bright-field mean
    unit = (acquisition.amplitude_scale / frames.amplitude_scale) ** 2
    residuals = []
    for one in (stated, found):
        chosen = one.select(torch.from_numpy(kept))
        if chosen.background_led is not None:
            chosen = replace(chosen, background_led=chosen.background_led * unit)
        residuals.append(_short_solve_residual(frames, chosen, **keys))
    return residuals


def _short_solve_residual(acquisition: Acquisition, instrument: Instrument, **keys: Any) -> float:
    """How far a short solve with this instrument, kept fixed, ends from the frames.

    A fifth of the default recipe's passes: enough to tell a better instrument from a worse one.
    """
    from fpm_inr.calibration.parameters import Free

    whole = load_recipe("default")
    orders = {}
    for name in ("order", "order_2d"):
        order = getattr(whole, name)
        orders[name] = order.model_copy(update={"passes_per_plane": order.passes_per_plane // 5})
    solution = reconstruct(
        acquisition,
        recipe=whole.model_copy(update=orders),
        calibration=instrument,
        calibrate=Free(),
        **keys,
    )
    if solution.record["status"] == "interrupted":
        raise KeyboardInterrupt
    low, high = keys["z_range_um"]
    last_pass = solution.history[-(orders["order"].groups if low < high else 1) :]
    amplitude = acquisition.amplitude_led_y_x / acquisition.amplitude_scale
    power = float(np.mean(np.square(amplitude)))
    return 2 * float(np.mean([row["loss"] for row in last_pass])) / power


def data_residual(
    acquisition: Acquisition, solution: Solution, z_um: Sequence[float], device: str = "cpu"
) -> list[float]:
    """How far a solution is from the frames, at each height.

    Returns
    -------
    list of float
        sum (predicted - measured amplitude)^2 / sum measured amplitude^2, over pixels and the LEDs
        that were used.
    """
    import torch

    from fpm_inr.believed import believed
    from fpm_inr.forward import residual_by_led

    on = pick_device(device)
    model, aperture, amplitude = solution.forward(acquisition, on)
    pixels = believed(acquisition.select(solution.leds_used), on)
    residuals = []
    for stack in solution.slices(np.asarray(z_um)):
        image = torch.from_numpy(stack.field_z_y_x[0]).to(on)
        error, power = residual_by_led(
            model, aperture, amplitude, image, float(stack.z_um[0]), pixels
        )
        residuals.append(float(error.sum() / power.sum()))
    return residuals


def check_options(engine: str, given: Mapping[str, Any]) -> None:
    """Refuse an unknown engine, and options (not None) that mean nothing to this one.

    Raises
    ------
    SettingsError
    """
    if engine not in FOREIGN_OPTIONS:
        raise SettingsError(
            f"is {engine!r}", f"give one of {', '.join(FOREIGN_OPTIONS)}", field="engine"
        )
    for name, mend in FOREIGN_OPTIONS[engine].items():
        if given.get(name) is not None:
            raise SettingsError(f"means nothing to the engine {engine}", mend, field=name)


def _check_recipe(engine: str, recipe: object) -> None:
    of_other = ConventionalRecipe if engine == "inr" else Recipe
    if isinstance(recipe, of_other):
        raise SettingsError(
            f"is a {of_other.__name__}", f"give one of the engine {engine}", field="recipe"
        )


def check_z_range(z_range_um: Sequence[float]) -> tuple[float, float]:
    """Return a valid range of z as two floats.

    Raises
    ------
    SettingsError
        Not two finite numbers in ascending order.
    """
    values = [float(z) for z in z_range_um]
    if len(values) != 2 or not np.isfinite(values).all() or values[0] > values[1]:
        raise SettingsError(
            f"is {' '.join(f'{z:g}' for z in values)}",
            "give two finite heights in um, the lower one first",
            field="z range",
        )
    return values[0], values[1]


def pick_device(name: str) -> torch.device:
    """Return the device of this name; "auto" prefers a GPU.

    Raises
    ------
    SettingsError
        Unknown name, or no GPU.
    """
    import torch

    if name not in ("auto", "cpu", "cuda"):
        raise SettingsError(f"is {name!r}", "give auto, cpu or cuda", field="device")
    if name == "cuda" and not torch.cuda.is_available():
        raise SettingsError(
            "is cuda, but this machine or this torch has none", "give cpu or auto", field="device"
        )
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def describe_device(device: torch.device) -> str:
    """Return "cpu", or the name of the GPU."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


@contextmanager
def stop_between_steps(listen: Listener) -> Iterator[Listener]:
    """Turn Ctrl-C into a KeyboardInterrupt raised after a whole step; a second one acts at once."""
    if threading.current_thread() is not threading.main_thread():
        yield listen
        return
    asked = threading.Event()

    def ask(signum: int, frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    def listener(report: StepReport) -> None:
        listen(report)
        if asked.is_set():
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield listener
    finally:
        signal.signal(signal.SIGINT, before)
