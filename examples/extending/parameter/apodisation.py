"""A calibration parameter in one file: how much darker the objective's pupil is towards its edge.

Vignetting and losses at steep surfaces take light from the edge of a pupil. One number says how
much: ``strength`` is by how many e-folds the amplitude falls from the centre of the pupil to its
edge, in proportion to the square of the radius. (The free `pupil_map` holds the same in hundreds of
numbers; learn one of them.)

Gauge: a darker pupil with a brighter object makes the same frames, so the mean logarithm of the
transmission over the pupil is 0.

Learned together with `gains` it is told apart only by the object's detail: the direct light of a
bright-field LED passes one place of the pupil, and a gain can stand for the loss there. Leave the
gains out, or fix them, where the LEDs are known to be alike.

From Python, nothing needs to be registered:

    fpm.reconstruct(acquisition, calibrate={"pupil": True, "apodisation": Apodisation()})

For the command line and YAML (``--calibrate pupil,apodisation``) install the folder as a package;
its pyproject.toml makes the name known:

    pip install ./examples/extending/parameter
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from fpm_inr.forward import Instrument
from fpm_inr.instrument import Learned, Learning, Setup
from fpm_inr.instrument.pupil_map import frame_grid, times_pupil

MOST_STRENGTH = 2.0


class Apodisation(Learning):
    """Fall of the pupil's amplitude from its centre to its edge; rates in e-folds."""

    learning_rate: float = Field(0.02, ge=0)
    init: float | None = Field(None, description="e-folds of the amplitude")

    def learned(self, begun: Instrument, setup: Setup) -> LearnedApodisation:
        return LearnedApodisation(self, setup)


class LearnedApodisation(Learned):
    """One number, and the profile that it multiplies."""

    profile_k: Tensor

    def __init__(self, settings: Apodisation, setup: Setup) -> None:
        super().__init__(settings)
        self.shape_y_x = setup.shape_y_x
        squared = frame_grid(setup.optics, setup.shape_y_x).square().sum(dim=1)
        self.register_buffer("profile_k", squared[squared <= 1].mean() - squared.clamp_max(1))
        self.strength = nn.Parameter(torch.tensor(settings.init or 0.0))

    def changed(self, instrument: Instrument) -> Instrument:
        transmission = (self.strength * self.profile_k).exp().reshape(self.shape_y_x)
        return times_pupil(instrument, torch.complex(transmission, torch.zeros_like(transmission)))

    def objection(self, found: Instrument) -> str:
        if self.strength.detach().abs() <= MOST_STRENGTH:
            return ""
        return f"the pupil's edge came out {float(self.strength.detach()):.2g} e-folds darker"
