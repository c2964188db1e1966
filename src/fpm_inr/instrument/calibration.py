"""An instrument with some of its parameters free, as engines use it."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, cast

from torch import Tensor, nn

from fpm_inr.acquisition import Optics
from fpm_inr.beams import Shares
from fpm_inr.forward import Instrument
from fpm_inr.instrument.free import Free
from fpm_inr.instrument.gains import Gains
from fpm_inr.instrument.parameter import Learned, Learning, Setup


class Calibration(nn.Module):
    """An instrument with some of its parameters free.

    Parameters
    ----------
    instrument : Instrument
        Where to start, and what the fixed parameters keep.
    free : Free
    optics : Optics
    shape_y_x : (int, int)
        Of a frame: sets the Fourier sample, in which LED moves are counted.
    height_is_free : bool
        Whether a range of heights is solved, so that the pupil's defocus is no parameter.
    frame_count : int, optional
        Of the frames, each of which has a background. Default: that of the LEDs.

    Raises
    ------
    SettingsError
        A start does not suit the instrument: not one gain for every LED.
    """

    start_na_led_xy: Tensor

    def __init__(
        self,
        instrument: Instrument,
        free: Free,
        optics: Optics,
        shape_y_x: tuple[int, int],
        *,
        height_is_free: bool,
        frame_count: int | None = None,
    ) -> None:
        super().__init__()
        self.free = free
        begun = instrument.to("cpu")
        frames = len(begun.gain_led) if frame_count is None else frame_count
        is_new = "background" in free.names and begun.background_led is None
        if is_new and frames != len(begun.gain_led):
            begun = replace(begun, background_led=begun.gain_led.new_zeros(frames))
        for one in free:
            begun = one.begun(begun)
        for value in fields(begun):
            self.register_buffer(f"start_{value.name}", getattr(begun, value.name))
        setup = Setup(
            optics,
            shape_y_x,
            height_is_free or any(one.frees_height for one in free),
            frozenset(mode for one in free for mode in one.zernike_modes),
        )
        self.sample_na = setup.sample_na
        # gains have their gauge, learned or not
        every: dict[str, Learning] = {"gains": Gains(learning_rate=0.0), **dict(free.items())}
        self.learned = nn.ModuleDict({n: one.learned(begun, setup) for n, one in every.items()})

    def _learned(self) -> list[Learned]:
        return [cast(Learned, one) for one in self.learned.values()]

    def groups(self) -> list[dict[str, Any]]:
        """Parameter groups for an optimiser, each with its `learning`."""
        return [group for one in self._learned() if (group := one.group())["params"]]

    def hold(self, done: float) -> None:
        """Let only what is learned after this share of the steps have a gradient."""
        for group in self.groups():
            for value in group["params"]:
                value.requires_grad_(group["learning"].rate(done, 1.0) > 0)

    def instrument(self) -> Instrument:
        """Return the instrument as believed now, differentiable in the free parameters."""
        start = {one.name: getattr(self, f"start_{one.name}") for one in fields(Instrument)}
        found = Instrument(**start)
        for one in self._learned():
            found = one.changed(found)
        return found

    def na_led_xy(self) -> Tensor:
        """LED directions [led, 2] as believed now."""
        return self.instrument().na_led_xy

    @property
    def largest_na(self) -> float:
        """How wide the pupil may become; 0 where its radius stays."""
        return max(one.largest_na for one in self._learned())

    @property
    def has_penalty(self) -> bool:
        """Whether something is drawn to where nothing is known."""
        return any(one.has_penalty for one in self._learned())

    def penalty(self) -> Tensor:
        """What draws parameters to where nothing is known, relative to the misfit."""
        drawn = [one.penalty() for one in self._learned() if one.has_penalty]
        return sum(drawn, start=self.start_na_led_xy.new_zeros(()))

    def observe(
        self,
        leds: Tensor,
        predicted: Tensor,
        measured: Tensor,
        done: float,
        shares: Shares | None = None,
    ) -> None:
        """Learn from predicted and measured amplitudes what takes no gradient.

        See `Learned.observe`.
        """
        for one in self._learned():
            one.observe(leds, predicted, measured, done, shares)

    def objection(self, found: Instrument) -> str:
        """Why an instrument learned from here is not believed; nothing where it is."""
        return next((why for one in self._learned() if (why := one.objection(found))), "")
