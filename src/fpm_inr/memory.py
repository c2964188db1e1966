"""How much is worked on at once: what the device's memory holds, and half where it did not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

import torch

from fpm_inr.device import ran_out
from fpm_inr.errors import SettingsError

Found = TypeVar("Found")

# Of a CPU's memory, for what is worked on at once: more would not make it faster.
CPU_BYTES = 1 << 30
# Of a card's free memory: transforms and the allocator take some beside what is counted.
CARD_SHARE = 0.5

_log = logging.getLogger("fpm_inr")
# What ran out once is not tried again: so many of these, of so many bytes, fit; and what was said.
_KNOWN: dict[tuple[str, str, int], tuple[int, str]] = {}


def room_bytes(device: torch.device) -> int:
    """Memory for what is worked on at once, as far as the device tells."""
    if device.type == "cuda":
        return int(CARD_SHARE * torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        free = torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
        return int(CARD_SHARE * max(free, 0))
    return CPU_BYTES


class Portion:
    """So many items at once, and half as many from where memory runs out.

    Later ones of the same kind begin there: tiles, heights and solves of one process fail once.

    Parameters
    ----------
    items : str
        What they are, for a person.
    device : torch.device
    bytes_each : int
        What one of them takes for as long as it is worked on.
    most : int
        There are no more of them.
    most_on_cpu : int, optional
        More would leave the caches of a CPU. Default: `most`, whatever they take.
    """

    def __init__(
        self,
        items: str,
        device: torch.device,
        *,
        bytes_each: int,
        most: int,
        most_on_cpu: int | None = None,
    ) -> None:
        self.items, self.device = items, device
        self.told: list[str] = []
        self._kind = items, str(device), bytes_each
        if device.type == "cpu":
            self.at_once = max(1, most if most_on_cpu is None else min(most, most_on_cpu))
        else:
            self.at_once = max(1, min(most, room_bytes(device) // max(1, bytes_each)))
        if self._kind in _KNOWN and self.at_once > _KNOWN[self._kind][0]:
            self.at_once, said = _KNOWN[self._kind]
            self.told.append(said)

    def over(self, total: int, work: Callable[[slice], Found]) -> Iterator[Found]:
        """Work on items 0 to `total`, part after part; `work` may be called again for a part.

        Raises
        ------
        SettingsError
            Memory runs out with a single item.
        """
        done = 0
        while done < total:
            part = slice(done, min(done + self.at_once, total))
            found = self.tried(partial(_wrapped, work, part), part.stop - part.start)
            if found is not None:
                yield found[0]
                done = part.stop

    def tried(self, work: Callable[[], Found], count: int | None = None) -> Found | None:
        """What `work` gives; None where memory ran out, so that half as many are to be tried.

        `count` is how many items it works on, where that is not `at_once`.

        Raises
        ------
        SettingsError
            Memory runs out with a single item.
        """
        try:
            return work()
        except RuntimeError as error:
            if not ran_out(error):
                raise
            reason = str(error).splitlines()[0] if str(error) else "out of memory"
        # beyond the handler, whose traceback holds on to what was being made
        self._halve(self.at_once if count is None else count, reason)
        return None

    def _halve(self, count: int, reason: str) -> None:
        if count <= 1:
            raise SettingsError(
                f"has too little memory for even one of the {self.items} ({reason})",
                "choose a smaller crop, or a device with more memory (--device cpu)",
                field=f"device {self.device}",
            )
        self.at_once = count // 2
        said = (
            f"The memory of {self.device} ran out with {count} {self.items} at once; from there "
            f"on there were {self.at_once}."
        )
        self.told.append(said)
        _log.warning(said)
        _KNOWN[self._kind] = self.at_once, said
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()


def _wrapped(work: Callable[[slice], Found], part: slice) -> tuple[Found]:
    return (work(part),)
