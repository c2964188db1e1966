"""Shifts: a shift of every LED of its own.

Gauge: what the array moves by as a whole is the pose's, or a ramp of the object's phase; shifts are
drawn towards 0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from fpm_inr.forward import Instrument
from fpm_inr.instrument.parameter import Learned, Learning, Setup

SHIFT_WEIGHT = 0.005  # of the penalty, relative to the misfit


class Shifts(Learning):
    """A shift of every LED; rates in Fourier samples."""

    moves_leds: ClassVar[bool] = True

    learning_rate: float = Field(0.05, ge=0)
    start: float = Field(0.2, ge=0, lt=1)
    spread_samples: float = Field(0.5, gt=0, description="expected size, in Fourier samples")

    @property
    def seeks_far(self) -> bool:
        return self.learning_rate > 0

    def learned(self, begun: Instrument, setup: Setup) -> LearnedShifts:
        return LearnedShifts(self, begun, setup)


class LearnedShifts(Learned):
    """Moves of single LEDs, in Fourier samples."""

    has_penalty: ClassVar[bool] = True

    def __init__(self, settings: Shifts, begun: Instrument, setup: Setup) -> None:
        super().__init__(settings)
        self.sample_na, self.spread_samples = setup.sample_na, settings.spread_samples
        self.shift_led_xy = nn.Parameter(torch.zeros(len(begun.na_led_xy), 2))

    def changed(self, instrument: Instrument) -> Instrument:
        moved = instrument.na_led_xy + self.shift_led_xy * self.sample_na
        return replace(instrument, na_led_xy=moved)

    def penalty(self) -> Tensor:
        """Their mean square over the square of their spread."""
        return SHIFT_WEIGHT * (self.shift_led_xy / self.spread_samples).square().mean()
