"""How the wavelengths of a whole field of view lie against each other, from windows of detail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fpm_inr.acquisition import Acquisition
from fpm_inr.chromatic_offset import Offset
from fpm_inr.colour.chromatic import MOST_FITTED_PX
from fpm_inr.colour.registration import (
    LEAST_AGREEMENT,
    LEAST_VOTES,
    Vote,
    agreed,
    fine_detail,
    is_magnified,
    peak,
)
from fpm_inr.laid_over import LaidOver, Window
from fpm_inr.mosaic.mosaic import Mosaic
from fpm_inr.mosaic.source import Source
from fpm_inr.solution_set import SolutionSet

CELLS = 4  # a side of the field, each with one window at most
WINDOW_PX = 256
OVERVIEW_PX = 1024
LEAST_DETAIL = 0.3  # of that of the window with most
TURNS = 3


def windows_of_detail(mosaic: Mosaic) -> list[Window]:
    """Windows (y, x, height, width) of the field with much detail, that with most first.

    The field is cut into cells; each gives the window in it whose amplitude varies most, seen at a
    coarse level, unless that is little.
    """
    level = next(
        (n for n in range(mosaic.levels) if max(mosaic.level_shape_y_x(n)) <= OVERVIEW_PX),
        mosaic.levels - 1,
    )
    low, high = mosaic.z_range_um
    z_um = (low + high) / 2
    if mosaic.planes_um is not None:
        z_um = float(mosaic.planes_um[len(mosaic.planes_um) // 2])
    image = np.abs(mosaic.render(z_um, level=level).field_z_y_x[0])
    sides = [min(WINDOW_PX, side) for side in mosaic.shape_y_x]
    starts = [_starts(side, cut) for side, cut in zip(mosaic.shape_y_x, sides, strict=True)]
    best: dict[tuple[int, int], tuple[float, Window]] = {}
    for y in starts[0]:
        for x in starts[1]:
            seen = image[y >> level : (y + sides[0]) >> level, x >> level : (x + sides[1]) >> level]
            detail = float(seen.std())
            middle = (y + sides[0] / 2, x + sides[1] / 2)
            cell = tuple(
                int(at / side * CELLS) for at, side in zip(middle, mosaic.shape_y_x, strict=True)
            )
            if detail > best.get((cell[0], cell[1]), (-1.0, None))[0]:
                best[cell[0], cell[1]] = (detail, (y, x, sides[0], sides[1]))
    ranked = sorted(best.values(), key=lambda one: -one[0])
    return [window for detail, window in ranked if detail >= LEAST_DETAIL * ranked[0][0]]


def _starts(side: int, cut: int) -> list[int]:
    """First pixels of windows along a side, half of one apart."""
    steps = max(1, -(-2 * (side - cut) // cut))
    return sorted({round(n * (side - cut) / steps) for n in range(steps + 1)})


def frames_of_window(
    sources: Mapping[str, Source], window: Window, upsampling: int, shape_y_x: tuple[int, int]
) -> dict[str, Acquisition]:
    """The frames of each wavelength where a window of the result lies.

    Parameters
    ----------
    sources : mapping of str to Source
    window : (y, x, height, width)
        In pixels of the result.
    upsampling : int
    shape_y_x : (int, int)
        Of the frames.
    """
    crop = []
    for axis in range(2):
        side = min(MOST_FITTED_PX, shape_y_x[axis])
        middle = (window[axis] + window[axis + 2] / 2) / upsampling
        start = min(max(round(middle - side / 2), 0), shape_y_x[axis] - side)
        crop.append((start // 2 * 2, side))
    (y, height), (x, width) = crop
    return {name: one.window((y, x, height, width), shape_y_x) for name, one in sources.items()}


def registered_fields(
    mosaics: Mapping[str, Mosaic],
    reference: str,
    height_um: Mapping[str, float],
    windows: Sequence[Window],
) -> SolutionSet:
    """Mosaics with sideways shifts and magnifications that windows of them agree on.

    Parameters
    ----------
    mosaics : mapping of str to Mosaic
    reference : str
    height_um : mapping of str to float
        Height of the specimen at each wavelength.
    windows : sequence of (y, x, height, width)
        As `windows_of_detail` gives them.
    """
    grid = mosaics[reference]
    low, high = grid.z_range_um
    z_um = float(np.clip(height_um[reference], low, high))
    if grid.planes_um is not None:
        z_um = float(grid.planes_um[np.abs(grid.planes_um - z_um).argmin()])
    offsets: dict[str, Offset] = {}
    told: dict[str, Any] = {}
    for name, one in mosaics.items():
        if name == reference:
            continue
        higher = float(height_um[name] - height_um[reference])
        cutoff = min(grid.cutoff_per_um, one.cutoff_per_um)
        offsets[name], agreement, used = _placed(grid, one, higher, z_um, cutoff, windows)
        told[name] = {"agreement": agreement, "windows": used}
    record = {"focus_um": z_um, "focus_from": "frames", "offsets": told}
    return SolutionSet(mosaics, reference, offsets, record=record)


def _placed(
    grid: Mosaic, one: Mosaic, higher_um: float, z_um: float, cutoff: float,
    windows: Sequence[Window],
) -> tuple[Offset, float, int]:  # fmt: skip
    """Offset of a mosaic, agreement of the detail, and how many windows have told it.

    What is found is taken out and the rest is looked for; a magnification takes windows all over
    the field.
    """
    offset, agreement, used = Offset(higher_um), 0.0, 0
    anchors = []
    for window in windows:
        stack = grid.render(z_um, window=window)
        anchors.append(fine_detail(stack.field_z_y_x[0], grid.pixel_um, cutoff))
    whole, more_error, magnified = grid.shape_y_x, 0.0, 1.0
    for _ in range(TURNS):
        laid = LaidOver(one, replace(offset, magnification=magnified), whole, grid.pixel_um)
        votes, agreements = [], []
        for window, anchor in zip(windows, anchors, strict=True):
            (stack,) = laid.slices(_inside(laid, z_um), window=window)
            y, x, agrees = peak(anchor, fine_detail(stack.field_z_y_x[0], grid.pixel_um, cutoff))
            agreements.append(agrees)
            if agrees >= LEAST_AGREEMENT:
                middle = [window[n] + window[n + 2] / 2 - whole[n] / 2 for n in range(2)]
                weight = agrees * float(np.linalg.norm(anchor))
                votes.append(Vote((y, x), (middle[0], middle[1]), weight))
        agreement, used = float(np.median(agreements)), len(votes)
        if not votes:
            break
        if used < LEAST_VOTES:
            y_px, x_px = (
                float(np.average([v.moved_y_x_px[n] for v in votes],
                                 weights=[v.weight for v in votes])) for n in range(2)
            )  # fmt: skip
        else:
            y_px, x_px, more, more_error = agreed(votes)
            magnified += more
        pixel = grid.pixel_um
        offset = replace(offset, y_um=offset.y_um + y_px * pixel, x_um=offset.x_um + x_px * pixel)
    if is_magnified(magnified, more_error, max(whole)):
        offset = replace(offset, magnification=magnified)
    return offset, agreement, used


def _inside(channel: LaidOver, z_um: float) -> float:
    """The nearest height of the reference for which a wavelength is solved."""
    if channel.planes_um is not None:
        return float(channel.planes_um[np.abs(channel.planes_um - z_um).argmin()])
    return float(np.clip(z_um, *channel.z_range_um))
