"""Standard deviation of amplitude and phase at every pixel, and by band of frequency.

A draw of a result's noise (`fpm_inr.trust.again`) is split into what stands in amplitude and what
in phase, relative to the result's own phase. Frames' amplitudes have about the same noise
everywhere, and so has the field: phase noise is that of the field over the object's strength.

The spectrum of the noise is smooth but for what the LEDs make of it, which is known
(`fpm_inr.trust.transfer`): the draw gives the level, ring by ring, the LEDs the shape within. A
ring of few waves, as slow ones are, is told to a fraction only, and leans on its neighbours. Of
fine noise, which nearly all is, the draw tells the strength at every place. Of frequencies that the
LEDs do not determine no noise tells how wrong they are: `Transfer.undetermined_y_x` names them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft2, ifft2
from scipy.ndimage import gaussian_filter

from fpm_inr.metrics.bands import band_edges_cycles
from fpm_inr.trust.transfer import Transfer

FloatArray = NDArray[np.float64]

# Limits of the rings: slow ones in cycles across the field, others as shares of the cutoff, near
# which a solve is damped.
RING_CYCLES = (2.0, 4.0, 8.0, 16.0)
RING_SHARES = (0.35, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
# Of the level's logarithm from ring to ring: its expected change, squared.
STEP = 0.01
# Fine is what goes through more cycles across the field than this; its strength is local.
FINE_CYCLES = 8.0
WINDOW_PX = 20.0  # standard deviation of the window over which a draw's squares are averaged
RATIOS = np.concatenate([[0.0], np.geomspace(0.05, 20, 120)])
# Information, as a share of the most: where there is less, a solve's damping holds noise down.
DAMPING = 0.01


@dataclass(frozen=True, eq=False)
class NoiseMap:
    """How far noise lets a result scatter, at one height.

    Parameters
    ----------
    amplitude_y_x : array [y, x]
        Standard deviation of the amplitude; mean bright-field amplitude: 1.
    phase_y_x : array [y, x]
        Of the phase, in rad; never above that of a phase that may be anything, 1.81.
    edges_cycles : array [band + 1]
        See `fpm_inr.metrics.band_edges_cycles`.
    amplitude_band, phase_band : array [band]
        Standard deviation that each band adds to the amplitude, and to the phase times the
        amplitude. Squares add up to the mean square over the field.
    z_um : float
    """

    amplitude_y_x: FloatArray
    phase_y_x: FloatArray
    edges_cycles: FloatArray
    amplitude_band: FloatArray
    phase_band: FloatArray
    z_um: float


def noise_map(
    image_y_x: NDArray[np.complexfloating],
    draw_y_x: NDArray[np.complexfloating],
    told: Transfer,
) -> NoiseMap:
    """Estimate the noise of an image from one draw of it.

    Parameters
    ----------
    image_y_x : array [y, x], complex
        The result at a height.
    draw_y_x : array [y, x], complex
        A draw of its noise: see `fpm_inr.trust.again.change`.
    told : Transfer
        Of the LEDs, at that height and on that grid.
    """
    size = np.abs(image_y_x).astype(np.float64)
    turned = draw_y_x * np.where(size > 0, image_y_x.conj() / np.maximum(size, 1e-30), 1)
    turned = np.asarray(turned, dtype=np.complex128)
    radius = _cycles(image_y_x.shape)
    steepest = float(radius[told.seen_y_x].max())
    edges = band_edges_cycles(
        (image_y_x.shape[0], image_y_x.shape[1]), steepest / min(image_y_x.shape)
    )
    band = np.digitize(radius, edges) - 1
    lost = told.undetermined_y_x
    drawn = [_power(part) for part in (np.real(turned), np.imag(turned))]
    power = [
        _spectrum(one, information, told, radius)
        for one, information in zip(drawn, (told.amplitude_y_x, told.phase_y_x), strict=True)
    ]
    # where phase is not determined a solve leaves it alone, and amplitude is told by the draw only
    if lost.any():
        power[0][lost] = drawn[0][lost].mean()
    amplitude = _at_places(np.real(turned), power[0], radius)
    phase = _at_places(np.imag(turned), power[1], radius)
    of_amplitude, of_phase = (
        np.sqrt(np.bincount(band.ravel(), one.ravel(), minlength=len(edges) - 1)) for one in power
    )
    phase = _phase_deviation(phase / np.maximum(size, 1e-6))
    return NoiseMap(amplitude, phase, edges, of_amplitude, of_phase, told.z_um)


def _power(image_y_x: FloatArray) -> FloatArray:
    """Power [y, x] of every frequency; it sums to the mean square over the field."""
    return np.asarray(np.abs(fft2(image_y_x)) ** 2 / image_y_x.size**2)


def _phase_deviation(ratio_y_x: FloatArray) -> FloatArray:
    """Standard deviation of the phase, in rad, of 1 plus noise of this standard deviation."""
    return np.asarray(np.interp(ratio_y_x, RATIOS, _phase_table()))


@cache
def _phase_table() -> FloatArray:
    """That of `RATIOS`; it levels off near that of a phase that may be anything, 1.81."""
    n = np.linspace(-5, 5, 201)
    density = np.exp(-(n[:, None] ** 2 + n**2) / 2)
    density /= density.sum()
    squared = [np.angle(1 + r * (n[:, None] + 1j * n)) ** 2 for r in RATIOS]
    return np.sqrt([float((one * density).sum()) for one in squared])


def _cycles(shape_y_x: tuple[int, ...]) -> FloatArray:
    """Distance [y, x] of every frequency from zero, in cycles across the shorter side."""
    side = min(shape_y_x)
    y, x = (np.fft.fftfreq(length) * side for length in shape_y_x)
    return np.hypot(y[:, None], x)


def _spectrum(
    power_y_x: FloatArray,
    information_y_x: FloatArray,
    told: Transfer,
    radius_y_x: FloatArray,
) -> FloatArray:
    """Noise power [y, x] of every frequency, from that of one draw."""
    damping = DAMPING * information_y_x.max()
    shape = np.where(told.seen_y_x, information_y_x / (information_y_x + damping) ** 2, 0)
    shape[0, 0] = 0
    judged = (shape > 0) & ~told.undetermined_y_x
    shares = [share * radius_y_x[judged].max() for share in RING_SHARES]
    ring = np.digitize(radius_y_x, [*(one for one in RING_CYCLES if one < shares[0]), *shares])
    sums = np.stack(
        [
            np.bincount(ring[judged], one[judged])
            for one in (radius_y_x, power_y_x, shape, shape**2, np.ones_like(shape))
        ]
    )
    middle, drawn, expected, squares, count = sums[:, sums[-1] > 0]
    # of a real image, q and -q are one; a ring of uneven shape is told by its strong frequencies
    independent = expected**2 / squares / 2
    # of a mean of n exponential numbers the logarithm is 1 / (2 n) too small
    log_level = np.log(np.maximum(drawn, 1e-300) / expected) + 1 / (2 * independent)
    level = np.exp(_smooth(log_level, independent))
    return np.asarray(shape * np.interp(radius_y_x, middle / count, level))


def _smooth(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Values known with these inverse variances, of a walk whose steps have the variance `STEP`."""
    steps = np.diff(np.eye(len(values)), axis=0)
    return np.asarray(np.linalg.solve(np.diag(weight) + steps.T @ steps / STEP, weight * values))


def _at_places(draw_y_x: FloatArray, power_y_x: FloatArray, radius_y_x: FloatArray) -> FloatArray:
    """Standard deviation [y, x]: slow noise is alike everywhere, fine noise as the draw has it."""
    is_fine = radius_y_x >= FINE_CYCLES
    fine = np.real(ifft2(np.where(is_fine, fft2(draw_y_x), 0)))
    local = gaussian_filter(fine**2, WINDOW_PX, mode="wrap")
    mean = float(local.mean())
    relative = local / mean if mean > 0 else np.ones_like(local)
    return np.asarray(np.sqrt(power_y_x[~is_fine].sum() + power_y_x[is_fine].sum() * relative))
