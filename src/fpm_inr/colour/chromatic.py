"""Find how wavelengths lie against each other: focus, sideways shift, magnification.

Focus comes from the frames: under oblique light a structure moves with its height, and one image at
a free height is fitted to the frames of each wavelength. Sharpness would tell less, as a lens
changes with the wavelength how phase turns into edges. Sideways, the complex detail of every
wavelength at its own focus is laid over that of the reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fpm_inr.acquisition import Acquisition
from fpm_inr.chromatic_offset import Offset
from fpm_inr.colour.registration import fine_detail, place_of
from fpm_inr.errors import SettingsError
from fpm_inr.laid_over import LaidOver
from fpm_inr.solution import Solution
from fpm_inr.solution_set import SolutionSet

FIT_STEPS = 120
MOST_FITTED_PX = 192  # a side of the window whose height is found


def heights_um(acquisitions: Mapping[str, Acquisition], device: str = "cpu") -> dict[str, float]:
    """Height of the specimen as each wavelength sees it, from its frames.

    One image at a free height is fitted to the frames (of a window with much detail, where they are
    large), with free brightness of the LEDs.
    """
    from fpm_inr.calibration.solve import fit_plane
    from fpm_inr.instrument import parse_free

    window = busiest(next(iter(acquisitions.values())))
    found = {}
    for name, acquisition in acquisitions.items():
        fit = fit_plane(
            acquisition.crop(*window),
            0.0,
            parse_free("gains,defocus"),
            steps=FIT_STEPS,
            device=device,
        )
        moved = fit.instrument.defocus_um
        found[name] = fit.z_um + (0.0 if moved is None else float(moved))
    return found


def busiest(acquisition: Acquisition) -> tuple[int, int, int, int]:
    """Window of at most `MOST_FITTED_PX` a side where the most central frame has most detail."""
    frame = acquisition.frames_led_y_x[int(acquisition.illumination.na_led.argmin())]
    height, width = (min(side, MOST_FITTED_PX) for side in frame.shape)
    even = [
        sorted(
            {round(at / 2) * 2 for at in np.linspace(0, side - cut, max(1, 2 * side // cut - 1))}
        )
        for side, cut in zip(frame.shape, (height, width), strict=True)
    ]
    places = [(y, x) for y in even[0] for x in even[1]]
    spread = [float(frame[y : y + height, x : x + width].std()) for y, x in places]
    y, x = places[int(np.argmax(spread))]
    return int(y), int(x), height, width


def registered(
    solutions: Mapping[str, Solution], reference: str, height_um: Mapping[str, float] | None = None
) -> SolutionSet:
    """Solutions with offsets that are found; how well is in ``record["offsets"]``.

    Parameters
    ----------
    solutions : mapping of str to Solution
    reference : str
        The one that the others are laid over.
    height_um : mapping of str to float, optional
        Height of the specimen at each wavelength, as `heights_um` finds it. Default: where each is
        sharpest, which is less sure.
    """
    grid = solutions[reference]
    channels = {
        name: LaidOver(one, Offset(), grid.shape_y_x, grid.pixel_um)
        for name, one in solutions.items()
    }
    source = "sharpness" if height_um is None else "frames"
    if height_um is None:
        height_um = {name: focus_um(channel) for name, channel in channels.items()}
    height = {name: within(one, height_um[name]) for name, one in solutions.items()}
    cutoff = min(one.cutoff_per_um for one in solutions.values())
    detail = {}
    for name, one in channels.items():
        (stack,) = one.slices(height[name])
        detail[name] = fine_detail(stack.field_z_y_x[0], grid.pixel_um, cutoff)
    offsets: dict[str, Offset] = {}
    told: dict[str, Any] = {}
    for name in solutions:
        if name == reference:
            continue
        place = place_of(detail[reference], detail[name])
        offsets[name] = Offset(
            float(height[name] - height[reference]),
            float(place.y_px * grid.pixel_um),
            float(place.x_px * grid.pixel_um),
            float(place.magnification),
        )
        told[name] = {"agreement": float(place.agreement)}
        if height[name] != height_um[name]:
            told[name]["height_beyond_range_um"] = float(height_um[name])
    record = {"focus_um": float(height[reference]), "focus_from": source, "offsets": told}
    return SolutionSet(solutions, reference, offsets, record=record)


def within(solution: Solution, z_um: float) -> float:
    """The nearest height that was solved."""
    if solution.planes_um is not None:
        planes = solution.planes_um
        return float(planes[np.abs(planes - z_um).argmin()])
    return float(np.clip(z_um, *solution.z_range_um))


def focus_um(channel: LaidOver) -> float:
    """Height of a channel where most of it is sharpest."""
    from fpm_inr.focus import FocusSettings, score_slices
    from fpm_inr.focus.depth import peak_um
    from fpm_inr.heights import default_heights

    planes = channel.planes_um
    heights = default_heights(channel.z_range_um) if planes is None else planes
    if len(heights) < 3:
        return float(heights.mean())
    scores = score_slices(channel.slices(heights), FocusSettings.usual("edges"))
    return float(peak_um(heights, scores.score_z_y_x.mean(axis=(1, 2))))


def check_offsets(offsets: Mapping[str, Offset], names: Iterable[str], reference: str) -> None:
    """Refuse offsets that do not fit the wavelengths.

    Raises
    ------
    SettingsError
        A name is unknown, or the reference is given an offset.
    """
    known = list(names)
    for name, offset in offsets.items():
        if name not in known:
            raise SettingsError(
                f"{name!r} is none of {', '.join(known)}",
                "name a wavelength that is solved",
                field="offset",
            )
        if name == reference and offset != Offset():
            raise SettingsError(
                f"is given for {name}, which the others are laid over",
                "give those of the others",
                field="offset",
            )
