"""What many ask for at once: made once, a few at a time; the latest are kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

from fpm_inr.mosaic.kept import Kept

Key = TypeVar("Key", bound=Hashable)

ASK_EVERY_S = 0.1  # whether the asker is still there


@dataclass(eq=False)
class _Making(Generic[Key]):
    """A group that is being made, or will be, and how many wait for it."""

    future: Future[dict[Key, bytes]]
    waiting: int = 0


class SharedCache(Generic[Key]):
    """Files that are made group by group, on few threads of its own.

    New threads would do as well, but each keeps memory of its own: twice as much altogether.

    Parameters
    ----------
    make : callable
        Group -> its files.
    group_of : callable
        The group that a file is made with.
    at_once : int
        Groups that are made at the same time.
    most_bytes : int
        Of the files that are kept.
    """

    def __init__(
        self,
        make: Callable[[Key], dict[Key, bytes]],
        group_of: Callable[[Key], Key],
        *,
        at_once: int,
        most_bytes: int,
    ) -> None:
        self._make, self._group_of = make, group_of
        self.kept = Kept[Key, bytes](most_bytes, len)
        self._pool = ThreadPoolExecutor(at_once)
        self._lock = threading.Lock()
        self._making: dict[Key, _Making[Key]] = {}

    def get(self, key: Key, is_gone: Callable[[], bool]) -> bytes | None:
        """A file; None where nobody waits for it any more.

        Parameters
        ----------
        key
        is_gone : callable
            Tells whether the asker has gone; asked now and then.

        Raises
        ------
        Exception
            What `make` raises.
        """
        group = self._group_of(key)
        with self._lock:
            content = self.kept.get(key)
            if content is not None:
                return content
            if group not in self._making:
                self._making[group] = _Making(self._pool.submit(self._made, group))
            making = self._making[group]
            making.waiting += 1
        try:
            while not wait([making.future], ASK_EVERY_S).done:
                if is_gone():
                    return None
            return making.future.result()[key]
        finally:
            with self._lock:
                making.waiting -= 1
                if making.waiting == 0 and making.future.cancel():
                    self._making.pop(group, None)

    def close(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _made(self, group: Key) -> dict[Key, bytes]:
        try:
            made = self._make(group)
            with self._lock:
                for key, content in made.items():
                    self.kept.put(key, content)
            return made
        finally:
            with self._lock:
                del self._making[group]
