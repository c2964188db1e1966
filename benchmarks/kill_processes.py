"""Commands and Dask clusters in processes of their own, to be killed."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

WITNESS = Path(__file__).with_name("kill_witness.py")
MOST_SECONDS = 300.0
ORPHAN_SECONDS = 20.0  # in which processes follow the one that held them


class Command:
    """`fpm-inr` with all that it begins, a group of processes as a terminal makes one."""

    def __init__(self, words: Sequence[object], log: Path) -> None:
        self._log = log
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, str(WITNESS), *map(str, words)],
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )

    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def children(self) -> list[psutil.Process]:
        """Processes that it has begun."""
        return family(self._process.pid)[1:] if self.runs() else []

    def kill(self) -> float:
        """End it with SIGKILL; the seconds that its children outlive it by."""
        children = self.children()
        self._process.kill()
        self._process.wait()
        return outlived(children)

    def ended(self, *statuses: int) -> str:
        """Wait for its end; the last line of what it said.

        Raises
        ------
        RuntimeError
            It ended with another status, with a traceback, or left processes behind.
        """
        children = self.children()
        found = self._process.wait(timeout=MOST_SECONDS)
        said = self._log.read_text(errors="replace").strip()
        if found not in statuses or "Traceback" in said:
            raise RuntimeError(f"ended with {found}, not {statuses}:\n{said[-3000:]}")
        outlived(children)
        return said.splitlines()[-1] if said else ""

    def interrupt(self) -> str:
        """Press Ctrl-C; the last line of what it said."""
        os.killpg(self._process.pid, signal.SIGINT)
        return self.ended(130)


class Dask:
    """A scheduler and workers of one thread, as on a cluster: each is a process of its own."""

    def __init__(self, workers: int, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._workers, self._log = workers, log
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def address(self) -> str:
        """Of the scheduler."""
        return f"tcp://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start the scheduler and the workers that do not run."""
        self._start("scheduler", "--host", "127.0.0.1", "--port", self._port, "--no-dashboard")
        for number in range(self._workers):
            self._start(
                f"worker {number}", self.address, "--nthreads", 1, "--no-dashboard",
                "--memory-limit", 0, "--preload", WITNESS,
            )  # fmt: skip

    def _start(self, name: str, *words: object) -> None:
        if name in self._running and self._running[name].poll() is None:
            return
        with self._log.open("ab") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", "dask", name.split()[0], *map(str, words)],
                stdout=log,
                stderr=log,
            )

    def kill_scheduler(self) -> None:
        """End the scheduler with SIGKILL."""
        self._running["scheduler"].kill()
        self._running["scheduler"].wait()

    def kill_worker(self, moment: random.Random) -> None:
        """End a worker, or the nanny that holds it, with SIGKILL; start what is missing."""
        name = f"worker {moment.randrange(self._workers)}"
        nanny, *inner = family(self._running[name].pid)
        hit = moment.choice([nanny, *inner])
        hit.kill()
        if hit is nanny:
            outlived(inner)
            self._running[name].wait()
        self.start()

    def stop(self) -> None:
        """End all, workers first."""
        for process in reversed(self._running.values()):
            for one in family(process.pid) if process.poll() is None else []:
                kill(one)
            process.wait()


def family(pid: int) -> list[psutil.Process]:
    """A process and all that it has begun."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def kill(process: psutil.Process) -> None:
    """End a process with SIGKILL, if it has not ended."""
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def outlived(children: Sequence[psutil.Process]) -> float:
    """Wait for the end of processes; the seconds that it took.

    Raises
    ------
    RuntimeError
        Some run on.
    """
    began = time.monotonic()
    _, alive = psutil.wait_procs(children, timeout=ORPHAN_SECONDS)
    if alive:
        names = "; ".join(" ".join(one.cmdline())[-200:] for one in alive)
        for one in alive:
            kill(one)
        raise RuntimeError(f"left running: {names}")
    return time.monotonic() - began


def until(is_so: Callable[[], bool]) -> None:
    """Return once it is so.

    Raises
    ------
    RuntimeError
        It does not come.
    """
    end = time.monotonic() + MOST_SECONDS
    while not is_so():
        if time.monotonic() > end:
            raise RuntimeError(f"nothing came in {MOST_SECONDS:.0f} s")
        time.sleep(0.02)
