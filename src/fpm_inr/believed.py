"""How far the pixels of a frame are believed, for whoever compares frames with a prediction."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fpm_inr.acquisition import Acquisition


@dataclass(frozen=True, eq=False)
class Believed:
    """Pixels that lie, and pixels that say no more than "at least this bright".

    Parameters
    ----------
    lies_led_y_x : Tensor [led, y, x] of bool
    saturated_led_y_x : Tensor [led, y, x] of bool
    """

    lies_led_y_x: Tensor
    saturated_led_y_x: Tensor

    def select(self, leds: Tensor | slice | int) -> Believed:
        """Keep the LEDs of these indices, in this order."""
        return Believed(self.lies_led_y_x[leds], self.saturated_led_y_x[leds])

    def error(self, error: Tensor) -> Tensor:
        """What counts of predicted minus measured light [..., led, y, x].

        Nothing where a pixel lies; of a saturated pixel only that it is too dark.
        """
        return error.masked_fill(self.ignored(error), 0)

    def ignored(self, error: Tensor) -> Tensor:
        """Where predicted minus measured light (or any measure of its sign) says nothing."""
        return self.lies_led_y_x | (self.saturated_led_y_x & (error > 0))

    @property
    def exact_led_y_x(self) -> Tensor:
        """Where the measured light is believed as it is, [led, y, x] of bool."""
        return ~(self.lies_led_y_x | self.saturated_led_y_x)


def believed(acquisition: Acquisition, device: torch.device | str = "cpu") -> Believed | None:
    """How far the pixels of these frames are believed; None: all of them, wholly."""
    weight, saturated = acquisition.weight_led_y_x, acquisition.saturated_led_y_x
    if weight is None and saturated is None:
        return None
    none = torch.zeros(acquisition.frames_led_y_x.shape, dtype=torch.bool)
    lies = none if weight is None else torch.from_numpy(weight == 0)
    at_top = none if saturated is None else torch.from_numpy(saturated.copy())
    return Believed(lies.to(device), at_top.to(device))
