"""How evenly a field is lit, and smooth surfaces through what places of it tell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fpm_inr.calibration.field_file import Polynomial, terms
from fpm_inr.errors import InputError
from fpm_inr.mosaic.source import Source

FloatArray = NDArray[np.float64]

# Squares along a side of the field in which its light is looked at.
LIGHT_GRID = 12
# Misfits beyond so many median deviations are another thing's.
OUTLIER = 3.0
# An acquisition that is lit evenly, or darker where the specimen lies: the light is its upper edge.
BRIGHT_SHARE = 0.8
# Fewest places of each number of a polynomial's terms.
LEAST_PLACES = {6: 8, 3: 4, 1: 1}


def fit_polynomial(place_x_y: FloatArray, values: FloatArray) -> Polynomial:
    """Coefficients of 1, x, y, x^2, x y, y^2, without the values that stand far out.

    Fewer tiles carry a lower degree.
    """
    count = next(degree for degree, least in LEAST_PLACES.items() if len(values) >= least)
    design = terms(place_x_y[:, 0], place_x_y[:, 1])[:, :count]
    kept = np.ones(len(values), dtype=bool)
    found: FloatArray = np.zeros(count)
    for _ in range(5):
        found = np.asarray(
            np.linalg.lstsq(design[kept], values[kept], rcond=None)[0], dtype=np.float64
        )
        left = np.abs(design @ found - values)
        spread = 1.4826 * float(np.median(left))
        now = left <= OUTLIER * max(spread, 1e-9)
        if now.sum() < LEAST_PLACES[count] or (now == kept).all():
            break
        kept = now
    row = [*found.tolist(), *[0.0] * (6 - count)]
    return row[0], row[1], row[2], row[3], row[4], row[5]


def seen_light(
    source: Source, shape_y_x: tuple[int, int]
) -> tuple[FloatArray, FloatArray, FloatArray] | None:
    """Places (x, y) in um from the axis, and the bright-field amplitude there, on a coarse grid."""
    side = [max(length // LIGHT_GRID, 16) for length in shape_y_x]
    xs, ys, amplitude = [], [], []
    for y in range(0, shape_y_x[0] - side[0] + 1, side[0]):
        try:
            strip = source.window((y, 0, side[0], shape_y_x[1]), shape_y_x)
        except InputError:
            continue
        assert strip.axis_y_x_px is not None
        bright = strip.is_bright_field & (strip.illumination.na_frame < 0.9 * strip.optics.na)
        if not bright.any():
            return None
        mean = strip.frames_led_y_x[bright].mean(axis=(0, 1), dtype=np.float64)
        for x in range(0, shape_y_x[1] - side[1] + 1, side[1]):
            light = float(mean[x : x + side[1]].mean())
            if light > 0:
                xs.append((x + (side[1] - 1) / 2 - strip.axis_y_x_px[1]) * strip.optics.pixel_um)
                ys.append(((side[0] - 1) / 2 - strip.axis_y_x_px[0]) * strip.optics.pixel_um)
                amplitude.append(np.sqrt(light))
    if len(amplitude) < 3 * LEAST_PLACES[6]:
        return None
    return np.array(xs), np.array(ys), np.array(amplitude)


def light_polynomial(
    x_um: FloatArray, y_um: FloatArray, amplitude: FloatArray, radius_um: float
) -> Polynomial:
    """Polynomial of the light's logarithm, 0 at the axis: a surface that most of the field is at.

    A specimen darkens: what is below the surface counts less than what is above.
    """
    design = terms(x_um / radius_um, y_um / radius_um)
    log = np.log(amplitude)
    weight: FloatArray = np.ones_like(log)
    found: FloatArray = np.zeros(6)
    for _ in range(20):
        weighted = design * weight[:, None]
        found = np.asarray(np.linalg.lstsq(weighted, log * weight, rcond=None)[0], np.float64)
        left = log - design @ found
        weight = np.asarray(np.sqrt(np.where(left > 0, BRIGHT_SHARE, 1 - BRIGHT_SHARE)))
    row = found.tolist()
    return 0.0, row[1], row[2], row[3], row[4], row[5]
