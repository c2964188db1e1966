"""One wavelength on the grid and at the heights of another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpm_inr.chromatic_offset import Offset, laid_over, places, reach, sampled_at
from fpm_inr.solution import ImageStack, Solution

if TYPE_CHECKING:
    from fpm_inr.mosaic.mosaic import Mosaic

Window = tuple[int, int, int, int]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LaidOver:
    """One of several solutions, rendered on the grid and at the heights of the reference.

    Parameters
    ----------
    solution : Solution or Mosaic
    offset : Offset
    shape_y_x, pixel_um
        The grid.
    """

    solution: Solution | Mosaic
    offset: Offset
    shape_y_x: tuple[int, int]
    pixel_um: float

    @property
    def amplitude_scale(self) -> float:
        """Multiplying amplitudes by it gives the camera's unit."""
        return self.solution.amplitude_scale

    @property
    def record(self) -> dict[str, Any]:
        """How it was made."""
        return self.solution.record

    @property
    def z_range_um(self) -> tuple[float, float]:
        """Heights of the reference for which this one is solved."""
        low, high = self.solution.z_range_um
        return low - self.offset.z_um, high - self.offset.z_um

    @property
    def planes_um(self) -> NDArray[np.float64] | None:
        """Planes of a conventional solution, in heights of the reference."""
        planes = self.solution.planes_um
        return None if planes is None else planes - self.offset.z_um

    def slices(
        self, z_um: ArrayLike, *, window: Window | None = None, level: int = 0
    ) -> Iterator[ImageStack]:
        """Render one height of the reference after the other.

        Parameters
        ----------
        z_um : array-like [z]
        window : (y, x, height, width), optional
            In pixels of the level. Default: all of it.
        level : int
            Of a mosaic's pyramid; a solution has level 0 alone.
        """
        for z in np.atleast_1d(np.asarray(z_um, dtype=np.float64)):
            yield self.render(z, window=window, level=level)

    def render(
        self, z_um: ArrayLike, *, window: Window | None = None, level: int = 0
    ) -> ImageStack:
        """Render heights of the reference together: quicker than `slices`, all in memory."""
        heights = np.atleast_1d(np.asarray(z_um, dtype=np.float64))
        if isinstance(self.solution, Solution):
            image = self._of_solution(self.solution, heights, window)
        else:
            image = self._of_mosaic(self.solution, heights, window, level)
        return ImageStack(image, heights, self.pixel_um * 2**level, self.amplitude_scale)

    def _of_solution(
        self, solution: Solution, z_um: FloatArray, window: Window | None
    ) -> NDArray[np.complex64]:
        y, x, height, width = window or (0, 0, *self.shape_y_x)
        images = [
            laid_over(
                stack.field_z_y_x[0], stack.pixel_um, self.offset, self.shape_y_x, self.pixel_um
            )[y : y + height, x : x + width]
            for stack in solution.slices(z_um + self.offset.z_um)
        ]
        return np.stack(images)

    def _of_mosaic(
        self, mosaic: Mosaic, z_um: FloatArray, window: Window | None, level: int
    ) -> NDArray[np.complex64]:
        """Sampled [z, y, x] in the window around, of which only the tiles are read."""
        height, width = (max(1, side >> level) for side in self.shape_y_x)
        window = window or (0, 0, height, width)
        if self.offset == Offset(self.offset.z_um) and mosaic.pixel_um == self.pixel_um:
            around, sampled = window, None
        else:
            at_y, at_x = places(
                self.offset, self.shape_y_x, self.pixel_um, mosaic.pixel_um, window, level
            )
            around = reach(at_y, at_x, mosaic.level_shape_y_x(level))
            sampled = at_y - around[0], at_x - around[1]
        stack = mosaic.render(z_um + self.offset.z_um, window=around, level=level)
        if sampled is None:
            return stack.field_z_y_x
        return np.stack([sampled_at(image, *sampled) for image in stack.field_z_y_x])
