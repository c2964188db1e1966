"""What OME-Zarr says of an image in levels, and of how it is shown at first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.display import Contrast
from fpm_inr.heights import uniform_step_um
from fpm_inr.io.rendering import Channel
from fpm_inr.io.slide import Pixels

AXES = ("c", "z", "y", "x")
RGB = (("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF"))


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
    if step != 1.0:  # whole numbers from 0
        floor = max(floor, 0.0)
    return shown_from(channel.name, "FFFFFF", floor, white, black, white)


def shown_from(
    name: str, colour: str, least: float, most: float, start: float, end: float
) -> dict[str, Any]:
    """Say the range of a channel's numbers, and what of it is black and white at first."""
    window = {"min": least, "max": most, "start": start, "end": end}
    return {"label": name, "color": colour, "active": True, "window": window}


def displays_of(
    channels: Sequence[Channel], contrasts: Sequence[Contrast], pixels: Sequence[Pixels]
) -> list[dict[str, Any]]:
    """Say how all channels are shown at first; a colour has three, and no contrasts."""
    if channels[0].kind == "colour":
        return [shown_from(name, colour, 0, 255, 0, 255) for name, colour in RGB]
    return [
        display_of(channel, contrast, one.low, one.step)
        for channel, contrast, one in zip(channels, contrasts, pixels, strict=True)
    ]


def units_of(channels: Sequence[Channel], pixels: Sequence[Pixels]) -> dict[str, str]:
    """Unit of each channel, or where numbers are scaled how they become values."""
    return {
        channel.name: channel.unit if one.dtype.kind == "f" else one.says(channel)
        for channel, one in zip(channels, pixels, strict=True)
    }


def described(
    version: str,
    multiscale: dict[str, Any],
    displays: list[dict[str, Any]],
    about: dict[str, Any],
) -> dict[str, Any]:
    """Attributes of the group, in a version's own words; `about` is this program's."""
    if version == "0.4":
        ome: dict[str, Any] = {
            "multiscales": [{"version": version, **multiscale}],
            "omero": {"version": version, "channels": displays},
        }
    else:
        ome = {
            "ome": {
                "version": version,
                "multiscales": [multiscale],
                "omero": {"channels": displays},
            }
        }
    return {**ome, "fpm_inr": about}
