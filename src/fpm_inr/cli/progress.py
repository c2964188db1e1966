"""The bars that long verbs show, on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from fpm_inr.solve.progress import StepReport


def progress_bar(console: Console, *more: str, transient: bool = True) -> Progress:
    """Make a bar with description, count, time taken and time left.

    Parameters
    ----------
    console : Console
    more : str
        Formats of further columns, of the fields given to `add_task`, as in
        ``"loss {task.fields[loss]:.2e}"``.
    transient : bool
        Gone when done; then nothing at all is shown where no terminal is.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        *(TextColumn(one) for one in more),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=transient,
        disable=transient and not console.is_terminal,
    )


@contextmanager
def counting(
    what: str, *, console: Console | None = None, transient: bool = True
) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar of one task; yields what is to be told how many of how many are done.

    Parameters
    ----------
    what : str
        Named before the bar.
    console : Console, optional
        Default: one on standard error.
    transient : bool
        As `progress_bar`.
    """
    from rich.console import Console

    with progress_bar(console or Console(stderr=True), transient=transient) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class SolveProgress:
    """A bar with loss, PSNR and time left; listens to the engine."""

    def __init__(self, console: Console) -> None:
        self._before = console.status("Preparing")
        self._bar = progress_bar(
            console,
            "{task.fields[fit]}",
            transient=False,
        )
        self._task = self._bar.add_task("Solving", total=None, fit="")

    def __enter__(self) -> SolveProgress:
        self._before.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._before.stop()
        if self._bar.live.is_started:
            self._bar.stop()

    def _begin(self) -> None:
        """Show the bar from the first report on: before, an error may end everything."""
        if not self._bar.live.is_started:
            self._before.stop()
            self._bar.start()

    def __call__(self, report: StepReport) -> None:
        self._begin()
        self._bar.update(
            self._task,
            completed=report.step,
            total=report.total,
            fit=f"loss {report.loss:.2e}  PSNR {report.psnr_db:.1f} dB",
            description="Solving",
        )

    def calibrating(self, step: int, total: int, residual: float) -> None:
        """Show the calibration of a plane that comes first."""
        self._begin()
        self._bar.update(
            self._task,
            completed=step,
            total=total,
            fit=f"residual {residual:.4f}",
            description="Finding the LEDs",
        )
