"""Frames of any kind, described in an ``acquisition.yaml`` beside them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.errors import DataError, InputError, SettingsError
from fpm_inr.illumination import (
    FloatArray,
    LedGeometry,
    arrange,
    flat_array,
    raster_steps,
    ring_places,
    spiral_steps,
)
from fpm_inr.io.image_files import ImageFiles, find_files
from fpm_inr.io.schema import (
    FramesPart,
    GridPart,
    LedsPart,
    OpticsPart,
    RingsPart,
    read_description,
)
from fpm_inr.io.variables import SUFFIXES, opened_variable
from fpm_inr.io.window import Crop, Frames, read_window, seen_from_centre


def read(
    path: Path,
    *,
    crop: Crop | None = None,
    wavelength_um: float | None = None,
    medium_index: float | None = None,
) -> Acquisition:
    """Read what an ``acquisition.yaml`` describes (docs/acquisition-yaml.md explains its keys).

    Parameters
    ----------
    path : Path
        The description; files in it are found relative to its folder.
    crop : (y, x, height, width), optional
        Only these pixels are kept of every picture; array files that allow it are read in part.
    wavelength_um, medium_index : float, optional
        Replace what is described.

    Raises
    ------
    DataError
        The description or a file cannot be used.
    SettingsError
        No wavelength is described or given.
    """
    described = read_description(path)
    try:
        optics = _optics(described.optics, wavelength_um, medium_index)
        light = _light(described.leds, path.parent)
        with _opened(described.frames, path.parent) as (stored, order):
            kept = _kept(described, stored, order, light)
            frames = _Corrected(stored, order, kept, described.frames)
            axis = described.optics.axis_y_x_px
            shape_y_x = (stored.shape[order.index("y")], stored.shape[order.index("x")])
            illumination = _illumination(light, kept, axis, shape_y_x, optics)
            return read_window(frames, crop, optics, illumination, axis, order=order)
    except InputError as error:
        raise (error if error.source else error.at(path)) from error


def _optics(part: OpticsPart, wavelength_um: float | None, medium_index: float | None) -> Optics:
    wavelength_um = part.wavelength_um if wavelength_um is None else wavelength_um
    if wavelength_um is None:
        raise SettingsError(
            "is neither described nor given", "add it in um", field="optics.wavelength_um"
        )
    camera = (part.camera_pixel_um, part.magnification)
    if part.pixel_um is not None and camera == (None, None):
        pixel_um = part.pixel_um
    elif part.pixel_um is None and camera[0] is not None and camera[1] is not None:
        pixel_um = camera[0] / camera[1]
    else:
        raise DataError(
            "does not say one pixel",
            "give pixel_um (at the sample), or camera_pixel_um and magnification",
            field="optics",
        )
    medium_index = part.medium_index if medium_index is None else medium_index
    try:
        return Optics(wavelength_um, part.na, pixel_um, medium_index)
    except DataError as error:
        raise error.at("", f"optics.{error.field}") from error


def _light(part: LedsPart, folder: Path) -> LedGeometry | FloatArray:
    """Places of all LEDs, or their directions [led, 2] where no places are known."""
    given = [name for name in ("grid", "rings", "na_x_y") if getattr(part, name) is not None]
    if len(given) != 1:
        raise DataError(
            f"has {' and '.join(given) or 'none'} of grid, rings and na_x_y",
            "give exactly one",
            field="leds",
        )
    if part.na_x_y is not None:
        if (part.na_x_y.values is None) == (part.na_x_y.file is None):
            raise DataError("needs values or a file", "give one of them", field="leds.na_x_y")
        if part.na_x_y.file is not None:
            pairs = _pairs_in_csv(folder / part.na_x_y.file)
        else:
            pairs = np.array(part.na_x_y.values, dtype=np.float64).reshape(-1, 2)
        return part.na_x_y.sign * pairs
    array = part.grid or part.rings
    assert array is not None
    places = _grid_mm(array) if isinstance(array, GridPart) else _rings_mm(array)
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
    steps = raster_steps if part.order == "raster" else spiral_steps
    return steps(part.rows, part.columns) * part.pitch_mm


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


def _pairs_in_csv(path: Path) -> FloatArray:
    """Two columns, x and y, under an optional line of names."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [(n, row) for n, row in enumerate(csv.reader(file), 1) if any(row)]
    except OSError as error:
        raise DataError(
            f"cannot be read ({error.strerror})", "correct leds.na_x_y.file", source=path
        ) from error
    except (ValueError, csv.Error) as error:
        raise DataError("is no CSV text", "give two columns of numbers", source=path) from error
    pairs = []
    for place, (line, row) in enumerate(rows):
        try:
            x, y = (float(cell) for cell in row)
        except ValueError as error:
            if place == 0:
                continue  # names of the columns
            raise DataError(
                f"has {', '.join(row)!r} in line {line}", "give two numbers x, y", source=path
            ) from error
        pairs.append((x, y))
    if not pairs:
        raise DataError("holds no numbers", "give two columns x, y", source=path)
    return np.array(pairs, dtype=np.float64)


@contextmanager
def _opened(part: FramesPart, folder: Path) -> Iterator[tuple[Frames, str]]:
    """The frames as they are stored, and the order of their axes."""
    if sorted(part.axes) != ["l", "x", "y"]:
        raise DataError(
            f"is {part.axes!r}",
            "order the letters l (LED), y and x, as in lyx or yxl",
            field="frames.axes",
        )
    files = find_files(folder, part.file)
    if not any(path.suffix.lower() in SUFFIXES for path in files):
        if part.axes != "lyx" or part.variable is not None:
            raise DataError(
                "are pictures: they have no variable and the axes lyx",
                "leave both keys out",
                field="frames",
            )
        yield ImageFiles(files), "lyx"
        return
    if len(files) > 1:
        raise DataError(
            f"finds {len(files)} files of which some are arrays",
            "name one array file, or pictures only",
            field="frames.file",
        )
    with opened_variable(files[0], part.variable, part.axes) as opened:
        yield opened


def _kept(
    described: Any, stored: Frames, order: str, light: LedGeometry | FloatArray
) -> NDArray[np.intp]:
    """Indices of the frames that are used, once all numbers of LEDs agree."""
    count = stored.shape[order.index("l")]
    leds = light.led_count if isinstance(light, LedGeometry) else len(light)
    if count != leds:
        raise DataError(
            f"says {leds} LEDs for {count} frames", "correct it or frames.axes", field="leds"
        )
    exposure = described.frames.exposure
    if exposure is not None and len(exposure) != count:
        raise DataError(
            f"holds {len(exposure)} times for {count} frames",
            "give one a frame",
            field="frames.exposure",
        )
    left_out = described.leds.leave_out
    if left_out and max(left_out) >= count:
        raise DataError(
            f"names LED {max(left_out)} of {count}", "count from 0", field="leds.leave_out"
        )
    kept = np.setdiff1d(np.arange(count), left_out)
    if not len(kept):
        raise DataError("names every LED", "keep at least one", field="leds.leave_out")
    return kept


def _illumination(
    light: LedGeometry | FloatArray,
    kept: NDArray[np.intp],
    axis_y_x_px: tuple[float, float] | None,
    shape_y_x: tuple[int, int],
    optics: Optics,
) -> Illumination:
    """Directions at the centre of the frame."""
    if not isinstance(light, LedGeometry):
        return Illumination(light[kept])
    geometry = light.select(kept)
    on_axis = Illumination(geometry.na_at(), geometry)
    if axis_y_x_px is None:
        return on_axis
    return seen_from_centre(on_axis, axis_y_x_px, shape_y_x, optics)


@dataclass(frozen=True, eq=False)
class _Corrected:
    """Stored frames as intensities: amplitudes squared, dark level off, per unit of exposure.

    Dark signal adds to intensity: of an amplitude it is taken off after squaring.
    """

    stored: Frames
    order: str
    kept: NDArray[np.intp]
    part: FramesPart

    @property
    def shape(self) -> tuple[int, ...]:
        shape = list(self.stored.shape)
        shape[self.order.index("l")] = len(self.kept)
        return tuple(shape)

    def __getitem__(self, key: Any, /) -> NDArray[Any]:
        led_axis = self.order.index("l")
        wanted = list(key)
        if len(self.kept) < self.stored.shape[led_axis]:
            wanted[led_axis] = self.kept
        frames = np.asarray(self.stored[tuple(wanted)]).astype(np.float32)
        dark = np.float32(self.part.dark_level)
        if self.part.values == "amplitude":
            frames, dark = frames**2, dark**2
        if dark:
            frames = np.maximum(frames - dark, 0)
        if self.part.exposure is not None:
            times = np.array(self.part.exposure, dtype=np.float32)[self.kept]
            frames /= times.reshape([-1 if axis == "l" else 1 for axis in self.order])
        return frames
