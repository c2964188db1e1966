"""The instrument as it is believed to be, and how the true one differs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fpm_inr.acquisition import Illumination, Optics
from fpm_inr.errors import SettingsError
from fpm_inr.lighting import Die

FloatArray = NDArray[np.float64]

# along a side of an LED's face
FACE_POINTS = 5


@dataclass(frozen=True, eq=False)
class Rig:
    """A microscope with a flat LED array.

    Parameters
    ----------
    optics : Optics
    led_xy_mm : array [led, 2]
        Places (x, y) of the LEDs on their plane, in mm.
    distance_mm : float
        From the sample to that plane.
    led_size_mm : float
        Side of the square (or diameter of the round) face of every LED, in mm; 0: a point.
    led_shape : {"square", "round"}

    Raises
    ------
    SettingsError
        The size is out of range, or the shape unknown.
    """

    optics: Optics
    led_xy_mm: FloatArray
    distance_mm: float
    led_size_mm: float = 0.0
    led_shape: Literal["square", "round"] = "square"

    def __post_init__(self) -> None:
        if not 0 <= self.led_size_mm <= 10:
            raise SettingsError(f"is {self.led_size_mm:g}", "give 0 to 10 mm", field="led_size_mm")
        if self.led_shape not in ("square", "round"):
            raise SettingsError(f"is {self.led_shape!r}", "give square or round", field="led_shape")

    @property
    def illumination(self) -> Illumination:
        """Directions as they are believed to be, the same over the whole (small) field of view."""
        die = None
        if self.led_size_mm > 0:
            die = Die(size_na=self.led_size_mm / self.distance_mm, shape=self.led_shape)
        return Illumination(directions(self.led_xy_mm, self.distance_mm), die=die)

    @property
    def face_xy_mm(self) -> FloatArray:
        """Points [point, 2] that shine, about the middle of an LED: finer than a solver's."""
        if self.led_size_mm == 0:
            return np.zeros((1, 2))
        along = ((np.arange(FACE_POINTS) + 0.5) / FACE_POINTS - 0.5) * self.led_size_mm
        y, x = np.meshgrid(along, along, indexing="ij")
        shines = np.ones_like(x, dtype=bool)
        if self.led_shape == "round":
            shines = np.hypot(x, y) <= self.led_size_mm / 2
        return np.stack([x[shines], y[shines]], axis=1)


def directions(led_xy_mm: FloatArray, distance_mm: float) -> FloatArray:
    """Shifts [..., 2] in NA units of light from these places: its direction cosines."""
    shifts: FloatArray = led_xy_mm / np.sqrt(
        (led_xy_mm**2).sum(axis=-1, keepdims=True) + distance_mm**2
    )
    return shifts


def grid_leds(count: int, pitch_mm: float, radius_leds: float = math.inf) -> FloatArray:
    """LEDs (x, y) in mm of a square grid of count x count, row by row, within a radius."""
    place = np.arange(count) - (count - 1) / 2
    y, x = np.meshgrid(place, place, indexing="ij")
    inside = np.hypot(y, x) <= radius_leds
    return np.stack([x[inside], y[inside]], axis=1) * pitch_mm


def ring_leds(counts: tuple[int, ...], outer_na: float, distance_mm: float) -> FloatArray:
    """LEDs (x, y) in mm of a centre (the first count) and rings at even steps of NA."""
    places = []
    for ring, count in enumerate(counts):
        na = outer_na * ring / (len(counts) - 1)
        angle = 2 * np.pi * (np.arange(count) + 0.5 * (ring % 2)) / count
        radius = distance_mm * math.tan(math.asin(na))
        places.append(radius * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    return np.concatenate(places)


@dataclass(frozen=True)
class Errors:
    """How the true instrument differs from the believed one.

    Parameters
    ----------
    aberration_waves : tuple of (int, float)
        Pupil aberration: Noll index (from 2) and waves RMS.
    led_jitter_na : float
        Standard deviation, along x and along y, of each LED's direction.
    array_shift_mm : (float, float)
        Shift (x, y) of the whole array.
    array_rotation_deg : float
        Rotation of the whole array, from x towards y.
    array_pitch_factor : float
        Factor of the array's pitch.
    gain_spread : float
        Standard deviation of the logarithm of each LED's intensity: 0.1 is about 10 %.

    Raises
    ------
    SettingsError
        A number is out of range.
    """

    aberration_waves: tuple[tuple[int, float], ...] = ()
    led_jitter_na: float = 0.0
    array_shift_mm: tuple[float, float] = (0.0, 0.0)
    array_rotation_deg: float = 0.0
    array_pitch_factor: float = 1.0
    gain_spread: float = 0.0

    def __post_init__(self) -> None:
        for noll, waves in self.aberration_waves:
            if not 2 <= noll <= 66:
                raise SettingsError(
                    f"names the Zernike mode {noll}",
                    "give a Noll index from 2 (tilt) to 66",
                    field="aberration_waves",
                )
            if not abs(waves) <= 5:
                raise SettingsError(
                    f"is {waves:g} waves for mode {noll}",
                    "give waves RMS, from -5 to 5",
                    field="aberration_waves",
                )
        modes = [noll for noll, _ in self.aberration_waves]
        if len(set(modes)) < len(modes):
            raise SettingsError(
                "names a mode twice", "give each Noll index once", field="aberration_waves"
            )
        for field, low, high in (
            ("led_jitter_na", 0.0, 0.2),
            ("array_rotation_deg", -180.0, 180.0),
            ("array_pitch_factor", 0.5, 2.0),
            ("gain_spread", 0.0, 2.0),
        ):
            value = getattr(self, field)
            if not low <= value <= high:
                raise SettingsError(
                    f"is {value:g}", f"give a number from {low:g} to {high:g}", field=field
                )
        if not all(abs(shift) <= 1000 for shift in self.array_shift_mm):
            raise SettingsError(
                f"is {self.array_shift_mm}", "give (x, y) in mm", field="array_shift_mm"
            )


def true_directions(rig: Rig, errors: Errors, random: np.random.Generator) -> FloatArray:
    """Directions [led, point, 2] that the points of the LEDs really have."""
    turn = math.radians(errors.array_rotation_deg)
    rotation = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    places = rig.led_xy_mm @ rotation * errors.array_pitch_factor + np.array(errors.array_shift_mm)
    jitter = random.normal(0.0, 1.0, places.shape) * errors.led_jitter_na
    points = places[:, None] + rig.face_xy_mm
    return directions(points, rig.distance_mm) + jitter[:, None]


def true_gains(rig: Rig, errors: Errors, random: np.random.Generator) -> FloatArray:
    """Intensity factors [led], of mean 1."""
    gains = np.exp(errors.gain_spread * random.normal(0.0, 1.0, len(rig.led_xy_mm)))
    return np.asarray(gains / gains.mean())
