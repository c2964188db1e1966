"""How evenly a field is lit, and smooth surfaces through what places of it tell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fpm_inr.calibration.field_file import LEVEL, Polynomial, terms
from fpm_inr.errors import InputError
from fpm_inr.mosaic.source import Source

FloatArray = NDArray[np.float64]

# Squares along a side of the field in which its light is looked at.
LIGHT_GRID = 12
# Misfits beyond so many median deviations are another thing's.
OUTLIER = 3.0
# An acquisition that is lit evenly, or darker where the specimen lies: the light is its upper edge.
BRIGHT_SHARE = 0.8
# Squares below this share of the field's median amplitude hold no light to speak of.
DARK_SHARE = 0.5
# Share of the misfit of even light that uneven light must foretell with. Simulated smears,
# immunohistochemistry, slow phase and targets, whose light is nearly even, come to 1.0 to 1.9, and
# algae to 3; a field that loses a tenth of its light and is mostly empty to 0.4.
CLEARLY = 0.5
# Terms of polynomials of the second, the first and no degree.
DEGREES = (6, 3, 1)
# Places whose terms differ by less, relative to what differs most, tell no difference.
NARROW = 0.05
# Fewest squares that light is fitted to.
LEAST_SQUARES = 24


def fit_polynomial(place_x_y: FloatArray, values: FloatArray) -> Polynomial:
    """Coefficients of 1, x, y, x^2, x y, y^2, without the values that stand far out.

    Fewer tiles carry a lower degree, and tiles in a row only what changes along it.
    """
    reach = max(float(np.abs(place_x_y).max()), 1e-9)
    design, least = _told_terms(terms(*place_x_y.T / reach))
    kept = np.ones(len(values), dtype=bool)
    found: FloatArray = np.zeros(design.shape[1])
    for _ in range(5):
        found = np.asarray(
            np.linalg.lstsq(design[kept], values[kept], rcond=NARROW)[0], dtype=np.float64
        )
        left = np.abs(design @ found - values)
        spread = 1.4826 * float(np.median(left))
        now = left <= OUTLIER * max(spread, 1e-9)
        if now.sum() < least or (now == kept).all():
            break
        kept = now
    row = np.pad(found, (0, 6 - len(found))) / reach ** np.array([0, 1, 1, 2, 2, 2])
    one, x, y, xx, xy, yy = row.tolist()
    return one, x, y, xx, xy, yy


def degree_told(place_x_y: FloatArray) -> int:
    """Degree of the polynomials that places [place, 2] tell."""
    reach = max(float(np.abs(place_x_y).max()), 1e-9)
    design, _ = _told_terms(terms(*place_x_y.T / reach))
    return len(DEGREES) - 1 - DEGREES.index(design.shape[1])


def _told_terms(design: FloatArray) -> tuple[FloatArray, int]:
    """Of the terms [place, 6] those of the highest degree that places tell, and the least places.

    Places must be one more than what they can tell apart, so that one may be wrong; of the second
    degree, two more.
    """
    for count in DEGREES:
        singular = np.linalg.svd(design[:, :count], compute_uv=False)
        rank = int((singular > NARROW * singular[0]).sum())
        least = rank + 1 + (count == DEGREES[0])
        if len(design) >= least:
            return design[:, :count], least
    return design[:, :1], 1


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
    if len(amplitude) < LEAST_SQUARES:
        return None
    return np.array(xs), np.array(ys), np.array(amplitude)


def light_polynomial(
    x_um: FloatArray, y_um: FloatArray, amplitude: FloatArray, radius_um: float
) -> Polynomial:
    """Polynomial of the light's logarithm, 0 at the axis: a surface that most of the field is at.

    A specimen darkens: what is below the surface counts less than what is above, and squares that
    are dark do not count. A specimen that is denser on one side looks like uneven light. So the
    surface is kept only where it foretells quarters of the field that it was not fitted to; else
    the light is taken to be even.
    """
    lit = amplitude > DARK_SHARE * np.median(amplitude)
    x, y = x_um[lit] / radius_um, y_um[lit] / radius_um
    log, design = np.log(amplitude[lit]), terms(x, y)
    quarter = 2 * (x > np.median(x)) + (y > np.median(y))
    even, bent = (_foretold(part, log, quarter) for part in (design[:, :1], design))
    if not bent < CLEARLY * even:
        return LEVEL
    row = _upper_edge(design, log).tolist()
    return 0.0, row[1], row[2], row[3], row[4], row[5]


def _upper_edge(design: FloatArray, log: FloatArray) -> FloatArray:
    """Coefficients of the surface that more lies below than above."""
    weight: FloatArray = np.ones_like(log)
    found: FloatArray = np.zeros(design.shape[1])
    for _ in range(20):
        weighted = design * weight[:, None]
        found = np.asarray(np.linalg.lstsq(weighted, log * weight, rcond=None)[0], np.float64)
        weight = np.sqrt(_counts(log - design @ found))
    return found


def _foretold(design: FloatArray, log: FloatArray, quarter: NDArray[np.int_]) -> float:
    """Misfit of every quarter of the field to the surface through the others."""
    misfit = 0.0
    for one in np.unique(quarter):
        there = quarter == one
        left = log[there] - design[there] @ _upper_edge(design[~there], log[~there])
        misfit += float(_counts(left) @ np.square(left))
    return misfit


def _counts(left: FloatArray) -> FloatArray:
    return np.where(left > 0, BRIGHT_SHARE, 1 - BRIGHT_SHARE)
