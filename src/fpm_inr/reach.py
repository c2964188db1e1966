"""Whether a field's grid holds the light of LEDs, and the smallest that does."""

from __future__ import annotations

import math

from torch import Tensor

from fpm_inr.acquisition import Acquisition
from fpm_inr.errors import SettingsError

# single precision makes reaches of its own
ROUNDING = 1e-5


def least_upsampling(
    acquisition: Acquisition, na_led_xy: Tensor, *, margin_samples: float = 0.0
) -> int:
    """Smallest upsampling whose grid holds the light of LEDs at these directions [led, 2].

    `margin_samples` is how far, in Fourier samples, they may move.
    """
    return max(
        1, math.ceil(float(_reach_led(acquisition, na_led_xy, margin_samples).max()) - ROUNDING)
    )


def check_reach(
    acquisition: Acquisition,
    na_led_xy: Tensor,
    upsampling: int,
    *,
    margin_samples: float = 0.0,
) -> None:
    """Refuse a grid that does not hold the light of LEDs at these directions [led, 2].

    Their windows would go around its edge, and one frequency stand for two.

    Raises
    ------
    SettingsError
        Says which LED, and the upsampling that it takes.
    """
    reach = _reach_led(acquisition, na_led_xy, margin_samples)
    if float(reach.max()) <= upsampling + ROUNDING:
        return
    led = int(reach.argmax())
    na_x, na_y = na_led_xy[led].tolist()
    room = f", with room to move by {margin_samples:g} Fourier samples," if margin_samples else ""
    raise SettingsError(
        f"is {upsampling}, too coarse for the light of LED {led} (counted from 0) at NA "
        f"({na_x:.3f}, {na_y:.3f}){room}",
        f"give at least {least_upsampling(acquisition, na_led_xy, margin_samples=margin_samples)}, "
        "or see whether the calibration is right",
        field="upsample",
    )


def _reach_led(acquisition: Acquisition, na_led_xy: Tensor, margin_samples: float) -> Tensor:
    """Upsampling [led] at which the light of every LED just reaches the edge of the grid."""
    optics, (height, width) = acquisition.optics, acquisition.shape_y_x
    side_um = na_led_xy.new_tensor([width, height]) * optics.pixel_um
    points = na_led_xy.new_tensor(acquisition.illumination.offsets_led_xy).abs().amax(dim=1)
    na = na_led_xy.abs() + points + optics.na + margin_samples * optics.wavelength_um / side_um
    return (2 * optics.pixel_um / optics.wavelength_um * na).amax(dim=1)
