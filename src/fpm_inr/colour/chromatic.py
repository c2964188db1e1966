"""Find how wavelengths lie against each other: focus, sideways shift, magnification.

Focus comes from the frames: under oblique light a structure moves with its height, and one image at
a free height is fitted to the frames of each wavelength. Sharpness would tell less, as a lens
changes with the wavelength how phase turns into edges. Sideways, the complex detail of every
wavelength at its own focus is laid over that of the reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from fpm_inr.acquisition import Acquisition
from fpm_inr.chromatic_offset import Offset, laid_over
from fpm_inr.errors import SettingsError
from fpm_inr.laid_over import LaidOver
from fpm_inr.solution import Solution
from fpm_inr.solution_set import SolutionSet

FloatArray = NDArray[np.float64]

# Detail below this share of the common cutoff says little of place.
LOW_CUT, HIGH_CUT = 0.25, 0.9
FIT_STEPS = 120
MOST_FITTED_PX = 192  # a side of the window whose height is found
BLOCKS = 4  # a side, of which each votes on the magnification
LEAST_AGREEMENT = 0.2
# A magnification is believed where it moves the corners by more than this, and beyond its error.
LEAST_CORNER_PX = 0.1
MAGNIFIED_TURNS, MOST_MAGNIFIED = 4, 0.05


@dataclass(frozen=True)
class Place:
    """Where a wavelength shows the reference's detail, sideways.

    Parameters
    ----------
    y_px, x_px : float
        Further down and to the right, in pixels of the result.
    magnification : float
        Larger about the middle.
    agreement : float
        Correlation of the detail there, 0 to 1.
    """

    y_px: float
    x_px: float
    magnification: float
    agreement: float


def heights_um(acquisitions: Mapping[str, Acquisition], device: str = "cpu") -> dict[str, float]:
    """Height of the specimen as each wavelength sees it, from its frames.

    One image at a free height is fitted to the frames (of a window with much detail, where they are
    large), with free brightness of the LEDs.
    """
    from fpm_inr.calibration.solve import fit_plane
    from fpm_inr.instrument import parse_free

    window = _busiest(next(iter(acquisitions.values())))
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


def _busiest(acquisition: Acquisition) -> tuple[int, int, int, int]:
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
    height = {name: _within(one, height_um[name]) for name, one in solutions.items()}
    cutoff = min(one.cutoff_per_um for one in solutions.values())
    detail = {name: _detail(one, height[name], cutoff) for name, one in channels.items()}
    offsets: dict[str, Offset] = {}
    told: dict[str, Any] = {}
    for name in solutions:
        if name == reference:
            continue
        place = _place(detail[reference], detail[name])
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


def _within(solution: Solution, z_um: float) -> float:
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


def _detail(channel: LaidOver, z_um: float, cutoff_per_um: float) -> NDArray[np.complex64]:
    """Fine detail of a field, relative to its mean, within the band that all wavelengths see."""
    (stack,) = channel.slices(z_um)
    field = stack.field_z_y_x[0]
    mean = field.mean(dtype=np.complex128)
    spectrum = fft.fft2(field / np.complex64(mean if abs(mean) > 0 else 1.0))
    y, x = (fft.fftfreq(side, channel.pixel_um) for side in field.shape)
    share = np.hypot(y[:, None], x[None]) / cutoff_per_um
    band = _rise(share, LOW_CUT) * (1 - _rise(share, HIGH_CUT))
    return np.asarray(fft.ifft2(spectrum * band), dtype=np.complex64) * _window(field.shape)


def _rise(share: FloatArray, at: float) -> FloatArray:
    """A soft step from 0 to 1."""
    return np.asarray(1 / (1 + np.exp(-(share - at) / (0.25 * at))))


def _window(shape_y_x: tuple[int, ...]) -> NDArray[np.float32]:
    """Fades out at the edges, where solutions are poor."""
    from scipy.signal.windows import tukey

    y, x = (tukey(side, 0.25).astype(np.float32) for side in shape_y_x)
    return np.asarray(y[:, None] * x[None])


def _peak(
    anchor: NDArray[np.complex64], detail: NDArray[np.complex64]
) -> tuple[float, float, float]:
    """How far (y, x) in pixels the detail lies from the anchor, and how well they agree there."""
    power = float(np.linalg.norm(anchor) * np.linalg.norm(detail))
    if power == 0:
        return 0.0, 0.0, 0.0
    cross = fft.fft2(detail) * np.conj(fft.fft2(anchor))
    correlation = np.abs(fft.ifft2(cross))
    top = np.unravel_index(int(correlation.argmax()), correlation.shape)
    start = [
        int(place) if place <= side // 2 else int(place) - side
        for place, side in zip(top, correlation.shape, strict=True)
    ]
    y, x, best = _finely(cross, float(start[0]), float(start[1]))
    return y, x, best / power


def _finely(cross: NDArray[np.complex64], y_px: float, x_px: float) -> tuple[float, float, float]:
    """The peak of a correlation between pixels: its Fourier sum on ever finer grids around it."""
    rows, columns = (fft.fftfreq(side) for side in cross.shape)
    best = 0.0
    for step in (0.25, 0.05, 0.01):
        moves = np.arange(-5, 6) * step
        at_y = np.exp(2j * np.pi * np.outer(y_px + moves, rows))
        at_x = np.exp(2j * np.pi * np.outer(columns, x_px + moves))
        values = np.abs(at_y @ cross @ at_x) / cross.size
        row, column = np.unravel_index(int(values.argmax()), values.shape)
        y_px, x_px, best = y_px + moves[row], x_px + moves[column], float(values.max())
    return y_px, x_px, best


def _place(anchor: NDArray[np.complex64], detail: NDArray[np.complex64]) -> Place:
    """Shift of the whole, and the magnification that blocks of it agree on, if they do."""
    y_px, x_px, agreement = _peak(anchor, detail)
    magnification, y_px, x_px = _magnified(anchor, detail, (y_px, x_px))
    return Place(y_px, x_px, magnification, agreement)


def _magnified(
    anchor: NDArray[np.complex64], detail: NDArray[np.complex64], shift_y_x: tuple[float, float]
) -> tuple[float, float, float]:
    """Magnification and shift from where blocks of the picture lie; 1 where it cannot be told.

    What is found is taken out and the rest is looked for: a block that holds other things at its
    edge than the anchor's shows less of a shift than there is.
    """
    y_px, x_px, magnification, error = *shift_y_x, 1.0, 0.0
    for _ in range(MAGNIFIED_TURNS):
        offset = Offset(0.0, y_px, x_px, magnification)
        rest = _rest(anchor, laid_over(detail, 1.0, offset, detail.shape, 1.0))
        if rest is None or abs(magnification + rest[2] - 1) > MOST_MAGNIFIED:
            return 1.0, *shift_y_x
        y_px, x_px, magnification = y_px + rest[0], x_px + rest[1], magnification + rest[2]
        error = rest[3]
    corner_px = abs(magnification - 1) * max(anchor.shape) / 2
    if corner_px < LEAST_CORNER_PX or abs(magnification - 1) < 4 * error:
        return 1.0, *shift_y_x
    return magnification, y_px, x_px


def _rest(
    anchor: NDArray[np.complex64], detail: NDArray[np.complex64]
) -> tuple[float, float, float, float] | None:
    """Shift (y, x), more of magnification and its error, that blocks agree on; else None."""
    moved, places, weights = [], [], []
    for rows, columns in _blocks(anchor.shape):
        fade = np.hanning(rows.stop - rows.start)[:, None] * np.hanning(
            columns.stop - columns.start
        )
        ours, theirs = (one[rows, columns] * fade for one in (anchor, detail))
        y, x, agreement = _peak(ours, theirs)
        if agreement < LEAST_AGREEMENT or max(abs(y), abs(x)) > 3:
            continue
        middle = [
            (part.start + part.stop - side) / 2
            for part, side in zip((rows, columns), anchor.shape, strict=True)
        ]
        moved += [y, x]
        places += [(1.0, 0.0, middle[0]), (0.0, 1.0, middle[1])]
        weights += [agreement * float(np.linalg.norm(ours))] * 2
    if len(moved) < 12:
        return None
    matrix, values = np.array(places), np.array(moved)
    weight = np.array(weights) / max(weights)
    keep = np.ones(len(values), dtype=bool)
    for _ in range(2):  # once with all, once without those that lie far off
        solved, *_ = np.linalg.lstsq(
            matrix[keep] * weight[keep, None], values[keep] * weight[keep], rcond=None
        )
        left = np.abs(values - matrix @ solved)
        keep = left <= 3 * max(float(np.median(left)), 0.02)
    spread = float(np.sqrt(np.mean(left[keep] ** 2)))
    error = spread / max(float(np.linalg.norm(matrix[keep, 2])), 1e-9)
    return float(solved[0]), float(solved[1]), float(solved[2]), error


def _blocks(shape_y_x: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    edges = [np.linspace(0, side, BLOCKS + 1).round().astype(int) for side in shape_y_x]
    for top, bottom in zip(edges[0], edges[0][1:], strict=False):
        for left, right in zip(edges[1], edges[1][1:], strict=False):
            yield slice(int(top), int(bottom)), slice(int(left), int(right))
