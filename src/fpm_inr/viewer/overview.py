"""A whole field of view, small enough for a page, as a field file in bytes."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from fpm_inr.field_header import FIELD_PREFIX, FORMAT, KEY
from fpm_inr.viewer.sources import planes_bytes

if TYPE_CHECKING:
    from fpm_inr.mosaic.mosaic import Mosaic

HEIGHTS = 9  # of a range: between them a spline goes through


def overview_bytes(mosaic: Mosaic, most_px: int) -> bytes:
    """A level of the mosaic's pyramid at any height: a spline through a few, one byte a number.

    Planes of a conventional mosaic stay planes.
    """
    import torch
    from safetensors.numpy import save

    from fpm_inr.fields.spline import SplineField

    level = mosaic.level_within(most_px)
    low, high = mosaic.z_range_um
    z_um = np.linspace(low, high, HEIGHTS if low < high else 1)
    stack = mosaic.render(z_um if mosaic.planes_um is None else mosaic.planes_um, level=level)
    header = {
        "optics": {**asdict(mosaic.optics), "pixel_um": stack.pixel_um},
        "upsampling": 1,
        "amplitude_scale": mosaic.amplitude_scale,
    }
    if mosaic.planes_um is not None:
        parts = np.stack([stack.field_z_y_x.real, stack.field_z_y_x.imag], axis=-1)
        return planes_bytes(parts, stack.z_um, header)
    sides = [np.rint(np.fft.fftfreq(side, 1 / side)).astype(int) for side in stack.shape_y_x]
    sample_yx = np.stack([one.ravel() for one in np.meshgrid(*sides, indexing="ij")])
    field = SplineField.through(
        torch.from_numpy(stack.field_z_y_x), (low, high), torch.from_numpy(sample_yx)
    )
    description = {
        "format": FORMAT,
        "kind": field.kind,
        "field": field.settings,
        "shape_y_x": list(field.shape_y_x),
        "z_range_um": [low, high],
        **header,
    }
    tensors = {
        f"{FIELD_PREFIX}{name}": value.numpy()
        for name, value in field.to_tensors("compact").items()
    }
    return save(tensors, metadata={KEY: json.dumps(description)})
