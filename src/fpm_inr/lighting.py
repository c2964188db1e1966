"""Which LEDs light each frame, and how large they are.

A frame has one LED, in order, unless a `Lighting` says otherwise. An LED is a point, unless a `Die`
says how large it is. In both cases intensities add up: LEDs do not interfere with each other, nor
do the points of one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import DataError
from fpm_inr.illumination import LedGeometry

FloatArray = NDArray[np.float64]
Indices = NDArray[np.intp]
MOST_POINTS_ACROSS = 15
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


@dataclass(frozen=True, eq=False)
class Lighting:
    """Which LEDs light each frame, and how strongly: pairs of a frame and an LED.

    Parameters
    ----------
    frame_pair, led_pair : array [pair]
        Numbers of the frame and of the LED, counted from 0.
    weight_pair : array [pair]
        Intensity of the LED in that frame; 1: as bright as an LED of its own frame. Kept sorted by
        frame.

    Raises
    ------
    DataError
        A frame has no LED, an LED twice, or a weight is not positive.
    """

    frame_pair: Indices
    led_pair: Indices
    weight_pair: FloatArray

    def __post_init__(self) -> None:
        frame = np.array(self.frame_pair, dtype=np.intp)
        led = np.array(self.led_pair, dtype=np.intp)
        weight = np.array(self.weight_pair, dtype=np.float64)
        if not (frame.ndim == 1 and frame.shape == led.shape == weight.shape and len(frame)):
            raise DataError(
                f"have {frame.shape} frames, {led.shape} LEDs and {weight.shape} weights",
                "give one weight a pair of frame and LED",
                field="lighting",
            )
        if frame.min() < 0 or led.min() < 0:
            raise DataError("holds a number below 0", "count from 0", field="lighting")
        order = np.lexsort((led, frame))
        frame, led, weight = frame[order], led[order], weight[order]
        dark = np.setdiff1d(np.arange(frame[-1] + 1), frame)
        if len(dark):
            raise DataError(
                f"gives frame {dark[0]} (counted from 0) no LED",
                "name an LED for it, or leave the frame out",
                field="lighting",
            )
        wrong = ~(np.isfinite(weight) & (weight > 0))
        if wrong.any():
            first = int(np.argmax(wrong))
            raise DataError(
                f"weighs LED {led[first]} of frame {frame[first]} by {weight[first]:g}",
                "give a positive weight, or leave the LED out of that frame",
                field="lighting",
            )
        twice = (np.diff(frame) == 0) & (np.diff(led) == 0)
        if twice.any():
            first = int(np.argmax(twice))
            raise DataError(
                f"names LED {led[first]} twice for frame {frame[first]} (counted from 0)",
                "name it once, with a weight",
                field="lighting",
            )
        for name, values in (("frame_pair", frame), ("led_pair", led), ("weight_pair", weight)):
            values.setflags(write=False)
            object.__setattr__(self, name, values)

    @classmethod
    def of(
        cls,
        leds_frame: Sequence[Sequence[int]],
        weights_frame: Sequence[Sequence[float]] | None = None,
    ) -> Lighting:
        """From the LEDs of every frame, and their weights (all 1 when None).

        Raises
        ------
        DataError
            The weights are not one an LED, or what `Lighting` refuses.
        """
        counts = [len(leds) for leds in leds_frame]
        if weights_frame is not None and [len(one) for one in weights_frame] != counts:
            raise DataError(
                "has other weights than LEDs", "give one weight an LED of a frame", field="lighting"
            )
        if not all(counts):
            raise DataError(
                f"gives frame {counts.index(0)} (counted from 0) no LED",
                "name an LED for it, or leave the frame out",
                field="lighting",
            )
        weights = [1.0] * sum(counts) if weights_frame is None else np.concatenate(weights_frame)
        return cls(
            np.repeat(np.arange(len(counts)), counts),
            np.concatenate([np.asarray(leds, dtype=np.intp) for leds in leds_frame]),
            np.asarray(weights, dtype=np.float64),
        )

    @property
    def frame_count(self) -> int:
        """Number of frames."""
        return int(self.frame_pair[-1]) + 1

    @property
    def is_one_by_one(self) -> bool:
        """Whether it says nothing: frame and LED have the same number, all weights are 1."""
        same = np.arange(len(self.led_pair))
        return bool(
            np.array_equal(self.frame_pair, same)
            and np.array_equal(self.led_pair, same)
            and (self.weight_pair == 1).all()
        )

    @cached_property
    def leds_in_frame(self) -> NDArray[np.intp]:
        """Number of LEDs of each frame, [frame]."""
        return np.bincount(self.frame_pair)

    def select(self, frames: Indices) -> tuple[Lighting, Indices]:
        """Keep these frames, in this order, and the LEDs that light them, as they come first."""
        first = np.concatenate([[0], np.cumsum(self.leds_in_frame)])
        pairs = [np.arange(first[frame], first[frame + 1]) for frame in frames]
        kept = np.concatenate(pairs)
        leds, came, led = np.unique(self.led_pair[kept], return_index=True, return_inverse=True)
        order = np.argsort(came)
        frame = np.repeat(np.arange(len(pairs)), [len(one) for one in pairs])
        numbered = np.argsort(order)[led.reshape(-1)]
        return Lighting(frame, numbered, self.weight_pair[kept]), leds[order]


@dataclass(frozen=True)
class Die:
    """The size of an LED's shining face: a few points of equal brightness stand for it.

    Parameters
    ----------
    size_mm : float, optional
        Its side or diameter in mm; the LEDs' places must be known.
    size_na : float, optional
        Its side or diameter as seen from the sample, in NA units, instead.
    shape : {"square", "round"}
        A square has its sides along those of the frame.
    points_across : int
        Their number is its square.

    Raises
    ------
    DataError
        Not one size is given, or a value is out of range.
    """

    size_mm: float | None = None
    size_na: float | None = None
    shape: Literal["square", "round"] = "square"
    points_across: int = 3

    def __post_init__(self) -> None:
        given = {"size_mm": (self.size_mm, 100.0), "size_na": (self.size_na, 0.5)}
        if (self.size_mm is None) == (self.size_na is None):
            raise DataError("needs size_mm or size_na", "give one of them", field="size_mm")
        for name, (size, most) in given.items():
            if size is not None and not (math.isfinite(size) and 0 < size <= most):
                raise DataError(
                    f"is {size:g}", f"give a number above 0, up to {most:g}", field=name
                )
        if self.shape not in ("square", "round"):
            raise DataError(f"is {self.shape!r}", "give square or round", field="shape")
        if not 1 <= self.points_across <= MOST_POINTS_ACROSS:
            raise DataError(
                f"is {self.points_across}", f"give 1 to {MOST_POINTS_ACROSS}", field="points_across"
            )

    @property
    def places_xy(self) -> FloatArray:
        """Places [point, 2] of the points about the middle, in units of the size."""
        across = self.points_across
        if self.shape == "square":
            along = (np.arange(across) + 0.5) / across - 0.5
            y, x = np.meshgrid(along, along, indexing="ij")
            return np.stack([x.ravel(), y.ravel()], axis=1)
        # a sunflower's: each point has the same area
        number = np.arange(across**2)
        radius = 0.5 * np.sqrt((number + 0.5) / across**2) if across > 1 else np.zeros(1)
        angle = GOLDEN_ANGLE * number
        places = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return np.asarray(places - places.mean(axis=0))

    def offsets_led_xy(self, na_led_xy: FloatArray, geometry: LedGeometry | None) -> FloatArray:
        """Directions [led, point, 2] of the points from that of the LED's middle, in NA units."""
        if self.size_na is not None:
            offsets = self.size_na * self.places_xy
            return np.broadcast_to(offsets, (len(na_led_xy), *offsets.shape))
        assert geometry is not None
        assert self.size_mm is not None
        middle = geometry.na_at()
        away = [geometry.moved(*place).na_at() - middle for place in self.size_mm * self.places_xy]
        return np.stack(away, axis=1)
