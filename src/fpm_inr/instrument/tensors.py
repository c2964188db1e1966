"""An instrument as real tensors by name, as the field file holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

import torch
from torch import Tensor

from fpm_inr.forward import Instrument


def to_tensors(instrument: Instrument) -> dict[str, Tensor]:
    """What the instrument holds, by name: in double precision, the pupil in single as (re, im)."""
    values = {one.name: getattr(instrument, one.name) for one in fields(instrument)}
    return {name: _stored(value) for name, value in values.items() if value is not None}


def from_tensors(tensors: Mapping[str, Tensor]) -> Instrument:
    """The instrument of `to_tensors`.

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
        "background_led": (leds,),
        "defocus_um": (),
        "na": (),
    }
    for name, shape in shapes.items():
        if name in tensors and tensors[name].shape != shape:
            raise ValueError(f"{name} of shape {tuple(tensors[name].shape)}")
    values = dict(tensors)
    if "pupil_y_x" in values:
        values["pupil_y_x"] = torch.view_as_complex(values["pupil_y_x"])
    return Instrument(**values)


def _stored(value: Tensor) -> Tensor:
    value = value.detach().cpu()
    if value.is_complex():
        return torch.view_as_real(value).to(torch.float32).contiguous()
    return value.to(torch.float64).contiguous()
