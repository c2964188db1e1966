"""From an acquisition to a solution: checks, compiles the physics, runs an engine."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fpm_inr import __version__
from fpm_inr.acquisition import Acquisition
from fpm_inr.checkpoint import fingerprint, read_checkpoint, write_checkpoint
from fpm_inr.engines.progress import Listener, StepReport, ignore
from fpm_inr.engines.recipe import Recipe, load_recipe
from fpm_inr.errors import SettingsError
from fpm_inr.sampling import check_upsampling, default_upsampling
from fpm_inr.solution import Solution

if TYPE_CHECKING:
    import torch

    from fpm_inr.calibration.parameters import Free
    from fpm_inr.forward import Instrument

CHECKPOINT_SECONDS = 60.0


def reconstruct(
    acquisition: Acquisition,
    *,
    z_range_um: Sequence[float] = (0.0, 0.0),
    upsample: int | None = None,
    engine: Literal["inr"] = "inr",
    recipe: str | Path | Recipe = "default",
    steps: int | None = None,
    device: str = "auto",
    seed: int = 0,
    listen: Listener = ignore,
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
    engine : {"inr"}
    recipe : str, Path or Recipe
        A recipe's name, a YAML file, or a recipe.
    steps : int, optional
        Number of steps instead of the recipe's.
    device : str
        "auto" (a GPU where there is one), "cpu" or "cuda".
    seed : int
        On a CPU, equal seeds give equal results.
    listen : callable
        Receives a `StepReport` after every step.
    checkpoint : str or Path, optional
        File that is written every minute and on interruption, and removed at the end.
    resume : bool
        Go on from `checkpoint`.
    calibration : str, Path or Instrument, optional
        A calibration.json, or an instrument, to use instead of the acquisition's nominal one.
    calibrate : str, mapping or Free, optional
        What to learn of the instrument together with the field ("gains,pupil,pose"); see
        docs/calibration.md.

    Returns
    -------
    Solution

    Raises
    ------
    SettingsError
        A setting cannot be used, or settings contradict each other.
    """
    import torch

    from fpm_inr.calibration.joint import joint_start
    from fpm_inr.engines import inr
    from fpm_inr.engines.plan import make_plan
    from fpm_inr.fields.neural import NeuralField

    if engine != "inr":
        raise SettingsError(f"is {engine!r}", "give 'inr'", field="engine")
    low, high = check_z_range(z_range_um)
    if steps is not None and steps < 1:
        raise SettingsError(f"is {steps}", "give at least 1", field="steps")
    if resume and checkpoint is None:
        raise SettingsError("needs a checkpoint", "name its file", field="resume")
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    upsampling = (
        default_upsampling(acquisition.optics, acquisition.illumination)
        if upsample is None
        else upsample
    )
    check_upsampling(acquisition, upsampling)
    on = pick_device(device)

    begin = joint_start(
        acquisition, calibration=calibration, calibrate=calibrate, height_is_free=low < high
    )
    settings: dict[str, Any] = {
        "z_range_um": [low, high],
        "upsampling": upsampling,
        "engine": engine,
        "recipe": chosen.model_dump(mode="json"),
        "steps": steps,
        "seed": seed,
        "version": __version__,
        **begin.settings,
    }
    torch.manual_seed(seed)
    model = begin.compile(acquisition, upsampling)
    field = NeuralField(model.field_shape_y_x, (low, high), **chosen.field_settings(low == high))
    plan = make_plan(
        chosen.order_for(low == high),
        na_led=acquisition.illumination.na_led,
        na_objective=acquisition.optics.na,
        z_range_um=(low, high),
        seed=seed,
        steps=steps,
    )
    learned = None if begin.calibration is None else begin.calibration.to(on)
    state = inr.start(field.to(on), plan, learned)
    digest = fingerprint(acquisition, settings)
    if resume:
        assert checkpoint is not None
        if not Path(checkpoint).is_file():
            raise SettingsError(
                "there is no checkpoint to resume from",
                "start without it",
                field="resume",
                source=checkpoint,
            )
        tensors, header = read_checkpoint(Path(checkpoint), digest)
        state.load(tensors)
        state.step, state.seconds = int(header["step"]), float(header["seconds"])
        state.history = [StepReport(**row) for row in header["history"]]

    def keep(state: inr.InrState) -> None:
        if checkpoint is not None:
            header = {
                "fingerprint": digest,
                "step": state.step,
                "seconds": state.seconds,
                "history": [asdict(row) for row in state.history],
            }
            write_checkpoint(Path(checkpoint), state.tensors(), header)

    amplitude = torch.from_numpy(acquisition.amplitude_led_y_x / acquisition.amplitude_scale)
    instrument = begin.instrument.to(on)
    status = "done"
    try:
        with stop_between_steps(listen) as listener:
            inr.solve(
                state,
                model.to(on),
                instrument,
                amplitude.to(on),
                plan,
                listen=listener,
                checkpoint=keep,
                checkpoint_seconds=CHECKPOINT_SECONDS,
            )
        if checkpoint is not None:
            Path(checkpoint).unlink(missing_ok=True)
    except KeyboardInterrupt:
        status = "interrupted"
        keep(state)
    if learned is not None:
        instrument = learned.instrument()
    return Solution(
        state.field.cpu().requires_grad_(False),
        acquisition.optics,
        instrument.to("cpu", torch.float64),
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
        },
        [asdict(row) for row in state.history],
    )


def data_residual(
    acquisition: Acquisition, solution: Solution, z_um: Sequence[float], device: str = "cpu"
) -> list[float]:
    """How far a solution is from the frames, at each height.

    Returns
    -------
    list of float
        sum (predicted - measured amplitude)^2 / sum measured amplitude^2, over LEDs and pixels.
    """
    import torch

    from fpm_inr.forward import compile_forward, residual_by_led

    on = pick_device(device)
    model = compile_forward(acquisition, solution.upsampling, instrument=solution.instrument).to(on)
    aperture = model.aperture(solution.instrument.to(on))
    amplitude = torch.from_numpy(acquisition.amplitude_led_y_x / solution.amplitude_scale).to(on)
    residuals = []
    for stack in solution.slices(np.asarray(z_um)):
        image = torch.from_numpy(stack.field_z_y_x[0]).to(on)
        error, power = residual_by_led(model, aperture, amplitude, image, float(stack.z_um[0]))
        residuals.append(float(error.sum() / power.sum()))
    return residuals


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
