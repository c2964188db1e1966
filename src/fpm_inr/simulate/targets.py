"""Resolution targets drawn exactly: every pixel holds the share of its area that is covered."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# A layer of a USAF target (two groups) in bar widths of the first group's element 1; the next
# layer is the same at a quarter of the size, in the free middle.
LAYER_WIDTH, LAYER_HEIGHT = 25.0, 25.1
SIEMENS_SPOKES = 36


@dataclass(frozen=True)
class UsafElement:
    """Three upright and three level bars; (x, y) is the top left corner, in um."""

    group: int
    element: int
    x_um: float
    y_um: float

    @property
    def line_pairs_per_mm(self) -> float:
        """Its number of line pairs per mm, 2^(group + (element - 1) / 6)."""
        return usaf_line_pairs_per_mm(self.group, self.element)

    @property
    def bar_um(self) -> float:
        """Width of one bar: half a period."""
        return 500.0 / self.line_pairs_per_mm

    @property
    def bars_x_y_um(self) -> list[tuple[float, float, float, float]]:
        """Six bars as (x low, x high, y low, y high)."""
        bar, x, y = self.bar_um, self.x_um, self.y_um
        upright = [(x + 2 * i * bar, x + (2 * i + 1) * bar, y, y + 5 * bar) for i in range(3)]
        level = [
            (x + 7 * bar, x + 12 * bar, y + 2 * i * bar, y + (2 * i + 1) * bar) for i in range(3)
        ]
        return upright + level


def usaf_line_pairs_per_mm(group: int, element: int) -> float:
    """Line pairs per mm of a USAF 1951 element: 2^(group + (element - 1) / 6)."""
    return float(2.0 ** (group + (element - 1) / 6))


def usaf_elements(field_um: float, finest_bar_um: float) -> list[UsafElement]:
    """Elements of a USAF 1951 target that fill a square field centred on (0, 0).

    Real group and element sizes; the outermost group is the largest that fits. The nesting is the
    usual one: a group at the left and below, the next at the right, finer layers in the middle.

    Parameters
    ----------
    field_um : float
        Side of the field.
    finest_bar_um : float
        Elements with narrower bars are left out.
    """
    # bar width of element 1 is 500 / 2^group um
    group = math.ceil(math.log2(500.0 * LAYER_HEIGHT / field_um))
    elements: list[UsafElement] = []
    x = -LAYER_WIDTH / 2 * 500.0 / 2.0**group
    y = -LAYER_HEIGHT / 2 * 500.0 / 2.0**group
    while True:
        unit = 500.0 / 2.0**group
        if unit < finest_bar_um:
            return elements
        elements += _layer(group, x, y, finest_bar_um)
        # in the middle: the left column is 10.7 wide, the right one 6, element 1 lies below
        x, y = x + 11.7 * unit, y + 5.0 * unit
        group += 2


def _layer(group: int, x: float, y: float, finest_bar_um: float) -> list[UsafElement]:
    unit = 500.0 / 2.0**group
    placed = []
    top = y
    for number in range(2, 7):
        element = UsafElement(group, number, x, top)
        placed.append(element)
        top += 7 * element.bar_um
    placed.append(UsafElement(group, 1, x + (LAYER_WIDTH - 12) * unit, y + 20 * unit))
    top = y
    for number in range(1, 7):
        bar = 500.0 / usaf_line_pairs_per_mm(group + 1, number)
        placed.append(UsafElement(group + 1, number, x + LAYER_WIDTH * unit - 12 * bar, top))
        top += 7 * bar
    return [element for element in placed if element.bar_um >= finest_bar_um]


def draw_usaf(y_um: FloatArray, x_um: FloatArray, field_um: float) -> FloatArray:
    """Coverage [y, x] by the bars of a USAF 1951 target, 1 on a bar.

    Parameters
    ----------
    y_um, x_um : array
        Evenly spaced coordinates of the pixels' centres.
    field_um : float
        Side of the square, centred on (0, 0), that the target fills.
    """
    pixel = float(x_um[1] - x_um[0])
    covered = np.zeros((len(y_um), len(x_um)))
    for element in usaf_elements(field_um, finest_bar_um=pixel):
        for x_low, x_high, y_low, y_high in element.bars_x_y_um:
            rows = _covered(y_um, y_low, y_high, pixel)
            columns = _covered(x_um, x_low, x_high, pixel)
            iy, ix = np.flatnonzero(rows), np.flatnonzero(columns)
            covered[np.ix_(iy, ix)] += rows[iy, None] * columns[ix]
    return covered


def _covered(centre_um: FloatArray, low: float, high: float, pixel: float) -> FloatArray:
    """Share of each pixel that lies between low and high."""
    overlap = np.minimum(centre_um + pixel / 2, high) - np.maximum(centre_um - pixel / 2, low)
    covered: FloatArray = np.clip(overlap / pixel, 0.0, 1.0)
    return covered


def draw_siemens(
    y_um: FloatArray, x_um: FloatArray, field_um: float, spokes: int = SIEMENS_SPOKES
) -> FloatArray:
    """Coverage [y, x] by the dark spokes of a Siemens star, 1 on a spoke.

    The star fills 90 % of the field. At radius r its period is 2 pi r / spokes; where that is
    under two pixels, the coverage is the mean, one half.
    """
    pixel = float(x_um[1] - x_um[0])
    y, x = y_um[:, None], x_um[None, :]
    radius = np.hypot(y, x)
    outer = 0.45 * field_um
    # distance to the nearest spoke's edge, along the circle, as a signed share of a pixel
    phase = spokes * np.arctan2(y, x) / (2 * np.pi)
    within = np.abs((phase - np.floor(phase)) - 0.5)
    edge_um = (0.25 - within) * 2 * np.pi * np.maximum(radius, pixel / 10) / spokes
    covered = np.clip(edge_um / pixel + 0.5, 0.0, 1.0)
    covered = np.where(2 * np.pi * radius / spokes < 2 * pixel, 0.5, covered)
    star: FloatArray = covered * np.clip((outer - radius) / pixel + 0.5, 0.0, 1.0)
    return star
