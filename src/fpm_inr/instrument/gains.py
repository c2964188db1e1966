"""Gains: factors of the LEDs' amplitudes.

Gauge: the total gain against the object's amplitude. Over the bright-field LEDs, whose amplitude
sets the scale of the frames, the mean logarithm of the gains is 0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from fpm_inr.beams import Shares
from fpm_inr.errors import SettingsError
from fpm_inr.forward import Instrument
from fpm_inr.instrument.parameter import Learned, Learning, Setup


class Gains(Learning):
    """Amplitude gains; each visit moves a gain by this share of its least-squares value."""

    learning_rate: float = Field(0.3, ge=0, le=1)
    init: list[Annotated[float, Field(gt=0)]] | None = Field(None, description="amplitude by LED")

    def begun(self, instrument: Instrument) -> Instrument:
        if self.init is None:
            return instrument
        leds = len(instrument.gain_led)
        if len(self.init) != leds:
            raise SettingsError(
                f"has {len(self.init)} values for {leds} LEDs",
                "give one per LED",
                field="calibrate.gains.init",
            )
        return replace(instrument, gain_led=instrument.gain_led.new_tensor(self.init))

    def learned(self, begun: Instrument, setup: Setup) -> LearnedGains:
        return LearnedGains(self, begun, setup)


class LearnedGains(Learned):
    """Logarithms of the gains, by least squares instead of gradients."""

    log_gain_led: Tensor
    gauge_led: Tensor

    def __init__(self, settings: Gains, begun: Instrument, setup: Setup) -> None:
        super().__init__(settings)
        na_led = begun.na_led_xy.norm(dim=1)
        bright = (na_led < begun.na_of(setup.optics)).to(na_led)
        bright = bright if bright.any() else torch.ones_like(bright)
        self.register_buffer("log_gain_led", begun.gain_led.log())
        self.register_buffer("gauge_led", bright / bright.sum())

    def changed(self, instrument: Instrument) -> Instrument:
        pinned = self.log_gain_led - self.log_gain_led @ self.gauge_led
        return replace(instrument, gain_led=pinned.exp())

    @torch.no_grad()
    def observe(
        self,
        leds: Tensor,
        predicted: Tensor,
        measured: Tensor,
        done: float,
        shares: Shares | None = None,
    ) -> None:
        """Move the gains of these LEDs towards the best fit of prediction [frame, y, x] to data.

        The least-squares gain has a closed form, which spares the gains a learning rate.
        """
        rate = self.settings.rate(done, 1.0)
        if rate == 0.0:
            return
        if shares is None:
            p, m = predicted.flatten(1), measured.flatten(1)
            fit = torch.linalg.vecdot(p, m) / torch.linalg.vecdot(p, p)
        else:
            fit = shares.fits(predicted, measured)
        # a frame without light or without prediction says nothing; one visit moves by 2 at most
        step = fit.nan_to_num(1.0).clamp(0.5, 2.0).log()
        if shares is None:
            self.log_gain_led[leds] += rate * step
        else:
            self.log_gain_led += rate * step
