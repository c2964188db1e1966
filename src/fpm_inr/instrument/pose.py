"""Pose: moves of the LED array as a whole.

Gauges: array pitch against distance, of which only the ratio is learned. A shift of all LEDs is a
ramp of the object's phase: solves begin with a clear object, whose light lies at zero frequency and
stays there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from fpm_inr.forward import Instrument
from fpm_inr.instrument.parameter import Learned, Learning, Setup

# shift along x and y, rotation, scale (pitch over distance), tilt along x and y
POSE = ("shift_x", "shift_y", "rotation", "scale", "tilt_x", "tilt_y")
# beyond, light stands so steep that moves are made in directions, not in slopes
STEEPEST_NA = 0.99
# for what goes on from a calibrated plane: larger steps only stray (0.2 samples ends 1.4 samples
# off from the truth itself, 0.02 stays within 0.2)
SMALL_STEPS: Mapping[str, float] = {"learning_rate": 0.02, "start": 0.1, "stop": 0.6}


class Pose(Learning):
    """Shift, rotation, scale and tilt of the LED array; rates in Fourier samples."""

    moves_leds: ClassVar[bool] = True
    small_steps: ClassVar[Mapping[str, float]] = SMALL_STEPS

    learning_rate: float = Field(0.2, ge=0)
    init: list[float] | None = Field(
        None,
        min_length=len(POSE),
        max_length=len(POSE),
        description="shift x, y, rotation, scale, tilt x, y: Fourier samples at the outermost LED",
    )

    @property
    def seeks_far(self) -> bool:
        return self.learning_rate > 0

    @property
    def places_leds(self) -> bool:
        return self.init is not None

    def learned(self, begun: Instrument, setup: Setup) -> LearnedPose:
        return LearnedPose(self, begun, setup)


class LearnedPose(Learned):
    """The moves of `POSE`, in Fourier samples at the outermost LED."""

    def __init__(self, settings: Pose, begun: Instrument, setup: Setup) -> None:
        super().__init__(settings)
        self.sample_na, self.largest_led_na = setup.sample_na, largest_na(begun.na_led_xy)
        self.pose = nn.Parameter(torch.tensor(settings.init or [0.0] * len(POSE)))

    def changed(self, instrument: Instrument) -> Instrument:
        moved = posed(instrument.na_led_xy, self.pose, self.sample_na, self.largest_led_na)
        return replace(instrument, na_led_xy=moved)


def largest_na(na_led_xy: Tensor) -> float:
    """NA of the outermost LED of directions [led, 2]."""
    return float(na_led_xy.norm(dim=1).max())


def posed(
    na_led_xy: Tensor, pose: Tensor, sample_na: float, largest: float | None = None
) -> Tensor:
    """Directions [led, 2] after a move of the flat array that they come from.

    Slopes are turned, scaled and foreshortened, then shifted: an array's pitch and its distance are
    one parameter.

    Parameters
    ----------
    na_led_xy : Tensor [led, 2]
    pose : Tensor [6]
        See `POSE`; 1 moves the outermost LED by about one Fourier sample.
    sample_na : float
        A Fourier sample of the frames, in NA.
    largest : float, optional
        NA of the outermost LED, where it is known already: it is fetched from a card.
    """
    largest = max(largest_na(na_led_xy) if largest is None else largest, sample_na)
    unit = pose * sample_na
    turn, grow, tilt = unit[2] / largest, (unit[3] / largest).exp(), unit[4:6] / largest**2
    squared = na_led_xy.square().sum(dim=1, keepdim=True)
    is_steep = largest >= STEEPEST_NA
    slope = na_led_xy if is_steep else na_led_xy / (1 - squared).sqrt()
    cosine, sine = torch.cos(turn) * grow, torch.sin(turn) * grow
    x, y = slope[:, 0], slope[:, 1]
    turned = torch.stack([cosine * x - sine * y, sine * x + cosine * y], dim=1)
    moved = turned / (1 + slope @ tilt)[:, None] + unit[:2]
    if is_steep:
        return moved
    return moved / (1 + moved.square().sum(dim=1, keepdim=True)).sqrt()
