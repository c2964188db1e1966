"""The LEDs as sources of light: their directions and size, and which of them light each frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import DataError
from fpm_inr.illumination import LedGeometry
from fpm_inr.lighting import Die, FloatArray, Indices, Lighting


@dataclass(frozen=True, eq=False)
class Illumination:
    """The LEDs: their directions and size, and which of them light each frame.

    Parameters
    ----------
    na_led_xy : array [led, 2]
        Centre of the object-spectrum patch that each LED brings into the pupil, in NA units, as
        (x along columns, y along rows, increasing downward).
    geometry : LedGeometry, optional
        Where the LEDs are, when known: allows the angles of a crop away from the optical axis to
        be recomputed.
    lighting : Lighting, optional
        Which LEDs light each frame. Default: one a frame, in order.
    die : Die, optional
        How large each LED is. Default: points.

    Raises
    ------
    DataError
        The array is misshapen, empty, not finite, or holds an NA of 1 or more; an LED lights no
        frame or is not there; a size in mm has no distance.
    """

    na_led_xy: FloatArray
    geometry: LedGeometry | None = None
    lighting: Lighting | None = None
    die: Die | None = None

    def __post_init__(self) -> None:
        na = np.array(self.na_led_xy)
        if na.dtype.kind not in "iuf":
            raise DataError(f"has type {na.dtype}", "give real numbers", field="illumination NA")
        na = na.astype(np.float64)
        if na.ndim != 2 or na.shape[1] != 2 or na.shape[0] == 0:
            raise DataError(
                f"has shape {na.shape}", "give one (x, y) pair per LED", field="illumination NA"
            )
        if not np.isfinite(na).all():
            raise DataError(
                f"is not finite for LED {int(np.argmin(np.isfinite(na).all(axis=1)))}",
                "give a finite (x, y) pair for every LED",
                field="illumination NA",
            )
        largest = float(np.hypot(*na.T).max())
        if largest >= 1.0:
            raise DataError(
                f"reaches {largest:g}; light from air has NA below 1",
                "give direction cosines (sines of the angles), not millimetres or degrees",
                field="illumination NA",
            )
        if self.geometry is not None and self.geometry.led_count != len(na):
            raise DataError(
                f"holds {self.geometry.led_count} LEDs for {len(na)} directions",
                "give one position per LED",
                field="LED geometry",
            )
        if self.die is not None and self.die.size_mm is not None and self.geometry is None:
            raise DataError(
                "is in mm, and nothing says how far away the LEDs are",
                "give their places and distance, or size_na",
                field="size_mm",
            )
        na.setflags(write=False)
        object.__setattr__(self, "na_led_xy", na)
        self._check_lighting()

    def _check_lighting(self) -> None:
        if self.lighting is None:
            return
        lit, count = self.lighting.led_pair, self.led_count
        if lit.max() >= count:
            frame = int(self.lighting.frame_pair[lit.argmax()])
            raise DataError(
                f"names LED {lit.max()} of {count} for frame {frame}",
                "count from 0",
                field="lighting",
            )
        unlit = np.setdiff1d(np.arange(count), lit)
        if len(unlit):
            raise DataError(
                f"has no frame for LED {unlit[0]} (counted from 0)",
                "leave that LED out",
                field="lighting",
            )
        if self.lighting.is_one_by_one:
            object.__setattr__(self, "lighting", None)

    @property
    def led_count(self) -> int:
        """Number of LEDs."""
        return len(self.na_led_xy)

    @property
    def frame_count(self) -> int:
        """Number of frames they light."""
        return self.led_count if self.lighting is None else self.lighting.frame_count

    @cached_property
    def na_led(self) -> FloatArray:
        """Illumination NA of each LED, [led]."""
        return np.hypot(self.na_led_xy[:, 0], self.na_led_xy[:, 1])

    @cached_property
    def na_frame(self) -> FloatArray:
        """Illumination NA of each frame, [frame]: that of its LED nearest to the axis."""
        return self.least_of_frame(self.na_led)

    @property
    def pairs(self) -> Lighting:
        """The LEDs of every frame, one by one or not."""
        if self.lighting is not None:
            return self.lighting
        same = np.arange(self.led_count)
        return Lighting(same, same, np.ones(self.led_count))

    @property
    def leds_in_frame(self) -> NDArray[np.intp]:
        """Number of LEDs of each frame, [frame]."""
        if self.lighting is None:
            return np.ones(self.led_count, dtype=np.intp)
        return self.lighting.leds_in_frame

    def least_of_frame(self, value_led: FloatArray) -> FloatArray:
        """The least of a value over the LEDs of each frame, [frame]."""
        if self.lighting is None:
            return value_led
        first = np.concatenate([[0], np.cumsum(self.lighting.leds_in_frame)[:-1]])
        return np.asarray(np.minimum.reduceat(value_led[self.lighting.led_pair], first))

    def weight_frame(self, is_led: NDArray[np.bool_]) -> FloatArray:
        """Sum of the weights of some LEDs in each frame, [frame]."""
        if self.lighting is None:
            return is_led.astype(np.float64)
        weight = self.lighting.weight_pair * is_led[self.lighting.led_pair]
        return np.asarray(np.bincount(self.lighting.frame_pair, weight), dtype=np.float64)

    @cached_property
    def offsets_led_xy(self) -> FloatArray:
        """Directions [led, point, 2] of an LED's points from its middle's, in NA units."""
        if self.die is None:
            return np.zeros((self.led_count, 1, 2))
        return self.die.offsets_led_xy(self.na_led_xy, self.geometry)

    def seen_from(self, x_um: float, y_um: float) -> Illumination:
        """Illumination at a sample point that lies (x, y) um from the optical axis.

        Without a known geometry the directions are returned as they are.
        """
        if self.geometry is None:
            return self
        return replace(self, na_led_xy=self.geometry.na_at(x_um, y_um))

    def leds_of(self, frames: Indices) -> Indices:
        """LEDs that light these frames: one a frame in their order, or else in their own."""
        return frames if self.lighting is None else self.lighting.select(frames)[1]

    def select(self, frames: Indices) -> Illumination:
        """Keep the frames of these indices, in this order, and the LEDs that light them."""
        lighting, leds = None, np.asarray(frames)
        if self.lighting is not None:
            lighting, leds = self.lighting.select(np.arange(self.frame_count)[frames])
        geometry = None if self.geometry is None else self.geometry.select(leds)
        return Illumination(self.na_led_xy[leds], geometry, lighting, self.die)

    def alone(self) -> tuple[Indices, Indices]:
        """Frames of one LED and weight 1, an LED once, and the LED of each; [n] both.

        What judges an instrument by single directions (parallax, circles, order) looks at these.
        """
        if self.lighting is None:
            same = np.arange(self.led_count)
            return same, same
        first = np.cumsum(self.leds_in_frame) - self.leds_in_frame
        alone = np.flatnonzero((self.leds_in_frame == 1) & (self.lighting.weight_pair[first] == 1))
        _, place = np.unique(self.lighting.led_pair[first[alone]], return_index=True)
        frames = alone[np.sort(place)]
        return frames, self.lighting.led_pair[first[frames]]

    def frames_without(self, leds: Indices) -> Indices:
        """Frames that none of these LEDs lights."""
        lit = np.isin(np.arange(self.led_count), leds)
        return np.flatnonzero(self.weight_frame(lit) == 0)
