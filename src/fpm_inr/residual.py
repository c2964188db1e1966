"""How far a prediction is from the frames."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fpm_inr.aperture import Aperture
from fpm_inr.believed import Believed
from fpm_inr.memory import Portion

if TYPE_CHECKING:
    from fpm_inr.forward import ForwardModel
    from fpm_inr.sending import Stored

FRAMES_ON_CPU = 16  # that it predicts together


@torch.no_grad()
def residual_by_led(
    model: ForwardModel,
    aperture: Aperture,
    amplitude_led_y_x: Tensor | Stored,
    field_y_x: Tensor,
    z_um: float,
    pixels: Believed | None = None,
) -> tuple[Tensor, Tensor]:
    """Squared error and squared amplitude of every frame, both [frame].

    `pixels` says which of them are believed (all when None).

    Their sums' ratio is the data residual:
    sum (predicted - measured amplitude)^2 / sum measured amplitude^2.
    """
    device = field_y_x.device
    height = torch.full((1,), z_um, dtype=amplitude_led_y_x.dtype, device=device)
    spectrum = model.spectrum(field_y_x)[None]

    def looked(part: slice) -> tuple[Tensor, Tensor]:
        frames = model.frames(part)
        measured = amplitude_led_y_x[part]
        predicted = model.amplitude(spectrum, height, frames, aperture.select(frames))[0]
        error = predicted - measured
        if pixels is not None:
            some = pixels.select(part)
            error, measured = some.error(error), measured * some.exact_led_y_x
        return error.square().sum(dim=(1, 2)), measured.square().sum(dim=(1, 2))

    portion = frames_at_once(model)
    errors, powers = zip(*portion.over(model.frame_count, looked), strict=True)
    return torch.cat(errors), torch.cat(powers)


def frames_at_once(model: ForwardModel) -> Portion:
    """Frames that are predicted together, without gradients."""
    # light, its transform, amplitude, error; and complex samples of the pupil
    beams = math.ceil(model.beam_count / model.frame_count)
    bytes_each = 8 * 4 * beams * (math.prod(model.shape_y_x) + model.sample_yx.shape[1])
    return Portion(
        "frames",
        model.device,
        bytes_each=bytes_each,
        most=model.frame_count,
        most_on_cpu=FRAMES_ON_CPU,
    )
