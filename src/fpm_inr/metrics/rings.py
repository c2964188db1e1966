"""Fourier ring correlation: up to which frequency two images agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal.windows import tukey

from fpm_inr.metrics.images import Image, check_pair

FloatArray = NDArray[np.float64]
ONE_SEVENTH = 1 / 7
TAPER = 0.25  # share of each side over which the edges fade, a quarter of it at either end


@dataclass(frozen=True, eq=False)
class RingCorrelation:
    """Correlation of two spectra, ring by ring.

    Parameters
    ----------
    frequency_per_um : array [ring]
        Mean frequency of each ring, up to the Nyquist frequency (per pixel, where the pixel is 1).
    correlation : array [ring]
        1: the ring agrees; about 0: it does not.
    samples : array [ring]
        Independent Fourier samples in each ring.
    """

    frequency_per_um: FloatArray
    correlation: FloatArray
    samples: NDArray[np.intp]

    @property
    def half_bit(self) -> FloatArray:
        """Half-bit threshold [ring] (van Heel and Schatz, J. Struct. Biol. 151, 250, 2005)."""
        root = np.sqrt(self.samples)
        threshold: FloatArray = (0.2071 + 1.9102 / root) / (1.2071 + 0.9102 / root)
        return threshold

    def resolution_um(self, threshold: float | FloatArray = ONE_SEVENTH) -> float:
        """Period at which the correlation first falls under a threshold, in um.

        Infinite where it starts under it; the Nyquist period, two pixels, where it never does.
        """
        margin = self.correlation - threshold
        # the innermost ring holds a handful of samples and mostly the background: not judged
        under = np.flatnonzero(margin[1:] < 0) + 1
        if not under.size:
            return float(1 / self.frequency_per_um[-1])
        ring = int(under[0])
        if ring == 1 and margin[0] < 0:
            return float("inf")
        low, high = margin[ring - 1], margin[ring]
        share = 0.0 if low <= 0 else low / (low - high)
        frequency = self.frequency_per_um[ring - 1] * (1 - share)
        return float(1 / (frequency + self.frequency_per_um[ring] * share))


def fourier_ring_correlation(
    result: Image, reference: Image, pixel_um: float = 1.0
) -> RingCorrelation:
    """Correlate the spectra of two images on rings one Fourier sample wide.

    Means are subtracted and edges faded (Tukey window) first, so that the jump between opposite
    edges, which both images share, does not count as agreement. Of complex images the real part of
    the normalised product is given: align them first.

    Raises
    ------
    DataError
        As `check_pair`.
    """
    check_pair(result, reference)
    height, width = result.shape
    window = np.outer(tukey(height, TAPER), tukey(width, TAPER))
    is_real = not (np.iscomplexobj(result) or np.iscomplexobj(reference))
    a, b = (np.fft.fft2((image - image.mean()) * window) for image in (result, reference))
    ky = np.fft.fftfreq(height, pixel_um)[:, None]
    kx = np.fft.fftfreq(width, pixel_um)[None, :]
    radius = np.hypot(ky, kx)
    step = 1 / (pixel_um * min(height, width))
    ring = np.round(radius / step).astype(np.intp)
    count = min(height, width) // 2  # rings 1 to count; beyond, they leave the square
    inside = (ring >= 1) & (ring <= count)
    which = ring[inside] - 1

    def ring_sum(values: FloatArray) -> FloatArray:
        return np.bincount(which, values[inside], minlength=count).astype(np.float64)

    samples = np.bincount(which, minlength=count)
    norm = np.sqrt(ring_sum(np.abs(a) ** 2) * ring_sum(np.abs(b) ** 2))
    product = ring_sum((a * np.conj(b)).real)
    correlation = np.divide(product, norm, out=np.zeros(count), where=norm > 0)
    return RingCorrelation(
        ring_sum(radius) / samples,
        correlation,
        np.maximum(samples // 2 if is_real else samples, 1),
    )
