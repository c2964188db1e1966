"""Work that several processes share, on one thread each."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any, TypeVar

from fpm_inr.errors import OutputError

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

_work: Callable[..., object] | None = None


def in_processes(
    work: Callable[[Item], Outcome], items: Iterable[Item], workers: int
) -> Iterator[Outcome]:
    """Do all items, `workers` at a time, and give what comes of each, in any order.

    Raises
    ------
    OutputError
        A process died.
    """
    context = mp.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, _start, (work,))
    try:
        with deaf_children():
            asked = [pool.submit(_do, item) for item in items]
        for done in as_completed(asked):
            yield done.result()
    except BrokenProcessPool as error:
        raise OutputError(
            "died (out of memory, perhaps)",
            "give fewer --workers; the same command goes on",
            field="a worker",
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def deaf_children() -> Iterator[None]:
    """Processes that begin within hear no Ctrl-C, not even while they start.

    It goes to the whole group; who began the work decides what it means, after the body.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(work: Callable[..., object]) -> None:
    import torch

    global _work
    # where there are no masks of signals
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    _work = work


def _do(item: object) -> Any:
    assert _work is not None
    return _work(item)


def _end_with_parent() -> None:
    parent = mp.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
