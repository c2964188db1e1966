"""What is known of the camera's noise, and what it does to amplitudes of few photo-electrons."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import DataError


@dataclass(frozen=True, eq=False)
class CameraNoise:
    """What is known of the camera's noise.

    Parameters
    ----------
    intensity_per_electron_led : array [led]
        Intensity, in units of the frames, that one photo-electron makes.
    read_noise_e : float
        Standard deviation of the read noise, in electrons.

    Raises
    ------
    DataError
        A number is not finite, or out of range.
    """

    intensity_per_electron_led: NDArray[np.float64]
    read_noise_e: float = 0.0

    def __post_init__(self) -> None:
        unit = np.array(self.intensity_per_electron_led, dtype=np.float64)
        if unit.ndim != 1 or not np.isfinite(unit).all() or not (unit > 0).all():
            raise DataError(
                "is not one positive number a frame", "correct the gain", field="camera gain"
            )
        if not (np.isfinite(self.read_noise_e) and self.read_noise_e >= 0):
            raise DataError(
                f"is {self.read_noise_e:g}", "give electrons, 0 or more", field="read noise"
            )
        unit.setflags(write=False)
        object.__setattr__(self, "intensity_per_electron_led", unit)

    def select(self, leds: NDArray[np.intp]) -> CameraNoise:
        """Keep the frames of these indices, in this order."""
        return replace(self, intensity_per_electron_led=self.intensity_per_electron_led[leds])

    def amplitude_offset_led(self, mean_led: NDArray[np.float64]) -> NDArray[np.float32]:
        """Intensity [led] to add before the square root, so that its mean is that of the light.

        Of a Poisson count N of mean m and Gaussian noise of variance v, the root of N + 1/4 +
        v / (4 m) has a mean of sqrt(m) up to terms of m^(-3/2) (after Anscombe, Biometrika 35,
        246 (1948)); the bare root falls short by (m + v) / (8 m^(3/2)).
        """
        unit = self.intensity_per_electron_led
        electrons = np.maximum(mean_led / unit, 1.0)
        return np.asarray((0.25 + self.read_noise_e**2 / (4 * electrons)) * unit, dtype=np.float32)
