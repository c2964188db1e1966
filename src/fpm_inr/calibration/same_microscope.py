"""Whether a calibration is of the microscope that an acquisition was made with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition
from fpm_inr.errors import DataError


def check_leds(leds: int, acquisition: Acquisition) -> None:
    """Refuse an acquisition of another number of LEDs.

    Raises
    ------
    DataError
    """
    if acquisition.led_count != leds:
        raise DataError(
            f"is of {leds} LEDs, the acquisition has {acquisition.led_count}",
            "calibrate this acquisition",
            field="calibration",
        )


def check_frames(frames: int, acquisition: Acquisition) -> None:
    """Refuse an acquisition of another number of frames.

    Raises
    ------
    DataError
    """
    if acquisition.frame_count != frames:
        raise DataError(
            f"tells the background of {frames} frames, the acquisition has "
            f"{acquisition.frame_count}",
            "calibrate this acquisition",
            field="calibration",
        )


def check_microscope(
    calibrated: Any,
    acquisition: Acquisition,
    stated_na_led_xy: NDArray[np.float64],
    most_na: float,
) -> None:
    """Refuse an acquisition of another objective, wavelength or LED array.

    Parameters
    ----------
    calibrated : CalibrationFile or FieldCalibration
        Says `na`, `wavelength_um` and `nominal_na_led_xy`.
    acquisition : Acquisition
    stated_na_led_xy : array [led, 2]
        Directions as the acquisition states them.
    most_na : float
        How far they may be from those of the calibration.

    Raises
    ------
    DataError
    """
    optics = acquisition.optics
    away = np.abs(stated_na_led_xy - np.array(calibrated.nominal_na_led_xy)).max()
    if not (
        away <= most_na
        and np.isclose(optics.na, calibrated.na, rtol=1e-3)
        and np.isclose(optics.wavelength_um, calibrated.wavelength_um, rtol=1e-2)
    ):
        raise DataError(
            "is of another objective, wavelength or LED array",
            "calibrate this acquisition",
            field="calibration",
        )
