"""An instrument as real tensors by name, as the field file holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

import torch
from torch import Tensor

from fpm_inr.forward import Instrument


def exact_tensors(instrument: Instrument) -> dict[str, Tensor]:
    """What the instrument holds, by name, in its own precision; complex values as (re, im)."""
    values = {one.name: getattr(instrument, one.name) for one in fields(instrument)}
    return {
        name: torch.view_as_real(value) if value.is_complex() else value
        for name, value in values.items()
        if value is not None
    }


def to_tensors(instrument: Instrument) -> dict[str, Tensor]:
    """As `exact_tensors`, for a file: in double precision, but the pupil in single."""
    return {
        name: value.detach()
        .cpu()
        .to(torch.float32 if name == "pupil_y_x" else torch.float64)
        .contiguous()
        for name, value in exact_tensors(instrument).items()
    }


def from_tensors(tensors: Mapping[str, Tensor]) -> Instrument:
    """The instrument of `to_tensors` or `exact_tensors`.

    Raises
    ------
    KeyError, TypeError
        A tensor is missing, or of no instrument.
    ValueError
        One has another shape than the others tell.
    """
    leds = len(tensors["gain_led"])
    shapes: dict[str, tuple[int, ...]] = {
        "na_led_xy": (leds, 2),
        "gain_led": (leds,),
        "zernike_rad": tensors["zernike_rad"].shape[:1],
        "defocus_um": (),
        "na": (),
    }
    for name, shape in shapes.items():
        if name in tensors and tensors[name].shape != shape:
            raise ValueError(f"{name} of shape {tuple(tensors[name].shape)}")
    # one of each frame, which may be lit by several LEDs
    if "background_led" in tensors and tensors["background_led"].ndim != 1:
        raise ValueError(f"background_led of shape {tuple(tensors['background_led'].shape)}")
    values = dict(tensors)
    if "pupil_y_x" in values:
        values["pupil_y_x"] = torch.view_as_complex(values["pupil_y_x"])
    return Instrument(**values)
