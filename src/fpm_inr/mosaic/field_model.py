"""The instrument across the field, found from a few tiles: pupil, LED array, light and focus.

The tile nearest to the middle that holds a specimen is calibrated as `fpm-inr calibrate` does; from
there every other goes on, with a free LED array. One rigid move of the array, in mm, explains the
directions that all tiles have found. With it, pupils are found once more. Their
coefficients, the light and the heights of focus are polynomials of the place, fitted so that a few
tiles that tell something else do not count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import least_squares

from fpm_inr.acquisition import Acquisition, DarkError
from fpm_inr.calibration.autofocus import focus_curve
from fpm_inr.calibration.calibrate import calibrate
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
from fpm_inr.illumination import LedGeometry
from fpm_inr.instrument import Free, parse_free
from fpm_inr.mosaic.empty import is_empty
from fpm_inr.mosaic.light import fit_polynomial, light_polynomial, seen_light
from fpm_inr.mosaic.source import Source
from fpm_inr.optics import defocus_rate_rad_per_um

FloatArray = NDArray[np.float64]

# Tiles along a side of the field.
GRID = 3


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
    crops = _spread(shape_y_x, tile_px, grid)
    radius_um = max(shape_y_x) / 2
    total = 2 * len(crops)
    fits: list[TileFit] = []
    found: list[_Found] = []
    log_light: Polynomial = LEVEL
    light_seen = seen_light(source, shape_y_x)
    for number, crop in enumerate(crops):
        try:
            acquisition = source.window(crop, shape_y_x)
        except DarkError:
            continue
        if acquisition.illumination.lighting is not None:
            raise DataError(
                "have several LEDs, whose gains no single tile tells",
                "leave --calibrate out, or give a --calibration of frames of one LED each",
                field="frames",
            )
        radius_um = max(shape_y_x) / 2 * acquisition.optics.pixel_um
        if found:
            fit, one = _followed(found[0], acquisition, z_range_um, chosen, steps, seed, device)
        else:
            fit, one = _calibrated(acquisition, z_range_um, chosen, steps, seed, device)
        fits.append(fit)
        found += [] if one is None else [one]
        listen(number + 1, total)
    if not found:
        reasons = "; ".join(sorted({fit.reason for fit in fits if fit.reason})) or "no light"
        raise DataError(
            f"tell nothing of the instrument ({reasons})",
            "calibrate a crop that holds a specimen (fpm-inr calibrate), or leave --calibrate out",
            field="tiles",
        )
    if light_seen is not None:
        log_light = light_polynomial(*light_seen, radius_um)
    model = _stated(found[0].acquisition, radius_um, log_light)
    if chosen.pose is not None:
        model = _with_pose(model, found)
    again: list[_Found] = []
    for number, one in enumerate(found, start=len(crops) + 1):
        again.append(_again(model, one, chosen, steps, seed, device))
        listen(number, total)
    listen(total, total)
    return _settled(model, again, fits, z_range_um[0] == z_range_um[1])


def _spread(shape_y_x: tuple[int, int], tile_px: int, grid: int) -> list[tuple[int, int, int, int]]:
    """Windows on an even grid, the outermost at the field's edges; those in the middle first."""
    height, width = (min(tile_px, side) for side in shape_y_x)
    starts = [
        np.unique(np.linspace(0, side - part, grid).round().astype(int)).tolist()
        for side, part in zip(shape_y_x, (height, width), strict=True)
    ]
    middle = [(side - part) / 2 for side, part in zip(shape_y_x, (height, width), strict=True)]
    places = [(y, x) for y in starts[0] for x in starts[1]]
    places.sort(key=lambda place: math.dist(place, middle))
    return [(y, x, height, width) for y, x in places]


def _calibrated(
    acquisition: Acquisition,
    z_range_um: tuple[float, float],
    free: Free,
    steps: int,
    seed: int,
    device: str,
) -> tuple[TileFit, _Found | None]:
    """Calibrate a tile by itself; nothing where it tells nothing."""
    if is_empty(acquisition):
        return _unused(acquisition, "is empty"), None
    try:
        z_um = _height(acquisition, z_range_um)
        result = calibrate(acquisition, z_um=z_um, free=free, steps=steps, seed=seed, device=device)
    except (DataError, DivergedError) as error:
        return _unused(acquisition, error.problem), None
    if not result.accepted:
        return _unused(acquisition, result.reason.split(";")[0]), None
    return _used(acquisition, result.after)


def _followed(
    first: _Found,
    acquisition: Acquisition,
    z_range_um: tuple[float, float],
    free: Free,
    steps: int,
    seed: int,
    device: str,
) -> tuple[TileFit, _Found | None]:
    """Calibrate a tile from what another has found; nothing where it tells nothing."""
    if is_empty(acquisition):
        return _unused(acquisition, "is empty"), None
    stated = acquisition.illumination.na_led_xy
    moved = first.instrument.na_led_xy.numpy() - first.acquisition.illumination.na_led_xy
    start = replace(first.instrument, na_led_xy=torch.tensor(stated + moved))
    try:
        z_um = _height(acquisition, z_range_um)
        fit = fit_plane(acquisition, z_um, free, start=start, steps=steps, seed=seed, device=device)
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


def _again(
    model: FieldCalibration, one: _Found, free: Free, steps: int, seed: int, device: str
) -> _Found:
    """Pupil and gains of a tile under the one array of all."""
    rest = Free(**{name: getattr(free, name) for name in free.names if name != "pose"})
    if free.pose is None or not rest.names:
        return one
    start = replace(
        model.instrument_for(one.acquisition),
        gain_led=one.instrument.gain_led,
        zernike_rad=one.instrument.zernike_rad,
    )
    try:
        fit = fit_plane(
            one.acquisition,
            one.z_um,
            rest,
            start=start,
            steps=max(1, steps // 2),
            seed=seed,
            device=device,
        )
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


def _with_pose(model: FieldCalibration, found: Sequence[_Found]) -> FieldCalibration:
    """The LED array moved as one, so that it explains what all tiles have found."""
    seen = [one.instrument.na_led_xy.numpy() for one in found]
    if model.position_led_xyz_mm is None:
        stated = [one.acquisition.illumination.na_led_xy for one in found]
        moved = np.median([s - t for s, t in zip(seen, stated, strict=True)], axis=0)
        return model.model_copy(update={"moved_na_led_xy": [tuple(row) for row in moved.tolist()]})
    geometry = model.geometry()
    optics = found[0].acquisition.optics
    sample_na = optics.wavelength_um / (
        optics.pixel_um * float(np.sqrt(np.prod(found[0].acquisition.shape_y_x)))
    )

    # what an LED at the pupil's edge says is uncertain: a robust loss, in Fourier samples
    def rest(move: FloatArray) -> FloatArray:
        placed = moved_array(geometry, move)
        gone = [
            (na - placed.na_at(one.x_um, one.y_um)) / sample_na
            for na, one in zip(seen, found, strict=True)
        ]
        return np.concatenate(gone).ravel()

    fit = least_squares(rest, np.zeros(6), loss="soft_l1", f_scale=0.3, x_scale=1.0)
    placed = moved_array(geometry, fit.x).position_led_xyz_mm
    return model.model_copy(update={"position_led_xyz_mm": [tuple(row) for row in placed.tolist()]})


def moved_array(geometry: LedGeometry, move: FloatArray) -> LedGeometry:
    """An LED array after a rigid move about its middle.

    Parameters
    ----------
    geometry : LedGeometry
    move : array [6]
        Shift x and y in mm; turn from x to y, stretch, and lean along x and y, all in percent of
        the array's half width.
    """
    place = geometry.position_led_xyz_mm
    middle = place.mean(axis=0)
    about = place - middle
    turn, stretch, lean_x, lean_y = move[2:] / 100
    x, y = about[:, 0], about[:, 1]
    moved = np.stack(
        [
            (np.cos(turn) * x - np.sin(turn) * y) * (1 + stretch) + move[0],
            (np.sin(turn) * x + np.cos(turn) * y) * (1 + stretch) + move[1],
            about[:, 2] + lean_x * x + lean_y * y,
        ],
        axis=1,
    )
    return replace(geometry, position_led_xyz_mm=moved + middle)


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


def write_field_calibration(path: Path, content: FieldCalibration) -> None:
    """Write calibration.json of version 2.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    from fpm_inr.files.replacing import replacing

    with replacing(path) as beside:
        beside.write_text(content.model_dump_json(indent=1) + "\n", encoding="utf-8")
