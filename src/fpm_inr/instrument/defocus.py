"""Defocus: an offset of all heights.

Gauge: it is the pupil's defocus (Noll 4), which is not learned beside it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field
from torch import nn

from fpm_inr.forward import Instrument
from fpm_inr.instrument.parameter import Learned, Learning, Setup


class Defocus(Learning):
    """An offset of all heights; rates in units of lambda / NA^2."""

    frees_height: ClassVar[bool] = True

    learning_rate: float = Field(0.02, ge=0)
    init: float | None = Field(None, description="um")

    def begun(self, instrument: Instrument) -> Instrument:
        if self.init is None:
            return instrument
        return replace(instrument, defocus_um=instrument.gain_led.new_tensor(self.init))

    def learned(self, begun: Instrument, setup: Setup) -> LearnedDefocus:
        return LearnedDefocus(self, setup)


class LearnedDefocus(Learned):
    """What is added to the offset, in depths of field."""

    def __init__(self, settings: Defocus, setup: Setup) -> None:
        super().__init__(settings)
        self.depth_of_field_um = setup.optics.wavelength_um / setup.optics.na**2
        self.step = nn.Parameter(torch.zeros(()))

    def changed(self, instrument: Instrument) -> Instrument:
        moved = self.step * self.depth_of_field_um
        base = instrument.defocus_um
        return replace(instrument, defocus_um=moved if base is None else base + moved)
