"""The frames' noise, estimated from the frames themselves, and the error that it leaves.

An image of NA n has no frequency beyond 2 n / wavelength: what a frame holds there is noise. Its
strength in frames of different brightness tells photons (variance in proportion to intensity) from
read noise (a constant). Pure functions on arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft
from scipy.optimize import nnls

from fpm_inr.acquisition import Acquisition, Optics

FloatArray = NDArray[np.float64]

# frames as they are, not repeated: a window keeps their edges' cross out of the high frequencies
LEAST_FREE = 0.02  # share of frequencies beyond the cutoff that makes an estimate
# where the camera does not sample them: the highest frequencies, whose weakest hold little light
OUTERMOST = 0.1
SURE = 4.0  # standard errors that read noise must stand above nothing
GRID_T = np.concatenate([np.linspace(0, 20, 401), np.geomspace(20.5, 1e6, 200)])


@dataclass(frozen=True, eq=False)
class Noise:
    """Noise of every frame: variance = gain * intensity + read variance, in squared counts.

    Parameters
    ----------
    gain_led : array [led]
        Counts per photo-electron.
    read_variance : float
        Variance of the read noise, counts^2, the same for all frames.
    is_bound : bool
        The camera does not sample frequencies without light: the noise is this or less.
    """

    gain_led: FloatArray
    read_variance: float
    is_bound: bool

    def squared_error(self, led: int, intensity: ArrayLike) -> FloatArray:
        """Expected (measured - true amplitude)^2 at pixels of this intensity, in counts.

        Of an intensity I with the variance v it is v / (4 I) where I is well above its noise. Near
        zero the root of what is clipped at zero saturates, at 0.4 sqrt(v).
        """
        bright = np.maximum(np.asarray(intensity, dtype=np.float64), 0.0)
        deviation = np.sqrt(self.gain_led[led] * bright + self.read_variance)
        ratio = np.divide(bright, deviation, out=np.zeros_like(bright), where=deviation > 0)
        return deviation * np.interp(ratio, GRID_T, _root_error())


def free_frequencies(optics: Optics, shape_y_x: tuple[int, int]) -> tuple[NDArray[np.bool_], bool]:
    """Frequencies [y, x] (`rfft2` order) of a frame that no light reaches.

    Returns
    -------
    free : array of bool
    is_bound : bool
        Light reaches nearly all of them: these are the highest, where there is least.
    """
    y = fft.fftfreq(shape_y_x[0], optics.pixel_um)[:, None]
    x = fft.rfftfreq(shape_y_x[1], optics.pixel_um)
    radius = np.hypot(y, x)
    # the window spreads every frequency over its neighbours
    step = 2 / (min(shape_y_x) * optics.pixel_um)
    free = radius > 2 * optics.na / optics.wavelength_um + step
    if free.mean() >= LEAST_FREE:
        return free, False
    return radius >= np.quantile(radius, 1 - OUTERMOST), True


def estimate_noise(acquisition: Acquisition) -> Noise:
    """Estimate gain and read noise of the frames from their highest frequencies."""
    shape = acquisition.shape_y_x
    free, is_bound = free_frequencies(acquisition.optics, shape)
    window = np.hanning(shape[0] + 2)[1:-1, None] * np.hanning(shape[1] + 2)[1:-1]
    weight = window**2 / (window**2).sum()
    variance, mean = np.empty((2, acquisition.frame_count))
    for led, frame in enumerate(acquisition.frames_led_y_x):
        power = np.abs(fft.rfft2((frame - frame.mean()) * window)[free]) ** 2
        # the median: a pattern of pixels stands in few frequencies. That of an exponential
        # distribution is ln 2 of its mean
        variance[led] = np.median(power) / np.log(2) / (window**2).sum()
        mean[led] = (weight * frame).sum()
    return Noise(*_split(variance, mean), is_bound)


def _split(variance_led: FloatArray, mean_led: FloatArray) -> tuple[FloatArray, float]:
    """Gain of every frame, and the read variance that they share."""
    # every frame's variance is known to the same relative error
    scale = 1 / np.maximum(variance_led, 1e-12 * max(float(variance_led.max()), 1e-30))
    design = np.stack([mean_led, np.ones_like(mean_led)], axis=1) * scale[:, None]
    unit = np.array([max(float(mean_led.max()), 1e-30), 1.0])
    found, _ = nnls(design / unit, variance_led * scale)
    if found[1] < SURE * _uncertainty(design / unit, variance_led * scale, found):
        # frames that are about equally bright do not tell it from photons
        found = np.array([found[0], 0.0])
    read = float(found[1])
    gain = np.divide(
        np.maximum(variance_led - read, 0.0),
        mean_led,
        out=np.zeros_like(mean_led),
        where=mean_led > 0,
    )
    return gain, read


def _uncertainty(design: FloatArray, values: FloatArray, found: FloatArray) -> float:
    """Standard error of the last of the coefficients that were found by least squares."""
    left = values - design @ found
    free = max(len(values) - len(found), 1)
    covariance = np.linalg.pinv(design.T @ design) * float(left @ left) / free
    return float(np.sqrt(covariance[-1, -1]))


@cache
def _root_error() -> FloatArray:
    """E (sqrt(max(t + n, 0)) - sqrt(t))^2 on `GRID_T`, for a normal n of variance 1."""
    n = np.linspace(-6, 6, 2401)
    density = np.exp(-(n**2) / 2)
    density /= density.sum()
    t = GRID_T[:, None]
    return np.asarray(((np.sqrt(np.maximum(t + n, 0)) - np.sqrt(t)) ** 2) @ density)
