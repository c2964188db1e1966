"""The instrument that a reconstruction starts from, and what it learns of it on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from fpm_inr.acquisition import Acquisition
from fpm_inr.calibration.file import read_calibration
from fpm_inr.calibration.parameters import Calibration, Free, parse_free
from fpm_inr.errors import InputError
from fpm_inr.forward import ForwardModel, Instrument, compile_forward, nominal_instrument

# how far LEDs may move during a joint solve, in Fourier samples
MARGIN_SAMPLES = 2.0


@dataclass(frozen=True, eq=False)
class JointStart:
    """Where a joint solve begins.

    Parameters
    ----------
    instrument : Instrument
    calibration : Calibration or None
        What is learned; None: nothing.
    settings : dict
        Plain JSON values that tell this start from others.
    """

    instrument: Instrument
    calibration: Calibration | None
    settings: dict[str, Any]

    def compile(self, acquisition: Acquisition, upsampling: int) -> ForwardModel:
        """Return the forward model around these LEDs, with room for them to move."""
        moves = self.calibration is not None and self.calibration.free.moves_leds
        return compile_forward(
            acquisition,
            upsampling,
            margin_samples=MARGIN_SAMPLES if moves else 0.0,
            instrument=self.instrument,
        )


def joint_start(
    acquisition: Acquisition,
    *,
    calibration: str | Path | Instrument | None,
    calibrate: str | Mapping[str, Any] | Free | None,
    height_is_free: bool,
) -> JointStart:
    """Prepare the instrument of a reconstruction.

    Parameters
    ----------
    acquisition : Acquisition
    calibration : str, Path or Instrument, optional
        A calibration.json, or an instrument; the acquisition's nominal one where left out.
    calibrate : str, mapping or Free, optional
        What is learned together with the field.
    height_is_free : bool
        Whether a range of heights is solved.

    Raises
    ------
    DataError
        The file cannot be read or is of another microscope.
    SettingsError
        What is to be learned is unknown or out of range.
    """
    settings: dict[str, Any] = {}
    if calibration is None:
        instrument = nominal_instrument(acquisition)
    else:
        if isinstance(calibration, Instrument):
            instrument = calibration.to("cpu", calibration.na_led_xy.dtype)
        else:
            try:
                instrument = read_calibration(calibration).instrument_for(acquisition)
            except InputError as error:
                raise (error if error.source else error.at(calibration)) from error
        settings["calibration"] = _digest(instrument)
    learned = None
    if calibrate is not None:
        free = parse_free(calibrate)
        settings["calibrate"] = free.model_dump(mode="json", exclude_none=True)
        learned = Calibration(
            instrument,
            free,
            acquisition.optics,
            acquisition.shape_y_x,
            height_is_free=height_is_free,
        )
    return JointStart(instrument, learned, settings)


def _digest(instrument: Instrument) -> str:
    digest = hashlib.sha256()
    for one in fields(instrument):
        value = getattr(instrument, one.name)
        digest.update(one.name.encode())
        if value is not None:
            digest.update(value.detach().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
