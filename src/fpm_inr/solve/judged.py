"""A solve with what may come before and after: a plane calibrated, an instrument judged, again.

    placing -> solving -> judging -> again -> done

Where LEDs are to move from places that nobody has given, a plane is calibrated first (placing).
What has been learned of the instrument is compared with the one stated (judging), and where it
explains nothing better, or has moved LEDs to the pupil's edge, the solve is made again without
learning. Other solves go from solving to done. Every state can be kept and resumed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from fpm_inr import __version__
from fpm_inr.checkpoint import fingerprint
from fpm_inr.device import describe_device
from fpm_inr.edges import straddling
from fpm_inr.errors import DivergedError
from fpm_inr.instrument import Free
from fpm_inr.solution import Solution
from fpm_inr.solve import drive
from fpm_inr.solve.comparison import alike, short_solve_residual
from fpm_inr.solve.journey import Journey, restored
from fpm_inr.solve.progress import Listener, StepReport
from fpm_inr.solve.request import Request
from fpm_inr.solve.start import placed_start, start_at


def solve(
    request: Request,
    *,
    listen: Listener,
    listen_placing: Callable[[int, int, float], None] | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    keep_checkpoint: bool = False,
) -> Solution:
    """Take a request from where it is to its solution; see `fpm_inr.reconstruction.reconstruct`.

    Raises
    ------
    DivergedError
        The solve does not stay finite, and nothing that it learns can be left out.
    """
    keeper = drive.Keeper(checkpoint, fingerprint(request.acquisition, request.settings))
    journey = restored(request, *keeper.read(), checkpoint) if resume else Journey()

    def keep() -> None:
        keeper.write(journey.tensors(), journey.header())

    if journey.stage == "placing":
        keep()
        start = placed_start(
            request.acquisition,
            request.given,
            request.free,
            request.z_range_um,
            seed=request.seed,
            device=request.device,
            listen=listen_placing,
        )
        journey.begin(request, start, "solving")
        keep()
    status = "done"
    with drive.stop_between_steps() as between:

        def told(report: StepReport) -> None:
            listen(report)
            between()

        try:
            while journey.stage != "done":
                if journey.stage == "judging":
                    _judge(request, journey, keeper, keep, lambda _: between())
                else:
                    _run(request, journey, told, keep)
                if keeper.is_due:
                    keep()
        except drive.StoppedAtOnceError:
            raise
        except KeyboardInterrupt:
            status = "interrupted"
            keep()
    if status == "done" and not keep_checkpoint:
        keeper.remove()
    return _solution(request, journey, status)


def _run(request: Request, journey: Journey, listen: Listener, keep: Callable[[], None]) -> None:
    """Take the remaining steps of the solve under way; say what comes next."""
    start, solve, problem = journey.start, journey.solve, journey.problem
    assert start is not None
    assert solve is not None
    assert problem is not None
    try:
        drive.run(solve, journey.log, problem.peak, listen=listen, keep=keep)
        journey.refused = journey.refused or start.objection(solve.instrument())
    except DivergedError as error:
        if start.calibration is None:
            raise
        journey.refused = error.problem
    if start.calibration is None:
        journey.stage = "done"
    elif journey.refused:
        _begin_again(request, journey)
    else:
        journey.stage = "judging"


def _judge(
    request: Request,
    journey: Journey,
    keeper: drive.Keeper,
    keep: Callable[[], None],
    listen: Listener,
) -> None:
    """Compare the instrument as found with the one stated; say what comes next."""
    assert journey.start is not None
    found = journey.found()
    candidates = (request.stated, found)
    started = alike(request, candidates)
    for instrument in candidates[len(journey.residuals) :]:
        frames, start = started(instrument)
        journey.residuals.append(
            short_solve_residual(frames, start, request, journey.upsampling, listen)
        )
        if keeper.is_due:
            keep()
    before, after = journey.residuals
    if not after < before:
        journey.refused = (
            "the residual of a short solve did not fall: "
            f"{before:.4f} as stated, {after:.4f} as found"
        )
    crossed = straddling(request.acquisition, found) & ~journey.start.left_out_led
    if journey.refused or crossed.any():
        _begin_again(request, journey)
    else:
        journey.stage = "done"


def _begin_again(request: Request, journey: Journey) -> None:
    """Solve again, with the instrument as it was: a calibration must not spoil a result in silence.

    Or as found: LEDs that came to straddle the pupil's edge have left their traces.
    """
    assert journey.start is not None
    instrument = request.stated if journey.refused else journey.found()
    journey.first_record = journey.start.record
    journey.first_seconds = journey.log.seconds
    start = start_at(request.acquisition, instrument, Free(), request.z_range_um)
    journey.begin(request, start, "again")


def _solution(request: Request, journey: Journey, status: str) -> Solution:
    assert journey.start is not None
    assert journey.solve is not None
    of_start = dict(journey.start.record)
    settings = {**request.settings, "upsampling": journey.upsampling}
    if journey.refused:
        settings.pop("calibrate", None)
        of_start["calibration_refused"] = journey.refused
    elif journey.first_record is not None:
        of_start = journey.first_record
    judged = len(journey.residuals) == 2 and not journey.refused
    return Solution(
        journey.solve.field(),
        request.acquisition.optics,
        journey.found(),
        journey.upsampling,
        request.acquisition.amplitude_scale,
        {
            "status": status,
            "engine": request.engine.name,
            "recipe": request.recipe_name,
            "device": describe_device(request.device),
            "threads": torch.get_num_threads(),
            "solve_seconds": journey.log.seconds + journey.first_seconds,
            "steps": journey.solve.step,
            "settings": settings,
            "version": __version__,
            "torch": torch.__version__,
            **of_start,
            **({"calibration_residual": journey.residuals} if judged else {}),
            **({"memory": journey.solve.told} if journey.solve.told else {}),
        },
        [asdict(row) for row in journey.log.history],
        tuple(np.flatnonzero(journey.start.left_out_led).tolist()),
        request.guard_px,
    )
