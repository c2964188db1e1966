"""The area that a simulation computes, and its pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from fpm_inr.simulate.samples import height_um

if TYPE_CHECKING:
    from fpm_inr.simulate.experiment import Setup

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """The area that is computed: the frame and a margin around it, on sensor and fine pixels."""

    shape_y_x: tuple[int, int]
    frame_y_x: tuple[int, int]
    offset_y_x: tuple[int, int]
    fine: int
    pixel_um: float

    @property
    def frame(self) -> tuple[slice, slice]:
        """The frame within the sensor pixels of the scene."""
        return self.window(1)

    @property
    def fine_shape_y_x(self) -> tuple[int, int]:
        return self.shape_y_x[0] * self.fine, self.shape_y_x[1] * self.fine

    def window(self, factor: int) -> tuple[slice, slice]:
        """The frame within a grid of `factor` pixels per sensor pixel."""
        (y, x), (height, width) = self.offset_y_x, self.frame_y_x
        return (
            slice(y * factor, (y + height) * factor),
            slice(x * factor, (x + width) * factor),
        )

    def coordinates_um(self, axis: int) -> FloatArray:
        """Fine pixels' coordinates, 0 in the middle of the frame."""
        middle = (self.offset_y_x[axis] + self.frame_y_x[axis] / 2) * self.fine
        return (np.arange(self.fine_shape_y_x[axis]) - middle) * self.pixel_um / self.fine

    def taper(self, axis: int) -> FloatArray:
        """1 over the frame and half of the margin, falling to 0 at the edge of the scene."""
        count, start = self.fine_shape_y_x[axis], self.offset_y_x[axis] * self.fine
        if start == 0:
            return np.ones(count)
        inwards = np.minimum(np.arange(count), np.arange(count)[::-1])
        return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.clip(inwards / (start / 2), 0, 1)))


def lay_scene(setup: Setup) -> Scene:
    """Choose the area and the fine pixel of a simulation.

    The margin is what light from the specimen's heights can cross on its way through the
    objective's NA, and four resolution lengths. The fine pixel, a whole fraction of the
    reconstruction's, carries every wave that travels: at most wavelength / (2 n).
    """
    optics = setup.rig.optics
    finest = optics.wavelength_um / (2 * optics.medium_index)
    finer = math.ceil(optics.pixel_um / setup.upsampling / finest)
    margin = 0
    if not setup.periodic:
        y, x = (np.linspace(-0.5, 0.5, 65) * side * optics.pixel_um for side in setup.shape_y_x)
        highest = float(np.abs(height_um(setup.specimen, y, x)).max())
        highest += setup.specimen.depth_um / 2 if setup.specimen.shape != "wavy" else 0.0
        slope = optics.na / math.sqrt(optics.medium_index**2 - optics.na**2)
        reach_um = highest * slope + 4 * optics.wavelength_um / optics.na
        margin = math.ceil(reach_um / optics.pixel_um)
    scene = [fft.next_fast_len(side + 2 * margin) if margin else side for side in setup.shape_y_x]
    return Scene(
        (scene[0], scene[1]),
        setup.shape_y_x,
        ((scene[0] - setup.shape_y_x[0]) // 2, (scene[1] - setup.shape_y_x[1]) // 2),
        setup.upsampling * finer,
        optics.pixel_um,
    )
