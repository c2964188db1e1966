"""Pupil: the phase of the objective's pupil, by Zernike modes.

Gauges: a piston (Noll 1) is the object's global phase; tip and tilt (2 and 3) only move every
frame; defocus (4) is the height of the sample where that is free. These are not learned.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from pydantic import Field
from torch import Tensor, nn

from fpm_inr.forward import Instrument
from fpm_inr.instrument.parameter import Learned, Learning, Setup

FIRST_MODE = 4  # those below are gauges


class Pupil(Learning):
    """Pupil phase; rates in radians."""

    learning_rate: float = Field(0.02, ge=0)
    init: list[float] | None = Field(
        None, max_length=36, description="rad RMS by Noll index from 1"
    )
    modes: int = Field(11, ge=4, le=36, description="highest Noll index")

    @property
    def zernike_modes(self) -> range:
        return range(FIRST_MODE, self.modes + 1)

    def begun(self, instrument: Instrument) -> Instrument:
        zernike = instrument.zernike_rad
        if self.init is not None:
            zernike = zernike.new_tensor(self.init)
        whole = zernike.new_zeros(max(len(zernike), self.modes))
        whole[: len(zernike)] = zernike
        return replace(instrument, zernike_rad=whole)

    def learned(self, begun: Instrument, setup: Setup) -> LearnedPupil:
        return LearnedPupil(self, begun, setup)


class LearnedPupil(Learned):
    """What is added to the Zernike coefficients, in rad."""

    mask: Tensor

    def __init__(self, settings: Pupil, begun: Instrument, setup: Setup) -> None:
        super().__init__(settings)
        mask = torch.zeros(len(begun.zernike_rad))
        mask[FIRST_MODE - 1 : settings.modes] = 1
        if setup.height_is_free:
            mask[3] = 0
        self.step = nn.Parameter(torch.zeros(len(mask)))
        self.register_buffer("mask", mask)

    def changed(self, instrument: Instrument) -> Instrument:
        return replace(instrument, zernike_rad=instrument.zernike_rad + self.step * self.mask)
