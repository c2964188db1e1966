"""Version 2 of calibration.json: an instrument that changes from place to place of the field."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from fpm_inr.acquisition import Acquisition, offset_from_axis_um
from fpm_inr.calibration.same_microscope import check_leds, check_microscope
from fpm_inr.errors import DataError
from fpm_inr.forward import Instrument
from fpm_inr.illumination import LedGeometry

FORMAT_2 = "fpm-inr calibration 2"
# of the second degree: of 1, x, y, xx, xy, yy
Polynomial = tuple[float, float, float, float, float, float]
LEVEL: Polynomial = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)

FloatArray = NDArray[np.float64]


def terms(x: Any, y: Any) -> FloatArray:
    """Terms [..., 6] of a polynomial at places."""
    x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TileFit(_Part):
    """What one tile told.

    Parameters
    ----------
    x_um, y_um : float
        Its centre, from the optical axis.
    used : bool
    reason : str
        Why not.
    focus_um : float
        Where the specimen is sharp.
    residual : float
        Data residual of a plane with the instrument as found for this tile.
    zernike_rad : list of float
        As found for this tile alone.
    """

    x_um: float
    y_um: float
    used: bool
    reason: str = ""
    focus_um: float = 0.0
    residual: float = Field(0.0, ge=0)
    zernike_rad: list[float] = Field(default_factory=list)


class FieldCalibration(_Part):
    """Content of a calibration.json of version 2.

    Polynomials are of the second degree in places from the optical axis, in units of `radius_um`:
    coefficients of 1, x, y, x^2, x y, y^2.

    Parameters
    ----------
    status : {"accepted", "refused"}
    reason : str
    na, wavelength_um : float
    radius_um : float
    nominal_na_led_xy : [led][x, y]
        Directions at the optical axis as stated.
    position_led_xyz_mm : [led][x, y, z], optional
        Places of the LEDs as found, where places are known.
    slide_mm, slide_index : float
    moved_na_led_xy : [led][x, y], optional
        By how much directions are moved, where only they are known.
    gain_led : [led]
        Factors of the amplitudes.
    zernike_rad : [mode][6]
        Of every coefficient of the pupil's phase, rad RMS, by Noll index from 1.
    log_light : [6]
        Of the logarithm of the light's amplitude: vignetting; 0 at the optical axis.
    focus_um : [6], optional
        Where the specimen is sharp.
    tiles : list of TileFit
        What all of this was found from.
    notes : list of str
        What a person should know of it, in sentences.
    """

    format: Literal["fpm-inr calibration 2"] = "fpm-inr calibration 2"
    status: Literal["accepted", "refused"]
    reason: str = ""
    na: float = Field(gt=0)
    wavelength_um: float = Field(gt=0)
    radius_um: float = Field(gt=0)
    nominal_na_led_xy: list[tuple[float, float]] = Field(min_length=1)
    position_led_xyz_mm: list[tuple[float, float, float]] | None = None
    slide_mm: float = Field(0.0, ge=0)
    slide_index: float = Field(1.52, ge=1)
    moved_na_led_xy: list[tuple[float, float]] | None = None
    gain_led: list[float]
    zernike_rad: list[Polynomial] = Field(default_factory=list)
    log_light: Polynomial = LEVEL
    focus_um: Polynomial | None = None
    tiles: list[TileFit] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _consistent(self) -> FieldCalibration:
        leds = len(self.nominal_na_led_xy)
        for name in ("gain_led", "position_led_xyz_mm", "moved_na_led_xy"):
            values = getattr(self, name)
            if values is not None and len(values) != leds:
                raise ValueError(f"{name} has {len(values)} values for {leds} LEDs")
        if min(self.gain_led) <= 0:
            raise ValueError("gain_led must be positive")
        if (self.position_led_xyz_mm is None) == (self.moved_na_led_xy is None):
            raise ValueError("give either position_led_xyz_mm or moved_na_led_xy")
        return self

    def at(self, polynomial: Polynomial, x_um: Any, y_um: Any) -> FloatArray:
        """Value of a polynomial at places from the optical axis."""
        found = terms(np.asarray(x_um) / self.radius_um, np.asarray(y_um) / self.radius_um)
        return np.asarray(found @ np.array(polynomial))

    def zernike_at(self, x_um: float, y_um: float) -> FloatArray:
        """Coefficients [mode] of the pupil's phase at a place, rad RMS."""
        rows = [float(self.at(row, x_um, y_um)) for row in self.zernike_rad]
        return np.array(rows, dtype=np.float64)

    def instrument_for(self, acquisition: Acquisition) -> Instrument:
        """The instrument at the centre of an acquisition of the same microscope, or a crop of one.

        Raises
        ------
        DataError
            The acquisition has other LEDs or another objective.
        """
        self._check_same(acquisition)
        place = place_of(acquisition)
        if self.position_led_xyz_mm is None:
            moved = acquisition.illumination.na_led_xy + np.array(self.moved_na_led_xy)
        else:
            moved = self.geometry().na_at(*place)
        return Instrument(
            torch.tensor(moved),
            torch.tensor(self.gain_led, dtype=torch.float64),
            torch.tensor(self.zernike_at(*place)),
        )

    def geometry(self) -> LedGeometry:
        """Places of the LEDs as found."""
        return LedGeometry(np.array(self.position_led_xyz_mm), self.slide_mm, self.slide_index)

    def evened(self, acquisition: Acquisition) -> Acquisition:
        """The acquisition with its frames divided by the vignetting."""
        if not any(self.log_light):
            return acquisition
        height, width = acquisition.shape_y_x
        assert acquisition.axis_y_x_px is not None
        pixel_um = acquisition.optics.pixel_um
        y_um = (np.arange(height) - acquisition.axis_y_x_px[0]) * pixel_um
        x_um = (np.arange(width) - acquisition.axis_y_x_px[1]) * pixel_um
        light = np.exp(-2 * self.at(self.log_light, x_um[None, :], y_um[:, None]))
        frames = acquisition.frames_led_y_x * light.astype(np.float32)
        return replace(acquisition, frames_led_y_x=frames)

    def _check_same(self, acquisition: Acquisition) -> None:
        check_leds(len(self.nominal_na_led_xy), acquisition)
        geometry = acquisition.illumination.geometry
        if (geometry is None) != (self.position_led_xyz_mm is None):
            raise DataError(
                "is of LEDs whose places are known, and only one of the two says them"
                if geometry is None
                else "is of LED directions alone, and the acquisition has places",
                "calibrate this acquisition",
                field="calibration",
            )
        light = acquisition.illumination
        stated = light.na_led_xy if geometry is None else geometry.na_at()
        check_microscope(self, acquisition, stated, 1e-3)


def place_of(acquisition: Acquisition) -> tuple[float, float]:
    """Centre (x, y) of an acquisition from the optical axis, um."""
    assert acquisition.axis_y_x_px is not None
    return offset_from_axis_um(acquisition.axis_y_x_px, acquisition.shape_y_x, acquisition.optics)
