"""Where a calibration begins: nominal, or where circles and parallax point, whichever fits."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import torch

from fpm_inr.acquisition import Acquisition
from fpm_inr.calibration.brightfield import fit_brightfield, na_from_circles
from fpm_inr.calibration.parallax import pupil_from_parallax
from fpm_inr.calibration.solve import fit_plane
from fpm_inr.errors import DataError, DivergedError, SettingsError
from fpm_inr.forward import Instrument, nominal_instrument
from fpm_inr.instrument import Free, parse_free

STEPS = 30
# of the stated NA, where no circles tell another
NA_FACTORS = (0.8, 0.9, 1.1, 1.2)


def find_start(
    acquisition: Acquisition,
    z_um: float,
    free: Free,
    *,
    height_is_free: bool = False,
    upsampling: int | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Instrument:
    """Choose where to begin a solve of a plane.

    Where the NA is free, the radius of the bright-field circles is tried; where the pose is free,
    the LED positions that they tell; where the pupil is free, the phase that the parallax tells.
    Each is taken if a short solve fits better with it.

    Parameters
    ----------
    acquisition : Acquisition
    z_um : float
    free : Free
        What the solve will learn.
    height_is_free : bool
        Leave the pupil's defocus at 0.
    upsampling, seed, device
        As for `fit_plane`.
    """

    def residual(instrument: Instrument) -> float:
        try:
            return fit_plane(
                acquisition,
                z_um,
                parse_free("gains"),
                start=instrument,
                upsampling=upsampling,
                steps=STEPS,
                seed=seed,
                device=device,
            ).residual
        except (DivergedError, SettingsError):  # it cannot be solved from there
            return float("inf")

    best = nominal_instrument(acquisition)
    seeks_na = free.na is not None and free.na.init is None
    if free.pose is None and free.pupil is None and not seeks_na:
        return best
    lowest = residual(best)
    if seeks_na:
        nominal = best
        for na in _radii(acquisition):
            tried = replace(nominal, na=torch.tensor(na, dtype=torch.float64))
            if (found := residual(tried)) < lowest:
                best, lowest = tried, found
    if free.pose is not None:
        with suppress(DataError):  # too few bright-field frames: nothing to try
            na_used = best.na_of(acquisition.optics)
            tried = fit_brightfield(acquisition, na=na_used, learn_na=seeks_na).instrument
            if (found := residual(tried)) < lowest:
                best, lowest = tried, found
    if free.pupil is not None:
        stated = acquisition.illumination
        light = replace(stated, na_led_xy=best.na_led_xy.numpy())
        seen = replace(acquisition, illumination=light)
        fixed_height = height_is_free or free.defocus is not None
        try:
            phase = pupil_from_parallax(seen, z_um, free.pupil.modes, without_defocus=fixed_height)
        except DataError:
            return best
        tried = replace(best, zernike_rad=phase)
        if residual(tried) < lowest:
            best = tried
    return best


def _radii(acquisition: Acquisition) -> list[float]:
    """Numerical apertures to try: that of the circles, or where none are seen some around."""
    try:
        return [na_from_circles(acquisition)]
    except DataError:
        return [factor * acquisition.optics.na for factor in NA_FACTORS]
