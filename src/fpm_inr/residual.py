"""How far a prediction is from the frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fpm_inr.aperture import Aperture
from fpm_inr.believed import Believed

if TYPE_CHECKING:
    from fpm_inr.forward import ForwardModel


@torch.no_grad()
def residual_by_led(
    model: ForwardModel,
    aperture: Aperture,
    amplitude_led_y_x: Tensor,
    field_y_x: Tensor,
    z_um: float,
    pixels: Believed | None = None,
    *,
    leds_at_once: int = 16,
) -> tuple[Tensor, Tensor]:
    """Squared error and squared amplitude of every frame, both [frame].

    `pixels` says which of them are believed (all when None).

    Their sums' ratio is the data residual:
    sum (predicted - measured amplitude)^2 / sum measured amplitude^2.
    """
    height = torch.tensor([z_um], dtype=amplitude_led_y_x.dtype, device=field_y_x.device)
    spectrum = model.spectrum(field_y_x)[None]
    errors, powers = [], []
    for leds in torch.arange(model.frame_count, device=field_y_x.device).split(leds_at_once):
        measured = amplitude_led_y_x[leds]
        predicted = model.amplitude(spectrum, height, leds, aperture.select(leds))[0]
        error = predicted - measured
        if pixels is not None:
            some = pixels.select(leds)
            error, measured = some.error(error), measured * some.exact_led_y_x
        errors.append(error.square().sum(dim=(1, 2)))
        powers.append(measured.square().sum(dim=(1, 2)))
    return torch.cat(errors), torch.cat(powers)
