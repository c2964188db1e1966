"""Where the light comes from, as the ``leds`` of an ``acquisition.yaml`` say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fpm_inr.errors import DataError
from fpm_inr.illumination import (
    FloatArray,
    LedGeometry,
    arrange,
    flat_array,
    raster_steps,
    ring_places,
    serpentine_steps,
    spiral_steps,
)
from fpm_inr.io.led_lists import read_led_list
from fpm_inr.io.schema import DirectionsPart, GridPart, LedsPart, PlacesPart, RingsPart

WAYS = ("grid", "rings", "na_x_y", "places_x_y_mm")


def light_of(
    part: LedsPart, folder: Path, names_say: Sequence[dict[str, float]]
) -> LedGeometry | FloatArray:
    """Places of all LEDs, or their directions [led, 2] where no places are known.

    `names_say` is what the names of the frames bind, a frame.

    Raises
    ------
    DataError
        No way, or more than one, or a wrong one is described.
    """
    given = [name for name in WAYS if getattr(part, name) is not None]
    if len(given) != 1:
        raise DataError(
            f"has {' and '.join(given) or 'none'} of {', '.join(WAYS[:-1])} and {WAYS[-1]}",
            "give exactly one",
            field="leds",
        )
    if part.na_x_y is not None:
        return part.na_x_y.sign * _directions(part.na_x_y, folder)
    array = part.grid or part.rings or part.places_x_y_mm
    assert array is not None
    if isinstance(array, GridPart):
        places = _grid_mm(array)
    elif isinstance(array, RingsPart):
        places = _rings_mm(array)
    else:
        places = _places_mm(array, folder, names_say)
    places = arrange(
        places,
        transpose=array.transpose,
        flip_x=array.flip_x,
        flip_y=array.flip_y,
        rotation_deg=array.rotation_deg,
        offset_x_y=array.offset_x_y_mm,
    )
    if array.slide is None:
        return flat_array(places, array.distance_mm)
    return flat_array(places, array.distance_mm, array.slide.thickness_mm, array.slide.index)


def _directions(part: DirectionsPart, folder: Path) -> FloatArray:
    field = "leds.na_x_y"
    if (part.values is None) == (part.file is None):
        raise DataError("needs values or a file", "give one of them", field=field)
    if part.file is None:
        return np.array(part.values, dtype=np.float64).reshape(-1, 2)
    listed = read_led_list(folder / part.file)
    if listed.unit == "mm" or np.hypot(*listed.pairs_x_y.T).max() >= 1:
        raise DataError(
            f"holds numbers up to {np.abs(listed.pairs_x_y).max():g}, which are places in mm",
            "give it as leds.places_x_y_mm: {file: ..., distance_mm: ...}",
            source=folder / part.file,
        )
    return listed.pairs_x_y


def _places_mm(part: PlacesPart, folder: Path, names_say: Sequence[dict[str, float]]) -> FloatArray:
    field = "leds.places_x_y_mm"
    if part.values is not None and part.file is not None:
        raise DataError("has values and a file", "give one of them", field=field)
    if part.values is not None:
        return np.array(part.values, dtype=np.float64).reshape(-1, 2)
    if part.file is not None:
        listed = read_led_list(folder / part.file)
        if listed.unit == "na":
            raise DataError(
                "holds directions (NA) by its first line",
                "give it as leds.na_x_y: {file: ...}",
                source=folder / part.file,
            )
        return listed.pairs_x_y
    if not names_say or not {"x_mm", "y_mm"} <= set(names_say[0]):
        raise DataError(
            "has neither values nor a file, and the names of the frames do not tell",
            "give one, or bind {x_mm} and {y_mm} in frames.file",
            field=field,
        )
    return np.array([[one["x_mm"], one["y_mm"]] for one in names_say])


def _grid_mm(part: GridPart) -> FloatArray:
    field = "leds.grid"
    if part.order == "listed":
        if not part.steps_x_y or part.rows is not None or part.columns is not None:
            raise DataError("is listed", "give steps_x_y and neither rows nor columns", field=field)
        return np.array(part.steps_x_y, dtype=np.float64) * part.pitch_mm
    if part.rows is None or part.columns is None or part.steps_x_y is not None:
        raise DataError(f"is {part.order}", "give rows and columns and no steps_x_y", field=field)
    if part.rows * part.columns > 1_000_000:
        raise DataError("has over a million LEDs", "correct rows and columns", field=field)
    steps = {"raster": raster_steps, "serpentine": serpentine_steps, "spiral": spiral_steps}
    return steps[part.order](part.rows, part.columns) * part.pitch_mm


def _rings_mm(part: RingsPart) -> FloatArray:
    starts = part.starts_deg or [0.0] * len(part.radii_mm)
    if not len(part.radii_mm) == len(part.counts) == len(starts):
        raise DataError(
            f"has {len(part.radii_mm)} radii_mm, {len(part.counts)} counts and "
            f"{len(starts)} starts_deg",
            "give one of each a ring",
            field="leds.rings",
        )
    if sum(part.counts) > 1_000_000:
        raise DataError("has over a million LEDs", "correct counts", field="leds.rings")
    return ring_places(part.radii_mm, part.counts, starts)
