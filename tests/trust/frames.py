"""Frames of a known object by the package's own forward model, with photon noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.forward import Instrument, compile_forward, nominal_instrument
from fpm_inr.lighting import Die, Lighting

OPTICS = Optics(wavelength_um=0.53, na=0.25, pixel_um=0.4)
SIDE, UP = 64, 2


def grid(count: int = 7, reach_na: float = 0.23) -> NDArray[np.float64]:
    """A square raster of LEDs, those within its inscribed circle."""
    axis = np.linspace(-reach_na, reach_na, count)
    na_xy = np.array([(x, y) for y in axis for x in axis])
    return na_xy[np.hypot(*na_xy.T) < 1.001 * reach_na]


def specimen(seed: int = 0, detail: float = 0.02) -> NDArray[np.complex128]:
    """Amplitude and phase of random blobs, periodic."""
    random = np.random.default_rng(seed)
    noise = random.standard_normal((2, UP * SIDE, UP * SIDE))
    k = np.fft.fftfreq(UP * SIDE)
    keep = np.exp(-(k[:, None] ** 2 + k**2) / detail)
    smooth = np.real(np.fft.ifft2(np.fft.fft2(noise) * keep))
    amplitude, phase = smooth / np.abs(smooth).max(axis=(1, 2), keepdims=True)
    return np.asarray((1 + 0.4 * amplitude) * np.exp(0.7j * phase))


def unlit(
    na_xy: NDArray[np.float64], lighting: Lighting | None = None, die: Die | None = None
) -> Acquisition:
    """Frames of nothing, which a forward model can be compiled for."""
    light = Illumination(na_xy, lighting=lighting, die=die)
    ones = np.ones((light.frame_count, SIDE, SIDE), np.float32)
    return Acquisition(ones, OPTICS, light)


def frames_of(
    field: NDArray[np.complex128],
    na_xy: NDArray[np.float64],
    *,
    z_um: float = 0.0,
    true: Instrument | None = None,
    lighting: Lighting | None = None,
    die: Die | None = None,
) -> NDArray[np.float64]:
    """Noiseless intensities [frame, y, x]."""
    empty = unlit(na_xy, lighting, die)
    instrument = nominal_instrument(empty) if true is None else true
    model = compile_forward(empty, UP, instrument=instrument)
    spectrum = model.spectrum(torch.from_numpy(field).to(torch.complex64))[None]
    every = torch.arange(model.frame_count)
    aperture = model.aperture(instrument.to("cpu"))
    light = model.amplitude(spectrum, torch.tensor([z_um]), every, aperture)[0]
    return np.asarray(light.double().numpy() ** 2)


def exposed(
    intensity: NDArray[np.float64],
    na_xy: NDArray[np.float64],
    photons: float,
    seed: int = 0,
    lighting: Lighting | None = None,
) -> Acquisition:
    """Frames of this many photo-electrons at the mean of the brightest frame."""
    scale = photons / intensity.mean(axis=(1, 2)).max()
    counts = np.random.default_rng(seed).poisson(scale * intensity)
    return replace(unlit(na_xy, lighting), frames_led_y_x=counts.astype(np.float32))
