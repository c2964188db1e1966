"""The pupil's phase from how the bright-field frames move: a start from far away.

An LED whose light crosses the pupil at k moves its frame by -grad(phase)(k) / (2 pi), as the lenses
of a Shack-Hartmann sensor do. The coefficients that bring all frames together are found from
blurred frames to sharp ones; no object is solved, so there is no local minimum of one.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from fpm_inr import transforms
from fpm_inr.acquisition import Acquisition
from fpm_inr.calibration.autofocus import bright_field, focus_curve
from fpm_inr.instrument.pupil import FIRST_MODE
from fpm_inr.optics import defocus_rate_rad_per_um, zernike

# blur of the frames from stage to stage, as a share of the objective's cutoff that is kept
BANDS = (0.15, 0.3, 0.6, 1.2)
STEPS = 60
RIDGE = 1e-3
DIFFERENCE = 1e-4


def pupil_from_parallax(
    acquisition: Acquisition, z_um: float, modes: int, *, without_defocus: bool = False
) -> Tensor:
    """Estimate the pupil's phase from the moves of the bright-field frames.

    Parameters
    ----------
    acquisition : Acquisition
    z_um : float
        Height of the sample, whose own parallax is taken out.
    modes : int
        Highest Noll index; fewer are fitted where there are few bright-field LEDs.
    without_defocus : bool
        Leave Noll 4 at 0.

    Returns
    -------
    Tensor [mode]
        Radians RMS by Noll index from 1, double precision.

    Raises
    ------
    DataError
        There are fewer than three bright-field frames.
    """
    acquisition = acquisition.one_by_one()
    optics, shape = acquisition.optics, acquisition.shape_y_x
    leds = bright_field(acquisition)
    na = torch.tensor(acquisition.illumination.na_led_xy[leds])
    fitted = min(modes, FIRST_MODE + len(leds) - 3)
    # light of an LED crosses the pupil opposite to its shift
    y, x = -na[:, 1] / optics.na, -na[:, 0] / optics.na
    cutoff = optics.na / optics.wavelength_um
    moves = torch.stack([_moves(mode, y, x, cutoff) for mode in range(1, fitted + 1)], dim=1)
    free = torch.zeros(fitted, dtype=torch.float64)
    free[FIRST_MODE - 1 :] = 1
    if without_defocus:
        free[3] = 0
    frames = torch.tensor(acquisition.frames_led_y_x[leds], dtype=torch.float64)
    frames = frames / frames.mean(dim=(1, 2), keepdim=True).clamp_min(1e-12) - 1
    spectra = transforms.summed(frames)
    fy, fx = (transforms.frequencies(side, optics.pixel_um, dtype=torch.float64) for side in shape)
    radius = (fy[:, None] ** 2 + fx**2).sqrt()
    slope = na / (optics.medium_index**2 - na.square().sum(dim=1, keepdim=True)).sqrt()
    found = torch.zeros(fitted, dtype=torch.float64)
    if not without_defocus:
        found[3] = _defocus_rad(acquisition, focus_curve(acquisition).best_um - z_um)
    found.requires_grad_()
    for band in BANDS:
        kept = torch.exp(-((radius / (band * cutoff)) ** 2)) * (radius > 0)
        # only frequencies that carry weight are worth their time
        rows = kept.amax(dim=1) > 1e-3
        columns = kept.amax(dim=0) > 1e-3
        blurred = (spectra * kept)[:, rows][:, :, columns].to(torch.complex64)
        power = blurred.abs().square().sum() / len(leds)
        optimiser = torch.optim.LBFGS([found], max_iter=STEPS, line_search_fn="strong_wolfe")

        def loss(
            blurred: Tensor = blurred,
            power: Tensor = power,
            fy: Tensor = fy[rows],
            fx: Tensor = fx[columns],
            optimiser: torch.optim.LBFGS = optimiser,
        ) -> float:
            optimiser.zero_grad()
            moved = torch.einsum("lmd,m->ld", moves, found * free) - z_um * slope
            turn_y = (2 * math.pi * moved[:, 1:] * fy).float()
            turn_x = (2 * math.pi * moved[:, :1] * fx).float()
            ramp_y, ramp_x = (torch.polar(torch.ones_like(t), t) for t in (turn_y, turn_x))
            mean = torch.einsum("lyx,ly,lx->yx", blurred, ramp_y, ramp_x) / len(leds)
            lost = 1 - mean.abs().square().sum() / power
            value = lost.double() + RIDGE * (found * free).square().sum()
            value.backward()
            return float(value.detach())

        optimiser.step(loss)
    result = torch.zeros(modes, dtype=torch.float64)
    result[:fitted] = (found * free).detach()
    return result


def _moves(mode: int, y: Tensor, x: Tensor, cutoff_per_um: float) -> Tensor:
    """Move (x, y) in um [led, 2] of every frame, for one radian of a mode."""
    step = DIFFERENCE
    along_x = (zernike(mode, y, x + step) - zernike(mode, y, x - step)) / (2 * step)
    along_y = (zernike(mode, y + step, x) - zernike(mode, y - step, x)) / (2 * step)
    return -torch.stack([along_x, along_y], dim=1) / (2 * math.pi * cutoff_per_um)


def _defocus_rad(acquisition: Acquisition, z_um: float) -> float:
    """Coefficient of Noll 4, rad RMS, that stands for a height."""
    optics = acquisition.optics
    edge = torch.tensor((optics.na / optics.wavelength_um) ** 2)
    rate = float(defocus_rate_rad_per_um(edge, optics.wavelength_um, optics.medium_index))
    return z_um * rate / (2 * np.sqrt(3.0))
