"""A whole field of view, small enough for a page, as a field file in bytes."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from fpm_inr.field_header import FIELD_PREFIX, FORMAT, KEY
from fpm_inr.viewer.planes_file import planes_bytes
from fpm_inr.viewer.tile_codec import HeightBasis

if TYPE_CHECKING:
    from fpm_inr.mosaic.mosaic import Mosaic

MOST_PX = 768  # a side
LEAST_PLANES, MOST_PLANES = 9, 41


def overview_bytes(mosaic: Mosaic) -> bytes:
    """A level of the mosaic's pyramid at any height: a spline through a few, one byte a number.

    Planes of a conventional mosaic stay planes.
    """
    import torch
    from safetensors.numpy import save

    from fpm_inr import transforms
    from fpm_inr.fields.spline import SplineField

    level = mosaic.level_within(MOST_PX)
    basis = HeightBasis(mosaic.z_range_um, overview_planes(mosaic, level), mosaic.planes_um)
    stack = mosaic.render(basis.nodes_um, level=level)
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
    planes = torch.from_numpy(basis.planes_of(stack.field_z_y_x))
    sample = torch.from_numpy(sample_yx)
    field = SplineField(stack.shape_y_x, mosaic.z_range_um, sample, planes=len(planes))
    samples = transforms.spectrum(planes).flatten(1)[:, field.flat_index()]
    field.spectrum.data = torch.view_as_real(samples.contiguous())
    description = {
        "format": FORMAT,
        "kind": field.kind,
        "field": field.settings,
        "shape_y_x": list(field.shape_y_x),
        "z_range_um": list(mosaic.z_range_um),
        **header,
    }
    tensors = {
        f"{FIELD_PREFIX}{name}": value.numpy()
        for name, value in field.to_tensors("compact").items()
    }
    return save(tensors, metadata={KEY: json.dumps(description)})


def overview_planes(mosaic: Mosaic, level: int) -> int:
    """Planes of the spline of a level: at least one a depth of field of it."""
    low, high = mosaic.z_range_um
    if low == high:
        return 1
    optics = mosaic.optics
    highest = min(mosaic.cutoff_per_um, 0.5 / (mosaic.pixel_um * 2**level))
    depth_um = optics.medium_index / (optics.wavelength_um * highest**2)
    return min(max(3 + math.ceil((high - low) / depth_um), LEAST_PLANES), MOST_PLANES)
