"""Which LEDs light each frame, and how large they are, as an ``acquisition.yaml`` says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import DataError
from fpm_inr.io.schema import LedsPart
from fpm_inr.lighting import Die, Indices, Lighting


def lists_for(part: LedsPart, pictured: Indices, kept: Indices, leds: int) -> Indices | None:
    """The list of LEDs of every stored frame that has one, as frames; None: no lists are given.

    Parameters
    ----------
    part : LedsPart
    pictured : array [frame]
        Stored frames that show the sample.
    kept : array [frame]
        Those that are used.
    leds : int
        Number of LEDs.

    Raises
    ------
    DataError
        The lists are not one a frame, or name LEDs that are not there; weights are not theirs.
    """
    if part.lit is None:
        if part.weights is not None:
            raise DataError("has no lit to weigh", "give leds.lit as well", field="leds.weights")
        return None
    if part.missing:
        raise DataError(
            "means nothing where leds.lit is given", "leave it out", field="leds.missing"
        )
    counts = {len(pictured): pictured, len(kept): kept}
    if len(part.lit) not in counts:
        raise DataError(
            f"holds {len(part.lit)} lists of LEDs for {len(pictured)} frames",
            "give one a frame, in their order",
            field="leds.lit",
        )
    for frame, lit in enumerate(part.lit):
        if max(lit) >= leds:
            raise DataError(
                f"names LED {max(lit)} of {leds} for frame {frame}",
                "count from 0",
                field="leds.lit",
            )
        if len(set(lit)) < len(lit):
            raise DataError(
                f"names an LED twice for frame {frame} (counted from 0)",
                "name it once, with a weight",
                field="leds.lit",
            )
    if part.weights is not None:
        _check_weights(part.lit, part.weights)
    return counts[len(part.lit)]


def _check_weights(lit: list[list[int]], weights: list[list[float]]) -> None:
    if len(weights) != len(lit):
        raise DataError(
            f"holds {len(weights)} lists for {len(lit)} frames",
            "give one a frame, as in leds.lit",
            field="leds.weights",
        )
    for frame, (some, their) in enumerate(zip(lit, weights, strict=True)):
        if len(some) != len(their):
            raise DataError(
                f"holds {len(their)} numbers for the {len(some)} LEDs of frame {frame}",
                "give one an LED, as in leds.lit",
                field="leds.weights",
            )


def lighting_of(part: LedsPart, rows: Indices) -> tuple[Lighting, Indices]:
    """The lighting by these lists (one a frame), and the LEDs that it counts, by their numbers."""
    assert part.lit is not None
    weights = None if part.weights is None else [part.weights[row] for row in rows]
    lighting = Lighting.of([part.lit[row] for row in rows], weights)
    return lighting.select(np.arange(len(rows)))


def same_lists(part: LedsPart, rows: Indices) -> list[NDArray[np.intp]]:
    """Frames that are lit alike, in the order of the first of each."""
    assert part.lit is not None
    alike: dict[tuple[tuple[int, float], ...], list[int]] = {}
    for place, row in enumerate(rows):
        weights = [1.0] * len(part.lit[row]) if part.weights is None else part.weights[row]
        key = tuple(sorted(zip(part.lit[row], weights, strict=True)))
        alike.setdefault(key, []).append(place)
    return [np.array(places, dtype=np.intp) for places in alike.values()]


def die_of(part: LedsPart, *, knows_places: bool) -> Die | None:
    """The size of the LEDs; None: points.

    Raises
    ------
    DataError
        It is not one size, or is in mm for LEDs at unknown places.
    """
    if part.die is None:
        return None
    try:
        die = Die(**part.die.model_dump())
    except DataError as error:
        raise error.at("", f"leds.die.{error.field}") from error
    if die.size_mm is not None and not knows_places:
        raise DataError(
            "is in mm, and nothing says how far away the LEDs are",
            "give size_na, or their places and distance",
            field="leds.die.size_mm",
        )
    return die
