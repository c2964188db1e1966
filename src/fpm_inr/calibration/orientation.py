"""Whether the LED map is turned or mirrored against the frames, and what the frames hold.

A map turned by 180 degrees fits the same frames with the height's sign and the object's phase
reversed (amplitudes cannot tell an object from its twin), so the eight orientations fall into four
pairs; within a pair only a known height tells.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from fpm_inr.acquisition import Acquisition, offset_from_axis_um
from fpm_inr.calibration.autofocus import focus_curve
from fpm_inr.calibration.scale import ScaleCheck, check_scale
from fpm_inr.calibration.solve import fit_plane
from fpm_inr.errors import DataError, DivergedError
from fpm_inr.illumination import FloatArray, arrange
from fpm_inr.instrument import parse_free

CROP_PX = 64
STEPS = 40
LEDS = 81
# frames of fewer single LEDs do not tell
LEAST_LEDS = 5
# another orientation must fit better than the stated one by this factor to be preferred
CLEAR_FACTOR = 0.9


@dataclass(frozen=True)
class Orientation:
    """Changes of an LED map, in this order: swap x and y, reverse x, reverse y."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    def __str__(self) -> str:
        parts = [name for name in ("transpose", "flip_x", "flip_y") if getattr(self, name)]
        return " + ".join(parts) or "as stated"

    @property
    def twin(self) -> Orientation:
        """The orientation that fits as well with height and phase reversed."""
        return Orientation(self.transpose, not self.flip_x, not self.flip_y)


# one of each pair of twins
PAIRS = tuple(Orientation(t, x, False) for t, x in product((False, True), repeat=2))


@dataclass(frozen=True, eq=False)
class OrientationCheck:
    """How well the orientations fit.

    Parameters
    ----------
    residual : dict
        Data residual of a quick solve of a crop, by orientation; a twin fits like its partner.
    z_um : dict
        Height at which each was solved.
    best : Orientation
        The stated one (no change), unless another fits clearly better.
    scale : ScaleCheck
        What the numbers of the frames are.
    """

    residual: dict[Orientation, float]
    z_um: dict[Orientation, float]
    best: Orientation
    scale: ScaleCheck

    @property
    def warnings(self) -> list[str]:
        """Sentences for a person; none where all is well."""
        told = []
        if self.best != Orientation():
            told.append(
                f"the LED map fits better changed ({self.best}; residual "
                f"{self.residual[self.best]:.4f} against {self.residual[Orientation()]:.4f}); "
                "--orient auto applies it."
            )
        return [*told, *self.scale.warnings]


def oriented(acquisition: Acquisition, orientation: Orientation) -> Acquisition:
    """Return the acquisition with its LED map changed."""
    geometry = acquisition.illumination.geometry
    if geometry is None:
        na_xy = _arranged(acquisition.illumination.na_led_xy, orientation)
        light = replace(acquisition.illumination, na_led_xy=na_xy)
        return replace(acquisition, illumination=light)
    places = geometry.position_led_xyz_mm
    turned = replace(
        geometry,
        position_led_xyz_mm=np.hstack([_arranged(places[:, :2], orientation), places[:, 2:]]),
    )
    assert acquisition.axis_y_x_px is not None
    offset = offset_from_axis_um(acquisition.axis_y_x_px, acquisition.shape_y_x, acquisition.optics)
    light = replace(acquisition.illumination, na_led_xy=turned.na_at(*offset), geometry=turned)
    return replace(acquisition, illumination=light)


def _arranged(places_xy: FloatArray, orientation: Orientation) -> FloatArray:
    return arrange(
        places_xy,
        transpose=orientation.transpose,
        flip_x=orientation.flip_x,
        flip_y=orientation.flip_y,
    )


def check_orientation(
    acquisition: Acquisition, *, z_um: float | None = None, seed: int = 0
) -> OrientationCheck:
    """Try the LED map's eight orientations, and amplitude against intensity, on a small crop.

    Parameters
    ----------
    acquisition : Acquisition
    z_um : float, optional
        Known height of the sample: decides between twins. Default: each orientation is tried at the
        height that the parallax of its bright field tells.
    seed : int

    Raises
    ------
    DataError
        No frame is of a single LED.
    """
    small = _crop(acquisition)
    residual: dict[Orientation, float] = {}
    heights: dict[Orientation, float] = {}
    for one in PAIRS:
        for candidate in (one, one.twin):
            turned = oriented(small, candidate)
            if z_um is not None:
                heights[candidate] = z_um
            elif candidate == one:
                heights[candidate] = _height(turned)
            else:
                heights[candidate] = -heights[one]
            is_twin = candidate != one and (z_um is None or z_um == 0)
            residual[candidate] = (
                residual[one] if is_twin else _residual(turned, heights[candidate], seed)
            )
    lowest = min(residual, key=residual.__getitem__)
    stated = Orientation()
    best = lowest if residual[lowest] < CLEAR_FACTOR * residual[stated] else stated
    turned = oriented(small, best)
    scale = check_scale(turned, lambda changed: _residual(changed, heights[best], seed))
    return OrientationCheck(residual, heights, best, scale)


def _crop(acquisition: Acquisition) -> Acquisition:
    """The middle of the frames, and the LEDs of smallest NA."""
    height, width = (min(CROP_PX, side) for side in acquisition.shape_y_x)
    y, x = (
        (side - part) // 2
        for side, part in zip(acquisition.shape_y_x, (height, width), strict=True)
    )
    cut = acquisition.one_by_one().crop(y, x, height, width)
    chosen = np.argsort(cut.illumination.na_led, kind="stable")[:LEDS]
    return cut.select(np.sort(chosen))


def _height(acquisition: Acquisition) -> float:
    try:
        return focus_curve(acquisition).best_um
    except DataError:
        return 0.0


def _residual(acquisition: Acquisition, z_um: float, seed: int) -> float:
    try:
        fit = fit_plane(acquisition, z_um, parse_free("gains"), steps=STEPS, seed=seed)
    except DivergedError:
        return float("inf")
    return fit.residual
