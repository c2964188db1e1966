"""A surface through noisy heights that bends as little as it must, like an elastic plate."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.sparse.linalg import spsolve

FloatArray = NDArray[np.float64]

MOST_ROUNDS = 20
SETTLED = 1e-2
# Heights that count for nothing hold the surface by this share: without any it would be undefined.
LEAST_WEIGHT = 1e-6


def fit_plate(
    height_y_x: FloatArray,
    weight_y_x: FloatArray,
    stiffness: float,
    tolerance: float,
) -> tuple[FloatArray, float]:
    """Fit heights on a grid by a surface of little bending.

    Minimises sum w (surface - height)^2 + stiffness * bending energy, which is the sum of squared
    second differences (a thin plate's; a plane costs nothing, so that slopes are kept, and gaps and
    rims continued). Heights far off the surface count less, in rounds: the weight is divided by
    1 + (deviation / 2 sigma)^2 (Cauchy), sigma being the deviations' median, scaled to a standard
    deviation.

    Parameters
    ----------
    height_y_x : array [y, x]
    weight_y_x : array [y, x]
        0: the height counts for nothing. 1: the usual.
    stiffness : float
        Where weights are 1, a wave of wave number k (radians a step) is kept to 1 / (1 + stiffness
        k^4). For heights of noise sigma on a surface whose second differences have the spread
        kappa, the most probable surface has stiffness (sigma / kappa)^2.
    tolerance : float
        Least sigma, in the unit of heights.

    Returns
    -------
    surface : array [y, x]
    sigma : float
        Of the heights about it.
    """
    rows, columns = height_y_x.shape
    bending = stiffness * _bending(rows, columns)
    height, given = height_y_x.ravel(), weight_y_x.ravel()
    counts = given > 0
    doubt = np.ones(height.size)
    surface, sigma = height, tolerance
    for _ in range(MOST_ROUNDS):
        weight = given * doubt + LEAST_WEIGHT
        system = (sparse.diags_array(weight) + bending).tocsc()
        surface = spsolve(system, weight * height, permc_spec="MMD_AT_PLUS_A")
        if not counts.any():
            break
        deviation = np.abs(height - surface)
        sigma = max(1.4826 * float(np.median(deviation[counts])), tolerance)
        before, doubt = doubt, 1 / (1 + (deviation / (2 * sigma)) ** 2)
        if np.abs(doubt - before).max() < SETTLED:
            break
    return np.asarray(surface).reshape(rows, columns), sigma


def _bending(rows: int, columns: int) -> Any:
    """Matrix of the bending energy of a grid, flattened row by row."""

    def differences(count: int, order: int) -> Any:
        return sparse.csr_array(np.diff(np.eye(count), order, axis=0))

    along_y = sparse.kron(differences(rows, 2), sparse.eye_array(columns))
    along_x = sparse.kron(sparse.eye_array(rows), differences(columns, 2))
    twist = sparse.kron(differences(rows, 1), differences(columns, 1))
    return along_y.T @ along_y + along_x.T @ along_x + 2 * twist.T @ twist
