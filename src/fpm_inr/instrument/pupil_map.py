"""A free map of the pupil: phase and amplitude on a square of nodes, for what no Zernike mode has.

The nodes span -1 to 1 in pupil coordinates (1 at the edge) and are joined bilinearly, so that a map
serves frames of any size.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from fpm_inr import transforms
from fpm_inr.aberration import monomials, zernike_phase
from fpm_inr.acquisition import Optics
from fpm_inr.forward import Instrument
from fpm_inr.optics import zernike


class PupilNodes(nn.Module):
    """Nodes of a pupil map that is free but for what other parameters stand for.

    Parameters
    ----------
    count : int
        Nodes along a side.
    pinned_modes : sequence of int
        Noll indices that the phase must not hold: gauges, and modes that are learned themselves.
    grid_k : Tensor [sample, 2]
        See `frame_grid`.
    """

    grid_k: Tensor
    held: Tensor
    inside: Tensor

    def __init__(self, count: int, pinned_modes: list[int], grid_k: Tensor) -> None:
        super().__init__()
        # logarithm of the amplitude, phase in rad
        self.values = nn.Parameter(torch.zeros(2, count, count))
        axis = torch.linspace(-1, 1, count, dtype=torch.float64)
        y, x = (one.flatten() for one in torch.meshgrid(axis, axis, indexing="ij"))
        inside = (y**2 + x**2 <= 1).double()
        modes = torch.stack([zernike(mode, y, x) * inside for mode in pinned_modes], dim=1)
        self.register_buffer("held", torch.linalg.qr(modes).Q.float())
        self.register_buffer("inside", inside.float())
        self.register_buffer("grid_k", grid_k)

    def nodes(self) -> Tensor:
        """Logarithm of the amplitude and phase [2, node, node], without what is pinned."""
        amplitude, phase = self.values.flatten(1)
        amplitude = amplitude - (amplitude @ self.inside) / self.inside.sum()
        phase = phase - self.held @ (self.held.T @ (phase * self.inside))
        return torch.stack([amplitude, phase]).reshape(self.values.shape)

    def on_frame(self, shape_y_x: tuple[int, int]) -> Tensor:
        """Complex factor [y, x] of the pupil on the frame's frequency grid."""
        return spread(self.nodes(), self.grid_k).reshape(shape_y_x)

    def roughness(self) -> Tensor:
        """Mean square of the values and of the steps between neighbours, rad^2."""
        values = self.values
        steps = values.diff(dim=1).square().mean() + values.diff(dim=2).square().mean()
        return values.square().mean() + steps


def frame_grid(optics: Optics, shape_y_x: tuple[int, int]) -> Tensor:
    """Pupil coordinates [sample, (x, y)] of the frame's frequencies, `fftfreq` order."""
    cutoff = optics.na / optics.wavelength_um
    y, x = (transforms.frequencies(side, optics.pixel_um) / cutoff for side in shape_y_x)
    down, right = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([right.flatten(), down.flatten()], dim=1)


def spread(nodes: Tensor, grid_k: Tensor) -> Tensor:
    """Complex factor [sample] of nodes [(log amplitude, phase), node, node] at pupil coordinates.

    Beyond the square the nearest node counts; no light passes there.
    """
    values = F.grid_sample(
        nodes[None], grid_k.to(nodes)[None, None], padding_mode="border", align_corners=True
    )[0, :, 0]
    return torch.polar(values[0].exp(), values[1])


def sampled(pupil_y_x: Tensor, optics: Optics, count: int) -> Tensor:
    """Nodes [(log amplitude, phase), node, node] of a pupil on a frame's frequency grid."""
    shape = pupil_y_x.shape
    middle = transforms.centred(pupil_y_x)
    parts = torch.stack([middle.abs().clamp_min(1e-6).log(), middle.angle()])
    axis = torch.linspace(-1, 1, count, dtype=parts.dtype) * optics.na / optics.wavelength_um
    places = [2 * (axis * side * optics.pixel_um + side // 2) / (side - 1) - 1 for side in shape]
    y, x = torch.meshgrid(*places, indexing="ij")
    return F.grid_sample(
        parts[None], torch.stack([x, y], dim=-1)[None], align_corners=True, padding_mode="border"
    )[0]


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
