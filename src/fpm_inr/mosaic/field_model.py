"""The instrument across the field, found from a few tiles: pupil, LED array, light and focus.

Where a place of the grid holds no specimen, another nearby stands in for it. The tile nearest to
the middle that holds one is calibrated as `fpm-inr calibrate` does; from there every other goes on,
with a free LED array. Planes begin with the bend of their LEDs' light. One rigid move of the array,
in mm, explains the directions that all tiles have found. With it, pupils are found once more. Their
coefficients, the light and the heights of focus are polynomials of the place, fitted so that a few
tiles that tell something else do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition, DarkError
from fpm_inr.calibration.autofocus import focus_curve
from fpm_inr.calibration.calibrate import CLEAR_FACTOR, calibrate
from fpm_inr.calibration.field_file import (
    LEVEL,
    FieldCalibration,
    Polynomial,
    TileFit,
    place_of,
)
from fpm_inr.calibration.solve import STEPS, PlaneFit, fit_plane
from fpm_inr.errors import DataError, DivergedError
from fpm_inr.forward import Instrument
from fpm_inr.instrument import Free, parse_free
from fpm_inr.mosaic.array import fit_move, moved_array
from fpm_inr.mosaic.empty import is_empty
from fpm_inr.mosaic.light import degree_told, fit_polynomial, light_polynomial, seen_light
from fpm_inr.mosaic.plan import bend_of
from fpm_inr.mosaic.source import Source
from fpm_inr.mosaic.tiles import Window
from fpm_inr.mosaic.windows import spread
from fpm_inr.optics import defocus_rate_rad_per_um
from fpm_inr.sampling import fourier_sample_na

FloatArray = NDArray[np.float64]

# Tiles along a side of the field.
GRID = 3
# An array that is stretched by less is as far away as stated.
SAME_DISTANCE = 0.02
# What a person should know where tiles tell less than how the instrument bends across the field.
FEW_TILES: tuple[list[str], ...] = (
    ["Too few tiles tell of the instrument: its pupil is taken to be the same all over the field."],
    ["Few tiles tell of the instrument: its pupil is taken to change evenly across the field."],
    [],
)


@dataclass(frozen=True, eq=False)
class _How:
    """What is learned, and steps, seed and device."""

    free: Free
    settings: dict[str, Any]


@dataclass(frozen=True, eq=False)
class _Seen:
    """What lies at a place of the grid."""

    acquisition: Acquisition
    shows_specimen: bool


@dataclass(frozen=True, eq=False)
class _Found:
    """A tile that was calibrated."""

    acquisition: Acquisition
    x_um: float
    y_um: float
    z_um: float
    residual: float
    instrument: Instrument


def find_field_model(
    source: Source,
    shape_y_x: tuple[int, int],
    *,
    tile_px: int,
    z_range_um: tuple[float, float],
    free: str | Free = "gains,pupil,pose",
    grid: int = GRID,
    steps: int = STEPS,
    seed: int = 0,
    device: str = "cpu",
    listen: Callable[[int, int], None] = lambda done, total: None,
) -> FieldCalibration:
    """Find the instrument across a field from a grid of its tiles.

    Parameters
    ----------
    source : Source
    shape_y_x : (int, int)
        Of the frames.
    tile_px : int
    z_range_um : (float, float)
        Heights of the specimen. Where the range has a width, every tile's height is found.
    free : str or Free
        Of gains, pupil and pose, what is learned.
    grid : int
        Tiles along a side.
    steps : int
        Of every plane whose LEDs move; half as many where they stay.
    seed, device
        As `fpm_inr.reconstruct`.
    listen : callable
        Told tiles done and tiles in all; every tile is counted twice.

    Raises
    ------
    DataError
        No tile can be calibrated, or frames have several LEDs.
    """
    chosen = parse_free(free)
    how = _How(chosen, {"steps": steps, "seed": seed, "device": device})
    places = spread(shape_y_x, tile_px, grid)
    total = 2 * len(places)
    fits: list[TileFit] = []
    found: list[_Found] = []
    for number, windows in enumerate(places, start=1):
        seen = _with_specimen(source, shape_y_x, windows)
        if seen is not None and not seen.shows_specimen:
            fits.append(_unused(seen.acquisition, "no specimen"))
        elif seen is not None:
            first = found[0] if found else None
            fit, one = _calibrated(seen.acquisition, first, z_range_um, how)
            fits.append(fit)
            found += [] if one is None else [one]
        listen(number, total)
    if not found:
        reasons = "; ".join(sorted({fit.reason for fit in fits if fit.reason})) or "no light"
        raise DataError(
            f"tell nothing of the instrument ({reasons})",
            "calibrate a crop that holds a specimen (fpm-inr calibrate --crop) and give that as "
            "--calibration, or leave --calibrate out",
            field="tiles",
        )
    radius_um = max(shape_y_x) / 2 * found[0].acquisition.optics.pixel_um
    light_seen = seen_light(source, shape_y_x)
    log_light = LEVEL if light_seen is None else light_polynomial(*light_seen, radius_um)
    model = _stated(found[0].acquisition, radius_um, log_light)
    if chosen.pose is None:
        listen(total, total)
        return _settled(model, found, fits, z_range_um[0] == z_range_um[1])
    model, again = _posed(model, found, how, listen)
    listen(total, total)
    return _settled(model, again, fits, z_range_um[0] == z_range_um[1])


def _posed(
    model: FieldCalibration,
    found: Sequence[_Found],
    how: _How,
    listen: Callable[[int, int], None],
) -> tuple[FieldCalibration, list[_Found]]:
    """The one array of all tiles, and what they say of pupil and gains under it.

    An array that stands further away and specimens that lie higher move the frames alike, and LEDs
    far from the pupil's edge tell no more: a distance is only changed where that explains the
    frames clearly better.
    """

    def under(one_array: FieldCalibration, before: int) -> list[_Found]:
        fits = []
        for number, one in enumerate(found, start=before + 1):
            fits.append(_again(one_array, one, how))
            listen(number, max(2 * len(found), before + len(found)))
        return fits

    placed, stretch = _with_pose(model, found)
    again = under(placed, len(found))
    if abs(stretch) <= SAME_DISTANCE:
        return placed, again
    kept, _ = _with_pose(model, found, stretches=False)
    there = under(kept, 2 * len(found))
    residual = [float(np.median([one.residual for one in fits])) for fits in (again, there)]
    if residual[0] < CLEAR_FACTOR * residual[1]:
        return placed, again
    note = (
        f"The frames do not tell how far away the LEDs are: {1 / (1 + stretch):.2f} times as far "
        f"as stated explains them as well (residual {residual[0]:.4f}, and {residual[1]:.4f} as "
        "stated). The stated distance is kept; correct it in the acquisition if it is wrong."
    )
    return kept.model_copy(update={"notes": [note]}), there


def _with_specimen(
    source: Source, shape_y_x: tuple[int, int], windows: Sequence[Window]
) -> _Seen | None:
    """The first of these windows that shows a specimen, else the first; None, if all are dark.

    Raises
    ------
    DataError
        Frames have several LEDs.
    """
    empty = None
    for window in windows:
        try:
            acquisition = source.window(window, shape_y_x)
        except DarkError:
            continue
        if acquisition.illumination.lighting is not None:
            raise DataError(
                "have several LEDs, whose gains no single tile tells",
                "leave --calibrate out, or give a --calibration of frames of one LED each",
                field="frames",
            )
        if not is_empty(acquisition):
            return _Seen(acquisition, True)
        empty = empty or _Seen(acquisition, False)
    return empty


def _calibrated(
    acquisition: Acquisition,
    first: _Found | None,
    z_range_um: tuple[float, float],
    how: _How,
) -> tuple[TileFit, _Found | None]:
    """Calibrate a tile, from what the first one has found; nothing where it tells nothing."""
    bend = bend_of(acquisition.illumination, acquisition.optics)
    try:
        z_um = _height(acquisition, z_range_um)
        if first is None:
            result = calibrate(
                acquisition, z_um=z_um, free=how.free, bend_rad_per_px2=bend, **how.settings
            )
            if not result.accepted:
                return _unused(acquisition, result.reason.split(";")[0]), None
            return _used(acquisition, result.after)
        stated = acquisition.illumination.na_led_xy
        moved = first.instrument.na_led_xy.numpy() - first.acquisition.illumination.na_led_xy
        start = replace(first.instrument, na_led_xy=torch.tensor(stated + moved))
        fit = fit_plane(
            acquisition, z_um, how.free, start=start, bend_rad_per_px2=bend, **how.settings
        )
    except (DataError, DivergedError) as error:
        return _unused(acquisition, error.problem), None
    return _used(acquisition, fit)


def _unused(acquisition: Acquisition, reason: str) -> TileFit:
    x_um, y_um = place_of(acquisition)
    return TileFit(x_um=x_um, y_um=y_um, used=False, reason=reason)


def _used(acquisition: Acquisition, fit: PlaneFit) -> tuple[TileFit, _Found]:
    x_um, y_um = place_of(acquisition)
    told = TileFit(x_um=x_um, y_um=y_um, used=True, residual=fit.residual)
    return told, _Found(acquisition, x_um, y_um, fit.z_um, fit.residual, fit.instrument)


def _height(acquisition: Acquisition, z_range_um: tuple[float, float]) -> float:
    """Height of a tile's specimen: the one that is stated, or what parallax tells."""
    low, high = z_range_um
    if low == high:
        return low
    return float(np.clip(focus_curve(acquisition).best_um, low, high))


def _again(model: FieldCalibration, one: _Found, how: _How) -> _Found:
    """Pupil and gains of a tile under the one array of all."""
    free = how.free
    rest = Free(**{name: getattr(free, name) for name in free.names if name != "pose"})
    start = replace(
        model.instrument_for(one.acquisition),
        gain_led=one.instrument.gain_led,
        zernike_rad=one.instrument.zernike_rad,
    )
    settings = how.settings | {"steps": max(1, how.settings["steps"] // 2)}
    settings["bend_rad_per_px2"] = bend_of(one.acquisition.illumination, one.acquisition.optics)
    try:
        fit = fit_plane(one.acquisition, one.z_um, rest, start=start, **settings)
    except DivergedError:
        return one
    return replace(one, instrument=fit.instrument, residual=fit.residual)


def _stated(acquisition: Acquisition, radius_um: float, log_light: Polynomial) -> FieldCalibration:
    """The instrument as stated, at the optical axis."""
    light, optics = acquisition.illumination, acquisition.optics
    geometry = light.geometry
    at_axis = light.na_led_xy if geometry is None else geometry.na_at()
    leds = len(at_axis)
    return FieldCalibration(
        status="accepted",
        na=optics.na,
        wavelength_um=optics.wavelength_um,
        radius_um=radius_um,
        nominal_na_led_xy=at_axis.tolist(),
        position_led_xyz_mm=None if geometry is None else geometry.position_led_xyz_mm.tolist(),
        slide_mm=0.0 if geometry is None else geometry.slide_mm,
        slide_index=1.52 if geometry is None else geometry.slide_index,
        moved_na_led_xy=[(0.0, 0.0)] * leds if geometry is None else None,
        gain_led=[1.0] * leds,
        log_light=log_light,
    )


def _with_pose(
    model: FieldCalibration, found: Sequence[_Found], *, stretches: bool = True
) -> tuple[FieldCalibration, float]:
    """The LED array moved as one, so that it explains what all tiles have found; its stretch.

    Of LEDs of which directions alone are known, each moves as it does in most tiles.
    """
    seen = [one.instrument.na_led_xy.numpy() for one in found]
    if model.position_led_xyz_mm is None:
        stated = [one.acquisition.illumination.na_led_xy for one in found]
        moved = np.median([s - t for s, t in zip(seen, stated, strict=True)], axis=0)
        rows = [tuple(row) for row in moved.tolist()]
        return model.model_copy(update={"moved_na_led_xy": rows}), 0.0
    places = [(one.x_um, one.y_um) for one in found]
    sample_na = fourier_sample_na(found[0].acquisition.optics, found[0].acquisition.shape_y_x)
    move = fit_move(model.geometry(), places, seen, sample_na, stretches=stretches)
    placed = moved_array(model.geometry(), move).position_led_xyz_mm
    rows = [tuple(row) for row in placed.tolist()]
    return model.model_copy(update={"position_led_xyz_mm": rows}), float(move[3]) / 100


def _settled(
    model: FieldCalibration, found: Sequence[_Found], fits: Sequence[TileFit], is_flat: bool
) -> FieldCalibration:
    """Polynomials of what the tiles have found."""
    place = np.array([(one.x_um, one.y_um) for one in found]) / model.radius_um
    modes = max((len(one.instrument.zernike_rad) for one in found), default=0)
    zernike = np.zeros((len(found), modes))
    for row, one in zip(zernike, found, strict=True):
        row[: len(one.instrument.zernike_rad)] = one.instrument.zernike_rad.numpy()
    focus = np.array([_focus(one) for one in found])
    if modes > 3 and not is_flat:
        zernike[:, 3] = 0  # of a range of heights the pupil's defocus is a height
    log_gain = np.array([np.log(one.instrument.gain_led.numpy()) for one in found])
    polynomials = [fit_polynomial(place, column) for column in zernike.T]
    heights = {
        (one.x_um, one.y_um): (one, height) for one, height in zip(found, focus, strict=True)
    }
    told = []
    for fit in fits:
        known = heights.get((fit.x_um, fit.y_um))
        if known is not None:
            one, height = known
            fit = fit.model_copy(
                update={
                    "focus_um": float(height),
                    "residual": one.residual,
                    "zernike_rad": one.instrument.zernike_rad.tolist(),
                }
            )
        told.append(fit)
    return model.model_copy(
        update={
            "gain_led": np.exp(np.median(log_gain, axis=0)).tolist(),
            "zernike_rad": polynomials,
            "focus_um": fit_polynomial(place, focus),
            "tiles": told,
            "notes": [*model.notes, *FEW_TILES[degree_told(place)]],
        }
    )


def _focus(one: _Found) -> float:
    """Height of focus of a tile: that of its plane, and what the pupil's defocus adds."""
    zernike = one.instrument.zernike_rad
    if len(zernike) < 4:
        return one.z_um
    optics = one.acquisition.optics
    edge = torch.tensor([(optics.na / optics.wavelength_um) ** 2], dtype=torch.float64)
    rate = defocus_rate_rad_per_um(edge, optics.wavelength_um, optics.medium_index)
    # Noll 4 is sqrt(3) (2 r^2 - 1): from the centre to the edge it changes by 2 sqrt(3)
    return one.z_um + float(zernike[3]) * 2 * float(np.sqrt(3)) / float(rate[0])
