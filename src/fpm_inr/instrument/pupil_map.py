"""Pupil map: phase and amplitude of the pupil on a square of nodes, for what no Zernike mode has.

The nodes span -1 to 1 in pupil coordinates (1 at the edge) and are joined bilinearly, so that a map
serves frames of any size.

Gauges: the mean logarithm of the amplitude is 0 (the object's amplitude), and the phase holds no
piston, tip and tilt, no defocus where the height is free, and none of the modes that are learned
themselves. The map is drawn to 0 and to smoothness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from fpm_inr import transforms
from fpm_inr.acquisition import Optics
from fpm_inr.forward import Instrument
from fpm_inr.instrument.parameter import Learned, Learning, Setup
from fpm_inr.instrument.pupil import FIRST_MODE
from fpm_inr.optics import zernike

MAP_WEIGHT = 0.01  # of the penalty, relative to the misfit
# nodes along a side in a file
STORED_NODES = 33


class PupilMap(Learning):
    """Phase and amplitude of the pupil on free nodes; rates in radians (and e-folds)."""

    learning_rate: float = Field(0.03, ge=0)
    start: float = Field(0.1, ge=0, lt=1)
    nodes: int = Field(17, ge=5, le=65, description="along a side of the pupil's square")
    spread_rad: float = Field(0.5, gt=0, description="expected size")

    def learned(self, begun: Instrument, setup: Setup) -> LearnedPupilMap:
        return LearnedPupilMap(self, setup)


class LearnedPupilMap(Learned):
    """Nodes [(log amplitude, phase), node, node] of a factor of the pupil."""

    has_penalty: ClassVar[bool] = True

    grid_k: Tensor
    held: Tensor
    inside: Tensor

    def __init__(self, settings: PupilMap, setup: Setup) -> None:
        super().__init__(settings)
        self.shape_y_x, self.spread_rad = setup.shape_y_x, settings.spread_rad
        self.values = nn.Parameter(torch.zeros(2, settings.nodes, settings.nodes))
        pinned = {*range(1, FIRST_MODE), *setup.zernike_modes}
        if setup.height_is_free:
            pinned.add(4)
        axis = torch.linspace(-1, 1, settings.nodes, dtype=torch.float64)
        y, x = (one.flatten() for one in torch.meshgrid(axis, axis, indexing="ij"))
        inside = (y**2 + x**2 <= 1).double()
        modes = torch.stack([zernike(mode, y, x) * inside for mode in sorted(pinned)], dim=1)
        self.register_buffer("held", torch.linalg.qr(modes).Q.float())
        self.register_buffer("inside", inside.float())
        self.register_buffer("grid_k", frame_grid(setup.optics, setup.shape_y_x))

    def nodes(self) -> Tensor:
        """Logarithm of the amplitude and phase [2, node, node], without what is pinned."""
        amplitude, phase = self.values.flatten(1)
        amplitude = amplitude - (amplitude @ self.inside) / self.inside.sum()
        phase = phase - self.held @ (self.held.T @ (phase * self.inside))
        return torch.stack([amplitude, phase]).reshape(self.values.shape)

    def changed(self, instrument: Instrument) -> Instrument:
        factor = spread(self.nodes(), self.grid_k).reshape(self.shape_y_x)
        return times_pupil(instrument, factor)

    def penalty(self) -> Tensor:
        """Mean square of the values and of the steps between neighbours, over that expected."""
        values = self.values
        steps = values.diff(dim=1).square().mean() + values.diff(dim=2).square().mean()
        return MAP_WEIGHT * (values.square().mean() + steps) / self.spread_rad**2


def times_pupil(instrument: Instrument, factor_y_x: Tensor) -> Instrument:
    """The instrument with its pupil times a factor [y, x] on the frame's frequency grid."""
    pupil = instrument.pupil_y_x
    return replace(instrument, pupil_y_x=factor_y_x if pupil is None else pupil * factor_y_x)


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


def stored_nodes(pupil_y_x: Tensor, optics: Optics) -> list[list[list[float]]]:
    """A pupil as it stands in calibration.json: rows of log amplitude, and of phase in rad."""
    return sampled(pupil_y_x, optics, STORED_NODES).tolist()


def pupil_of_nodes(
    nodes: Sequence[Sequence[Sequence[float]]], optics: Optics, shape_y_x: tuple[int, int]
) -> Tensor:
    """The pupil [y, x] of `stored_nodes`, for frames of any size."""
    grid_k = frame_grid(optics, shape_y_x)
    return spread(torch.tensor(nodes, dtype=torch.float64), grid_k).reshape(shape_y_x)
