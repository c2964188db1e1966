"""From the numbers of a file to intensities: gamma, dark level, flat field, exposure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import DataError

Float32 = NDArray[np.float32]
Values = Literal["intensity", "amplitude", "srgb"]
# IEC 61966-2-1: below this share of white sRGB is linear
SRGB_KNEE = 0.04045


@dataclass(frozen=True, eq=False)
class Correction:
    """What makes intensities of stored numbers.

    Parameters
    ----------
    values : {"intensity", "amplitude", "srgb"}
        What the files hold: amplitudes are squared, sRGB is made linear.
    dark : float or array [y, x]
        What a pixel reads without light, in the numbers of the file.
    flat_y_x : array [y, x], optional
        A frame of even light, dark level off: intensities are divided by it, over its median.
    exposure_led : array [led], optional
        Relative times: intensities are divided by them.
    """

    values: Values = "intensity"
    dark: float | Float32 = 0.0
    flat_y_x: Float32 | None = None
    exposure_led: Float32 | None = None

    def windowed(self, window_y_x: tuple[slice, slice]) -> Correction:
        """The same for a part of the frames."""
        dark = self.dark if isinstance(self.dark, float | int) else self.dark[window_y_x]
        flat = None if self.flat_y_x is None else self.flat_y_x[window_y_x]
        return replace(self, dark=dark, flat_y_x=flat)

    def _linear(self, stored: NDArray[Any] | float, white: np.float32) -> Float32:
        """Numbers proportional to light, the dark level still in them; a new array."""
        numbers = np.array(stored, dtype=np.float32)
        if self.values == "amplitude":
            np.square(numbers, out=numbers)
        elif self.values == "srgb":
            numbers /= white
            low = numbers <= SRGB_KNEE
            power = ((np.maximum(numbers, 0) + 0.055) / 1.055) ** np.float32(2.4)
            numbers = np.where(low, numbers / np.float32(12.92), power) * white
        return numbers

    def apply(self, stored: NDArray[Any], leds: slice | NDArray[np.intp]) -> Float32:
        """Intensities of stored frames [led, y, x]; below 0 where a pixel is darker than dark.

        Raises
        ------
        DataError
            The numbers cannot be sRGB.
        """
        white = _white(stored) if self.values == "srgb" else np.float32(1)
        light = self._linear(stored, white)
        if np.any(self.dark):
            light -= self._linear(self.dark, white)
        if self.flat_y_x is not None:
            light /= self.flat_y_x
        if self.exposure_led is not None:
            light /= self.exposure_led[leds][:, None, None]
        return light


def _white(stored: NDArray[Any]) -> np.float32:
    """The number of full white: the largest of the type, or 1 for real numbers."""
    if stored.dtype.kind in "ui":
        return np.float32(np.iinfo(stored.dtype).max)
    if stored.size and float(np.nanmax(stored)) > 1:
        raise DataError(
            "is srgb, and the numbers are neither whole nor within 0 to 1",
            "give pictures as they were saved, or values: intensity",
            field="frames.values",
        )
    return np.float32(1)


def flat_field(bright: NDArray[Any], correction: Correction) -> Float32:
    """A flat field [y, x] over its median, from a frame of even light as it is stored.

    Raises
    ------
    DataError
        It is dark.
    """
    light = replace(correction, flat_y_x=None, exposure_led=None).apply(bright[None], slice(None))[
        0
    ]
    middle = float(np.nanmedian(light))
    if not middle > 0:
        raise DataError("is no brighter than the dark level", "give even light", field="flat field")
    return np.maximum(light / np.float32(middle), np.float32(1e-3))
