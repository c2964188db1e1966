"""Light through a specimen with depth: thin slices, and the angular spectrum between them.

The field is carried as u(x) = exp(-2 pi i s.x / wavelength) v(x), for an LED of shift s: v is
periodic on the grid for any s, so that no illumination has to be rounded to the grid. A frequency
q of v is the frequency q - s / wavelength of the light.

Light meets the greatest z first; what leaves a specimen at z travels z further to the plane in
focus. FFTs have NumPy's sign, so that travelling by +z is a factor exp(+i kz z).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from fpm_inr.simulate.samples import Sheet

FloatArray = NDArray[np.floating]
ComplexArray = NDArray[np.complexfloating]

# Between two slices, the phases of the waves that reach the camera spread by at most this much.
SLICE_PHASE_RAD = 0.3


@dataclass(frozen=True)
class Medium:
    """Where the light travels, and the grid it is computed on."""

    wavelength_um: float
    index: float
    pixel_um: float


@dataclass(frozen=True, eq=False)
class Slice:
    """A height and what stands there.

    `transmission()` gives the complex transmission [y, x]; it is computed when asked for, since
    all slices of a large specimen would not fit in memory.
    """

    z_um: float
    transmission: Callable[[], ComplexArray]


def slice_step_um(medium: Medium, na: float) -> float:
    """Distance of slices that a specimen is cut to.

    A sheet that runs between two slices is shared between them in proportion. For a wave whose
    axial phase changes by a over the step, that errs by at most a^2 / 8 of what the sheet scatters.
    The step makes a = `SLICE_PHASE_RAD` for the steepest of the waves up to this NA: 1.1 %.
    """
    wave_number = medium.index / medium.wavelength_um
    spread = wave_number - math.sqrt(max(wave_number**2 - (na / medium.wavelength_um) ** 2, 0.0))
    return SLICE_PHASE_RAD / (2 * math.pi * spread)


def cut_slices(sheets: Sequence[Sheet], step_um: float, dtype: np.dtype[np.generic]) -> list[Slice]:
    """Cut a specimen into slices, from the greatest z down.

    A level sheet is a slice of its own, at its exact height. Any other is shared among slices at
    even distances of at most `step_um`, between its lowest and its highest point.
    """
    slices = []
    for sheet in sheets:
        low, high = float(sheet.z_y_x_um.min()), float(sheet.z_y_x_um.max())
        count = math.ceil((high - low) / step_um)
        spacing = (high - low) / count if count else 0.0
        for i in range(count + 1):
            slices.append(_slice(sheet, low + i * spacing, spacing, dtype))
    return sorted(slices, key=lambda one: -one.z_um)


def _slice(sheet: Sheet, z_um: float, spacing_um: float, dtype: np.dtype[np.generic]) -> Slice:
    def transmission() -> ComplexArray:
        if spacing_um == 0:
            share: FloatArray = np.ones((1, 1))
        else:
            share = np.maximum(1 - np.abs(sheet.z_y_x_um - z_um) / spacing_um, 0.0)
        # most of a tilted sheet is far from this slice, and clear
        there: ComplexArray = np.ones(sheet.log_transmission_y_x.shape, dtype)
        inside = np.broadcast_to(share > 0, there.shape)
        log = sheet.log_transmission_y_x[inside]
        there[inside] = np.exp(log * np.broadcast_to(share, there.shape)[inside])
        return there

    return Slice(z_um, transmission)


def axial_rate_rad_per_um(
    frequency_squared: FloatArray, wavelength_um: float, index: float
) -> FloatArray:
    """kz - kz(0) in rad/um of waves of these squared frequencies (1/um^2), where they travel."""
    wave_number = index / wavelength_um
    axial = np.sqrt(np.maximum(wave_number**2 - frequency_squared, 0.0))
    # the difference of two nearly equal numbers, without taking it
    rate: FloatArray = -2 * math.pi * frequency_squared / (wave_number + axial)
    return rate


def propagate(
    spectrum: ComplexArray, z_um: float, medium: Medium, na_led_xy: FloatArray
) -> ComplexArray:
    """Spectra [..., led, y, x] of v after travelling z um on; evanescent waves are dropped."""
    kernel = _kernel(spectrum.shape[-2:], z_um, medium, na_led_xy, spectrum.dtype)
    carried: ComplexArray = spectrum * kernel
    return carried


def _kernel(
    shape: tuple[int, ...],
    z_um: float,
    medium: Medium,
    na_led_xy: FloatArray,
    dtype: np.dtype[np.generic],
) -> ComplexArray:
    real = np.dtype(np.float32 if dtype == np.complex64 else np.float64)
    shift = na_led_xy / medium.wavelength_um
    y = fft.fftfreq(shape[0], medium.pixel_um)[None, :] - shift[:, 1:2]
    x = fft.fftfreq(shape[1], medium.pixel_um)[None, :] - shift[:, 0:1]
    squared: FloatArray = np.asarray(y**2, real)[:, :, None] + np.asarray(x**2, real)[:, None, :]
    phase = z_um * axial_rate_rad_per_um(squared, medium.wavelength_um, medium.index)
    kernel = np.empty(phase.shape, dtype)
    np.cos(phase, out=kernel.real)
    np.sin(phase, out=kernel.imag)
    kernel *= squared < (medium.index / medium.wavelength_um) ** 2
    return kernel


def exit_spectra(
    slices: Sequence[Slice], medium: Medium, na_led_xy: FloatArray, *, workers: int = 1
) -> ComplexArray:
    """Spectra [led, y, x] of v just below the last slice, at its height.

    Parameters
    ----------
    slices : sequence of Slice
        From the greatest z down.
    medium : Medium
    na_led_xy : array [led, 2]
        Illumination shifts (x, y) in NA units. The incident amplitude is 1.
    workers : int
        Threads of the FFTs.
    """
    first = fft.fft2(slices[0].transmission(), workers=workers, norm="forward")
    spectrum = np.broadcast_to(first, (len(na_led_xy), *first.shape))
    kernel, travelled = None, math.nan
    for above, below in pairwise(slices):
        distance = above.z_um - below.z_um
        if kernel is None or not math.isclose(distance, travelled, rel_tol=1e-9, abs_tol=1e-9):
            kernel = _kernel(first.shape, distance, medium, na_led_xy, first.dtype)
            travelled = distance
        field = fft.ifft2(spectrum * kernel, workers=workers, norm="forward", overwrite_x=True)
        field *= below.transmission()
        spectrum = fft.fft2(field, workers=workers, norm="forward", overwrite_x=True)
    return spectrum
