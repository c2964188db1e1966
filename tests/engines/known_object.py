"""A known object and what its frames would be, for tests of engines."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.forward import ForwardModel, Instrument, compile_forward, nominal_instrument
from fpm_inr.instrument import Calibration
from fpm_inr.solve import drive
from fpm_inr.solve.engine import Solve
from fpm_inr.solve.problem import Problem
from fpm_inr.solve.progress import Listener, StepReport, ignore

OPTICS = Optics(wavelength_um=0.53, na=0.25, pixel_um=0.5)


def smooth_object(shape: tuple[int, int], seed: int = 0) -> Tensor:
    """A band-limited complex object: amplitude about 1, phase up to about 1 rad."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for _ in range(2):
        noise = torch.randn(shape, generator=generator)
        y, x = torch.fft.fftfreq(shape[0])[:, None], torch.fft.fftfreq(shape[1])[None, :]
        kept = torch.fft.fft2(noise) * torch.exp(-(y**2 + x**2) / (2 * 0.05**2))
        part = torch.fft.ifft2(kept).real
        parts.append(part / part.abs().max())
    return torch.polar(1 + 0.3 * parts[0], 0.8 * parts[1])


def experiment(
    z_um: float, shape: tuple[int, int] = (32, 28), na_reach: float = 0.2
) -> tuple[ForwardModel, Instrument, Tensor, Tensor, Acquisition]:
    """Model, instrument, object, amplitudes [led, y, x] of 25 LEDs, and their acquisition."""
    side = np.linspace(-na_reach, na_reach, 5)
    na_xy = np.array([(x, y) for y in side for x in side])
    acquisition = Acquisition(np.ones((25, *shape), dtype=np.float32), OPTICS, Illumination(na_xy))
    model = compile_forward(acquisition, 2)
    instrument = nominal_instrument(acquisition).to("cpu")
    truth = smooth_object(model.field_shape_y_x)
    measured = model.amplitude(
        model.spectrum(truth)[None],
        torch.tensor([z_um]),
        torch.arange(25),
        model.aperture(instrument),
    )[0]
    return model, instrument, truth, measured, acquisition


def problem_of(
    model: ForwardModel,
    instrument: Instrument,
    measured: Tensor,
    z_range_um: tuple[float, float],
    settings: Any = None,
    *,
    learned: Calibration | None = None,
    **options: Any,
) -> Problem:
    """These frames as an engine is given them."""
    illumination = Illumination(instrument.na_led_xy.double().numpy())
    return Problem(
        model, instrument, measured, illumination, z_range_um, settings, options, learned=learned
    )


def driven(solve: Solve, problem: Problem, listen: Listener = ignore) -> list[StepReport]:
    """Take all steps; return the history."""
    log = drive.Log()
    drive.run(solve, log, problem.peak, listen=listen)
    return log.history
