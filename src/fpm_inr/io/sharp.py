"""The all-in-focus image of a solution, to be written as one slice."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpm_inr.errors import SettingsError
from fpm_inr.focus import all_in_focus, field_at_depth
from fpm_inr.io.rendering import (
    FieldSource,
    Part,
    Rendering,
    heights_of,
    named_channels,
    note_on,
)
from fpm_inr.solution import ImageStack
from fpm_inr.solution_set import SolutionSet

LEAST_HEIGHTS = 3


def sharp_rendering(
    source: FieldSource | SolutionSet, part: Part, z_um: ArrayLike | None = None
) -> Rendering:
    """Each part of the image from where it is sharp, at the mean of those heights.

    Several wavelengths are taken at one depth, that of the reference.

    Parameters
    ----------
    source : Solution or SolutionSet
    part : Part
    z_um : array-like [z], optional
        Heights that are looked through. Default: 41 over the range, or all planes.

    Raises
    ------
    SettingsError
        Under three heights, a height outside the range, or colour of one wavelength.
    """
    heights = heights_of(source, z_um)
    if len(heights) < LEAST_HEIGHTS:
        raise SettingsError(
            f"holds {len(heights)} of the {LEAST_HEIGHTS} heights that a peak takes",
            "give more heights, or reconstruct over a range of z",
            field="z",
        )
    several = source if isinstance(source, SolutionSet) else None
    one = source if several is None else several.channel(several.reference)
    assert not isinstance(one, SolutionSet)
    found = all_in_focus(one.slices, heights)
    at = np.array([float(found.depth_um_y_x.mean())])
    if several is None:
        if part == "colour":
            raise SettingsError(
                "is colour, and this is one wavelength", "give another part", field="part"
            )
        stack = ImageStack(found.field_y_x[None], at, one.pixel_um, one.amplitude_scale)
        return Rendering.of_stack(stack, part)
    fields = _fields_at_depth(several, heights, found.depth_um_y_x)
    plane = several.srgb(fields) if part == "colour" else fields
    channels = named_channels(part, several.labels)
    return Rendering(
        lambda z: [plane] * len(z),
        at,
        several.shape_y_x,
        one.pixel_um,
        part,
        channels,
        note=note_on(several),
    )


def colour_at_depth(
    solutions: SolutionSet, z_um: NDArray[np.float64], depth_um_y_x: NDArray[Any]
) -> NDArray[np.uint8]:
    """The picture in colour [y, x, rgb] with every pixel at a height that is known.

    Parameters
    ----------
    solutions : SolutionSet
    z_um : array [z], ascending
        Heights that are rendered; between two of them it is blended.
    depth_um_y_x : array [y, x]
    """
    fields = _fields_at_depth(solutions, z_um, depth_um_y_x)
    return np.moveaxis(solutions.srgb(fields), 0, -1)


def _fields_at_depth(
    solutions: SolutionSet, z_um: NDArray[np.float64], depth_um_y_x: NDArray[Any]
) -> NDArray[np.complex64]:
    return np.stack(
        [
            field_at_depth(channel.slices, z_um, depth_um_y_x) * np.float32(channel.amplitude_scale)
            for channel in map(solutions.channel, solutions.names)
        ]
    )
