"""How a solve is stopped between its steps, and where its state is kept meanwhile."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fpm_inr.checkpoint import read_checkpoint, write_checkpoint

if TYPE_CHECKING:
    from torch import Tensor

CHECKPOINT_SECONDS = 60.0


class StoppedAtOnceError(KeyboardInterrupt):
    """Ctrl-C a second time: no step is finished, no checkpoint written."""


@contextmanager
def stop_between_steps() -> Iterator[Callable[[], None]]:
    """Turn Ctrl-C into a KeyboardInterrupt at the end of a step; a second one acts at once.

    Yields what is to be called after every step. Only the main thread is asked to stop.
    """
    if threading.current_thread() is not threading.main_thread():
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
