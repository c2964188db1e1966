"""Planes as a field file: what is no field that the page can decode."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.field_header import FIELD_PREFIX, FORMAT, KEY


def planes_bytes(
    image_z_y_x_part: NDArray[np.float32], z_um: NDArray[np.float64], header: dict[str, Any]
) -> bytes:
    """Planes [z, y, x, part] (an amplitude, or real and imaginary part) as a field file."""
    from safetensors.numpy import save

    description = {
        "format": FORMAT,
        "kind": "pixel",
        "field": {"planes": len(z_um)},
        "shape_y_x": list(image_z_y_x_part.shape[1:3]),
        "z_range_um": [float(z_um.min()), float(z_um.max())],
        **header,
    }
    tensors: dict[str, NDArray[Any]] = {
        f"{FIELD_PREFIX}image": np.ascontiguousarray(image_z_y_x_part, dtype=np.float32),
        f"{FIELD_PREFIX}z_um": np.asarray(z_um, dtype=np.float64),
    }
    return save(tensors, metadata={KEY: json.dumps(description)})
