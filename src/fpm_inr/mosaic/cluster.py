"""Workers of a Dask cluster: one on this machine, or any scheduler by its address.

Installed with ``pip install 'fpm-inr[distributed]'``.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fpm_inr.device import take_card
from fpm_inr.errors import OutputError, SettingsError
from fpm_inr.mosaic.plan import Plan
from fpm_inr.mosaic.pool import MOST_TRIES, given_up
from fpm_inr.mosaic.worker import Failure, Record, work

LOCAL = "local"
CONNECT_SECONDS = 30
# tiles handed out ahead of each thread, so that none waits for its next
AHEAD = 2


def is_installed() -> bool:
    """Whether Dask's scheduler is there."""
    return find_spec("distributed") is not None


def solve_on_cluster(
    plan: Plan, folder: Path, numbers: Sequence[int], workers: int, address: str = LOCAL
) -> Generator[Record | Failure, None, None]:
    """Do tiles on a Dask cluster and give their records as they come.

    A tile whose worker dies or leaves is tried again elsewhere, at most `MOST_TRIES` times in all.
    Workers of this machine take several cards in turn, as `solve_in_processes` has it; those of a
    scheduler take the one that their process sees first.

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

    Raises
    ------
    SettingsError
        The scheduler cannot be reached, or Dask is not installed.
    OutputError
        A tile's workers keep dying.
    """
    if not is_installed():
        raise SettingsError(
            "takes Dask's scheduler, which is not installed",
            "pip install 'fpm-inr[distributed]', or leave it out",
            field="scheduler",
        )
    import dask
    from distributed import KilledWorker, as_completed

    with ExitStack() as open_ones:
        # a worker that is lost is no fault of its tile's, up to a point
        open_ones.enter_context(
            dask.config.set({"distributed.scheduler.allowed-failures": MOST_TRIES - 1})
        )
        client = _client(open_ones, workers, address)
        waiting = list(reversed(numbers))
        ahead = AHEAD * max(1, sum(client.nthreads().values()) or workers)

        do = _by_place if address == LOCAL else work

        def submit() -> Any:
            number = waiting.pop()
            return client.submit(do, plan, folder, number, pure=False, key=_key(plan, number))

        first = [submit() for _ in range(min(ahead, len(waiting)))]
        done = as_completed(first, raise_errors=False)
        for future in done:
            try:
                outcome = future.result()
            except KilledWorker as error:
                number = int(str(future.key).rsplit("-", 1)[1])
                raise given_up(number, " ".join(str(error).split())[:120]) from error
            except OSError as error:
                raise OutputError(
                    f"was lost ({error})", "go on with --resume", field="cluster"
                ) from error
            future.release()
            if waiting:
                done.add(submit())
            yield outcome


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
