"""What was used last, up to a limit."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Kept(Generic[Key, Value]):
    """Values up to a sum of their sizes; those that were longest not asked for go first.

    Several threads may use it. One value always stays, however large.

    Parameters
    ----------
    most : float
        What the sizes may sum to.
    size_of : callable
        Value -> its size.
    """

    def __init__(self, most: float, size_of: Callable[[Value], float]) -> None:
        self.most, self.size = most, 0.0
        self._size_of = size_of
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Key) -> Value | None:
        """What is kept under a key."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Key, value: Value) -> None:
        """Keep one more."""
        with self._lock:
            before = self._values.pop(key, None)
            self.size += self._size_of(value) - (0 if before is None else self._size_of(before))
            self._values[key] = value
            while self.size > self.most and len(self._values) > 1:
                self.size -= self._size_of(self._values.popitem(last=False)[1])
