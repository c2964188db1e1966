"""LED geometry -> illumination directions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import DataError


@dataclass(frozen=True, eq=False)
class LedGeometry:
    """Where the LEDs stand, in the axes of the frames.

    Parameters
    ----------
    position_led_xyz_mm : array [led, 3]
        LED positions in mm: x along the columns of the frame, y along its rows (downward), z the
        distance from the sample towards the LEDs (positive). Axes are those in which an LED at +x
        brings the object spectrum around +x into the pupil.
    slide_mm : float
        Thickness of a glass slide that the light passes, in mm (0: none).
    slide_index : float
        Refractive index of that slide.
    """

    position_led_xyz_mm: NDArray[np.float64]
    slide_mm: float = 0.0
    slide_index: float = 1.52

    def __post_init__(self) -> None:
        position = np.array(self.position_led_xyz_mm, dtype=np.float64)
        if position.ndim != 2 or position.shape[1] != 3 or not np.isfinite(position).all():
            raise DataError(
                f"has shape {position.shape} or values that are not finite",
                "give finite (x, y, z) in mm for every LED",
                field="LED positions",
            )
        if len(position) and position[:, 2].min() <= 0:
            raise DataError(
                "puts LEDs at or behind the sample", "give a positive distance", field="distance"
            )
        position.setflags(write=False)
        object.__setattr__(self, "position_led_xyz_mm", position)

    @property
    def led_count(self) -> int:
        return len(self.position_led_xyz_mm)

    def select(self, leds: NDArray[np.intp]) -> LedGeometry:
        """Keep the LEDs of these indices, in this order."""
        return replace(self, position_led_xyz_mm=self.position_led_xyz_mm[leds])

    def na_at(self, x_um: float = 0.0, y_um: float = 0.0) -> NDArray[np.float64]:
        """NA vectors [led, 2] of the LEDs seen from a sample point (x, y) um off the axis."""
        raise NotImplementedError
