"""A surface through noisy heights that bends as little as it must, like an elastic plate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.sparse.linalg import spsolve

FloatArray = NDArray[np.float64]

MOST_ROUNDS = 20
SETTLED = 1e-3
# Heights that count for nothing hold the surface by this share: without any it would be undefined.
LEAST_WEIGHT = 1e-6


def fit_plate(
    height_y_x: FloatArray,
    weight_y_x: FloatArray,
    half_wavelength: float,
    tolerance: float,
) -> FloatArray:
    """Fit heights on a grid by a surface of little bending.

    Minimises sum w (surface - height)^2 + lambda * bending energy, where the bending energy is the
    sum of squared second differences (a thin plate's; a plane costs nothing, so that slopes are
    kept and gaps and rims are continued). Heights far off the surface count less, in rounds: the
    weight is divided by 1 + (deviation / 2 sigma)^2 (Cauchy), sigma being the deviations' median,
    scaled to a standard deviation.

    Parameters
    ----------
    height_y_x : array [y, x]
    weight_y_x : array [y, x]
        0: the height counts for nothing. 1: the usual.
    half_wavelength : float
        Waves of this length, in steps of the grid, are kept to one half where weights are 1.
    tolerance : float
        Least sigma, in the unit of heights.

    Returns
    -------
    array [y, x]
    """
    rows, columns = height_y_x.shape
    stiffness = (half_wavelength / (2 * math.pi)) ** 4
    bending = stiffness * _bending(rows, columns)
    height, given = height_y_x.ravel(), weight_y_x.ravel()
    counts = given > 0
    doubt = np.ones(height.size)
    surface = height
    for _ in range(MOST_ROUNDS):
        weight = given * doubt + LEAST_WEIGHT
        surface = spsolve((sparse.diags_array(weight) + bending).tocsc(), weight * height)
        if not counts.any():
            break
        deviation = np.abs(height - surface)
        sigma = max(1.4826 * float(np.median(deviation[counts])), tolerance)
        before, doubt = doubt, 1 / (1 + (deviation / (2 * sigma)) ** 2)
        if np.abs(doubt - before).max() < SETTLED:
            break
    return np.asarray(surface).reshape(rows, columns)


def _bending(rows: int, columns: int) -> Any:
    """Matrix of the bending energy of a grid, flattened row by row."""

    def differences(count: int, order: int) -> Any:
        return sparse.csr_array(np.diff(np.eye(count), order, axis=0))

    along_y = sparse.kron(differences(rows, 2), sparse.eye_array(columns))
    along_x = sparse.kron(sparse.eye_array(rows), differences(columns, 2))
    twist = sparse.kron(differences(rows, 1), differences(columns, 1))
    return along_y.T @ along_y + along_x.T @ along_x + 2 * twist.T @ twist
