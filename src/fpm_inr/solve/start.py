"""The instrument that a reconstruction starts from, and what it learns of it on the way.

LEDs that are some Fourier samples off are out of reach of a joint solve: in its few passes an image
forms that fits the wrong places. So where LEDs are to move, a plane is calibrated first, and the
joint solve goes on from there in small steps.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition
from fpm_inr.calibration.autofocus import autofocus
from fpm_inr.calibration.calibrate import calibrate as find_calibration
from fpm_inr.calibration.file import read_calibration
from fpm_inr.edges import straddling
from fpm_inr.errors import DataError, at
from fpm_inr.forward import (
    EDGE_SAMPLES,
    ForwardModel,
    Instrument,
    compile_forward,
    nominal_instrument,
)
from fpm_inr.instrument import Calibration, Free, parse_free

# how far LEDs may move during a joint solve, in Fourier samples
MARGIN_SAMPLES = 4.0
# width of the pupil's edge meanwhile, in Fourier samples: a sharper one does not tell them the way
MOVING_EDGE_SAMPLES = 0.5
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
    free : Free
        What is learned, with the settings that are used.
    record : dict
        How the start was found, where a plane was calibrated first.
    left_out_led : array [led]
        Which LEDs are not used: see `straddling`.
    """

    instrument: Instrument
    calibration: Calibration | None
    free: Free
    record: dict[str, Any]
    left_out_led: NDArray[np.bool_]

    @property
    def margin_samples(self) -> float:
        """How far LEDs may move during the solve, in Fourier samples."""
        moves = self.calibration is not None and self.calibration.free.moves_leds
        return MARGIN_SAMPLES if moves else 0.0

    def compile(self, acquisition: Acquisition, upsampling: int) -> ForwardModel:
        """Return the forward model around these LEDs, with room for them to move."""
        learned = self.calibration
        return compile_forward(
            acquisition,
            upsampling,
            margin_samples=self.margin_samples,
            instrument=self.instrument if learned is None else learned.instrument(),
            largest_na=0.0 if learned is None else learned.largest_na,
            edge_samples=MOVING_EDGE_SAMPLES if self.margin_samples else EDGE_SAMPLES,
        )

    def objection(self, found: Instrument) -> str:
        """Why an instrument learned from this start is not believed; nothing where it is.

        The model's windows stay where they were, so that a move beyond `MARGIN_SAMPLES` is past
        what it can describe.
        """
        if self.calibration is None:
            return ""
        start = self.instrument
        values = [getattr(found, one.name) for one in fields(found)]
        if not all(bool(value.isfinite().all()) for value in values if value is not None):
            return "the instrument is not finite"
        moved = (found.na_led_xy.detach().cpu() - start.na_led_xy.cpu()).norm(dim=1)
        samples = moved / self.calibration.sample_na
        if float(samples.max()) > MARGIN_SAMPLES:
            return (
                f"LED {int(samples.argmax())} (counted from 0) moved by {float(samples.max()):.2g} "
                f"Fourier samples, more than {MARGIN_SAMPLES:g}; run fpm-inr calibrate and begin "
                "at its --calibration"
            )
        why = self.calibration.objection(found)
        if why:
            return why
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
    z_range_um: tuple[float, float],
    seed: int = 0,
    device: torch.device | str = "cpu",
    listen: Callable[[int, int, float], None] | None = None,
) -> JointStart:
    """Prepare the instrument of a reconstruction.

    Where LEDs are to move and no calibration is given, a plane is calibrated first.

    Parameters
    ----------
    acquisition : Acquisition
    calibration : str, Path or Instrument, optional
        A calibration.json, or an instrument; the acquisition's nominal one where left out.
    calibrate : str, mapping or Free, optional
        What is learned together with the field.
    z_range_um : (float, float)
        Heights that are solved. Where it has a width, the plane's height is found.
    seed : int
    device : torch.device or str
    listen : callable, optional
        Of the plane's calibration: told step, steps and residual.

    Raises
    ------
    DataError
        The file cannot be read, is of another microscope, or holds a calibration that was refused.
    SettingsError
        What is to be learned is unknown or out of range.
    """
    given = given_instrument(acquisition, calibration)
    free = Free() if calibrate is None else parse_free(calibrate)
    return placed_start(
        acquisition, given, free, z_range_um, seed=seed, device=device, listen=listen
    )


def given_instrument(
    acquisition: Acquisition, calibration: str | Path | Instrument | None
) -> Instrument | None:
    """The instrument of a calibration, on the CPU; None where there is none.

    Raises
    ------
    DataError
        The file cannot be read, was refused, or is of another microscope.
    """
    if calibration is None:
        return None
    if isinstance(calibration, Instrument):
        return calibration.to("cpu", calibration.na_led_xy.dtype)
    with at(calibration):
        content = read_calibration(calibration)
        if content.status == "refused":
            raise DataError(
                f"was refused ({content.reason}), so it holds the stated instrument",
                "mend that and calibrate again, or leave the calibration out",
                field="status",
            )
        return content.instrument_for(acquisition)


def start_settings(given: Instrument | None, free: Free) -> dict[str, Any]:
    """Plain JSON values that tell a start from others."""
    settings: dict[str, Any] = {}
    if given is not None:
        settings["calibration"] = _digest(given)
    if free.names:
        used = as_used(free, given)
        settings["calibrate"] = used.plain()
    return settings


def placed_start(
    acquisition: Acquisition,
    given: Instrument | None,
    free: Free,
    z_range_um: tuple[float, float],
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    listen: Callable[[int, int, float], None] | None = None,
) -> JointStart:
    """The start of `joint_start`, from an instrument that has been read."""
    instrument = nominal_instrument(acquisition) if given is None else given
    record: dict[str, Any] = {}
    if given is None and free.seeks_far:
        instrument, record = _from_a_plane(
            acquisition, free, z_range_um, seed=seed, device=device, listen=listen
        )
    used = as_used(free, given)
    return start_at(acquisition, instrument, used, z_range_um, record)


def start_at(
    acquisition: Acquisition,
    instrument: Instrument,
    free: Free,
    z_range_um: tuple[float, float],
    record: dict[str, Any] | None = None,
) -> JointStart:
    """The start from this very instrument; `free` is learned as it is given.

    Raises
    ------
    SettingsError
        There is not one start of the gains for every LED.
    """
    learned = None
    if free.names:
        learned = Calibration(
            instrument,
            free,
            acquisition.optics,
            acquisition.shape_y_x,
            height_is_free=z_range_um[0] < z_range_um[1],
            frame_count=acquisition.illumination.frame_count,
        )
    left_out = straddling(acquisition, instrument if learned is None else learned.instrument())
    return JointStart(instrument, learned, free, dict(record or {}), left_out)


def as_used(free: Free, given: Instrument | None) -> Free:
    """Small steps, where LEDs begin near their places."""
    return free.refined() if given is not None or free.seeks_far else free


def _from_a_plane(
    acquisition: Acquisition,
    free: Free,
    z_range_um: tuple[float, float],
    *,
    seed: int,
    device: torch.device | str,
    listen: Callable[[int, int, float], None] | None,
) -> tuple[Instrument, dict[str, Any]]:
    """The instrument that a calibrated plane finds, and what to keep of how it went."""
    low, high = z_range_um
    z_um = low
    if low < high:
        try:
            z_um = autofocus(acquisition, seed=seed, device=device).z_um
        except DataError:  # too few bright-field frames to tell
            z_um = (low + high) / 2
    # the height of the plane, and its offset, are no part of the instrument
    sought = free.at_a_height()
    found = find_calibration(
        acquisition,
        z_um=z_um,
        free=sought,
        height_is_free=low < high,
        seed=seed,
        device=device,
        listen=listen,
    )
    residuals = [found.before.residual, found.after.residual]
    record = {"z_um": z_um, "residual": residuals, "refused": found.reason}
    return found.instrument, {"calibration_of_a_plane": record}


def _digest(instrument: Instrument) -> str:
    digest = hashlib.sha256()
    for one in fields(instrument):
        value = getattr(instrument, one.name)
        digest.update(one.name.encode())
        if value is not None:
            digest.update(value.detach().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
