"""The instrument that a reconstruction starts from, and what it learns of it on the way."""

from __future__ import annotations

import hashlib
import math
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
MARGIN_SAMPLES = 4.0
# a joint solve does not find more aberration than this, in waves RMS; it lost itself
MOST_WAVES = 2.0


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

    def objection(self, found: Instrument) -> str:
        """Why an instrument learned from this start is not believed; nothing where it is.

        The model's windows stay where they were, so that a move beyond `MARGIN_SAMPLES` is past
        what it can describe.
        """
        if self.calibration is None:
            return ""
        start = self.instrument
        values = (found.na_led_xy, found.gain_led, found.zernike_rad)
        if not all(bool(value.isfinite().all()) for value in values):
            return "the instrument is not finite"
        moved = (found.na_led_xy.detach().cpu() - start.na_led_xy.cpu()).norm(dim=1)
        samples = moved / self.calibration.sample_na
        if float(samples.max()) > MARGIN_SAMPLES:
            return (
                f"LED {int(samples.argmax())} (counted from 0) moved by {float(samples.max()):.2g} "
                f"Fourier samples, more than {MARGIN_SAMPLES:g}"
            )
        grown = found.zernike_rad.detach().cpu().double()
        grown[: len(start.zernike_rad)] -= start.zernike_rad.cpu()
        waves = float(grown.norm()) / (2 * math.pi)
        if waves > MOST_WAVES:
            return f"the pupil's phase grew by {waves:.2g} waves RMS, more than {MOST_WAVES:g}"
        return ""


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
    free = Free() if calibrate is None else parse_free(calibrate)
    if free.names:
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
