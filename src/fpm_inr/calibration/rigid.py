"""A calibrated LED array as a rigid move and what single LEDs do about it.

An array that stands a pitch off moves every LED far, and none of them oddly: only what is left of
the moves when the best pose is taken out tells whether single LEDs went astray.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.optimize import least_squares

from fpm_inr.acquisition import Acquisition
from fpm_inr.illumination import LedGeometry
from fpm_inr.instrument.pose import POSE, posed
from fpm_inr.sampling import fourier_sample_na

FloatArray = NDArray[np.float64]


class ArrayMove(BaseModel):
    """How an LED array stands against what was stated.

    Parameters
    ----------
    shift_x, shift_y : float
        Of the array's middle: in mm where the LEDs' places are known, else in NA.
    unit : {"mm", "NA"}
    rotation_deg : float
        From +x towards +y (clockwise on a screen).
    scale : float
        Factor of pitch over distance: above 1 the array is nearer, or its pitch is larger.
    tilt_x_deg, tilt_y_deg : float
        By how much the array leans: positive where LEDs at +x (+y) are further away.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    shift_x: float
    shift_y: float
    unit: str
    rotation_deg: float
    scale: float
    tilt_x_deg: float
    tilt_y_deg: float

    def __str__(self) -> str:
        return (
            f"shifted by ({self.shift_x:.3g}, {self.shift_y:.3g}) {self.unit} in (x, y), turned by "
            f"{self.rotation_deg:.2g} degrees, pitch over distance x {self.scale:.3g}, tilted by "
            f"({self.tilt_x_deg:.2g}, {self.tilt_y_deg:.2g}) degrees"
        )


@dataclass(frozen=True, eq=False)
class RigidFit:
    """The best rigid move and what it leaves.

    Parameters
    ----------
    move : ArrayMove
    rest_led_xy : array [led, 2]
        Moves of the LEDs, in NA, that no rigid move makes.
    """

    move: ArrayMove
    rest_led_xy: FloatArray


def fit_rigid(acquisition: Acquisition, na_led_xy: FloatArray) -> RigidFit:
    """Explain LED directions by a rigid move of the array that the acquisition states.

    A robust fit: a few LEDs that went astray do not carry the array along.

    Parameters
    ----------
    acquisition : Acquisition
    na_led_xy : array [led, 2]
        Directions as found.
    """
    stated = torch.tensor(acquisition.illumination.na_led_xy)
    sample_na = fourier_sample_na(acquisition.optics, acquisition.shape_y_x)

    def rest(pose: FloatArray) -> FloatArray:
        moved = posed(stated, torch.from_numpy(pose), sample_na).numpy()
        return np.asarray((na_led_xy - moved) / sample_na).ravel()

    # fewer LEDs than a pose has freedoms leave the last ones where they are
    free = len(POSE) if 2 * len(stated) >= 2 * len(POSE) else 2

    def whole(found: FloatArray) -> FloatArray:
        return np.append(found, np.zeros(len(POSE) - free))

    fit = least_squares(lambda found: rest(whole(found)), np.zeros(free), loss="soft_l1")
    pose = whole(fit.x)
    left = rest(pose).reshape(-1, 2) * sample_na
    return RigidFit(_as_move(acquisition, pose, sample_na), left)


def _as_move(acquisition: Acquisition, pose: FloatArray, sample_na: float) -> ArrayMove:
    na_led = acquisition.illumination.na_led
    largest = max(float(na_led.max()), sample_na)
    unit = pose * sample_na
    shift, name = unit[:2], "NA"
    geometry = acquisition.illumination.geometry
    if geometry is not None:
        # a pose shifts slopes: those of the ways from the LEDs' plane
        shift, name = unit[:2] * _height_mm(geometry), "mm"
    tilt = np.degrees(np.arctan(unit[4:6] / largest**2))
    return ArrayMove(
        shift_x=float(shift[0]),
        shift_y=float(shift[1]),
        unit=name,
        rotation_deg=float(np.degrees(unit[2] / largest)),
        scale=float(np.exp(unit[3] / largest)),
        tilt_x_deg=float(tilt[0]),
        tilt_y_deg=float(tilt[1]),
    )


def _height_mm(geometry: LedGeometry) -> float:
    """Distance of the array that a slope in air makes of a place: a slide counts less."""
    air = float(np.median(geometry.position_led_xyz_mm[:, 2]))
    return air + geometry.slide_mm / geometry.slide_index
