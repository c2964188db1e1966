"""Background: light in every frame that did not pass the sample coherently.

It has no gauge: it adds to intensities, which no object does everywhere alike.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from fpm_inr.forward import Instrument
from fpm_inr.instrument.parameter import Learned, Learning, Setup

# an amplitude of 0 has no slope to leave it by
LEAST_AMPLITUDE = 0.02


class Background(Learning):
    """Light of every frame that did not pass the sample coherently, as an amplitude."""

    learning_rate: float = Field(1e-2, ge=0)
    init: Annotated[float, Field(ge=0)] | None = Field(
        None, description="share of the mean bright-field intensity"
    )

    def begun(self, instrument: Instrument) -> Instrument:
        if self.init is None:
            return instrument
        base = instrument.background_led
        like = instrument.gain_led if base is None else base
        return replace(instrument, background_led=torch.full_like(like, self.init))

    def learned(self, begun: Instrument, setup: Setup) -> LearnedBackground:
        return LearnedBackground(self, begun)


class LearnedBackground(Learned):
    """Roots of the background, so that it stays positive."""

    def __init__(self, settings: Background, begun: Instrument) -> None:
        super().__init__(settings)
        base = begun.background_led
        least = LEAST_AMPLITUDE if settings.learning_rate > 0 else 0.0
        root = (torch.zeros(len(begun.gain_led)) if base is None else base.sqrt()).clamp_min(least)
        self.root_led = nn.Parameter(root)

    def changed(self, instrument: Instrument) -> Instrument:
        return replace(instrument, background_led=self.root_led**2)


def background_counts(background_led: Tensor, amplitude_scale: float) -> list[float]:
    """Background [led] as it stands in calibration.json: in the counts of the frames."""
    return (background_led * amplitude_scale**2).tolist()


def background_of_counts(counts_led: list[float], amplitude_scale: float) -> Tensor:
    """The background [led] of `background_counts`, in units of the squared amplitude scale."""
    return (torch.tensor(counts_led) / amplitude_scale**2).double()
