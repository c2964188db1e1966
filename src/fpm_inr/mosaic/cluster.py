"""Workers of a Dask cluster: one on this machine, or any scheduler by its address.

Installed with ``pip install 'fpm-inr[distributed]'``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fpm_inr.device import take_card
from fpm_inr.errors import OutputError, SettingsError
from fpm_inr.io.workers import deaf_children
from fpm_inr.mosaic.plan import Plan
from fpm_inr.mosaic.pool import MOST_TRIES, given_up
from fpm_inr.mosaic.worker import Failure, Record, work

LOCAL = "local"
CONNECT_SECONDS = 30
LOOK_SECONDS = 5.0  # between two looks at which workers there are
# tiles handed out ahead of each thread, so that none waits for its next
AHEAD = 2


def is_installed() -> bool:
    """Whether Dask's scheduler is there."""
    return find_spec("distributed") is not None


def solve_on_cluster(
    plan: Plan,
    folder: Path,
    numbers: Sequence[int],
    workers: int,
    address: str = LOCAL,
    when_idle: Callable[[], None] = lambda: None,
) -> Generator[Record | Failure, None, None]:
    """Do tiles on a Dask cluster and give their records as they come.

    A tile whose worker dies or leaves is tried again elsewhere, at most `MOST_TRIES` times in all
    on this machine, else as often as the scheduler is set to. Workers may come and leave; while
    there are none, tiles wait. Workers of this machine take several cards in turn, as
    `solve_in_processes` has it; those of a scheduler take the one that their process sees first.

    Parameters
    ----------
    plan : Plan
    folder : Path
        Of the mosaic, seen by every worker under the same name.
    numbers : sequence of int
    workers : int
        Of a local cluster: processes, of one thread each.
    address : str
        "local", or that of a scheduler.
    when_idle : callable
        Called when tiles begin to wait because there is no worker.

    Raises
    ------
    SettingsError
        The scheduler cannot be reached, or Dask is not installed.
    OutputError
        A tile's workers keep dying, or the scheduler is gone.
    """
    if not is_installed():
        raise SettingsError(
            "takes Dask's scheduler, which is not installed",
            "pip install 'fpm-inr[distributed]', or leave it out",
            field="scheduler",
        )
    import dask
    from distributed.utils import silence_logging_cmgr

    with ExitStack() as open_ones:
        # a worker that is lost is no fault of its tile's, up to a point
        open_ones.enter_context(
            dask.config.set({"distributed.scheduler.allowed-failures": MOST_TRIES - 1})
        )
        # what is lost is told in a sentence, not in the log's tracebacks
        open_ones.enter_context(silence_logging_cmgr(logging.CRITICAL))
        client = _client(open_ones, workers, address)
        open_ones.enter_context(_scheduler_there(address))
        do = _by_place if address == LOCAL else work
        waiting, pending = list(reversed(numbers)), set[Any]()
        is_idle = False
        while waiting or pending:
            threads = sum(client.nthreads().values())
            if not threads and not is_idle:
                when_idle()
            is_idle = not threads
            while waiting and len(pending) < AHEAD * max(1, threads):
                number = waiting.pop()
                key = _key(plan, number)
                pending.add(client.submit(do, plan, folder, number, pure=False, key=key))
            done, pending = _first_of(pending)
            for future in done:
                yield _outcome(future)
                future.release()


@contextmanager
def _scheduler_there(address: str) -> Iterator[None]:
    """Say in one sentence that the scheduler is gone.

    Raises
    ------
    OutputError
        It is.
    """
    from distributed import CancelledError

    try:
        yield
    # a client cancels what it has asked of a scheduler that it has lost
    except (OSError, CancelledError) as error:
        raise OutputError(
            f"is gone ({address})",
            "start it and its workers again, and go on with --resume",
            field="scheduler",
        ) from error


def _first_of(pending: set[Any]) -> tuple[set[Any], set[Any]]:
    """Futures that are done, as soon as there are some, and the others; none after a while."""
    from distributed import wait

    try:
        done, others = wait(pending, timeout=LOOK_SECONDS, return_when="FIRST_COMPLETED")
    except TimeoutError:
        return set(), pending
    return done, others


def _outcome(future: Any) -> Record | Failure:
    """What came of a tile.

    Raises
    ------
    OutputError
        Its workers keep dying.
    """
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        number = int(str(future.key).rsplit("-", 1)[1])
        why = f"the last at {error.last_worker.address}"
        raise given_up(number, error.allowed_failures + 1, why) from error


def _by_place(plan: Plan, folder: Path, number: int) -> Record | Failure:
    """Do a tile; workers of this machine, which are numbered, take several cards in turn."""
    from distributed import get_worker

    take_card(plan.settings.device, int(get_worker().name))
    return work(plan, folder, number)


def _key(plan: Plan, number: int) -> str:
    return f"fpm-inr-{plan.fingerprint[:12]}-{number}"


def _client(open_ones: ExitStack, workers: int, address: str) -> Any:
    from distributed import Client, LocalCluster

    if address == LOCAL:
        # Dask's own threads, which begin workers later too, are deaf as well
        with deaf_children():
            cluster = open_ones.enter_context(
                LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address=":0",  # any port that is free
                    memory_limit=None,
                    silence_logs=logging.CRITICAL,
                )
            )
        return open_ones.enter_context(Client(cluster))
    try:
        return open_ones.enter_context(Client(address, timeout=CONNECT_SECONDS))
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"{address!r} cannot be reached ({' '.join(str(error).split())[:120]})",
            "give the address that the scheduler prints, such as tcp://host:8786",
            field="scheduler",
        ) from error
