"""Workers as processes of the standard library: one tile at a time each, replaced when they die."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from fpm_inr.device import take_card
from fpm_inr.errors import OutputError
from fpm_inr.io.workers import deaf_children
from fpm_inr.mosaic.plan import Plan
from fpm_inr.mosaic.worker import Failure, Record, work

MOST_TRIES = 5


def given_up(number: int, tries: int, why: str) -> OutputError:
    """The error of a tile whose workers keep dying."""
    return OutputError(
        f"its worker died {tries} times ({why})",
        "give fewer --workers, a smaller --tile, or more memory, and go on with --resume",
        field=f"tile {number}",
    )


@dataclass(eq=False)
class _Worker:
    process: BaseProcess
    pipe: Connection
    place: int
    number: int | None = None


def solve_in_processes(
    plan: Plan, folder: Path, numbers: Sequence[int], workers: int
) -> Generator[Record | Failure, None, None]:
    """Do tiles, `workers` at a time, and give their records as they come.

    A worker that dies is replaced, and its tile tried again, at most `MOST_TRIES` times in all.
    Workers end when this generator is closed, or its process is gone. Where the plan's device
    leaves several cards open ("cuda"), they take them in turn.

    Raises
    ------
    OutputError
        A tile's workers keep dying.
    """
    context = mp.get_context("spawn")
    waiting, tries = deque(numbers), dict.fromkeys(numbers, 0)
    team: list[_Worker] = []

    def hire(place: int) -> _Worker:
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, plan, folder, place), daemon=True)
        with deaf_children():
            process.start()
        theirs.close()
        return _Worker(process, ours, place)

    def assign(worker: _Worker) -> None:
        worker.number = waiting.popleft() if waiting else None
        if worker.number is not None:
            tries[worker.number] += 1
            with suppress(OSError):  # it has died while it was idle: reading will tell
                worker.pipe.send(worker.number)

    try:
        for place in range(min(workers, len(numbers))):
            team.append(hire(place))
            assign(team[-1])
        while any(worker.number is not None for worker in team):
            busy = {worker.pipe: worker for worker in team if worker.number is not None}
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                try:
                    outcome = worker.pipe.recv()
                except (EOFError, OSError):
                    worker.process.join()
                    number = worker.number
                    assert number is not None
                    if tries[number] >= MOST_TRIES:
                        raise given_up(
                            number, MOST_TRIES, _reason(worker.process.exitcode)
                        ) from None
                    waiting.appendleft(number)
                    team[team.index(worker)] = worker = hire(worker.place)
                else:
                    yield outcome
                assign(worker)
    finally:
        for worker in team:
            worker.process.kill()
            worker.process.join()
            worker.pipe.close()


def _serve(pipe: Connection, plan: Plan, folder: Path, place: int) -> None:
    """Do the tiles that are asked for, until nobody asks any more."""
    # where there are no masks of signals
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    take_card(plan.settings.device, place)
    try:
        while True:
            pipe.send(work(plan, folder, pipe.recv()))
    except (EOFError, OSError):
        return


def _end_with_parent() -> None:
    parent = mp.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _reason(exit_code: Any) -> str:
    if exit_code is not None and exit_code < 0:
        return f"signal {-exit_code}; out of memory, perhaps"
    return f"exit code {exit_code}"
