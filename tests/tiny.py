"""A tiny acquisition of a known object, quick enough for any test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.forward import compile_forward, nominal_instrument
from fpm_inr.lighting import Die, Lighting
from fpm_inr.solve.progress import StepReport


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


def several_leds() -> Acquisition:
    """The same object in frames of one, two and three LEDs."""
    single = tiny_acquisition()
    lists = [*([led] for led in range(7, 18)), [0, 24], [1, 23], [2, 22], [3, 20, 19], [4, 5, 6]]
    lists.append([18, 21])
    frames = np.stack([single.frames_led_y_x[leds].sum(axis=0) for leds in lists])
    light = Illumination(single.illumination.na_led_xy, lighting=Lighting.of(lists))
    return Acquisition(frames, single.optics, light)


def of_a_size(acquisition: Acquisition) -> Acquisition:
    """The same frames of LEDs that are taken to be more than points."""
    light = replace(acquisition.illumination, die=Die(size_na=0.02, points_across=2))
    return replace(acquisition, illumination=light)


def masked(acquisition: Acquisition) -> Acquisition:
    """The same with a few pixels that lie, and some that are saturated."""
    random = np.random.default_rng(0).uniform(size=acquisition.frames_led_y_x.shape)
    return replace(
        acquisition,
        weight_led_y_x=(random > 0.03).astype(np.uint8),
        saturated_led_y_x=random > 0.98,
    )


def leave(report: StepReport) -> None:
    """End a solve after its last step: what may follow judges what has been learned."""
    if report.step == report.total:
        raise KeyboardInterrupt
