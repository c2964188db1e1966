"""Differences of phase: as they are but for one constant, and without a ramp as well.

Frames tell a phase up to one constant. A ramp they do tell (it moves the spectrum under LEDs of
known directions), so that `phase_error` counts it; `phase_rmse` is for images that somebody moved,
and for crops, whose frames hardly tell a ramp of less than a twentieth of a Fourier sample.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fpm_inr.metrics.images import Image, check_pair, relative_l2

FloatArray = NDArray[np.float64]
MOST_STEPS = 20


def without_factor(result: Image, reference: Image) -> Image:
    """Multiply a result by the factor a that makes ||a result - reference|| smallest.

    The factor is complex for fields, and real for two real images. A result that is zero stays so.
    """
    energy = np.vdot(result, result).real
    scaled: Image = result * (np.vdot(result, reference) / energy if energy > 0 else 1.0)
    return scaled


def complex_error(result: Image, reference: Image) -> float:
    """Relative norm ||a result - reference|| / ||reference||, a being the best complex factor.

    One factor is all that is removed: no shift, no ramp, no blur. 0 is perfect; a result that has
    nothing to do with the reference has 1.

    Raises
    ------
    DataError
        As `check_pair`.
    """
    check_pair(result, reference)
    return relative_l2(without_factor(result, reference), reference)


def phase_error(result: Image, reference: Image) -> float:
    """Root-mean-square phase difference in radians, one constant removed and no ramp.

    The constant is the angle of the best complex factor, as in `complex_error`. Pixels count by the
    product of both amplitudes: where there is no light there is no phase. Differences are wrapped
    into (-pi, pi]: beyond half a turn the number says too little.

    Raises
    ------
    DataError
        As `check_pair`.
    """
    check_pair(result, reference)
    product = without_factor(result, reference) * np.conj(reference.astype(np.complex128))
    weight = np.abs(product)
    total = float(weight.sum())
    return float(np.sqrt(np.sum(weight * np.angle(product) ** 2) / total)) if total > 0 else 0.0


def phase_rmse(result: Image, reference: Image) -> float:
    """Root-mean-square phase difference in radians after removing an offset and a ramp.

    A slow error of phase is taken for a ramp in part: `phase_error` hides nothing.

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
