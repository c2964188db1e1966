"""The pixels of one colour of a camera whose pixels lie under red, green and blue filters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.io.picture_pages import Colour
from fpm_inr.io.window import Frames

LETTERS = {"red": "r", "green": "g", "blue": "b", "mean": "rgb"}


@dataclass(frozen=True, eq=False)
class Mosaic:
    """Frames of one colour: every second pixel along y and x, of two or more greens their mean.

    Parameters
    ----------
    stored : array or dataset
    order : str
        Order of its axes.
    cell : str
        Colours of a cell of 2 x 2 pixels, row by row, as "rggb".
    colour : Colour
    """

    stored: Frames
    order: str
    cell: str
    colour: Colour

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(
            side if axis == "l" else side // 2
            for axis, side in zip(self.order, self.stored.shape, strict=True)
        )

    def __getitem__(self, key: Any, /) -> NDArray[Any]:
        wanted = list(key)
        for axis in "yx":
            place = self.order.index(axis)
            first, last, _ = wanted[place].indices(self.shape[place])
            wanted[place] = slice(2 * first, 2 * last)
        cells = np.asarray(self.stored[tuple(wanted)])
        picked = []
        for number, letter in enumerate(self.cell):
            if letter not in LETTERS[self.colour]:
                continue
            first = {
                "l": slice(None),
                "y": slice(number // 2, None, 2),
                "x": slice(number % 2, None, 2),
            }
            picked.append(cells[tuple(first[axis] for axis in self.order)])
        if len(picked) == 1:
            return picked[0]
        return np.asarray(np.mean(picked, axis=0, dtype=np.float32))
