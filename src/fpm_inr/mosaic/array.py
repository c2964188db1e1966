"""The LED array as one rigid body: how it must be moved to explain what tiles have found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from fpm_inr.illumination import LedGeometry

FloatArray = NDArray[np.float64]

# Fourier samples beyond which a direction counts less: an LED at the pupil's edge errs.
USUAL_ERROR = 0.3
STRETCH = 3  # its number in a move


def moved_array(geometry: LedGeometry, move: FloatArray) -> LedGeometry:
    """An LED array after a rigid move about its middle.

    Parameters
    ----------
    geometry : LedGeometry
    move : array [6]
        Shift x and y in mm; turn from x to y, stretch, and lean along x and y, all in percent of
        the array's half width. A stretch stands for another distance.
    """
    place = geometry.position_led_xyz_mm
    middle = place.mean(axis=0)
    about = place - middle
    turn, stretch, lean_x, lean_y = move[2:] / 100
    x, y = about[:, 0], about[:, 1]
    moved = np.stack(
        [
            (np.cos(turn) * x - np.sin(turn) * y) * (1 + stretch) + move[0],
            (np.sin(turn) * x + np.cos(turn) * y) * (1 + stretch) + move[1],
            about[:, 2] + lean_x * x + lean_y * y,
        ],
        axis=1,
    )
    return replace(geometry, position_led_xyz_mm=moved + middle)


def fit_move(
    geometry: LedGeometry,
    place_x_y_um: Sequence[tuple[float, float]],
    na_led_xy: Sequence[FloatArray],
    sees_led: Sequence[NDArray[np.bool_]],
    sample_na: float,
    *,
    stretches: bool = True,
) -> FloatArray:
    """The move [6] of an array that explains its directions from several places, robustly.

    Parameters
    ----------
    geometry : LedGeometry
        As stated.
    place_x_y_um : sequence of (float, float)
        From the optical axis.
    na_led_xy : sequence of array [led, 2]
        Directions found there.
    sees_led : sequence of array [led]
        Those that count.
    sample_na : float
        A Fourier sample of a tile.
    stretches : bool
        False: the array stands as far away as stated.
    """
    free = [number for number in range(6) if stretches or number != STRETCH]

    def whole(part: FloatArray) -> FloatArray:
        move: FloatArray = np.zeros(6)
        move[free] = part
        return move

    def rest(part: FloatArray) -> FloatArray:
        placed = moved_array(geometry, whole(part))
        gone = [
            ((na - placed.na_at(*place)) / sample_na)[sees]
            for na, place, sees in zip(na_led_xy, place_x_y_um, sees_led, strict=True)
        ]
        return np.concatenate(gone).ravel()

    fit = least_squares(rest, np.zeros(len(free)), loss="soft_l1", f_scale=USUAL_ERROR)
    return whole(np.asarray(fit.x))
