"""Field files made for a page: a whole field of view, small enough; a field without its band."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

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
    return spline_bytes(basis.planes_of(stack.field_z_y_x), mosaic.z_range_um, header)


def spline_bytes(
    planes: NDArray[np.complex64], z_range_um: tuple[float, float], header: dict[str, Any]
) -> bytes:
    """Planes [plane, y, x] of a spline along z as a field file, one byte a number."""
    import torch
    from safetensors.numpy import save

    from fpm_inr import transforms
    from fpm_inr.fields.spline import SplineField

    shape = (planes.shape[1], planes.shape[2])
    sides = [np.rint(np.fft.fftfreq(side, 1 / side)).astype(int) for side in shape]
    sample_yx = np.stack([one.ravel() for one in np.meshgrid(*sides, indexing="ij")])
    field = SplineField(shape, z_range_um, torch.from_numpy(sample_yx), planes=len(planes))
    spectra = transforms.spectrum(torch.from_numpy(np.ascontiguousarray(planes)))
    samples = spectra.flatten(1)[:, field.flat_index()]
    field.spectrum.data = torch.view_as_real(samples.contiguous())
    description = {
        "format": FORMAT,
        "kind": field.kind,
        "field": field.settings,
        "shape_y_x": list(shape),
        "z_range_um": list(z_range_um),
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
