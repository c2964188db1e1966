"""Differences of phase, free of what no intensity can tell: an offset and a ramp."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fpm_inr.metrics.images import Image, check_pair

FloatArray = NDArray[np.float64]
MOST_STEPS = 20


def phase_rmse(result: Image, reference: Image) -> float:
    """Root-mean-square phase difference in radians after removing an offset and a ramp.

    Pixels count by the product of both amplitudes: where there is no light there is no phase.

    Raises
    ------
    DataError
        As `check_pair`.
    """
    check_pair(result, reference)
    difference, weight = without_ramp(result, reference)
    return float(np.sqrt(np.sum(weight * difference**2) / weight.sum()))


def without_ramp(result: Image, reference: Image) -> tuple[FloatArray, FloatArray]:
    """Phase difference [y, x] in radians less its weighted best plane, and the weights [y, x].

    The plane is found first as the peak of the product's spectrum, which does not mind whole turns,
    then by weighted least squares on what is left, wrapped into (-pi, pi], until it stays.
    """
    product = result.astype(np.complex128) * np.conj(reference.astype(np.complex128))
    weight = np.abs(product)
    if not weight.any():
        return np.zeros(product.shape), np.ones(product.shape)
    y, x = (np.arange(n) - (n - 1) / 2 for n in product.shape)
    spectrum = np.abs(np.fft.fft2(product))
    row, column = np.unravel_index(int(spectrum.argmax()), spectrum.shape)
    slope_y = 2 * np.pi * np.fft.fftfreq(len(y))[row]
    slope_x = 2 * np.pi * np.fft.fftfreq(len(x))[column]
    left = product * np.exp(-1j * (slope_y * y[:, None] + slope_x * x))
    left = left * np.exp(-1j * np.angle(left.sum()))
    design = np.stack(
        [a.ravel() for a in np.broadcast_arrays(np.ones((1, 1)), y[:, None], x[None, :])]
    )
    normal = (design * weight.ravel()) @ design.T
    for _ in range(MOST_STEPS):
        plane = np.linalg.lstsq(normal, design @ (weight * np.angle(left)).ravel(), rcond=None)[0]
        left = left * np.exp(-1j * (plane @ design)).reshape(left.shape)
        if np.abs(plane * [1.0, len(y), len(x)]).max() < 1e-12:
            break
    return np.angle(left), weight
