"""Local resolution: the period at which two halves of the data cease to agree.

Two results of disjoint halves of the data share the object and nothing of the noise. Their Fourier
ring correlation C (on complex fields) tells how much of a ring is object: the correlation of the
whole result with the truth is sqrt(2 C / (1 + C)), which is 1/2 where C = 1/7 (Rosenthal and
Henderson, J. Mol. Biol. 333, 721 (2003)). The resolution here is the period of the first ring,
from slow to fine, at which C of the halves falls under 1/7, and never finer than the cutoff of the
synthetic aperture. Where a specimen holds nothing fine, nothing fine agrees: a resolution is that
of the image, not of the microscope.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft2

from fpm_inr.metrics.rings import ONE_SEVENTH

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complexfloating]

PATCH_PERIODS = 12  # side of a patch, in periods of the cutoff
LEAST_PATCH_PX = 48
NEIGHBOURS = np.array([0.25, 0.5, 0.25])  # rings of a patch hold few samples


@dataclass(frozen=True, eq=False)
class ResolutionMap:
    """Period up to which the halves agree, patch by patch.

    Parameters
    ----------
    resolution_um : array [row, column]
        Infinite where not even the slowest ring agrees.
    centre_y_px, centre_x_px : array [row], array [column]
        Middles of the patches.
    patch_px : int
        Their side.
    whole_um : float
        Of the field as a whole: rings summed over all patches.
    cutoff_um : float
        Period of the synthetic aperture's cutoff: the finest there can be.
    """

    resolution_um: FloatArray
    centre_y_px: FloatArray
    centre_x_px: FloatArray
    patch_px: int
    whole_um: float
    cutoff_um: float

    def at_pixels(self, shape_y_x: tuple[int, int]) -> FloatArray:
        """The map [y, x] on the image's pixels, linear between the patches' middles."""
        rows = _spread(self.resolution_um, self.centre_y_px, shape_y_x[0])
        return _spread(rows.T, self.centre_x_px, shape_y_x[1]).T


def resolution_map(
    first_y_x: ComplexArray, second_y_x: ComplexArray, pixel_um: float, cutoff_per_um: float
) -> ResolutionMap:
    """Correlate two results of disjoint halves of the data in patches that overlap by half.

    Parameters
    ----------
    first_y_x, second_y_x : array [y, x], complex
        On one scale: see `fpm_inr.trust.again.change`.
    pixel_um : float
    cutoff_per_um : float
        `Solution.cutoff_per_um`.
    """
    side = max(LEAST_PATCH_PX, round(PATCH_PERIODS / (cutoff_per_um * pixel_um)))
    side = min(side, *first_y_x.shape)
    window = np.outer(np.hanning(side + 2)[1:-1], np.hanning(side + 2)[1:-1])
    ring, frequency = _rings(side, pixel_um, cutoff_per_um)
    starts = [_starts(length, side) for length in first_y_x.shape]
    sums = np.zeros((len(starts[0]), len(starts[1]), 3, len(frequency)))
    for row, y in enumerate(starts[0]):
        for column, x in enumerate(starts[1]):
            cut = np.s_[y : y + side, x : x + side]
            a, b = (_windowed(image[cut], window) for image in (first_y_x, second_y_x))
            for n, values in enumerate(((a * b.conj()).real, np.abs(a) ** 2, np.abs(b) ** 2)):
                sums[row, column, n] = np.bincount(
                    ring.ravel(), values.ravel(), minlength=len(frequency) + 1
                )[:-1]
    limit = 1 / cutoff_per_um
    found = [[_period_um(patch, frequency, limit) for patch in row] for row in sums]
    return ResolutionMap(
        np.array(found),
        starts[0] + (side - 1) / 2,
        starts[1] + (side - 1) / 2,
        side,
        _period_um(sums.sum(axis=(0, 1)), frequency, limit),
        limit,
    )


def _starts(length: int, side: int) -> NDArray[np.intp]:
    count = max(1, 1 + round((length - side) / (side / 2)))
    return np.linspace(0, length - side, count).round().astype(np.intp)


def _windowed(patch_y_x: ComplexArray, window_y_x: FloatArray) -> NDArray[np.complex128]:
    """Spectrum of a patch without its mean."""
    mean = (patch_y_x * window_y_x).sum() / window_y_x.sum()
    return np.asarray(fft2((patch_y_x - mean) * window_y_x), dtype=np.complex128)


def _rings(side: int, pixel_um: float, cutoff_per_um: float) -> tuple[NDArray[np.intp], FloatArray]:
    """Ring [y, x] of every sample of a patch, the last one for what does not count; frequencies."""
    axis = np.fft.fftfreq(side, pixel_um)
    radius = np.hypot(axis[:, None], axis)
    step = 1 / (side * pixel_um)
    # the window spreads the mean over its neighbours
    ring = np.floor(radius / step - 1.0).astype(np.intp)
    count = max(1, int(np.floor(min(cutoff_per_um, 0.5 / pixel_um) / step - 1.0)))
    counts = (ring >= 0) & (ring < count)
    ring = np.where(counts, ring, count)
    total = np.bincount(ring.ravel(), radius.ravel(), minlength=count + 1)[:-1]
    return ring, total / np.maximum(np.bincount(ring.ravel(), minlength=count + 1)[:-1], 1)


def _period_um(sums: FloatArray, frequency_per_um: FloatArray, limit_um: float) -> float:
    """Period at which the correlation of summed rings falls under 1/7."""
    smooth = [np.convolve(np.pad(one, 1, mode="edge"), NEIGHBOURS, mode="valid") for one in sums]
    norm = np.sqrt(smooth[1] * smooth[2])
    correlation = np.divide(smooth[0], norm, out=np.zeros_like(norm), where=norm > 0)
    under = np.flatnonzero(correlation < ONE_SEVENTH)
    if not under.size:
        return limit_um
    ring = int(under[0])
    if ring == 0:
        return float("inf")
    high, low = correlation[ring - 1], correlation[ring]
    share = (high - ONE_SEVENTH) / (high - low)
    between = frequency_per_um[ring - 1 : ring + 1]
    return max(limit_um, float(1 / (between[0] + share * (between[1] - between[0]))))


def _spread(values: FloatArray, centres: FloatArray, length: int) -> FloatArray:
    """Columns of values at these centres, interpolated to every pixel along the first axis."""
    at = np.arange(length)
    # periods are averaged as frequencies: infinite ones are 0
    columns = [np.interp(at, centres, column) for column in (1 / values).T]
    with np.errstate(divide="ignore"):
        return np.asarray(1 / np.stack(columns, axis=1))
