"""The pupil of an instrument as pictures: modes and free factor together."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from fpm_inr.aberration import monomials, zernike_phase
from fpm_inr.acquisition import Optics
from fpm_inr.forward import Instrument
from fpm_inr.instrument.pupil_map import sampled


def pupil_images(
    instrument: Instrument, optics: Optics, side: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Amplitude and phase (rad) [y, x] of the pupil, modes and free map, on its square.

    NaN outside the pupil.
    """
    axis = torch.linspace(-1, 1, side, dtype=torch.float64)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    log_amplitude, phase = torch.zeros(2, side, side, dtype=torch.float64)
    modes = len(instrument.zernike_rad)
    if modes:
        places = monomials(modes, (y.flatten(), x.flatten()))
        zero = torch.zeros(1, dtype=torch.float64)
        phase = zernike_phase(instrument.zernike_rad.double(), places, (zero, zero)).view(
            side, side
        )
    if instrument.pupil_y_x is not None:
        free = sampled(instrument.pupil_y_x.to(torch.complex128), optics, side)
        log_amplitude, phase = free[0], phase + free[1]
    outside = y**2 + x**2 > 1
    return (
        log_amplitude.exp().masked_fill(outside, torch.nan).numpy(),
        phase.masked_fill(outside, torch.nan).numpy(),
    )
