"""One pass of the conventional engine: every frame visits the spectra of a batch of planes.

A frame of several LEDs corrects all of them at once, in proportion to their light (Tian et al.,
Biomed. Opt. Express 5, 2376 (2014)).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fpm_inr import transforms
from fpm_inr.believed import Believed
from fpm_inr.device import widest
from fpm_inr.edges import at_the_rim, trust
from fpm_inr.engines.recipe import ConventionalRecipe
from fpm_inr.forward import ForwardModel, Instrument

# Below this intensity (mean bright-field: 1) a predicted pixel has no phase to speak of.
DARK = 1e-12
# Light weaker than the direct light by the root of this does not move the pupil.
PUPIL_FLOOR = 1e-6
# A pupil only takes light away; noise must not make single samples grow.
MOST_PUPIL = 1.2


class Visits:
    """What does not change from pass to pass: frames in their order, samples, weights."""

    def __init__(
        self,
        model: ForwardModel,
        instrument: Instrument,
        amplitude_led_y_x: Tensor,
        recipe: ConventionalRecipe,
        leds: Sequence[int] | None = None,
        pixels: Believed | None = None,
    ) -> None:
        self.model = model
        self.aperture = model.aperture(instrument)
        background = instrument.background_led
        if background is not None:
            light = amplitude_led_y_x.square() - background[:, None, None]
            amplitude_led_y_x = light.clamp_min(0).sqrt()
        self.amplitude, self.pixels = amplitude_led_y_x, pixels
        self.trust_y_x = trust(model.shape_y_x, recipe.edge_px).to(amplitude_led_y_x)
        trusted = amplitude_led_y_x.square() * self.trust_y_x
        if pixels is not None:
            trusted *= pixels.exact_led_y_x
        self.power = max(float(trusted.sum(dtype=widest(model.device))), 1e-30)
        self.peak = float(amplitude_led_y_x.max())
        every = torch.arange(model.frame_count, device=model.device)
        na_frame = model.least_of_frames(instrument.na_led_xy.norm(dim=1), every)
        on_rim = at_the_rim(model, instrument, recipe.rim_width).to(model.device)
        self.is_rim = model.any_of_frames(on_rim).tolist()
        lit = amplitude_led_y_x.amax(dim=(1, 2)) > 0
        used = range(model.frame_count) if leds is None else set(leds)
        # the pattern of a frame without light says nothing
        self.order = [
            led
            for led in na_frame.argsort(stable=True).tolist()
            if led in used and (bool(lit[led]) or not self.is_rim[led])
        ]
        self.frames = model.in_parts(every, np.arange(model.frame_count), 1)
        self.index = [model.field_index(frame) for frame in self.frames]
        self.frame_index = model.frame_index()
        inside = torch.zeros(model.shape_y_x, dtype=torch.bool, device=model.device)
        inside.view(-1).index_fill_(0, self.frame_index, True)
        self.inside_y_x = inside
        self.peak_led = [self._peak(frame) for frame in range(model.frame_count)]
        self.pupil_step = recipe.pupil_step

    def sight(self, z_um: Tensor) -> list[Tensor]:
        """Transfer [z, beam, sample] of every frame at these heights."""
        z = z_um.to(self.model.device, torch.float32)
        return [self.aperture.select(frame).at(z) for frame in self.frames]

    def one_pass(
        self, spectrum: Tensor, share: Tensor, sight: list[Tensor], pupil: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Visit every frame once; change the spectra [z, k] (and the pupil) in place.

        Returns the squared error [z] of all frames as they were met, over the frames' power, and
        the amplitude gains [z, frame].
        """
        shape = self.model.shape_y_x
        beams = max(len(index) for index in self.index)
        whole_grid = spectrum.new_zeros(len(spectrum), beams, shape[0] * shape[1])
        error = torch.zeros(len(spectrum), device=spectrum.device)
        gains = torch.ones(len(spectrum), self.model.frame_count, device=spectrum.device)
        for led in self.order:
            transfer = sight[led]
            if pupil is not None:
                factor = pupil.flatten()[self.frame_index]
                transfer = transfer * factor
            index = self.index[led]
            samples = spectrum.index_select(1, index.view(-1)).view(len(spectrum), *index.shape)
            grid = whole_grid[:, : len(index)]
            grid.index_copy_(2, self.frame_index, samples * transfer)
            light = transforms.image(grid.unflatten(2, shape))
            change, missed, gain = self._change(light, led)
            if gain is not None:
                gains[:, led] = gain
            error += missed
            light *= change[:, None]
            wrong = transforms.summed(light).flatten(2)
            wrong = wrong.index_select(2, self.frame_index).div_(grid.shape[2])
            if pupil is not None:
                for seen, its in zip((samples * sight[led])[0], wrong[0], strict=True):
                    self._improve(pupil, seen, its, share[0])
            back = transfer.conj()
            rate = share[:, None, None] / self.peak_led[led]
            if pupil is not None:
                rate = rate / factor.abs().max().square().clamp_min(DARK)
            spectrum.index_add_(1, index.view(-1), wrong.mul_(back).mul_(rate).flatten(1))
        if pupil is not None:
            self._pin(pupil, spectrum)
        return error / self.power, gains

    def _peak(self, frame: int) -> float:
        """Largest sum of the squared transmissions of a frame's beams at one frequency."""
        seen_k = self.aperture.select(self.frames[frame]).transmission_led_k.abs().square()
        if len(seen_k) == 1:
            return float(seen_k.max().clamp_min(DARK))
        index, place = self.index[frame].unique(return_inverse=True)
        cover = seen_k.new_zeros(len(index)).index_add_(0, place.flatten(), seen_k.flatten())
        return float(cover.max().clamp_min(DARK))

    def _improve(self, pupil: Tensor, seen: Tensor, wrong: Tensor, share: Tensor) -> None:
        """Move the pupil [y, x] at the samples, in place, for light [sample] seen without it.

        Ou et al. (2014), Eq. 9: weighted by |light| / its maximum, as the direct light outshines
        everything else by orders of magnitude.
        """
        size = seen.abs()
        brightest = size.max().clamp_min(DARK)
        weight = size / (brightest * (size.square() + PUPIL_FLOOR * brightest.square()))
        change = self.pupil_step * share * weight * seen.conj() * wrong
        pupil.view(-1).index_add_(0, self.frame_index, change)

    def _pin(self, pupil: Tensor, spectrum: Tensor) -> None:
        """Keep the pupil's median modulus at 1, in place: the rest is the object's."""
        size = pupil.abs()
        median = size.flatten()[self.frame_index].median()
        spectrum *= median
        limited = size.clamp_max(MOST_PUPIL * median) / (size * median).clamp_min(DARK)
        pupil *= torch.where(self.inside_y_x, limited, 1)

    def _change(self, light: Tensor, led: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Relative change [z, y, x] that gives light [z, beam, y, x] the measured modulus.

        And error and gain [z].

        Of an LED at the pupil's edge only the pattern counts: how much of its direct light passes
        is known neither to the model nor to a calibrated NA, and taking it at its word grows
        fringes (docs/conventional.md).
        """
        measured = self.amplitude[led]
        squares = torch.view_as_real(light).square()
        of_beams = squares[..., 0] + squares[..., 1]
        intensity = of_beams[:, 0] if of_beams.shape[1] == 1 else of_beams.sum(dim=1)
        intensity.clamp_min_(DARK)
        inverse = intensity.rsqrt()
        gain: Tensor | None = None
        if self.is_rim[led]:
            power = measured.square().sum()
            match = torch.einsum("yx,zyx->z", measured, intensity * inverse) / power
            measured = measured * match[:, None, None]
            gain = match * power / intensity.sum(dim=(1, 2))
        change = inverse.mul_(measured).sub_(1)
        if self.pixels is not None:
            change.masked_fill_(self.pixels.select(led).ignored(-change), 0)
        missed = torch.einsum("yx,zyx->z", self.trust_y_x, change.square().mul_(intensity))
        return change.mul_(self.trust_y_x), missed, gain
