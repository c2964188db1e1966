"""A solve with what may come before and after: a plane calibrated, an instrument judged, again.

    placing -> solving -> judging -> again -> done

Where LEDs are to move from places that nobody has given, a plane is calibrated first (placing).
What has been learned of the instrument is compared with the one stated (judging), and where it
explains nothing better, or has moved LEDs to the pupil's edge, the solve is made again without
learning. Other solves go from solving to done. Every state can be kept and resumed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from fpm_inr import __version__
from fpm_inr.acquisition import Acquisition
from fpm_inr.calibration.joint import JointStart, as_used, placed_start, start_at, straddling
from fpm_inr.calibration.parameters import Free
from fpm_inr.checkpoint import fingerprint
from fpm_inr.engines.progress import Listener, StepReport
from fpm_inr.engines.recipe import load_recipe
from fpm_inr.errors import DataError, DivergedError
from fpm_inr.forward import Instrument
from fpm_inr.solution import Solution
from fpm_inr.solve import drive
from fpm_inr.solve.problem import Problem, describe_device

if TYPE_CHECKING:
    from fpm_inr.solving import Task

Stage = Literal["placing", "solving", "judging", "again", "done"]
# a short solve makes so many times fewer passes than the default recipe: enough to tell a better
# instrument from a worse one
SHORTER = 5


@dataclass(eq=False)
class Journey:
    """How far a problem has come.

    Parameters
    ----------
    stage : str
        What is under way.
    start : JointStart, optional
        Of the solve under way; None while placing.
    task : Task, optional
        That solve.
    upsampling : int
    residuals : list of float
        Of short solves, with the instrument as stated and as found.
    refused : str
        Why what was learned is not believed.
    first_record : dict
        How the first solve was started, once it is made again.
    first_seconds : float
        What it took.
    """

    stage: Stage = "placing"
    start: JointStart | None = None
    task: Task | None = None
    upsampling: int = 0
    residuals: list[float] = field(default_factory=list)
    refused: str = ""
    first_record: dict[str, Any] | None = None
    first_seconds: float = 0.0

    @property
    def is_again(self) -> bool:
        return self.first_record is not None

    def begin(self, problem: Problem, start: JointStart, stage: Stage) -> None:
        """Go on with a solve from this start."""
        self.start, self.stage = start, stage
        self.upsampling = self.upsampling or problem.upsampling_from(start)
        self.task = problem.task(start, self.upsampling)

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name, for a checkpoint. A solve without steps has none of its own."""
        named: dict[str, Tensor] = {}
        if self.start is not None:
            named |= {f"start.{name}": v for name, v in _tensors(self.start.instrument).items()}
        if self.task is not None and self.task.state.step:
            named |= {f"solve.{name}": v for name, v in self.task.state.tensors().items()}
        return named

    def header(self) -> dict[str, Any]:
        """All else, as plain JSON values."""
        plain = ("stage", "upsampling", "residuals", "refused", "first_record", "first_seconds")
        header = {name: getattr(self, name) for name in plain}
        if self.start is not None:
            header["start_record"] = self.start.record
        if self.task is not None and self.task.state.step:
            state = self.task.state
            history = [asdict(row) for row in state.history]
            header["solve"] = {"step": state.step, "seconds": state.seconds, "history": history}
        return header


def _restored(problem: Problem, tensors: dict[str, Tensor], header: dict[str, Any]) -> Journey:
    """The journey of `Journey.tensors` and `Journey.header`."""
    if header["stage"] not in get_args(Stage):
        raise ValueError(f"stage {header['stage']!r}")
    journey = Journey(
        header["stage"],
        upsampling=int(header["upsampling"]),
        residuals=[float(one) for one in header["residuals"]],
        refused=str(header["refused"]),
        first_record=header["first_record"],
        first_seconds=float(header["first_seconds"]),
    )
    if journey.stage == "placing":
        return journey
    instrument = _instrument(_named(tensors, "start."))
    free = Free() if journey.is_again else as_used(problem.free, problem.given)
    start = start_at(
        problem.acquisition, instrument, free, problem.z_range_um, header["start_record"]
    )
    journey.begin(problem, start, journey.stage)
    assert journey.task is not None
    if "solve" in header:
        state, solve = journey.task.state, header["solve"]
        state.load(_named(tensors, "solve."))
        state.step, state.seconds = int(solve["step"]), float(solve["seconds"])
        state.history = [StepReport(**row) for row in solve["history"]]
    return journey


def _named(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}


def _tensors(instrument: Instrument) -> dict[str, Tensor]:
    values = {one.name: getattr(instrument, one.name) for one in fields(instrument)}
    return {
        name: torch.view_as_real(value) if value.is_complex() else value
        for name, value in values.items()
        if value is not None
    }


def _instrument(tensors: dict[str, Tensor]) -> Instrument:
    pupil = tensors.get("pupil_y_x")
    complex_pupil = {} if pupil is None else {"pupil_y_x": torch.view_as_complex(pupil)}
    return Instrument(**{**tensors, **complex_pupil})


def solve(
    problem: Problem,
    *,
    listen: Listener,
    listen_placing: Callable[[int, int, float], None] | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    keep_checkpoint: bool = False,
) -> Solution:
    """Take a problem from where it is to its solution; see `fpm_inr.reconstruction.reconstruct`.

    Raises
    ------
    DivergedError
        The solve does not stay finite, and nothing that it learns can be left out.
    """
    keeper = drive.Keeper(checkpoint, fingerprint(problem.acquisition, problem.settings))
    journey = _resumed(problem, keeper, checkpoint) if resume else Journey()

    def keep(_: object = None) -> None:
        keeper.write(journey.tensors(), journey.header())

    if journey.stage == "placing":
        keep()
        start = placed_start(
            problem.acquisition,
            problem.given,
            problem.free,
            problem.z_range_um,
            seed=problem.seed,
            device=problem.device,
            listen=listen_placing,
        )
        journey.begin(problem, start, "solving")
        keep()
    status = "done"
    with drive.stop_between_steps() as between:

        def told(report: StepReport) -> None:
            listen(report)
            between()

        try:
            while journey.stage != "done":
                if journey.stage == "judging":
                    _judge(problem, journey, keeper, keep, lambda _: between())
                else:
                    _run(problem, journey, told, keep)
                if keeper.is_due:
                    keep()
        except drive.StoppedAtOnceError:
            raise
        except KeyboardInterrupt:
            status = "interrupted"
            keep()
    if status == "done" and not keep_checkpoint:
        keeper.remove()
    return _solution(problem, journey, status)


def _resumed(problem: Problem, keeper: drive.Keeper, source: Path | None) -> Journey:
    tensors, header = keeper.read()
    try:
        return _restored(problem, tensors, header)
    except DataError:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise DataError(
            "is a damaged checkpoint",
            "delete it and start again without --resume",
            source=source or "",
        ) from error


def _run(problem: Problem, journey: Journey, listen: Listener, keep: Callable[[Any], None]) -> None:
    """Take the remaining steps of the solve under way; say what comes next."""
    start, task = journey.start, journey.task
    assert start is not None
    assert task is not None
    acquisition = problem.acquisition
    amplitude = torch.from_numpy(acquisition.amplitude_led_y_x / acquisition.amplitude_scale)
    try:
        task.solve(amplitude.to(problem.device), listen, keep, drive.CHECKPOINT_SECONDS)
        journey.refused = journey.refused or start.objection(task.instrument())
    except DivergedError as error:
        if start.calibration is None:
            raise
        journey.refused = error.problem
    if start.calibration is None:
        journey.stage = "done"
    elif journey.refused:
        _begin_again(problem, journey)
    else:
        journey.stage = "judging"


def _judge(
    problem: Problem,
    journey: Journey,
    keeper: drive.Keeper,
    keep: Callable[[], None],
    listen: Listener,
) -> None:
    """Compare the instrument as found with the one stated; say what comes next."""
    assert journey.start is not None
    found = _found(journey)
    candidates = (problem.stated, found)
    alike = _alike(problem, candidates)
    for instrument in candidates[len(journey.residuals) :]:
        frames, start = alike(instrument)
        journey.residuals.append(
            _short_solve_residual(frames, start, problem, journey.upsampling, listen)
        )
        if keeper.is_due:
            keep()
    before, after = journey.residuals
    if not after < before:
        journey.refused = (
            "the residual of a short solve did not fall: "
            f"{before:.4f} as stated, {after:.4f} as found"
        )
    crossed = straddling(problem.acquisition, found) & ~journey.start.left_out_led
    if journey.refused or crossed.any():
        _begin_again(problem, journey)
    else:
        journey.stage = "done"


def _begin_again(problem: Problem, journey: Journey) -> None:
    """Solve again, with the instrument as it was: a calibration must not spoil a result in silence.

    Or as found: LEDs that came to straddle the pupil's edge have left their traces.
    """
    assert journey.start is not None
    assert journey.task is not None
    instrument = problem.stated if journey.refused else _found(journey)
    journey.first_record = journey.start.record
    journey.first_seconds = journey.task.state.seconds
    start = start_at(problem.acquisition, instrument, Free(), problem.z_range_um)
    journey.begin(problem, start, "again")


def _found(journey: Journey) -> Instrument:
    assert journey.task is not None
    return journey.task.instrument().to("cpu", torch.float64)


def _alike(
    problem: Problem, instruments: tuple[Instrument, ...]
) -> Callable[[Instrument], tuple[Acquisition, JointStart]]:
    """What makes solves with these instruments comparable: the LEDs that all of them describe."""
    straddles = [straddling(problem.acquisition, one) for one in instruments]
    kept = np.flatnonzero(~np.any(straddles, axis=0))
    frames = problem.acquisition.select(kept)
    # a background is in units of the bright-field mean
    unit = (problem.acquisition.amplitude_scale / frames.amplitude_scale) ** 2

    def begun(instrument: Instrument) -> tuple[Acquisition, JointStart]:
        chosen = instrument.select(torch.from_numpy(kept))
        if chosen.background_led is not None:
            chosen = replace(chosen, background_led=chosen.background_led * unit)
        nothing_left_out = np.zeros(len(kept), dtype=np.bool_)
        return frames, JointStart(chosen, None, Free(), {}, nothing_left_out)

    return begun


def _short_solve_residual(
    frames: Acquisition, start: JointStart, problem: Problem, upsampling: int, listen: Listener
) -> float:
    """How far a short solve from this start, of the default recipe, ends from the frames.

    Infinite where it diverges.
    """
    whole = load_recipe("default")
    orders: dict[str, Any] = {}
    for name in ("order", "order_2d"):
        order = getattr(whole, name)
        passes = max(1, order.passes_per_plane // SHORTER)
        orders[name] = order.model_copy(update={"passes_per_plane": passes})
    recipe = whole.model_copy(update=orders)
    short = replace(problem, acquisition=frames, recipe=recipe, steps=None)
    task = short.task(start, upsampling)
    amplitude = torch.from_numpy(frames.amplitude_led_y_x / frames.amplitude_scale)
    try:
        task.solve(amplitude.to(problem.device), listen, lambda _: None, math.inf)
    except DivergedError:
        return math.inf
    low, high = problem.z_range_um
    last_pass = task.state.history[-(orders["order"].groups if low < high else 1) :]
    power = float(amplitude.double().square().mean())
    return 2 * float(np.mean([row.loss for row in last_pass])) / power


def _solution(problem: Problem, journey: Journey, status: str) -> Solution:
    assert journey.start is not None
    assert journey.task is not None
    state, of_start = journey.task.state, dict(journey.start.record)
    settings = {**problem.settings, "upsampling": journey.upsampling}
    if journey.refused:
        settings.pop("calibrate", None)
        of_start["calibration_refused"] = journey.refused
    elif journey.first_record is not None:
        of_start = {**journey.first_record, "leds_left_out": of_start.get("leds_left_out", [])}
    judged = len(journey.residuals) == 2 and not journey.refused
    return Solution(
        journey.task.field(),
        problem.acquisition.optics,
        _found(journey),
        journey.upsampling,
        problem.acquisition.amplitude_scale,
        {
            "status": status,
            "engine": problem.engine,
            "recipe": problem.recipe_name,
            "device": describe_device(problem.device),
            "threads": torch.get_num_threads(),
            "solve_seconds": state.seconds + journey.first_seconds,
            "steps": state.step,
            "settings": settings,
            "version": __version__,
            "torch": torch.__version__,
            **of_start,
            **({"calibration_residual": journey.residuals} if judged else {}),
        },
        [asdict(row) for row in state.history],
    )
