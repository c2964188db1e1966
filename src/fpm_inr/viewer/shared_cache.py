"""What many ask for at once: made once, a few at a time; the latest are kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Kept(Generic[Key]):
    """Bytes up to a sum; those that were longest not asked for go first.

    Parameters
    ----------
    most_bytes : int
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes, self.bytes = most_bytes, 0
        self._content: OrderedDict[Key, bytes] = OrderedDict()

    def get(self, key: Key) -> bytes | None:
        """What is kept under a key."""
        if key in self._content:
            self._content.move_to_end(key)
        return self._content.get(key)

    def put(self, key: Key, content: bytes) -> None:
        """Keep one more."""
        self.bytes += len(content) - len(self._content.pop(key, b""))
        self._content[key] = content
        while self.bytes > self.most_bytes and len(self._content) > 1:
            self.bytes -= len(self._content.popitem(last=False)[1])


class SharedCache(Generic[Key]):
    """Files that are made group by group, on the threads of those who ask.

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
        self.kept: Kept[Key] = Kept(most_bytes)
        self._slots = threading.Semaphore(at_once)
        self._lock = threading.Lock()
        self._making: dict[Key, Future[dict[Key, bytes]]] = {}

    def get(self, key: Key, is_gone: Callable[[], bool]) -> bytes | None:
        """A file; None where nobody waits for it any more.

        Parameters
        ----------
        key
        is_gone : callable
            Tells whether the asker has gone; asked while others are served.

        Raises
        ------
        Exception
            What `make` raises.
        """
        while True:
            with self._lock:
                content = self.kept.get(key)
                making = self._making.get(self._group_of(key))
            if content is not None:
                return content
            if making is not None:
                return making.result()[key]
            if self._slots.acquire(timeout=0.1):
                break
            if is_gone():
                return None
        try:
            return None if is_gone() else self._made(key)[key]
        finally:
            self._slots.release()

    def _made(self, key: Key) -> dict[Key, bytes]:
        group, mine = self._group_of(key), Future[dict[Key, bytes]]()
        with self._lock:
            content = self.kept.get(key)
            if content is not None:
                return {key: content}
            making = self._making.setdefault(group, mine)
        if making is not mine:
            return making.result()
        try:
            made = self._make(group)
        except BaseException as error:
            with self._lock:
                del self._making[group]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._making[group]
            for one, content in made.items():
                self.kept.put(one, content)
        mine.set_result(made)
        return made
