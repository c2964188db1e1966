"""Where the fine detail of one field lies in another: sideways shift and magnification."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from fpm_inr.chromatic_offset import Offset, laid_over

FloatArray = NDArray[np.float64]

# Detail below this share of the common cutoff says little of place.
LOW_CUT, HIGH_CUT = 0.25, 0.9
BLOCKS = 4  # a side, of which each votes on the magnification
LEAST_AGREEMENT = 0.2
# A magnification is believed where it moves the corners by more than this, and beyond its error.
LEAST_CORNER_PX = 0.1
MAGNIFIED_TURNS, MOST_MAGNIFIED = 4, 0.05
LEAST_VOTES = 6


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


@dataclass(frozen=True)
class Vote:
    """Where one part of a picture lies.

    Parameters
    ----------
    moved_y_x_px : (float, float)
    middle_y_x_px : (float, float)
        Of the part, from the middle of the picture.
    weight : float
    """

    moved_y_x_px: tuple[float, float]
    middle_y_x_px: tuple[float, float]
    weight: float


def fine_detail(
    field_y_x: NDArray[np.complex64], pixel_um: float, cutoff_per_um: float
) -> NDArray[np.complex64]:
    """Fine detail of a field, relative to its mean, within the band that all wavelengths see."""
    mean = field_y_x.mean(dtype=np.complex128)
    spectrum = fft.fft2(field_y_x / np.complex64(mean if abs(mean) > 0 else 1.0))
    y, x = (fft.fftfreq(side, pixel_um) for side in field_y_x.shape)
    share = np.hypot(y[:, None], x[None]) / cutoff_per_um
    band = _rise(share, LOW_CUT) * (1 - _rise(share, HIGH_CUT))
    fine = np.asarray(fft.ifft2(spectrum * band), dtype=np.complex64)
    return fine * _fading(field_y_x.shape)


def _rise(share: FloatArray, at: float) -> FloatArray:
    """A soft step from 0 to 1."""
    return np.asarray(1 / (1 + np.exp(-(share - at) / (0.25 * at))))


def _fading(shape_y_x: tuple[int, ...]) -> NDArray[np.float32]:
    """Fades out at the edges, where solutions are poor."""
    from scipy.signal.windows import tukey

    y, x = (tukey(side, 0.25).astype(np.float32) for side in shape_y_x)
    return np.asarray(y[:, None] * x[None])


def peak(
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


def place_of(anchor: NDArray[np.complex64], detail: NDArray[np.complex64]) -> Place:
    """Shift of the whole, and the magnification that blocks of it agree on, if they do."""
    y_px, x_px, agreement = peak(anchor, detail)
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
    if not is_magnified(magnification, error, max(anchor.shape)):
        return 1.0, *shift_y_x
    return magnification, y_px, x_px


def is_magnified(magnification: float, error: float, side_px: float) -> bool:
    """Whether a magnification is to be believed."""
    moved_px = abs(magnification - 1) * side_px / 2
    return moved_px >= LEAST_CORNER_PX and abs(magnification - 1) >= 4 * error


def _rest(
    anchor: NDArray[np.complex64], detail: NDArray[np.complex64]
) -> tuple[float, float, float, float] | None:
    """What blocks agree on; see `agreed`."""
    votes = []
    for rows, columns in _blocks(anchor.shape):
        fade = np.hanning(rows.stop - rows.start)[:, None] * np.hanning(
            columns.stop - columns.start
        )
        ours, theirs = (one[rows, columns] * fade for one in (anchor, detail))
        y, x, agreement = peak(ours, theirs)
        if agreement < LEAST_AGREEMENT or max(abs(y), abs(x)) > 3:
            continue
        middle_y, middle_x = (
            (part.start + part.stop - side) / 2
            for part, side in zip((rows, columns), anchor.shape, strict=True)
        )
        weight = agreement * float(np.linalg.norm(ours))
        votes.append(Vote((y, x), (middle_y, middle_x), weight))
    return agreed(votes) if len(votes) >= LEAST_VOTES else None


def agreed(votes: Sequence[Vote]) -> tuple[float, float, float, float]:
    """Shift (y, x), more of magnification and its error, by least squares over parts.

    Parts that lie far off the others do not count.
    """
    matrix = np.array(
        [
            row
            for one in votes
            for row in ((1, 0, one.middle_y_x_px[0]), (0, 1, one.middle_y_x_px[1]))
        ]
    )
    values = np.array([move for one in votes for move in one.moved_y_x_px])
    weight = np.repeat([one.weight for one in votes], 2)
    weight = weight / weight.max()
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
