"""Tiles without a specimen: told from noise, and kept as the clear field that they are.

Where nothing lies under the microscope, a solve finds a picture of the noise, and a calibration an
instrument of it. Such tiles are not solved.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft, ndimage

from fpm_inr.acquisition import Acquisition, Optics
from fpm_inr.fields.spline import LEAST_PLANES, SplineField
from fpm_inr.forward import Instrument
from fpm_inr.solution import Solution
from fpm_inr.trust.noise import estimate_noise

# Contrast (standard deviation over mean, noise taken off) of bright-field frames, in any square of
# so many pixels, that makes a specimen; and how many standard errors of the noise it must exceed.
LEAST_CONTRAST = 0.01
BLOCK_PX = 16
SIGMAS = 6.0
# slower variations, in cycles a tile, are uneven light
SLOWEST_CYCLES = 4.0


def contrast(acquisition: Acquisition) -> tuple[float, float]:
    """Largest contrast of any part of the bright-field frames, and that which noise may feign.

    Squares of `BLOCK_PX` pixels are parts. Frequencies that no light reaches are left out.
    """
    optics, (height, width) = acquisition.optics, acquisition.shape_y_x
    y, x = fft.fftfreq(height), fft.rfftfreq(width)
    radius = np.hypot(y[:, None], x) / optics.pixel_um
    slow = np.hypot(y[:, None] * height, x * width) < SLOWEST_CYCLES
    passes = (radius <= 2 * optics.na / optics.wavelength_um) & ~slow
    share = float(np.broadcast_to(passes, radius.shape).mean())
    noise = estimate_noise(acquisition)
    bright = np.flatnonzero(acquisition.is_bright_field)
    leds = bright if len(bright) else np.arange(acquisition.led_count)
    power, feigned = np.zeros((2, height, width))
    smooth = _quadratic(height, width)
    for led in leds:
        frame = acquisition.frames_led_y_x[led]
        # uneven light, without which the frame's sides would not meet
        light = (smooth @ (smooth.T @ frame.ravel())).reshape(frame.shape)
        light = np.maximum(light, 1e-3 * max(float(light.max()), 1e-30))
        fine = fft.irfft2(fft.rfft2(frame / light) * passes, s=frame.shape)
        power += fine**2
        if not noise.is_bound:
            feigned += share * (noise.gain_led[led] / light + noise.read_variance / light**2)
    local, expected = (
        ndimage.uniform_filter(one / len(leds), BLOCK_PX, mode="nearest")
        for one in (power, feigned)
    )
    spread = SIGMAS * np.sqrt(2 / (len(leds) * BLOCK_PX**2 * max(share, 1e-6)))
    # the field's edges jump, which rings
    margin = min(BLOCK_PX, min(height, width) // 4)
    inner = (slice(margin, height - margin), slice(margin, width - margin))
    left = np.maximum(local - expected, 0.0)[inner]
    return float(np.sqrt(left.max())), float(np.sqrt(spread * expected[inner].max()))


def _quadratic(height: int, width: int) -> NDArray[np.float64]:
    """Orthonormal polynomials [pixel, 6] of the second degree."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    terms = np.stack([np.ones_like(y), y, x, y * y, y * x, x * x], axis=-1).reshape(-1, 6)
    return np.asarray(np.linalg.qr(terms)[0])


def is_empty(acquisition: Acquisition) -> bool:
    """Whether the frames show nothing but light and noise."""
    found, feigned = contrast(acquisition)
    return found < max(LEAST_CONTRAST, feigned)


def level_solution(
    value: float,
    shape_y_x: tuple[int, int],
    z_range_um: tuple[float, float],
    optics: Optics,
    instrument: Instrument,
    upsampling: int,
    amplitude_scale: float,
) -> Solution:
    """A solution that is this value everywhere.

    Parameters
    ----------
    value : float
    shape_y_x : (int, int)
        Of the field.
    z_range_um : (float, float)
    optics, instrument, upsampling, amplitude_scale
        As of every `Solution`.
    """
    planes = 1 if z_range_um[0] == z_range_um[1] else LEAST_PLANES
    field = SplineField(shape_y_x, z_range_um, torch.zeros(2, 1, dtype=torch.int64), planes=planes)
    with torch.no_grad():
        field.spectrum.mul_(value)
    return Solution(field.requires_grad_(False), optics, instrument, upsampling, amplitude_scale)
