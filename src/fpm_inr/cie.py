"""From transmissions at a few wavelengths to the colour that an eye sees in daylight.

The spectrum between the wavelengths is drawn as straight lines, and beyond the outermost ones as
constant: a stain's spectrum is smooth. Taking the LEDs for the only light there is would be exact
too, and make every stain garish (docs/colour.md compares both with known spectra).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import DataError

FloatArray = NDArray[np.float64]

FIRST_NM, LAST_NM, STEP_NM = 380, 780, 10
# CIE standard illuminant D65 (CIE 15:2004), every 10 nm from 380 to 780 nm
D65 = np.array(
    [
        *(49.9755, 54.6482, 82.7549, 91.4860, 93.4318, 86.6823, 104.865, 117.008, 117.812),
        *(114.861, 115.923, 108.811, 109.354, 107.802, 104.790, 107.689, 104.405, 104.046),
        *(100.000, 96.3342, 95.7880, 88.6856, 90.0062, 89.5991, 87.6987, 83.2886, 83.6992),
        *(80.0268, 80.2146, 82.2778, 78.2842, 69.7213, 71.6091, 74.3490, 61.6040, 69.8856),
        *(75.0870, 63.5927, 46.4182, 66.8054, 63.3828),
    ]
)
# linear sRGB of CIE XYZ (IEC 61966-2-1)
RGB_OF_XYZ = np.array(
    [
        [3.2406, -1.5372, -0.4986],
        [-0.9689, 1.8758, 0.0415],
        [0.0557, -0.2040, 1.0570],
    ]
)


def wavelengths_nm() -> FloatArray:
    """Wavelengths at which spectra are summed."""
    return np.arange(FIRST_NM, LAST_NM + 1, STEP_NM, dtype=np.float64)


def observer(nm: FloatArray) -> FloatArray:
    """CIE 1931 colour matching functions [xyz, wavelength], as sums of Gaussians.

    Wyman, Sloan, Shirley, J. Comput. Graph. Tech. 2(2), 1 (2013).
    """

    def lobe(height: float, middle: float, below: float, above: float) -> FloatArray:
        width = np.where(nm < middle, below, above)
        return np.asarray(height * np.exp(-0.5 * ((nm - middle) / width) ** 2))

    x = lobe(1.056, 599.8, 37.9, 31.0) + lobe(0.362, 442.0, 16.0, 26.7)
    x += lobe(-0.065, 501.1, 20.4, 26.2)
    y = lobe(0.821, 568.8, 46.9, 40.5) + lobe(0.286, 530.9, 16.3, 31.1)
    z = lobe(1.217, 437.0, 11.8, 36.0) + lobe(0.681, 459.0, 26.0, 13.8)
    return np.stack([x, y, z])


def rgb_of_spectrum(transmission_nm: FloatArray) -> FloatArray:
    """Linear sRGB [..., rgb] of transmission spectra [..., wavelength] in daylight; clear is 1."""
    weights = RGB_OF_XYZ @ (observer(wavelengths_nm()) * D65)
    weights /= weights.sum(axis=1, keepdims=True)  # clear glass is white
    return np.asarray(transmission_nm @ weights.T)


def rgb_of_channels(wavelength_um: Sequence[float]) -> FloatArray:
    """Matrix [rgb, channel] from transmissions of intensity to linear sRGB; its rows sum to 1.

    Raises
    ------
    DataError
        Wavelengths are fewer than two, equal, or invisible.
    """
    nm = 1e3 * np.asarray(wavelength_um, dtype=np.float64)
    if len(nm) < 2 or len(np.unique(nm)) < len(nm) or nm.min() < FIRST_NM or nm.max() > LAST_NM:
        told = ", ".join(f"{one:g}" for one in nm)
        raise DataError(
            f"are {told} nm, which make no colour",
            f"give two or more different ones from {FIRST_NM} to {LAST_NM} nm",
            field="wavelengths",
        )
    order = np.argsort(nm)
    columns = np.empty((3, len(nm)))
    for place, number in enumerate(order):
        share = np.interp(wavelengths_nm(), nm[order], np.eye(len(nm))[place])
        columns[:, number] = rgb_of_spectrum(share)
    return columns


def encode_srgb(linear: NDArray[np.floating]) -> NDArray[np.uint8]:
    """8-bit sRGB of linear values; what lies outside 0 to 1 is clipped."""
    clipped = np.clip(linear, 0, 1)
    curved = np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped ** (1 / 2.4) - 0.055)
    return np.asarray((255 * curved + 0.5).astype(np.uint8))
