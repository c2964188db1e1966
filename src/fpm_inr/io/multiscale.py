"""What OME-Zarr 0.5 says of an image in levels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.display import Contrast
from fpm_inr.heights import uniform_step_um
from fpm_inr.io.rendering import Channel

AXES = ("c", "z", "y", "x")


def multiscale_of(
    name: str, z_um: NDArray[np.float64], pixel_um: float, levels: int
) -> dict[str, Any]:
    """Say where levels lie that each halve the pixels of the one before, at even heights."""
    datasets = []
    for level in range(levels):
        size = 2**level * pixel_um
        shift = (size - pixel_um) / 2  # centre of the first coarse pixel
        scale = {"type": "scale", "scale": [1.0, uniform_step_um(z_um) or 1.0, size, size]}
        moved = {"type": "translation", "translation": [0.0, float(z_um[0]), shift, shift]}
        datasets.append({"path": str(level), "coordinateTransformations": [scale, moved]})
    space = [{"name": name, "type": "space", "unit": "micrometer"} for name in AXES[1:]]
    return {
        "name": name,
        "axes": [{"name": "c", "type": "channel"}, *space],
        "datasets": datasets,
        "type": "low-pass",
    }


def display_of(channel: Channel, contrast: Contrast) -> dict[str, Any]:
    """Say how a viewer shows a channel at first."""
    if channel.name == "phase":
        low, high = -np.pi, np.pi
    elif channel.name == "amplitude":
        low, high = contrast.black, contrast.white
    else:
        low, high = -contrast.white, contrast.white
    window = {"min": min(low, 0.0), "max": high, "start": low, "end": high}
    return {"label": channel.name, "color": "FFFFFF", "active": True, "window": window}
