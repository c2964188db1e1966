"""The all-in-focus image of a solution, to be written as one slice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpm_inr.errors import SettingsError
from fpm_inr.focus import DepthMap, all_in_focus, depth_map, field_at_depth
from fpm_inr.focus.blocks import score_blocks
from fpm_inr.focus.scores import interpolation
from fpm_inr.io.rendering import (
    CHANNELS,
    FieldSource,
    Part,
    Rendering,
    WindowSource,
    heights_of,
    named_channels,
    note_on,
)
from fpm_inr.solution import ImageStack
from fpm_inr.solution_set import SolutionSet

LEAST_HEIGHTS = 3


def sharp_rendering(
    source: FieldSource | SolutionSet,
    part: Part,
    z_um: ArrayLike | None = None,
    on_block: Callable[[int, int], None] = lambda done, total: None,
) -> Rendering:
    """Each part of the image from where it is sharp, at the mean of those heights.

    Several wavelengths are taken at one depth, that of the reference. A mosaic is judged and
    rendered window by window.

    Parameters
    ----------
    source : Solution, Mosaic or SolutionSet
    part : Part
    z_um : array-like [z], optional
        Heights that are looked through. Default: 41 over the range, or all planes.
    on_block : callable
        Told how many blocks of a mosaic of how many are judged.

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
    if several is None and part == "colour":
        raise SettingsError(
            "is colour, and this is one wavelength", "give another part", field="part"
        )
    if isinstance(source, WindowSource) or (several is not None and several.is_mosaic):
        return _of_windows(source, part, heights, on_block)
    one = source if several is None else several.channel(several.reference)
    assert not isinstance(one, SolutionSet)
    found = all_in_focus(one.slices, heights)
    at = np.array([float(found.depth_um_y_x.mean())])
    if several is None:
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


def _of_windows(
    source: Any,
    part: Part,
    z_um: NDArray[np.float64],
    on_block: Callable[[int, int], None],
) -> Rendering:
    """The same of a mosaic, of one wavelength or several, never whole in memory."""
    several = source if isinstance(source, SolutionSet) else None
    judged = source if several is None else several.channel(several.reference)
    shape, pixel_um = source.shape_y_x, source.pixel_um
    scores = score_blocks(
        lambda z, window: judged.slices(z, window=window), shape, pixel_um, z_um, on_block
    )
    depth = depth_map(scores)
    sharp = _Sharp(source, part == "colour", z_um, depth)
    return Rendering(
        lambda z: (sharp.read(0, 0, *shape) for _ in z),
        np.array([float(depth.depth_um_y_x.mean())]),
        shape,
        pixel_um,
        part,
        CHANNELS[part] if several is None else named_channels(part, several.labels),
        windows=lambda _: sharp,
        note="" if several is None else note_on(several),
    )


@dataclass(frozen=True, eq=False)
class _Sharp:
    """The all-in-focus image of a mosaic, to be read window by window."""

    source: Any
    in_colour: bool
    z_um: NDArray[np.float64]
    depth: DepthMap

    def read(self, y: int, x: int, height: int, width: int) -> NDArray[Any]:
        scores = self.depth.scores
        rows = interpolation(scores.centre_y_px, np.arange(y, y + height))
        columns = interpolation(scores.centre_x_px, np.arange(x, x + width))
        depth = rows @ self.depth.depth_um_y_x.astype(np.float32) @ columns.T
        depth = depth.clip(self.z_um[0], self.z_um[-1])

        def field(channel: Any) -> NDArray[np.complex64]:
            # a mosaic's heights have one phase; windows that tie theirs by themselves would part
            image = field_at_depth(
                lambda z: channel.slices(z, window=(y, x, height, width)),
                self.z_um,
                depth,
                tied=False,
            )
            return np.asarray(image * np.float32(channel.amplitude_scale))

        if not isinstance(self.source, SolutionSet):
            return field(self.source)
        fields = np.stack([field(self.source.channel(name)) for name in self.source.names])
        return self.source.srgb(fields) if self.in_colour else fields


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
