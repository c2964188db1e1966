"""What a tile takes: measured on the one in the middle, of which a few steps are made."""

from __future__ import annotations

import multiprocessing as mp
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fpm_inr.mosaic.plan import Plan
from fpm_inr.mosaic.worker import Failure, tile_acquisition

PROBED_STEPS = 6
# the first step prepares what all others use
FIRST_STEPS = 2


@dataclass(frozen=True)
class Cost:
    """What a tile takes of a worker.

    Parameters
    ----------
    tile_seconds : float
        Reading and solving it.
    memory_mb : float
        Largest memory of the process, in MB (10^6 bytes).
    steps, total : int
        Steps that were made, of so many that a solve has.
    """

    tile_seconds: float
    memory_mb: float
    steps: int
    total: int


def probe(plan: Plan, folder: Path) -> Cost:
    """Measure a tile's cost in a process of its own, as a worker has.

    Raises
    ------
    InputError
        The data, or a setting, cannot be used.
    """
    context = mp.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_report, args=(theirs, plan, folder), daemon=True)
    process.start()
    theirs.close()
    try:
        found = ours.recv()
    except EOFError:
        found = Failure(
            0, "OutputError", "its worker died", "give a smaller --tile, or more memory", "", ""
        )
    process.join()
    if isinstance(found, Failure):
        raise found.error()
    assert isinstance(found, Cost)
    return found


class _EnoughError(Exception):
    """As many steps as are wanted."""


def _report(pipe: object, plan: Plan, folder: Path) -> None:
    from fpm_inr.errors import InputError

    assert hasattr(pipe, "send")
    try:
        pipe.send(measured(plan, folder))
    except InputError as error:
        kind = type(error).__name__
        pipe.send(Failure(0, kind, error.problem, error.mend, error.field, error.source))


def measured(plan: Plan, folder: Path) -> Cost:
    """The cost of the middle tile, in this process."""
    import torch

    from fpm_inr.mosaic.worker import solved
    from fpm_inr.results import peak_memory_mb
    from fpm_inr.solve.progress import StepReport

    torch.set_num_threads(1)
    tile = plan.tiles[len(plan.tiles) // 2]
    began = time.perf_counter()
    tile_acquisition(plan, folder, tile)
    reading = time.perf_counter() - began
    seen: list[tuple[StepReport, float]] = []

    def listen(report: StepReport) -> None:
        seen.append((report, time.perf_counter()))
        if report.step >= min(PROBED_STEPS, report.total):
            raise _EnoughError

    began = time.perf_counter()
    with suppress(_EnoughError):
        solved(plan, folder, tile, listen)
    if not seen:  # nothing to solve there
        return Cost(reading + time.perf_counter() - began, peak_memory_mb(), 0, 0)
    last, total = seen[-1], seen[-1][0].total
    early = min(FIRST_STEPS, len(seen)) - 1
    each = (last[1] - seen[early][1]) / max(len(seen) - 1 - early, 1)
    before = seen[early][1] - began
    return Cost(before + each * max(total - early - 1, 0), peak_memory_mb(), len(seen), total)
