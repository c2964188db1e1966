"""LEDs that are not where they are said to be: their frames fit better from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition
from fpm_inr.forward import compile_forward
from fpm_inr.guard import with_band, without_band
from fpm_inr.sampling import fourier_sample_na
from fpm_inr.solution import Solution

FloatArray = NDArray[np.float64]

# What the first step must say for an LED to be looked at: Fourier samples, and squares explained
# over the frame's noise, as such and over the median LED's.
LEAST_SAMPLES, LEAST_EXPLAINED, STANDS_OUT = 0.4, 0.05, 4.0
MOST_LOOKED_AT = 12
STEPS = np.arange(0.5, 6.01, 0.5)  # Fourier samples that are tried
LEAST_FALL = 0.3  # of the LED's error, over its noise
LEAST_FOUND = 1.0  # Fourier samples


@dataclass(frozen=True)
class Moved:
    """An LED that explains its frame better elsewhere.

    Parameters
    ----------
    led : int
    samples_xy : (float, float)
        How far away, in Fourier samples along x and y.
    fall : float
        Share of the excess over the noise that goes.
    """

    led: int
    samples_xy: tuple[float, float]
    fall: float


def moved_leds(
    acquisition: Acquisition,
    solution: Solution,
    z_um: float,
    leds: NDArray[np.intp],
    shift_led_xy: FloatArray,
    explained_led: FloatArray,
) -> list[Moved]:
    """Try the LEDs that a first step says have moved, further along its direction.

    Parameters
    ----------
    leds : array [led]
        Numbers of the LEDs.
    shift_led_xy : array [led, 2]
        First step of each, in Fourier samples.
    explained_led : array [led]
        Squared error that it explains, over the noise's.
    """
    limit = max(LEAST_EXPLAINED, STANDS_OUT * float(np.median(explained_led)))
    length = np.hypot(*shift_led_xy.T)
    suspects = np.flatnonzero((length > LEAST_SAMPLES) & (explained_led > limit))
    suspects = suspects[np.argsort(-explained_led[suspects])][:MOST_LOOKED_AT]
    guard_px = solution.guard_px
    acquisition, solution = with_band(acquisition, solution)
    image = torch.from_numpy(solution.render(z_um).field_z_y_x[0])
    found = []
    for at in suspects:
        moved = _tried(
            acquisition,
            solution,
            image,
            z_um,
            int(leds[at]),
            shift_led_xy[at] / length[at],
            guard_px,
        )
        if moved is not None:
            found.append(moved)
    return sorted(found, key=lambda one: one.led)


@torch.no_grad()
def _tried(
    acquisition: Acquisition,
    solution: Solution,
    image: torch.Tensor,
    z_um: float,
    led: int,
    direction_xy: FloatArray,
    guard_px: int,
) -> Moved | None:
    one = acquisition.select(np.array([led]))
    instrument = solution.instrument.select(torch.tensor([led])).to("cpu")
    measured = torch.from_numpy(one.amplitude_led_y_x / solution.amplitude_scale)
    height = torch.tensor([z_um], dtype=torch.float32)
    sample_na = fourier_sample_na(acquisition.optics, acquisition.shape_y_x)
    room = compile_forward(
        one, solution.upsampling, instrument=instrument, margin_samples=float(STEPS[-1])
    )
    spectrum = room.spectrum(image)[None]

    def error(x: float, y: float) -> float:
        na_xy = instrument.na_led_xy + sample_na * torch.tensor([[x, y]], dtype=torch.float32)
        there = replace(instrument, na_led_xy=na_xy)
        predicted = room.amplitude(spectrum, height, torch.tensor([0]), room.aperture(there))[0]
        return float(without_band(predicted - measured, guard_px).square().sum())

    first = error(0.0, 0.0)
    # the direction of the first step is rough: those beside it are tried as well
    turns = np.deg2rad([0, -30, 30, -60, 60])
    x, y = direction_xy
    tried = [
        (s * (x * np.cos(t) - y * np.sin(t)), s * (x * np.sin(t) + y * np.cos(t)))
        for s in STEPS
        for t in turns
    ]
    errors = [error(*where) for where in tried]
    best = int(np.argmin(errors))
    fall = 1 - errors[best] / max(first, 1e-30)
    where = tried[best]
    # at the last step the best place lies beyond, or there is none
    if fall < LEAST_FALL or not LEAST_FOUND <= np.hypot(*where) < STEPS[-1] - 1e-9:
        return None
    return Moved(led, (float(where[0]), float(where[1])), float(fall))
