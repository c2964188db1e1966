"""One tile's say in the instrument across the field: a plane of it, with the instrument free."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition
from fpm_inr.calibration.autofocus import focus_curve
from fpm_inr.calibration.calibrate import calibrate
from fpm_inr.calibration.field_file import FieldCalibration, TileFit, place_of
from fpm_inr.calibration.solve import PlaneFit, fit_plane
from fpm_inr.errors import DataError, DivergedError
from fpm_inr.forward import Instrument
from fpm_inr.instrument import Free
from fpm_inr.mosaic.plan import bend_of
from fpm_inr.mosaic.rim import dark_field_tells, doubtful
from fpm_inr.optics import defocus_rate_rad_per_um


@dataclass(frozen=True, eq=False)
class How:
    """What is learned, and steps, seed and device."""

    free: Free
    settings: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Found:
    """A tile that was calibrated.

    Parameters
    ----------
    acquisition : Acquisition
    x_um, y_um : float
        Its centre, from the optical axis.
    z_um, residual : float
        Of its plane.
    instrument : Instrument
        Of all LEDs.
    sees_led : array [led]
        Whether it tells of an LED: not of those that its plane was fitted without.
    """

    acquisition: Acquisition
    x_um: float
    y_um: float
    z_um: float
    residual: float
    instrument: Instrument
    sees_led: NDArray[np.bool_]


def calibrated_tile(
    acquisition: Acquisition,
    first: Found | None,
    z_range_um: tuple[float, float],
    how: How,
) -> tuple[TileFit, Found | None]:
    """Calibrate a tile, from what the first one has found; nothing where it tells nothing."""
    try:
        z_um = _height(acquisition, z_range_um)
        if first is None:
            bend = bend_of(acquisition.illumination, acquisition.optics)
            result = calibrate(
                acquisition, z_um=z_um, free=how.free, bend_rad_per_px2=bend, **how.settings
            )
            if not result.accepted:
                return unused(acquisition, result.reason.split(";")[0]), None
            fit, sees = result.after, np.ones(acquisition.led_count, dtype=bool)
        else:
            stated = acquisition.illumination.na_led_xy
            moved = first.instrument.na_led_xy.numpy() - first.acquisition.illumination.na_led_xy
            start = replace(first.instrument, na_led_xy=torch.tensor(stated + moved))
            sees = sure_leds(acquisition, start)
            fit = _plane(acquisition, z_um, how.free, start, sees, how.settings)
    except (DataError, DivergedError) as error:
        return unused(acquisition, error.problem), None
    x_um, y_um = place_of(acquisition)
    told = TileFit(x_um=x_um, y_um=y_um, used=True, residual=fit.residual)
    return told, Found(acquisition, x_um, y_um, fit.z_um, fit.residual, fit.instrument, sees)


def again_under(model: FieldCalibration, one: Found, how: How) -> Found:
    """Pupil and gains of a tile under the one array of all, from the LEDs that it sees."""
    free = how.free
    rest = Free(**{name: getattr(free, name) for name in free.names if name != "pose"})
    start = replace(
        model.instrument_for(one.acquisition),
        gain_led=one.instrument.gain_led,
        zernike_rad=one.instrument.zernike_rad,
    )
    settings = how.settings | {"steps": max(1, how.settings["steps"] // 2)}
    try:
        fit = _plane(one.acquisition, one.z_um, rest, start, one.sees_led, settings)
    except DivergedError:
        return one
    return replace(one, instrument=fit.instrument, residual=fit.residual)


def unused(acquisition: Acquisition, reason: str) -> TileFit:
    """What is kept of a tile that told nothing."""
    x_um, y_um = place_of(acquisition)
    return TileFit(x_um=x_um, y_um=y_um, used=False, reason=reason)


def sure_leds(acquisition: Acquisition, instrument: Instrument) -> NDArray[np.bool_]:
    """Which LEDs [led] of a tile do not meet the pupil's edge: the others it tells nothing of.

    Their brightness is judged without gains, which make up for a wrong angle. All are sure, where
    there are not as many LEDs beyond the edge: without dark field those at the edge alone tell of
    the phase, and their gains are what explains how much of their light passes.
    """
    even = replace(instrument, gain_led=torch.ones_like(instrument.gain_led))
    bend = bend_of(acquisition.illumination, acquisition.optics)
    if not dark_field_tells(acquisition, even, bend):
        return np.ones(acquisition.led_count, dtype=bool)
    return ~doubtful(acquisition, even, bend)


def focus_of(one: Found) -> float:
    """Height of focus of a tile: that of its plane, and what the pupil's defocus adds."""
    zernike = one.instrument.zernike_rad
    if len(zernike) < 4:
        return one.z_um
    optics = one.acquisition.optics
    edge = torch.tensor([(optics.na / optics.wavelength_um) ** 2], dtype=torch.float64)
    rate = defocus_rate_rad_per_um(edge, optics.wavelength_um, optics.medium_index)
    # Noll 4 is sqrt(3) (2 r^2 - 1): from the centre to the edge it changes by 2 sqrt(3)
    return one.z_um + float(zernike[3]) * 2 * float(np.sqrt(3)) / float(rate[0])


def _plane(
    acquisition: Acquisition,
    z_um: float,
    free: Free,
    start: Instrument,
    sees_led: NDArray[np.bool_],
    settings: dict[str, Any],
) -> PlaneFit:
    """A plane from some LEDs, which begins with the bend of their light; others stay as begun."""
    kept = torch.from_numpy(np.flatnonzero(sees_led))
    fit = fit_plane(
        acquisition.select(kept.numpy()),
        z_um,
        free,
        start=start.select(kept),
        bend_rad_per_px2=bend_of(acquisition.illumination, acquisition.optics),
        **settings,
    )
    found = fit.instrument
    whole = replace(
        found,
        na_led_xy=start.na_led_xy.index_copy(0, kept, found.na_led_xy),
        gain_led=start.gain_led.index_copy(0, kept, found.gain_led),
    )
    return replace(fit, instrument=whole)


def _height(acquisition: Acquisition, z_range_um: tuple[float, float]) -> float:
    """Height of a tile's specimen: the one that is stated, or what parallax tells."""
    low, high = z_range_um
    if low == high:
        return low
    return float(np.clip(focus_curve(acquisition).best_um, low, high))
