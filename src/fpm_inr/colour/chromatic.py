"""Find how wavelengths lie against each other: focus, sideways shift, magnification.

Two wavelengths see one specimen: its edges agree where both are in focus. The reference is taken at
its own focus; every other is refocused and moved until its complex detail agrees best. Complex
detail knows defocus by its phase, so the height is found far finer than a depth of field, and pure
phase objects serve as well as stained ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from fpm_inr.colour.offset import Offset
from fpm_inr.errors import SettingsError
from fpm_inr.solution_set import LaidOver, SolutionSet

FloatArray = NDArray[np.float64]

# Detail below this share of the common cutoff says little of focus, and phase lies there.
LOW_CUT, HIGH_CUT = 0.12, 0.9
COARSE_HEIGHTS = 25
REFINEMENTS = 2
BLOCKS = 4  # a side, of which each votes on the magnification
LEAST_AGREEMENT = 0.2
# A magnification is believed where it moves the corners by more than this, and beyond its error.
LEAST_CORNER_PX = 0.1


@dataclass(frozen=True)
class Found:
    """An offset, and how well it is known.

    Parameters
    ----------
    offset : Offset
    agreement : float
        Correlation of the detail there, 0 to 1.
    at_end : bool
        The best height is an end of what was solved: the true one may lie beyond.
    """

    offset: Offset
    agreement: float
    at_end: bool

    def says(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"agreement": self.agreement, "at_end": self.at_end}


def registered(solutions: SolutionSet, z_um: float | None = None) -> SolutionSet:
    """The same with offsets that are found; how well is in ``record["offsets"]``.

    Parameters
    ----------
    solutions : SolutionSet
    z_um : float, optional
        Height at which the reference is in focus. Default: where its detail is sharpest.
    """
    plain = solutions.with_(offsets={})
    reference = plain.channel(plain.reference)
    focus = focus_um(reference) if z_um is None else z_um
    anchor = _detail(reference, focus, plain)
    found = {
        name: _find(plain, name, anchor, focus) for name in plain.names if name != plain.reference
    }
    record = {
        **solutions.record,
        "focus_um": focus,
        "offsets": {name: one.says() for name, one in found.items()},
    }
    return plain.with_(offsets={n: one.offset for n, one in found.items()}, record=record)


def focus_um(channel: LaidOver) -> float:
    """Height of a channel where most of it is sharp.

    A specimen of amplitude has the strongest edges there.
    """
    from fpm_inr.focus import FocusSettings, score_slices
    from fpm_inr.focus.depth import peak_um
    from fpm_inr.heights import default_heights

    planes = channel.planes_um
    heights = default_heights(channel.z_range_um) if planes is None else planes
    if len(heights) < 3:
        return float(heights.mean())
    scores = score_slices(channel.slices(heights), FocusSettings.usual("edges"))
    return float(peak_um(heights, scores.score_z_y_x.mean(axis=(1, 2))))


def given(solutions: SolutionSet, offsets: dict[str, Offset]) -> SolutionSet:
    """The same with offsets that are given.

    Raises
    ------
    SettingsError
        A name is unknown, or the reference is given an offset.
    """
    for name, offset in offsets.items():
        if name not in solutions.names:
            raise SettingsError(
                f"{name!r} is none of {', '.join(solutions.names)}",
                "name a wavelength that was solved",
                field="offset",
            )
        if name == solutions.reference and offset != Offset():
            raise SettingsError(
                f"is given for {name}, which the others are laid over",
                "give those of the others",
                field="offset",
            )
    record = {**solutions.record, "offsets": "given"}
    return solutions.with_(offsets=offsets, record=record)


def _find(solutions: SolutionSet, name: str, anchor: NDArray[np.complex64], focus: float) -> Found:
    channel = solutions.channel(name)
    low, high = channel.solution.z_range_um
    heights = channel.planes_um
    if heights is None:
        heights = np.linspace(low, high, COARSE_HEIGHTS if high > low else 1)
    best_z, shift, agreement, at_end = focus, (0.0, 0.0), -1.0, False
    for turn in range(REFINEMENTS + 1):
        details = [_detail(channel, float(z), solutions) for z in heights]
        peaks = [_peak(anchor, detail) for detail in details]
        scores = np.array([one[2] for one in peaks])
        top = int(scores.argmax())
        best_z, shift, agreement = float(heights[top]), peaks[top][:2], float(scores[top])
        at_end = turn == 0 and len(heights) > 2 and top in (0, len(heights) - 1)
        if len(heights) < 3:
            break
        if not at_end and 0 < top < len(heights) - 1:
            best_z = _parabola(heights[top - 1 : top + 2], scores[top - 1 : top + 2])
        if channel.planes_um is not None:
            break
        step = float(heights[1] - heights[0])
        heights = np.clip(np.linspace(best_z - step, best_z + step, 5), low, high)
        heights = np.unique(heights)
    y_px, x_px = shift
    detail = _detail(channel, float(np.clip(best_z, low, high)), solutions)
    y_px, x_px, agreement = _peak(anchor, detail)
    magnification, y_px, x_px = _magnified(anchor, detail, (y_px, x_px))
    pixel = solutions.pixel_um
    single = high == low
    offset = Offset(0.0 if single else best_z - focus, y_px * pixel, x_px * pixel, magnification)
    return Found(offset, agreement, at_end)


def _detail(channel: LaidOver, z_um: float, solutions: SolutionSet) -> NDArray[np.complex64]:
    """Fine detail of a field, relative to its mean, within the band that all wavelengths see."""
    (stack,) = channel.slices(z_um)
    field = stack.field_z_y_x[0]
    mean = field.mean(dtype=np.complex128)
    spectrum = fft.fft2(field / np.complex64(mean if abs(mean) > 0 else 1.0))
    y, x = (fft.fftfreq(side, solutions.pixel_um) for side in field.shape)
    share = np.hypot(y[:, None], x[None]) / solutions.cutoff_per_um
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


def _magnified(
    anchor: NDArray[np.complex64], detail: NDArray[np.complex64], shift_y_x: tuple[float, float]
) -> tuple[float, float, float]:
    """Magnification and shift from where blocks of the picture lie; 1 where it cannot be told."""
    blocks = list(_blocks(anchor.shape))
    moved, places, weights = [], [], []
    for rows, columns in blocks:
        y, x, agreement = _peak(anchor[rows, columns], detail[rows, columns])
        if agreement < LEAST_AGREEMENT or max(abs(y - shift_y_x[0]), abs(x - shift_y_x[1])) > 3:
            continue
        middle = [
            (part.start + part.stop - side) / 2
            for part, side in zip((rows, columns), anchor.shape, strict=True)
        ]
        moved += [y, x]
        places += [(1.0, 0.0, middle[0]), (0.0, 1.0, middle[1])]
        weights += [agreement * float(np.linalg.norm(anchor[rows, columns]))] * 2
    if len(moved) < 12:
        return 1.0, *shift_y_x
    matrix, values = np.array(places), np.array(moved)
    weight = np.array(weights) / max(weights)
    keep = np.ones(len(values), dtype=bool)
    for _ in range(2):  # once with all, once without those that lie far off
        solved, *_ = np.linalg.lstsq(
            matrix[keep] * weight[keep, None], values[keep] * weight[keep], rcond=None
        )
        rest = np.abs(values - matrix @ solved)
        keep = rest <= 3 * max(float(np.median(rest)), 0.02)
    spread = float(np.sqrt(np.mean(rest[keep] ** 2)))
    reach = np.array([place[2] for place in places])[keep]
    error = spread / max(float(np.sqrt((reach**2).sum())), 1e-9)
    corner = max(anchor.shape) / 2
    more = float(solved[2])
    if abs(more) * corner < LEAST_CORNER_PX or abs(more) < 4 * error or abs(more) > 0.05:
        return 1.0, *shift_y_x
    return 1 + more, float(solved[0]), float(solved[1])


def _blocks(shape_y_x: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    edges = [np.linspace(0, side, BLOCKS + 1).round().astype(int) for side in shape_y_x]
    for top, bottom in zip(edges[0], edges[0][1:], strict=False):
        for left, right in zip(edges[1], edges[1][1:], strict=False):
            yield slice(int(top), int(bottom)), slice(int(left), int(right))


def _parabola(z_um: FloatArray, score: NDArray[np.floating]) -> float:
    """Place of the highest score between three even heights."""
    before, at, after = (float(one) for one in score)
    bend = before - 2 * at + after
    share = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return float(z_um[1] + share * (z_um[1] - z_um[0]))
