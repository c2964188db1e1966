"""A tiny acquisition of a known object, quick enough for any test."""

from __future__ import annotations

import numpy as np
import torch

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.forward import compile_forward, nominal_instrument


def tiny_acquisition(z_um: float = 0.0, seed: int = 0) -> Acquisition:
    """25 frames of 20 x 24 pixels of a smooth object at a height."""
    side = np.linspace(-0.2, 0.2, 5)
    na_xy = np.array([(x, y) for y in side for x in side])
    optics = Optics(wavelength_um=0.53, na=0.25, pixel_um=0.5)
    illumination = Illumination(na_xy)
    empty = Acquisition(np.ones((25, 20, 24), dtype=np.float32), optics, illumination)
    model = compile_forward(empty, 2)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(2, *model.field_shape_y_x, generator=generator)
    y = torch.fft.fftfreq(noise.shape[1])[:, None]
    x = torch.fft.fftfreq(noise.shape[2])[None, :]
    smooth = torch.fft.ifft2(torch.fft.fft2(noise) * torch.exp(-(y**2 + x**2) / 0.005)).real
    amplitude, phase = smooth / smooth.abs().amax(dim=(1, 2), keepdim=True)
    frames = model.amplitude(
        model.spectrum(torch.polar(1 + 0.3 * amplitude, 0.8 * phase))[None],
        torch.tensor([z_um]),
        torch.arange(25),
        model.aperture(nominal_instrument(empty).to("cpu")),
    )[0]
    return Acquisition((30 * frames.numpy()) ** 2, optics, illumination)
