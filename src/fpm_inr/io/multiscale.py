"""What OME-Zarr says of an image in levels, and of how it is shown at first."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.display import Contrast
from fpm_inr.heights import uniform_step_um
from fpm_inr.io.rendering import Channel

AXES = ("c", "z", "y", "x")


def multiscale_of(
    name: str, z_um: NDArray[np.float64], pixel_um: float, levels: int, made_by: str
) -> dict[str, Any]:
    """Say where levels lie that each halve the pixels of the one before, at even heights.

    `made_by` is how a level comes from the one before: "mean", "low-pass".
    """
    datasets = []
    for level in range(levels):
        factor = 2**level
        size, shift = factor * pixel_um, (factor - 1) / 2 * pixel_um  # of the first coarse pixel
        scale = {"type": "scale", "scale": [1.0, uniform_step_um(z_um) or 1.0, size, size]}
        moved = {"type": "translation", "translation": [0.0, float(z_um[0]), shift, shift]}
        datasets.append({"path": str(level), "coordinateTransformations": [scale, moved]})
    space = [{"name": one, "type": "space", "unit": "micrometer"} for one in AXES[1:]]
    return {
        "name": name,
        "axes": [{"name": "c", "type": "channel"}, *space],
        "datasets": datasets,
        "type": made_by,
    }


def display_of(
    channel: Channel, contrast: Contrast, low: float = 0.0, step: float = 1.0
) -> dict[str, Any]:
    """Say how a viewer shows a channel at first; stored numbers are (value - low) / step."""
    if channel.kind == "phase":
        black, white, floor = -np.pi, np.pi, -np.pi
    elif channel.kind == "amplitude":
        black, white, floor = contrast.black, contrast.white, min(0.0, contrast.black)
    else:
        black, white, floor = -contrast.white, contrast.white, -contrast.white
    black, white, floor = ((value - low) / step for value in (black, white, floor))
    return shown_from(channel.name, "FFFFFF", floor, white, black, white)


def shown_from(
    name: str, colour: str, least: float, most: float, start: float, end: float
) -> dict[str, Any]:
    """Say the range of a channel's numbers, and what of it is black and white at first."""
    window = {"min": least, "max": most, "start": start, "end": end}
    return {"label": name, "color": colour, "active": True, "window": window}
