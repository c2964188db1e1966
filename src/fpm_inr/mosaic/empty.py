"""Tiles without a specimen: told from noise, and kept as the clear field that they are.

Where nothing lies under the microscope, a solve finds a picture of the noise, and a calibration an
instrument of it. Such tiles are not solved.
"""

from __future__ import annotations

import numpy as np
import torch
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
    power = np.zeros((height, width))
    feigned = 0.0
    for led in leds:
        frame = acquisition.frames_led_y_x[led]
        mean = max(float(frame.mean()), 1e-30)
        fine = fft.irfft2(fft.rfft2(frame) * passes, s=frame.shape)
        power += (fine / mean) ** 2
        if not noise.is_bound:
            variance = noise.gain_led[led] * mean + noise.read_variance
            feigned += share * float(variance) / mean**2
    power, feigned = power / len(leds), feigned / len(leds)
    local = ndimage.uniform_filter(power, BLOCK_PX, mode="nearest")
    # the field's edges jump, which rings
    margin = min(BLOCK_PX, min(height, width) // 4)
    inner = local[margin : height - margin, margin : width - margin]
    spread = feigned * np.sqrt(2 / (len(leds) * BLOCK_PX**2 * max(share, 1e-6)))
    left = max(float(inner.max()) - feigned, 0.0)
    return float(np.sqrt(left)), float(np.sqrt(SIGMAS * spread))


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
