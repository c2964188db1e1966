"""Calibrate an acquisition: solve a plane without and with a free instrument, and judge."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition
from fpm_inr.calibration.file import CalibrationFile, stored_values
from fpm_inr.calibration.rigid import ArrayMove, fit_rigid
from fpm_inr.calibration.solve import STEPS, PlaneFit, fit_plane, usual_upsampling
from fpm_inr.calibration.start import find_start
from fpm_inr.edges import RIM_SAMPLES
from fpm_inr.errors import DivergedError, SettingsError
from fpm_inr.forward import Instrument, nominal_instrument
from fpm_inr.instrument import Free, parse_free
from fpm_inr.instrument.na import na_objection
from fpm_inr.sampling import fourier_sample_na

DEFAULT_FREE = "gains,pupil,pose"
# LEDs that move further than this against the array, in units of the objective's NA, are not
# believed; an array that moves further is, where the residual falls clearly
MOST_MOVE = 0.5
# where LEDs at the pupil's edge are more than this share of the bright-field ones, a solve in which
# they move the array is tried too, and taken where its residual is lower by this factor
MANY_AT_RIM = 0.25
CLEAR_FACTOR = 0.9


@dataclass(frozen=True, eq=False)
class CalibrationResult:
    """What a calibration found.

    Parameters
    ----------
    accepted : bool
    reason : str
        Why it was refused.
    nominal, found : Instrument
        As the acquisition states it, and as solved (also where refused).
    before, after : PlaneFit
        The plane with each of them.
    free : Free
    array : ArrayMove, optional
        How the LED array was found to stand, where LEDs were free (also where refused).
    """

    accepted: bool
    reason: str
    nominal: Instrument
    found: Instrument
    before: PlaneFit
    after: PlaneFit
    free: Free
    array: ArrayMove | None = None

    @property
    def instrument(self) -> Instrument:
        """What to use: the nominal instrument where the calibration was refused."""
        return self.found if self.accepted else self.nominal

    def file(self, acquisition: Acquisition) -> CalibrationFile:
        """Content of calibration.json."""
        return CalibrationFile(
            status="accepted" if self.accepted else "refused",
            reason=self.reason,
            z_um=self.before.z_um,
            residual_before=self.before.residual,
            residual_after=self.after.residual,
            na=acquisition.optics.na,
            wavelength_um=acquisition.optics.wavelength_um,
            free=self.free.plain(),
            nominal_na_led_xy=self.nominal.na_led_xy.tolist(),
            array=self.array,
            **stored_values(self.instrument, acquisition),
        )


def calibrate(
    acquisition: Acquisition,
    *,
    z_um: float = 0.0,
    free: str | Free = DEFAULT_FREE,
    start: Instrument | None = None,
    upsample: int | None = None,
    height_is_free: bool = False,
    bend_rad_per_px2: float = 0.0,
    steps: int = STEPS,
    most_move: float = MOST_MOVE,
    seed: int = 0,
    device: torch.device | str = "cpu",
    listen: Callable[[int, int, float], None] | None = None,
) -> CalibrationResult:
    """Find the instrument from the frames, with a plane of the sample.

    A calibration is refused where it diverged, does not lower the residual, or moved an LED beyond
    a bound, besides the move of the whole array: the nominal instrument then stands. A move of the
    array beyond that bound is believed where it lowers the residual by a tenth.

    Parameters
    ----------
    acquisition : Acquisition
    z_um : float
        Height of the sample.
    free : str or Free
        What is learned.
    start : Instrument, optional
        Where the search begins. Default: see `fpm_inr.calibration.start`.
    upsample : int, optional
    height_is_free : bool
        Leave the pupil's defocus (Noll 4) alone: z_um is an estimate, or a range is solved later.
    bend_rad_per_px2 : float
        See `fpm_inr.calibration.solve.fit_plane`.
    steps : int
    most_move : float
        Largest believable move of an LED against the array, in units of the objective's NA.
    seed : int
    device : torch.device or str
    listen : callable, optional
        Told step, steps and residual; steps count all solves.

    Raises
    ------
    SettingsError
        A setting is out of range.
    """
    chosen = parse_free(free, field="free")
    _check_settings(z_um, steps, most_move)
    nominal = nominal_instrument(acquisition)
    if start is None:
        start = find_start(
            acquisition,
            z_um,
            chosen,
            height_is_free=height_is_free,
            upsampling=upsample,
            seed=seed,
            device=device,
        )
    tries_rim = chosen.moves_leds and _many_at_rim(acquisition)
    fit = partial(
        fit_plane,
        acquisition,
        z_um,
        # one grid for all, so that their residuals can be compared
        upsampling=upsample or usual_upsampling(acquisition, chosen, start),
        height_is_free=height_is_free,
        trust_rim=False,
        bend_rad_per_px2=bend_rad_per_px2,
        steps=steps,
        seed=seed,
        device=device,
        listen=_counting(listen, (2 + tries_rim) * steps),
    )
    before = fit(Free(), start=nominal)
    try:
        after = fit(chosen, start=start)
        if tries_rim:
            other = fit(chosen, start=start, trust_rim=True)
            after = other if other.residual < CLEAR_FACTOR * after.residual else after
    except DivergedError as error:
        return CalibrationResult(False, error.problem, nominal, nominal, before, before, chosen)
    rigid = fit_rigid(acquisition, after.instrument.na_led_xy.numpy())
    most_na = most_move * acquisition.optics.na
    reason = _objection(acquisition, before, after, rigid.rest_led_xy, most_na)
    array = rigid.move if chosen.moves_leds else None
    return CalibrationResult(
        not reason, reason, nominal, after.instrument, before, after, chosen, array
    )


def _check_settings(z_um: float, steps: int, most_move: float) -> None:
    if not np.isfinite(z_um):
        raise SettingsError(f"is {z_um}", "give a height in um", field="z")
    if steps < 1:
        raise SettingsError(f"is {steps}", "give at least 1", field="steps")
    if not most_move > 0:
        raise SettingsError(
            f"is {most_move:g}", "give a positive share of the NA", field="most move"
        )


def _counting(
    listen: Callable[[int, int, float], None] | None, steps: int
) -> Callable[[int, int, float], None]:
    """A listener of single solves that counts their steps together."""
    count = itertools.count(1)

    def told(step: int, of_solve: int, residual: float) -> None:
        if listen is not None:
            listen(next(count), steps, residual)

    return told


def _many_at_rim(acquisition: Acquisition) -> bool:
    optics, na_led = acquisition.optics, acquisition.illumination.na_led
    sample_na = fourier_sample_na(optics, acquisition.shape_y_x)
    at_rim = np.abs(na_led - optics.na) < RIM_SAMPLES * sample_na
    return bool(at_rim.sum() > MANY_AT_RIM * acquisition.is_bright_field.sum())


def _objection(
    acquisition: Acquisition,
    before: PlaneFit,
    after: PlaneFit,
    rest_led_xy: NDArray[np.float64],
    most_na: float,
) -> str:
    """Why what was found is not believed, and what to do; nothing where it is."""
    found, stated = after.instrument, acquisition.illumination.na_led_xy
    if not after.residual < before.residual:
        return (
            f"the residual rose from {before.residual:.4f} to {after.residual:.4f}; free less, "
            "give the height (--z), or take more --steps"
        )
    rest = np.hypot(*rest_led_xy.T)
    if not rest.max() <= most_na:
        return (
            f"LED {int(rest.argmax())} (counted from 0) moved by {rest.max():.3g} in NA against "
            f"the rest of the array, more than {most_na:.3g}; see whether its frame belongs to it, "
            "free the pose without shifts, or raise --max-move"
        )
    moved = float(np.hypot(*(found.na_led_xy.numpy() - stated).T).max())
    if moved > most_na and not after.residual < CLEAR_FACTOR * before.residual:
        return (
            f"the array moved by up to {moved:.3g} in NA, more than {most_na:.3g}, and that "
            f"explains the frames hardly better ({before.residual:.4f} before, "
            f"{after.residual:.4f} after); raise --max-move where the array may stand so far off"
        )
    why = na_objection(found, acquisition.optics)
    return f"{why} and calibrate again" if why else ""
