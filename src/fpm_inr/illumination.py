"""LED geometry -> illumination directions.

Places are (x, y) in mm in the axes of the frames: x along columns, y along rows, downward. An LED
at +x brings the object spectrum around +x into the pupil. All functions are pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpm_inr.errors import DataError

FloatArray = NDArray[np.float64]
MOST_NEWTON_STEPS = 50
NEAREST_MM, FARTHEST_MM = 1e-3, 1e6
THICKEST_SLIDE_MM = 100.0


@dataclass(frozen=True, eq=False)
class LedGeometry:
    """Where the LEDs stand, in the axes of the frames.

    Parameters
    ----------
    position_led_xyz_mm : array [led, 3]
        LED positions in mm: x along the columns of the frame, y along its rows (downward), z the
        way through air towards the LEDs (positive): from the sample, or from the face of its slide,
        whose thickness comes on top. Axes are those in which an LED at +x brings the object
        spectrum around +x into the pupil.
    slide_mm : float
        Thickness of a glass slide between that air and the sample, in mm (0: none).
    slide_index : float
        Refractive index of that slide.

    Raises
    ------
    DataError
        Positions are misshapen, not finite or behind the sample, or the slide cannot be.
    """

    position_led_xyz_mm: FloatArray
    slide_mm: float = 0.0
    slide_index: float = 1.52

    def __post_init__(self) -> None:
        position = np.array(self.position_led_xyz_mm, dtype=np.float64)
        if position.ndim != 2 or position.shape[1] != 3 or not np.isfinite(position).all():
            raise DataError(
                f"has shape {position.shape} or values that are not finite",
                "give finite (x, y, z) in mm for every LED",
                field="LED positions",
            )
        if len(position) and np.abs(position).max() > FARTHEST_MM:
            raise DataError(
                f"reach {np.abs(position).max():.3g} mm", "give millimetres", field="LED positions"
            )
        if len(position) and position[:, 2].min() < NEAREST_MM:
            raise DataError(
                "puts LEDs at or behind the sample", "give a positive distance", field="distance"
            )
        if not 0 <= self.slide_mm <= THICKEST_SLIDE_MM:
            raise DataError(
                f"is {self.slide_mm:g}", f"give 0 to {THICKEST_SLIDE_MM:g} mm", field="slide_mm"
            )
        if not 1 <= self.slide_index <= 2.5:
            raise DataError(
                f"is {self.slide_index:g}", "give an index from 1 to 2.5", field="slide_index"
            )
        position.setflags(write=False)
        object.__setattr__(self, "position_led_xyz_mm", position)

    @property
    def led_count(self) -> int:
        """Number of LEDs."""
        return len(self.position_led_xyz_mm)

    def select(self, leds: NDArray[np.intp]) -> LedGeometry:
        """Keep the LEDs of these indices, in this order."""
        return replace(self, position_led_xyz_mm=self.position_led_xyz_mm[leds])

    def moved(self, x_mm: float, y_mm: float) -> LedGeometry:
        """The same with every LED moved on its plane."""
        moved = self.position_led_xyz_mm + np.array([x_mm, y_mm, 0.0])
        return replace(self, position_led_xyz_mm=moved)

    def na_at(self, x_um: float = 0.0, y_um: float = 0.0) -> FloatArray:
        """NA vectors [led, 2] of the LEDs seen from a sample point (x, y) um off the axis."""
        lateral = self.position_led_xyz_mm[:, :2] - np.array([x_um, y_um]) * 1e-3
        reach = np.hypot(lateral[:, 0], lateral[:, 1])
        slope = _slope_in_air(
            reach, self.position_led_xyz_mm[:, 2], self.slide_mm, self.slide_index
        )
        sine = slope / np.hypot(1.0, slope)
        return lateral * np.divide(sine, reach, out=np.zeros_like(reach), where=reach > 0)[:, None]


def _slope_in_air(
    reach_mm: FloatArray, air_mm: FloatArray, slide_mm: float, index: float
) -> FloatArray:
    """Tangent of the angle in air of rays that end `reach` aside, after air and then a slide.

    Snell's law: a ray of tangent u in air has tangent u / sqrt(n^2 + (n^2 - 1) u^2) in the slide.
    The way aside is a growing, concave function of u and the straight ray starts below the root, so
    Newton's method rises to it without overshoot.
    """
    slope = reach_mm / (air_mm + slide_mm)
    for _ in range(MOST_NEWTON_STEPS):
        square = index**2 + (index**2 - 1) * slope**2
        error = reach_mm - air_mm * slope - slide_mm * slope / np.sqrt(square)
        step = error / (air_mm + slide_mm * index**2 / square**1.5)
        slope = slope + step
        if (np.abs(step) <= 1e-15 * (1 + slope)).all():
            break
    return slope


def raster_steps(rows: int, columns: int) -> FloatArray:
    """Places [led, 2] in steps of the pitch: row by row, each along +x, about the middle."""
    y, x = np.meshgrid(
        np.arange(rows) - (rows - 1) / 2, np.arange(columns) - (columns - 1) / 2, indexing="ij"
    )
    return np.stack([x.ravel(), y.ravel()], axis=1)


def serpentine_steps(rows: int, columns: int) -> FloatArray:
    """Places [led, 2] in steps of the pitch: row by row, every second one backward."""
    places = raster_steps(rows, columns).reshape(rows, columns, 2)
    places[1::2] = places[1::2, ::-1]
    return places.reshape(-1, 2)


def spiral_steps(rows: int, columns: int) -> FloatArray:
    """Places [led, 2] in steps of the pitch: outward from the centre, first along +x, then +y.

    (0,0), (1,0), (1,1), (0,1), (-1,1), (-1,0), (-1,-1), (0,-1), (1,-1), (2,-1), ...; what lies
    outside the grid is passed over. Where a side is even, no LED is in the middle: the spiral
    starts half a step before it, and still fills the grid.
    """
    x = y = 0
    places = [(x, y)]
    for arm in range(2 * max(rows, columns)):
        forward = 1 if arm % 4 < 2 else -1
        for _ in range(arm // 2 + 1):
            x, y = (x + forward, y) if arm % 2 == 0 else (x, y + forward)
            places.append((x, y))
    # half a step of an even side
    middle = np.array([(columns + 1) % 2, (rows + 1) % 2]) / 2
    about = np.array(places, dtype=np.float64) - middle
    inside = (2 * np.abs(about) < (columns, rows)).all(axis=1)
    return np.asarray(about[inside])


def ring_places(
    radii_mm: Sequence[float], counts: Sequence[int], starts_deg: Sequence[float]
) -> FloatArray:
    """Places [led, 2] in mm on rings about the origin, ring by ring, turning from +x to +y."""
    rings = []
    for radius, count, start in zip(radii_mm, counts, starts_deg, strict=True):
        angle = math.radians(start) + 2 * np.pi * np.arange(count) / count
        rings.append(radius * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    return np.concatenate(rings)


def arrange(
    places_xy: ArrayLike,
    *,
    transpose: bool = False,
    flip_x: bool = False,
    flip_y: bool = False,
    rotation_deg: float = 0.0,
    offset_x_y: tuple[float, float] = (0.0, 0.0),
) -> FloatArray:
    """Turn an LED array into the axes of the frame: in the order of the arguments.

    Parameters
    ----------
    places_xy : array [led, 2]
        Places about the middle of the array.
    transpose, flip_x, flip_y : bool
        Swap x and y; reverse x; reverse y.
    rotation_deg : float
        Turn from +x towards +y (clockwise on a screen, where y grows downward).
    offset_x_y : (float, float)
        Where the middle of the array then lies, in the unit of the places.
    """
    places = np.array(places_xy, dtype=np.float64)
    if transpose:
        places = places[:, ::-1]
    places = places * (-1 if flip_x else 1, -1 if flip_y else 1)
    cosine, sine = math.cos(math.radians(rotation_deg)), math.sin(math.radians(rotation_deg))
    return places @ np.array([[cosine, sine], [-sine, cosine]]) + np.array(offset_x_y)


def flat_array(
    places_xy_mm: FloatArray, distance_mm: float, slide_mm: float = 0.0, slide_index: float = 1.52
) -> LedGeometry:
    """LEDs on a plane this far (mm of air) from the sample or the face of its slide."""
    z = np.full((len(places_xy_mm), 1), distance_mm)
    return LedGeometry(np.hstack([places_xy_mm, z]), slide_mm, slide_index)
