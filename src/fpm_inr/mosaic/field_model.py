"""The instrument across the field, found from a few tiles: pupil, LED array, light and focus.

Where a place of the grid holds no specimen, another nearby stands in for it. The tile nearest to
the middle that holds one is calibrated as `fpm-inr calibrate` does; from there every other goes on,
with a free LED array. Like the solves of tiles, planes begin with the bend of their LEDs' light,
and leave out LEDs that meet the pupil's edge. One rigid move of the array, in mm, explains the
directions that all tiles have found. With it, pupils are found once more. Their coefficients, the
light and the heights of focus are polynomials of the place, fitted so that a few tiles that tell
something else do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition, DarkError
from fpm_inr.calibration.calibrate import CLEAR_FACTOR
from fpm_inr.calibration.field_file import (
    LEVEL,
    FieldCalibration,
    Polynomial,
    TileFit,
)
from fpm_inr.calibration.solve import STEPS
from fpm_inr.errors import DataError
from fpm_inr.instrument import Free, parse_free
from fpm_inr.mosaic.array import fit_move, moved_array
from fpm_inr.mosaic.calibrated import (
    Found,
    How,
    again_under,
    calibrated_tile,
    focus_of,
    sure_leds,
    unused,
)
from fpm_inr.mosaic.empty import is_empty
from fpm_inr.mosaic.light import degree_told, fit_polynomial, light_polynomial, seen_light
from fpm_inr.mosaic.source import Source
from fpm_inr.mosaic.tiles import Window
from fpm_inr.mosaic.windows import spread
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
class _Seen:
    """What lies at a place of the grid."""

    acquisition: Acquisition
    shows_specimen: bool


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
    how = How(chosen, {"steps": steps, "seed": seed, "device": device})
    places = spread(shape_y_x, tile_px, grid)
    total = 2 * len(places)
    fits: list[TileFit] = []
    found: list[Found] = []
    for number, windows in enumerate(places, start=1):
        seen = _with_specimen(source, shape_y_x, windows)
        if seen is not None and not seen.shows_specimen:
            fits.append(unused(seen.acquisition, "no specimen"))
        elif seen is not None:
            first = found[0] if found else None
            fit, one = calibrated_tile(seen.acquisition, first, z_range_um, how)
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
    found: Sequence[Found],
    how: How,
    listen: Callable[[int, int], None],
) -> tuple[FieldCalibration, list[Found]]:
    """The one array of all tiles, and what they say of pupil and gains under it.

    An array that stands further away and specimens that lie higher move the frames alike, and LEDs
    far from the pupil's edge tell no more: a distance is only changed where that explains the
    frames clearly better.
    """

    placed, stretch = _with_pose(model, found)
    arrays = [placed]
    if abs(stretch) > SAME_DISTANCE:
        arrays.append(_with_pose(model, found, stretches=False)[0])
    fits: list[list[Found]] = [[] for _ in arrays]
    # one set of LEDs, so that residuals can be compared
    sees = [
        np.all([sure_leds(one.acquisition, a.instrument_for(one.acquisition)) for a in arrays], 0)
        for one in found
    ]
    for number, (array, of_array) in enumerate(zip(arrays, fits, strict=True), start=1):
        for one, leds in zip(found, sees, strict=True):
            of_array.append(again_under(array, replace(one, sees_led=leds), how))
            listen(number * len(found) + len(of_array), (1 + len(arrays)) * len(found))
    residual = [float(np.median([one.residual for one in of_array])) for of_array in fits]
    if len(arrays) == 1 or residual[0] < CLEAR_FACTOR * residual[1]:
        return placed, fits[0]
    note = (
        f"The frames do not tell how far away the LEDs are: {1 / (1 + stretch):.2f} times as far "
        f"as stated explains them as well (residual {residual[0]:.4f}, and {residual[1]:.4f} as "
        "stated). The stated distance is kept; correct it in the acquisition if it is wrong."
    )
    return arrays[1].model_copy(update={"notes": [note]}), fits[1]


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
    model: FieldCalibration, found: Sequence[Found], *, stretches: bool = True
) -> tuple[FieldCalibration, float]:
    """The LED array moved as one, so that it explains what all tiles have found; its stretch.

    Of LEDs of which directions alone are known, each moves as it does in most tiles.
    """
    seen = [one.instrument.na_led_xy.numpy() for one in found]
    sees = [one.sees_led for one in found]
    if model.position_led_xyz_mm is None:
        stated = [one.acquisition.illumination.na_led_xy for one in found]
        moved = _told_median(np.array(seen) - np.array(stated), np.array(sees))
        # LEDs that no tile tells of move as most do
        moved = np.where(np.isnan(moved), np.nanmedian(moved, axis=0), moved)
        rows = [tuple(row) for row in moved.tolist()]
        return model.model_copy(update={"moved_na_led_xy": rows}), 0.0
    places = [(one.x_um, one.y_um) for one in found]
    sample_na = fourier_sample_na(found[0].acquisition.optics, found[0].acquisition.shape_y_x)
    move = fit_move(model.geometry(), places, seen, sees, sample_na, stretches=stretches)
    placed = moved_array(model.geometry(), move).position_led_xyz_mm
    rows = [tuple(row) for row in placed.tolist()]
    return model.model_copy(update={"position_led_xyz_mm": rows}), float(move[3]) / 100


def _settled(
    model: FieldCalibration, found: Sequence[Found], fits: Sequence[TileFit], is_flat: bool
) -> FieldCalibration:
    """Polynomials of what the tiles have found."""
    place = np.array([(one.x_um, one.y_um) for one in found]) / model.radius_um
    modes = max((len(one.instrument.zernike_rad) for one in found), default=0)
    zernike = np.zeros((len(found), modes))
    for row, one in zip(zernike, found, strict=True):
        row[: len(one.instrument.zernike_rad)] = one.instrument.zernike_rad.numpy()
    focus = np.array([focus_of(one) for one in found])
    if modes > 3 and not is_flat:
        zernike[:, 3] = 0  # of a range of heights the pupil's defocus is a height
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
            "gain_led": _gains(found).tolist(),
            "zernike_rad": polynomials,
            "focus_um": fit_polynomial(place, focus),
            "tiles": told,
            "notes": [*model.notes, *FEW_TILES[degree_told(place)]],
        }
    )


def _gains(found: Sequence[Found]) -> FloatArray:
    """Gains [led] of most tiles; those of LEDs that no tile tells of are 1."""
    log_gain = np.log([one.instrument.gain_led.numpy() for one in found])
    sees = np.array([one.sees_led for one in found])
    # tiles pin the mean of the LEDs that they see: they are brought together on those all see
    always = sees.all(axis=0)
    if always.any():
        level = log_gain[:, always].mean(axis=1, keepdims=True)
        log_gain += level.mean() - level
    return np.exp(np.nan_to_num(_told_median(log_gain, sees), nan=0.0))


def _told_median(values: FloatArray, sees_led: NDArray[np.bool_]) -> FloatArray:
    """Median [led, ...] of values [tile, led, ...] of the tiles that see an LED; NaN, if none."""
    told = np.where(sees_led.reshape(*sees_led.shape, *[1] * (values.ndim - 2)), values, np.nan)
    found: FloatArray = np.full(values.shape[1:], np.nan)
    known = sees_led.any(axis=0)
    found[known] = np.nanmedian(told[:, known], axis=0)
    return found
