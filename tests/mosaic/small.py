"""A small field of view with a known object, whose tiles take a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.forward import compile_forward, nominal_instrument
from fpm_inr.io.native import write_acquisition
from fpm_inr.mosaic.plan import Plan, make_plan
from fpm_inr.mosaic.source import Source

OPTICS = Optics(wavelength_um=0.53, na=0.25, pixel_um=0.5)


def small_field(shape_y_x: tuple[int, int] = (64, 90)) -> tuple[Acquisition, np.ndarray]:
    """13 frames of a smooth periodic object, and the object [y, x] at twice the sampling."""
    side = np.linspace(-0.2, 0.2, 5)
    na_xy = np.array([(x, y) for y in side for x in side if abs(x) + abs(y) < 0.25])
    light = Illumination(na_xy)
    count = len(na_xy)
    empty = Acquisition(np.ones((count, *shape_y_x), dtype=np.float32), OPTICS, light)
    model = compile_forward(empty, 2)
    noise = torch.randn(2, *model.field_shape_y_x, generator=torch.Generator().manual_seed(0))
    y = torch.fft.fftfreq(noise.shape[1])[:, None]
    x = torch.fft.fftfreq(noise.shape[2])[None, :]
    smooth = torch.fft.ifft2(torch.fft.fft2(noise) * torch.exp(-(y**2 + x**2) / 0.003)).real
    amplitude, phase = smooth / smooth.abs().amax(dim=(1, 2), keepdim=True)
    field = torch.polar(1 + 0.3 * amplitude, 0.8 * phase)
    frames = model.amplitude(
        model.spectrum(field)[None],
        torch.tensor([0.0]),
        torch.arange(count),
        model.aperture(nominal_instrument(empty).to("cpu")),
    )[0]
    return Acquisition((30 * frames.numpy()) ** 2, OPTICS, light), field.numpy()


def small_plan(folder: Path, acquisition: Acquisition, **changes: object) -> Plan:
    """Write the acquisition into the folder and plan a mosaic of it in ``out``."""
    from fpm_inr.solve.engine import engine_named

    data = folder / "data.h5"
    if not data.exists():
        write_acquisition(data, acquisition)
    settings = {"steps": 12, "device": "cpu", **changes}
    return make_plan(
        Source(data),
        folder / "out",
        z_range_um=settings.pop("z_range_um", (0.0, 0.0)),  # type: ignore[arg-type]
        recipe=engine_named("inr").recipe("default"),
        recipe_name="default",
        settings=settings,
        tile_px=40,
        overlap_px=20,
    )
