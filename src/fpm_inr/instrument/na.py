"""NA: the radius of the pupil.

It has no gauge; the Zernike modes and the free map keep the stated NA as their unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from fpm_inr.acquisition import Optics
from fpm_inr.forward import Instrument
from fpm_inr.instrument.parameter import Learned, Learning, Setup
from fpm_inr.instrument.pose import SMALL_STEPS

MOST_NA_CHANGE = 0.3  # of the stated NA: how far the pupil's radius may be learned


class Na(Learning):
    """Radius of the pupil; rates in Fourier samples."""

    small_steps: ClassVar[Mapping[str, float]] = SMALL_STEPS

    learning_rate: float = Field(0.1, ge=0)
    init: Annotated[float, Field(gt=0)] | None = Field(None, description="numerical aperture")

    @property
    def widens_pupil(self) -> bool:
        return self.learning_rate > 0

    @property
    def seeks_far(self) -> bool:
        return self.widens_pupil and self.init is None

    def begun(self, instrument: Instrument) -> Instrument:
        if self.init is None:
            return instrument
        return replace(instrument, na=instrument.gain_led.new_tensor(self.init))

    def learned(self, begun: Instrument, setup: Setup) -> LearnedNa:
        return LearnedNa(self, setup)


class LearnedNa(Learned):
    """What is added to the radius, in Fourier samples."""

    def __init__(self, settings: Na, setup: Setup) -> None:
        super().__init__(settings)
        self.optics, self.sample_na = setup.optics, setup.sample_na
        self.widens_pupil = settings.widens_pupil
        self.step = nn.Parameter(torch.zeros(()))

    def changed(self, instrument: Instrument) -> Instrument:
        stated = self.optics.na
        base: Tensor | float = stated if instrument.na is None else instrument.na
        most = MOST_NA_CHANGE * stated
        moved = base + self.step * self.sample_na
        return replace(instrument, na=moved.clamp(stated - most, stated + most))

    @property
    def largest_na(self) -> float:
        return (1 + MOST_NA_CHANGE) * self.optics.na if self.widens_pupil else 0.0

    def objection(self, found: Instrument) -> str:
        return na_objection(found, self.optics) if self.widens_pupil else ""


def na_objection(found: Instrument, optics: Optics) -> str:
    """Why a learned NA is not believed: it went as far as it may. Nothing where it did not."""
    na = found.na_of(optics)
    if abs(na / optics.na - 1) <= 0.999 * MOST_NA_CHANGE:
        return ""
    return f"the objective's NA ran to {na:.3g}, the bound of what is believed; correct optics.na"
