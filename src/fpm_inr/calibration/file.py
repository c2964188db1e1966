"""A calibration as one JSON file: what was found of an instrument, and how much it helped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fpm_inr.acquisition import Acquisition
from fpm_inr.calibration.field_file import FORMAT_2, FieldCalibration
from fpm_inr.calibration.rigid import ArrayMove
from fpm_inr.calibration.same_microscope import check_frames, check_leds, check_microscope
from fpm_inr.errors import DataError
from fpm_inr.files.replacing import replacing
from fpm_inr.forward import Instrument
from fpm_inr.instrument.background import background_counts, background_of_counts
from fpm_inr.instrument.pupil_map import pupil_of_nodes, stored_nodes

FORMAT = "fpm-inr calibration 1"
# how far two files' nominal LED directions may differ (a crop elsewhere sees other angles)
SAME_DIRECTION_NA = 0.05


class CalibrationFile(BaseModel):
    """Content of calibration.json.

    Parameters
    ----------
    status : {"accepted", "refused"}
        Refused: the instrument below is the nominal one, for the reason given.
    z_um : float
        Height of the plane that was solved.
    residual_before, residual_after : float
        Of that plane with the nominal instrument and with the calibrated one that was found.
    na, wavelength_um : float
        Of the acquisition.
    free : dict
        What was learned, and how.
    nominal_na_led_xy, na_led_xy : [led][x, y]
        Illumination directions as the file states them, and as found, in NA.
    gain_led : [led]
        Factors of the amplitudes; over the bright-field LEDs their logarithms have mean 0.
    zernike_rad : [mode]
        Pupil phase, rad RMS, by Noll index from 1.
    background_led : [frame], optional
        Intensity of every frame besides the light through the sample, in counts.
    defocus_um : float
        To be added to every height.
    na_found : float, optional
        Numerical aperture of the pupil as found; none: as stated.
    array : ArrayMove, optional
        How the LED array was found to stand, as one rigid move; also where refused.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    format: Literal["fpm-inr calibration 1"] = "fpm-inr calibration 1"
    status: Literal["accepted", "refused"]
    reason: str = ""
    z_um: float
    residual_before: float = Field(ge=0)
    residual_after: float = Field(ge=0)
    na: float = Field(gt=0)
    wavelength_um: float = Field(gt=0)
    free: dict[str, Any] = Field(default_factory=dict)
    nominal_na_led_xy: list[tuple[float, float]]
    na_led_xy: list[tuple[float, float]]
    gain_led: list[float]
    zernike_rad: list[float]
    background_led: list[float] | None = None
    pupil_log_amplitude: list[list[float]] | None = None
    pupil_phase_rad: list[list[float]] | None = None
    defocus_um: float = 0.0
    na_found: float | None = Field(None, gt=0)
    array: ArrayMove | None = None

    @model_validator(mode="after")
    def _consistent(self) -> CalibrationFile:
        leds = len(self.nominal_na_led_xy)
        shapes = {
            (len(rows), *(len(row) for row in rows))
            for rows in (self.pupil_log_amplitude, self.pupil_phase_rad)
            if rows is not None
        }
        if (self.pupil_phase_rad is None) != (self.pupil_log_amplitude is None) or any(
            len(shapes) > 1 or len(set(shape)) != 1 or shape[0] < 2 for shape in shapes
        ):
            raise ValueError("the pupil's log amplitude and phase must be squares of one size")
        for name in ("na_led_xy", "gain_led"):
            values = getattr(self, name)
            if len(values) != leds:
                raise ValueError(f"{name} has {len(values)} values for {leds} LEDs")
        if leds == 0 or min(self.gain_led) <= 0:
            raise ValueError("gain_led must be positive, one per LED")
        if self.background_led is not None and min(self.background_led, default=-1) < 0:
            raise ValueError("background_led must hold numbers of 0 or more, one per frame")
        return self

    def instrument_for(self, acquisition: Acquisition) -> Instrument:
        """Return this instrument for an acquisition of the same microscope.

        LED moves are added to the acquisition's own directions, so that they serve another crop.

        Raises
        ------
        DataError
            The acquisition has other LEDs or another objective.
        """
        stated = acquisition.illumination.na_led_xy
        check_leds(len(self.gain_led), acquisition)
        check_microscope(self, acquisition, stated, SAME_DIRECTION_NA)
        moved = np.array(self.na_led_xy) - np.array(self.nominal_na_led_xy)
        pupil = None
        if self.pupil_phase_rad is not None and self.pupil_log_amplitude is not None:
            nodes = [self.pupil_log_amplitude, self.pupil_phase_rad]
            pupil = pupil_of_nodes(nodes, acquisition.optics, acquisition.shape_y_x)
        background = None
        if self.background_led is not None:
            check_frames(len(self.background_led), acquisition)
            background = background_of_counts(self.background_led, acquisition.amplitude_scale)
        return Instrument(
            torch.tensor(stated + moved),
            torch.tensor(self.gain_led, dtype=torch.float64),
            torch.tensor(self.zernike_rad, dtype=torch.float64),
            pupil,
            background,
            torch.tensor(self.defocus_um, dtype=torch.float64) if self.defocus_um else None,
            None if self.na_found is None else torch.tensor(self.na_found, dtype=torch.float64),
        )


def stored_values(instrument: Instrument, acquisition: Acquisition) -> dict[str, Any]:
    """An instrument in the entries of `CalibrationFile`, which `instrument_for` reads."""
    background, pupil = instrument.background_led, instrument.pupil_y_x
    log_amplitude = phase = None
    if pupil is not None:
        log_amplitude, phase = stored_nodes(pupil, acquisition.optics)
    return {
        "na_led_xy": instrument.na_led_xy.tolist(),
        "gain_led": instrument.gain_led.tolist(),
        "zernike_rad": instrument.zernike_rad.tolist(),
        "background_led": None
        if background is None
        else background_counts(background, acquisition.amplitude_scale),
        "pupil_log_amplitude": log_amplitude,
        "pupil_phase_rad": phase,
        "defocus_um": 0.0 if instrument.defocus_um is None else float(instrument.defocus_um),
        "na_found": None if instrument.na is None else float(instrument.na),
    }


def write_calibration(path: Path, content: CalibrationFile | FieldCalibration) -> None:
    """Write calibration.json, of one place (version 1) or of a whole field (version 2).

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    with replacing(path) as beside:
        beside.write_text(content.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_calibration(path: str | Path) -> CalibrationFile | FieldCalibration:
    """Read a calibration.json, of one place (version 1) or of a whole field (version 2).

    Raises
    ------
    DataError
        The file is missing, no JSON, or holds missing, unknown or impossible values.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(
            "is not a file", "give the calibration.json of `fpm-inr calibrate`", source=path
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"cannot be read as JSON ({reason})", "calibrate again", source=path) from (
            error
        )
    kinds: dict[Any, type[CalibrationFile] | type[FieldCalibration]]
    kinds = {FORMAT: CalibrationFile, FORMAT_2: FieldCalibration}
    kind = kinds.get(content.get("format")) if isinstance(content, dict) else None
    if kind is None:
        raise DataError(
            "is no calibration of this program", f"give a file of format {FORMAT!r}", source=path
        )
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(
            first["msg"][:1].lower() + first["msg"][1:],
            "correct it or calibrate again",
            field=".".join(str(part) for part in first["loc"]),
            source=path,
        ) from error
