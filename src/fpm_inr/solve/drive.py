"""The loop, once for every engine: steps, history, interruption, checkpoints, time."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from fpm_inr.checkpoint import read_checkpoint, write_checkpoint
from fpm_inr.errors import DivergedError
from fpm_inr.solve.progress import Listener, StepReport, ignore, psnr_db

if TYPE_CHECKING:
    from torch import Tensor

    from fpm_inr.solve.engine import Fit, Solve

CHECKPOINT_SECONDS = 60.0
# On a graphics card a loss is fetched together with those of the next steps: a fetch waits for it.
FETCHED_TOGETHER = 16


@dataclass(eq=False)
class Log:
    """What is told of a solve: one row a step, and the seconds it took, interruptions left out."""

    seconds: float = 0.0
    history: list[StepReport] = field(default_factory=list)


def run(
    solve: Solve,
    log: Log,
    peak: float,
    *,
    listen: Listener = ignore,
    keep: Callable[[], None] | None = None,
) -> None:
    """Take the remaining steps of a solve.

    Parameters
    ----------
    solve : Solve
    log : Log
        Of the steps taken so far; goes on.
    peak : float
        Brightest amplitude of all frames.
    listen : Listener
        Called after every step. KeyboardInterrupt, raised there or by the user, leaves the solve
        after a whole step.
    keep : callable, optional
        Called after a step, when one is due (`CHECKPOINT_SECONDS`).

    Raises
    ------
    DivergedError
        A loss is not finite.
    """
    began = time.perf_counter() - log.seconds
    kept = time.perf_counter()
    waiting: list[tuple[int, int, Fit]] = []
    while solve.step < solve.total:
        fit = solve.advance()
        solve.step += 1
        waiting.append((solve.step, solve.total, fit))
        is_due = keep is not None and time.perf_counter() - kept > CHECKPOINT_SECONDS
        # where a loss lies on a graphics card, the next step begins before it is known
        may_wait = len(waiting) < FETCHED_TOGETHER and solve.step < solve.total
        if _is_far(fit) and may_wait and not is_due:
            continue
        log.seconds = time.perf_counter() - began
        told, waiting = waiting, []
        reports = _reports(told, peak, log.seconds)
        log.history += reports
        for report in reports:
            if not math.isfinite(report.loss):
                raise DivergedError(f"the loss is not finite at step {report.step}")
            listen(report)
        if is_due and keep is not None:
            keep()
            kept = time.perf_counter()


def _is_far(fit: Fit) -> bool:
    return not isinstance(fit.loss, float) and fit.loss.device.type != "cpu"


def _reports(steps: list[tuple[int, int, Fit]], peak: float, seconds: float) -> list[StepReport]:
    """Rows of the history; what lies on a graphics card is fetched at once."""
    fits = [fit for _, _, fit in steps]
    far = [(fit.loss, fit.mse) for fit in fits if _is_far(fit)]
    if len(far) == len(fits):
        pairs = torch.stack([torch.stack([*map(torch.as_tensor, pair)]) for pair in far]).tolist()
    else:
        pairs = [(float(fit.loss), float(fit.mse)) for fit in fits]
    return [
        StepReport(step, total, loss, psnr_db(peak, mse), fit.z_um, seconds)
        for (step, total, fit), (loss, mse) in zip(steps, pairs, strict=True)
    ]


class StoppedAtOnceError(KeyboardInterrupt):
    """Ctrl-C a second time: no step is finished, no checkpoint written."""


@contextmanager
def stop_between_steps() -> Iterator[Callable[[], None]]:
    """Turn Ctrl-C into a KeyboardInterrupt at the end of a step; a second one acts at once.

    Yields what is to be called after every step. Only the main thread is asked to stop, and none
    of a process that ignores Ctrl-C, as workers do.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield lambda: None
        return
    asked = threading.Event()

    def ask(signum: int, frame: object) -> None:
        if asked.is_set():
            raise StoppedAtOnceError
        asked.set()

    def between() -> None:
        if asked.is_set():
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield between
    finally:
        signal.signal(signal.SIGINT, before)


class Keeper:
    """The checkpoint of one problem, on disk; nowhere where there is no path.

    A solve on a CPU takes the same steps again from any of its states, so that a state that was
    kept a while ago does: only what takes long to reach is written.
    """

    def __init__(self, path: Path | None, fingerprint: str) -> None:
        self._path, self._fingerprint = path, fingerprint
        self._kept = time.perf_counter()

    @property
    def is_due(self) -> bool:
        """Whether more time has gone by since the last one than is to be lost."""
        return time.perf_counter() - self._kept >= CHECKPOINT_SECONDS

    def read(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and header of the checkpoint.

        Raises
        ------
        DataError
            The file is damaged.
        SettingsError
            It belongs to another problem.
        """
        assert self._path is not None
        return read_checkpoint(self._path, self._fingerprint)

    def write(self, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
        """Replace the checkpoint.

        Raises
        ------
        OutputError
            It cannot be written; the last one is still there.
        """
        if self._path is not None:
            write_checkpoint(self._path, tensors, {"fingerprint": self._fingerprint, **header})
        self._kept = time.perf_counter()

    def remove(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)
