"""Phase that varies slowly, from one cycle across the field upward, under a fine amplitude."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fpm_inr.simulate.pictures import lay

FloatArray = NDArray[np.float64]

# Of the phase, the share of one cycle across the field along y and x; the rest is the picture.
WAVE_SHARE = 0.4
LENS_RADIUS = 0.35  # of the field


def slow_phase(
    picture: FloatArray, y_um: FloatArray, x_um: FloatArray, field_um: float
) -> FloatArray:
    """Phase [y, x], 0 to 1: a picture as wide as the field, and one cycle of a wave across it.

    Parameters
    ----------
    picture : array [row, column]
        From 0 to 1; its shorter side spans the field, and it is mirrored beyond its edges.
    y_um, x_um : array
        Evenly spaced coordinates, 0 in the middle of the field.
    field_um : float
        Shorter side of the field of view.
    """
    turn = 2 * np.pi / field_um
    wave = 0.5 + 0.5 * np.sin(turn * x_um)[None, :] * np.cos(turn * y_um)[:, None]
    laid = lay(picture, y_um, x_um, field_um / min(picture.shape))
    phase: FloatArray = (1 - WAVE_SHARE) * laid + WAVE_SHARE * wave
    return phase


def lens_phase(y_um: FloatArray, x_um: FloatArray, field_um: float) -> FloatArray:
    """Phase [y, x] of a plano-convex bump, 1 at its top: a paraboloid of 0.35 fields' radius."""
    squared = (y_um[:, None] ** 2 + x_um[None, :] ** 2) / (LENS_RADIUS * field_um) ** 2
    phase: FloatArray = np.maximum(1 - squared, 0.0)
    return phase
