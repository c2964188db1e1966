"""A likely mistake: a sentence with the line to change, and a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Finding:
    """A likely mistake.

    Parameters
    ----------
    name : str
        One or two words, fit for a file name.
    sentence : str
        What is seen, and the line to change.
    draw : callable
        Draws it into an empty figure.
    """

    name: str
    sentence: str
    draw: Callable[[Figure], None]
