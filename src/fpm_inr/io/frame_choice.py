"""Which stored frames are used, and which LED and exposure each has."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import DataError
from fpm_inr.illumination import FloatArray, LedGeometry
from fpm_inr.io.described_lighting import lists_for
from fpm_inr.io.frame_names import Named, Origin, led_numbers, numbered, pattern_of
from fpm_inr.io.schema import Description

Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Chosen:
    """Frames that are used.

    Parameters
    ----------
    frames : array [frame]
        Their places in the file, growing.
    leds : array [frame]
        The LED of each; the list of its LEDs where there are such lists.
    exposure : array [frame]
        Relative times.
    notes : list of str
    """

    frames: Indices
    leds: Indices
    exposure: NDArray[np.float64]
    notes: list[str] = field(default_factory=list)


def choose_frames(
    described: Description,
    named: list[Named],
    shape: tuple[int, ...],
    order: str,
    light: LedGeometry | FloatArray,
) -> Chosen:
    """Bind frames to LEDs: by their names where these tell, else in order.

    Raises
    ------
    DataError
        Numbers of frames, LEDs and exposures do not agree.
    """
    part = described.frames
    count = shape[order.index("l")]
    leds = light.led_count if isinstance(light, LedGeometry) else len(light)
    special = [
        one
        for given in (part.dark_frame, part.flat_field)
        for one in given or []
        if isinstance(one, int)
    ]
    if part.skip and max(part.skip) >= count:
        raise DataError(
            f"names frame {max(part.skip)} of {count}", "count from 0", field="frames.skip"
        )
    pictured = np.setdiff1d(np.arange(count), special + part.skip)
    left_out = described.leds.leave_out
    if left_out and max(left_out) >= count:
        raise DataError(
            f"names frame {max(left_out)} of {count}", "count from 0", field="leds.leave_out"
        )
    kept = np.setdiff1d(pictured, left_out)
    if not len(kept):
        raise DataError("names every frame", "keep at least one", field="leds.leave_out")
    frames, of_frame, notes = _bound(described, named, count, leds, pictured, kept, shape, order)
    is_kept = np.isin(frames, kept)
    frames, of_frame = frames[is_kept], of_frame[is_kept]
    exposure = _exposure(described, named, count, pictured, frames)
    return Chosen(frames, of_frame, exposure, notes)


def _bound(
    described: Description,
    named: list[Named],
    count: int,
    leds: int,
    pictured: Indices,
    kept: Indices,
    shape: tuple[int, ...],
    order: str,
) -> tuple[Indices, Indices, list[str]]:
    """Frames, the LED of each, and what is to be said."""
    notes: list[str] = []
    listed = lists_for(described.leds, pictured, kept, leds)
    if listed is not None:
        return listed, np.arange(len(listed)), notes
    if named[0].says and count != len(named):
        raise DataError(
            f"binds {len(named)} names for {count} frames",
            "bind names of files that hold one frame each",
            field="frames.file",
        )
    by_name = _by_name(described, [named[one] for one in pictured] if named[0].says else [], leds)
    if by_name is not None:
        missing = np.setdiff1d(np.arange(leds), by_name)
        if len(missing):
            notes.append(_missing(missing, leds))
        return pictured, by_name, notes
    unlit = described.leds.missing
    if unlit and max(unlit) >= leds:
        raise DataError(f"names LED {max(unlit)} of {leds}", "count from 0", field="leds.missing")
    lit = np.setdiff1d(np.arange(leds), unlit)
    if len(pictured) == len(lit):
        return pictured, lit, notes
    if len(kept) == leds:
        return kept, np.arange(leds), notes
    if len(named) == count and len(pictured) < leds:
        guessed = _by_numbers(described, [named[one] for one in pictured], leds)
        if guessed is not None:
            of_frame, pattern = guessed
            missing = np.setdiff1d(np.arange(leds), of_frame)
            notes.append(f"{_missing(missing, leds)} Names are read as {pattern}.")
            return pictured, of_frame, notes
    axes = [axis for axis, side in zip(order, shape, strict=True) if side == leds and axis != "l"]
    mend = "correct it or frames.axes"
    if axes:
        turned = described.frames.axes.replace("l", "?").replace(axes[0], "l").replace("?", axes[0])
        mend = f"correct it, or say frames.axes: {turned}, whose axis of LEDs is {leds} long"
    elif len(named) == count:
        mend = "correct it, or bind the names to LEDs, as in led_{row}_{column}.tif"
    raise DataError(f"says {leds} LEDs for {len(pictured)} frames", mend, field="leds")


def _by_name(described: Description, named: list[Named], leds: int) -> Indices | None:
    if not named:
        return None
    says = [one.says for one in named]
    if {"x_mm", "y_mm"} <= set(says[0]) and described.leds.places_x_y_mm is not None:
        return np.arange(len(named))
    grid = described.leds.grid
    is_raster = grid is not None and grid.order == "raster"
    rows, columns = (grid.rows, grid.columns) if grid is not None and is_raster else (None, None)
    origin = described.frames.origin
    first = Origin(**origin.model_dump()) if origin is not None else Origin()
    return led_numbers(says, rows, columns, leds, first)


def _by_numbers(
    described: Description, named: list[Named], leds: int
) -> tuple[Indices, str] | None:
    """LEDs by numbers that the names hold, where these leave no doubt; and the pattern."""
    found = numbered([one.path for one in named])
    if found is None or not 1 <= found.numbers.shape[1] <= 2:
        return None
    pattern = pattern_of(found)
    names = [name for name in ("row", "column", "index") if f"{{{name}}}" in pattern]
    names.sort(key=lambda name: pattern.index(f"{{{name}}}"))
    says = [dict(zip(names, map(float, row), strict=True)) for row in found.numbers]
    as_named = [Named(one.path, told) for one, told in zip(named, says, strict=True)]
    try:
        of_frame = _by_name(described, as_named, leds)
    except DataError:
        return None
    if of_frame is None or len(np.unique(of_frame)) != len(of_frame):
        return None
    # names that begin or end with a frame that is missing do not tell which
    spans = of_frame.min() == 0 and of_frame.max() == leds - 1
    if len(names) == 1 and not spans:
        return None
    return of_frame, pattern.rsplit("/", 1)[-1]


def _missing(missing: Indices, leds: int) -> str:
    if not len(missing):
        return f"All {leds} LEDs have frames."
    named = ", ".join(map(str, missing[:5])) + (" and more" if len(missing) > 5 else "")
    return f"{len(missing)} of {leds} LEDs ({named}, counted from 0) have no frame: left out."


def _exposure(
    described: Description, named: list[Named], count: int, pictured: Indices, frames: Indices
) -> NDArray[np.float64]:
    """Relative time of every frame that is used."""
    given = described.frames.exposure
    if named[0].says and "exposure" in named[0].says:
        if given is not None:
            raise DataError(
                "is given, and bound in the names as well", "keep one", field="frames.exposure"
            )
        times = np.array([one.says["exposure"] for one in named])[frames]
        if (times <= 0).any():
            raise DataError("binds an exposure of 0", "bind times above 0", field="frames.file")
        return np.asarray(times / times.max())
    if given is None:
        return np.ones(len(frames))
    places = {count: np.arange(count), len(pictured): pictured, len(frames): frames}
    if len(given) not in places:
        raise DataError(
            f"holds {len(given)} times for {count} frames",
            "give one a frame",
            field="frames.exposure",
        )
    of_stored = np.ones(count)
    of_stored[places[len(given)]] = given
    return of_stored[frames]
