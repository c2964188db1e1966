"""What light meets in the pupil: where each beam crosses it, and how much of it passes.

A beam is the light of one LED (or of one point of it) in one frame; with one LED a frame, beams,
LEDs and frames share their numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fpm_inr.acquisition import Optics
from fpm_inr.beams import Choice, Runs, numbers_of
from fpm_inr.optics import defocus_rate_rad_per_um, pupil_disc


@dataclass(frozen=True, eq=False)
class Sight:
    """Where the light of some LEDs crosses the pupil, and what aberrations it meets there.

    Parameters
    ----------
    disc_led_k : Tensor [beam, sample]
        Share of every sample that lies inside the pupil.
    defocus_led_k : Tensor [beam, sample]
        Phase per um of defocus, rad/um.
    rest_y_per_um, rest_x_per_um : Tensor [beam]
        Pupil coordinate of a frame's zero frequency: the sub-pixel rest of the shift.
    phase_led_k : Tensor [beam, sample], optional
        Phase of the aberrations, rad.
    """

    disc_led_k: Tensor
    defocus_led_k: Tensor
    rest_y_per_um: Tensor
    rest_x_per_um: Tensor
    phase_led_k: Tensor | None = None

    def detached(self) -> Sight:
        """Return the same, apart from any gradient."""
        return Sight(
            self.disc_led_k.detach(),
            self.defocus_led_k.detach(),
            self.rest_y_per_um.detach(),
            self.rest_x_per_um.detach(),
            None if self.phase_led_k is None else self.phase_led_k.detach(),
        )


@dataclass(frozen=True, eq=False)
class Aperture:
    """The pupil as the light of some frames sees it, at the in-pupil samples.

    Parameters
    ----------
    transmission_led_k : Tensor [beam, sample]
        Amplitude transmission (real), or with a free pupil complex, of every sample. Gains and
        weights of the LEDs are in it.
    defocus_led_k : Tensor [beam, sample]
        Phase per um of defocus, rad/um.
    phase_led_k : Tensor [beam, sample], optional
        Phase of the aberrations, rad.
    background_led : Tensor [frame], optional
        Intensity added to every frame.
    defocus_um : Tensor, scalar, optional
        Added to every height.
    runs : Runs, optional
        Which beams each frame has. None: one, its own.
    """

    transmission_led_k: Tensor
    defocus_led_k: Tensor
    phase_led_k: Tensor | None = None
    background_led: Tensor | None = None
    defocus_um: Tensor | None = None
    runs: Runs | None = None

    def select(self, frames: Choice) -> Aperture:
        """Keep the frames of these indices, in this order."""
        runs, numbers = None, numbers_of(frames)
        beams = numbers
        if self.runs is not None:
            some = self.runs.choose(frames)
            runs, beams = some.runs, some.beams
        return Aperture(
            self.transmission_led_k[beams],
            self.defocus_led_k[beams],
            None if self.phase_led_k is None else self.phase_led_k[beams],
            None if self.background_led is None else self.background_led[numbers],
            self.defocus_um,
            runs,
        )

    def amplitude(self, light: Tensor) -> Tensor:
        """Amplitude [..., frame, y, x] of light [..., beam, y, x] on the camera."""
        if self.runs is None and self.background_led is None:
            return light.abs()
        intensity = light.real**2 + light.imag**2
        if self.runs is not None:
            intensity = self.runs.sum(intensity)
        if self.background_led is not None:
            intensity = intensity + self.background_led[:, None, None]
        # where all are 0 the square root has no gradient
        return intensity.clamp_min(1e-12).sqrt()

    def phase_at(self, z_um: Tensor) -> Tensor:
        """Phase [z, beam, sample] in rad at heights z [z]."""
        if self.defocus_um is not None:
            z_um = z_um + self.defocus_um
        phase = z_um[:, None, None] * self.defocus_led_k
        if self.phase_led_k is not None:
            phase = phase + self.phase_led_k
        return phase

    def at(self, z_um: Tensor) -> Tensor:
        """Complex transfer [z, beam, sample] at heights z [z]."""
        return with_phase(self.transmission_led_k, self.phase_at(z_um))


def with_phase(transmission: Tensor, phase_rad: Tensor) -> Tensor:
    """Transmission (real or complex), turned by a phase."""
    # torch.polar takes three times as long
    cosine, sine = phase_rad.cos(), phase_rad.sin()
    if transmission.is_complex():
        return torch.complex(cosine, sine) * transmission
    return torch.complex(cosine * transmission, sine * transmission)


class _Crossing(torch.autograd.Function):
    """Disc and defocus rate [beam, sample] at coordinates sample + rest, in 1/um.

    Both hang on the squared distance from the pupil's centre, so that their gradients join before
    they reach the coordinates. The disc hangs on the cutoff too, on its ramp alone.
    """

    @staticmethod
    def forward(
        ctx: Any,
        rest_y: Tensor,
        rest_x: Tensor,
        cutoff: Tensor | float,
        y: Tensor,
        x: Tensor,
        optics: Optics,
        edge: float,
    ) -> tuple[Tensor, Tensor]:
        squared = (y + rest_y[:, None]).square_()
        squared += (x + rest_x[:, None]).square_()
        # the square root has no gradient at the very centre, where the disc is flat anyway
        radius = squared.clamp_min((edge / 100) ** 2).sqrt_()
        disc = pupil_disc(radius, cutoff, edge)
        ctx.save_for_backward(rest_y, rest_x, y, x, squared, radius, disc)
        ctx.optics, ctx.edge = optics, edge
        return disc, defocus_rate_rad_per_um(squared, optics.wavelength_um, optics.medium_index)

    @staticmethod
    def backward(ctx: Any, *pulls: Tensor) -> tuple[Tensor | None, ...]:
        rest_y, rest_x, y, x, squared, radius, disc = ctx.saved_tensors
        of_disc, of_rate = pulls
        ramp = of_disc * ((disc > 0) & (disc < 1)) / ctx.edge
        of_y = of_x = None
        if ctx.needs_input_grad[0] or ctx.needs_input_grad[1]:
            wave_number = ctx.optics.medium_index / ctx.optics.wavelength_um
            # d rate / d squared = -pi / kz, d disc / d squared = -1 / (2 edge radius) on the ramp
            # beyond k = n / wavelength there is no light, and no gradient either
            axial_squared = (wave_number**2 - squared).clamp_min(1e-9 * wave_number**2)
            pull = of_rate * axial_squared.rsqrt().mul(-math.pi) - ramp / (2 * radius)
            total = pull.sum(dim=1)
            of_y = 2 * (pull @ y + rest_y * total)
            of_x = 2 * (pull @ x + rest_x * total)
        of_cutoff = ramp.sum() if ctx.needs_input_grad[2] else None
        return (of_y, of_x, of_cutoff, *(None,) * 4)


def samples_in_pupil(
    optics: Optics,
    shape_y_x: tuple[int, int],
    na: float,
    margin_samples: float,
    edge_samples: float,
) -> Tensor:
    """Frequencies [2, sample] of a frame's grid that may lie in the pupil, in samples."""
    height, width = shape_y_x
    step_y, step_x = 1 / (height * optics.pixel_um), 1 / (width * optics.pixel_um)
    y = np.rint(np.fft.fftfreq(height, 1 / height))[:, None]
    x = np.rint(np.fft.fftfreq(width, 1 / width))[None, :]
    # nearest distance that any sub-pixel rest (half a sample and the margin) can bring about
    reach = 0.5 + margin_samples
    near_y = np.maximum(np.abs(y) - reach, 0) * step_y
    near_x = np.maximum(np.abs(x) - reach, 0) * step_x
    limit = na / optics.wavelength_um + edge_samples / 2 * math.sqrt(step_y * step_x)
    inside_y, inside_x = np.nonzero(np.hypot(near_y, near_x) < limit)
    return torch.tensor(np.stack([y[inside_y, 0], x[0, inside_x]]), dtype=torch.int64)
