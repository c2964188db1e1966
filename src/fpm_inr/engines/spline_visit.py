"""What is wrong with a spectrum, by the frames of a group of LEDs: the loss' gradient by hand."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fpm_inr.device import taken
from fpm_inr.engines.spline_frames import Batch, Frames, Group, as_seen
from fpm_inr.fields.spline import SplineField
from fpm_inr.forward import Aperture, Instrument, with_phase
from fpm_inr.instrument import Calibration

RIM_MATCH_SHARE = 0.2  # of the newest visit in the gain of an LED at the pupil's edge


@dataclass(frozen=True, eq=False)
class Wrong:
    """What a visit finds.

    Parameters
    ----------
    samples : Tensor [sample]
        The field's spectrum as it was met.
    gradient_k : Tensor [sample]
        Of the loss in it.
    pair : (Tensor [q], Tensor [q])
        See `SlowBand.pair`.
    error : Tensor, scalar
        The loss.
    """

    samples: Tensor
    gradient_k: Tensor
    pair: tuple[Tensor, Tensor]
    error: Tensor


@dataclass(frozen=True, eq=False)
class Light:
    """Light of a batch of LEDs in the pupil, and how it must change to explain the frames.

    Parameters
    ----------
    passed : Tensor [led, sample], complex
        Light beyond the pupil.
    back : Tensor [led, sample], complex
        Change of the light on the camera, weighted, back in the pupil.
    change_led_y_x : Tensor [led, y, x]
        Relative change of the amplitude, weighted.
    missed : Tensor, scalar
        The loss.
    """

    passed: Tensor
    back: Tensor
    change_led_y_x: Tensor
    missed: Tensor


class Lesson:
    """What a visit teaches about the instrument: gradients for its parameters.

    Only the pupil's transfer needs automatic differentiation: a change of its logarithm, d log t +
    i d phase, changes the loss by the real part of pull* times it.

    Parameters
    ----------
    frames : Frames
    group : Group
    visit : int
        Of this group, counted from 0.
    learned : Calibration, optional
        What is learned; None: nothing is.
    done : float
        Share of the steps that are taken.
    seen_group_led : Tensor [group, led, 3 + mode], optional
        Is kept up to date.
    """

    def __init__(
        self,
        frames: Frames,
        group: Group,
        visit: int,
        learned: Calibration | None = None,
        done: float = 0.0,
        seen_group_led: Tensor | None = None,
    ) -> None:
        self._frames, self._learned, self._number = frames, learned, group.number
        self._done = done
        self._seen_group_led = seen_group_led
        self._teachers: list[Batch] = [] if learned is None else group.teaches(visit)
        self._pulls: list[tuple[Tensor, Tensor]] = []
        self._instrument: Instrument | None = None
        if learned is not None:
            if self._teachers or frames.instrument is None:
                with torch.set_grad_enabled(bool(self._teachers)):
                    self._instrument = learned.instrument()
                # what teaches changes it
                frames.instrument = None if self._teachers else self._instrument
            else:
                self._instrument = frames.instrument

    def teaches(self, batch: Batch) -> bool:
        """Whether this batch teaches."""
        return batch in self._teachers

    def look(self, batch: Batch, z: Tensor) -> tuple[Aperture, Tensor]:
        """The pupil as a batch sees it, and its phase [led, sample] at a height [1]."""
        teaches, instrument = self.teaches(batch), self._instrument
        with torch.set_grad_enabled(teaches):
            aperture = batch.aperture
            if instrument is not None:
                sight = batch.sight
                if teaches:
                    assert self._seen_group_led is not None
                    sight = self._frames.look(batch, instrument)
                    model = self._frames.model
                    seen = as_seen(model, instrument, batch.frames)
                    self._seen_group_led[self._number, model.beams_of(batch.frames)] = seen
                aperture = self._frames.model.aperture(instrument, batch.frames, sight)
            return aperture, aperture.phase_at(z)[0]

    def observe(self, batch: Batch, light: Tensor, intensity: Tensor, inverse: Tensor) -> None:
        """Hear the brightness of a batch, before it is made to fit: intensity and 1 / amplitude."""
        if self.teaches(batch):
            assert self._learned is not None
            self._learned.observe(
                batch.leds,
                intensity * inverse,
                batch.measured_led_y_x,
                self._done,
                self._frames.model.shares(batch.frames, light),
            )

    def hear(self, batch: Batch, aperture: Aperture, phase: Tensor, light: Light) -> None:
        """Hear what the light of a batch says, if it teaches."""
        if not self.teaches(batch):
            return
        pull = light.back * light.passed.conj()
        self._pulls.append((phase, pull.imag))
        transmission = aperture.transmission_led_k
        if transmission.requires_grad:
            # what has no transmission has no light to change
            some = torch.where(transmission.detach() == 0, 1, transmission.detach())
            of_it = (pull / some.conj()) if some.is_complex() else pull.real / some
            self._pulls.append((transmission, of_it))
        if aperture.background_led is not None:
            of_it = light.change_led_y_x.sum(dim=(1, 2)) / (2 * self._frames.pixels)
            self._pulls.append((aperture.background_led, of_it))
        assert self._learned is not None
        if self._learned.has_penalty:
            with torch.enable_grad():
                penalty = light.missed * self._learned.penalty()
            self._pulls.append((penalty, torch.ones_like(penalty)))

    def end(self) -> None:
        """Leave the gradients in the parameters."""
        pulls = [(value, pull) for value, pull in self._pulls if value.requires_grad]
        if pulls:
            values, of_values = zip(*pulls, strict=True)
            torch.autograd.backward(values, of_values)


@torch.no_grad()
def wrong(
    field: SplineField,
    frames: Frames,
    group: Group,
    z_um: float,
    lesson: Lesson,
    rim_match_led: Tensor,
) -> Wrong:
    """What is wrong with the spectrum at a height, by these LEDs.

    Of the loss sum w (A - m)^2 / 2 over frames and pixels (divided by the pixels), A^2 = sum
    |psi|^2 + background over the beams of a frame: all of them are to change alike, by m / A - 1.
    Written out, it takes the Fourier transforms that it must and little else.

    Parameters
    ----------
    field : SplineField
    frames : Frames
    group : Group
    z_um : float
    lesson : Lesson
        Hears what the LEDs say of the instrument.
    rim_match_led : Tensor [2, frame]
        Measured times predicted amplitude, and predicted intensity, of frames whose brightness is
        free; they are moved.
    """
    samples = field.samples(z_um)
    z = torch.full((1,), z_um, dtype=torch.float32, device=samples.device)
    gradient = torch.zeros_like(samples)
    error = torch.zeros((), device=samples.device)
    own, cross = torch.zeros_like(frames.slow.depth_um), torch.zeros_like(samples[frames.slow.at])
    for batch in group.batches:
        aperture, phase = lesson.look(batch, z)
        transfer = with_phase(aperture.transmission_led_k.detach(), phase.detach())
        index = batch.index_led_k
        seen = taken(samples, index)
        light = frames.light(seen * transfer)
        intensity = _intensity(frames, batch, light, aperture.background_led)
        inverse = intensity.rsqrt()
        lesson.observe(batch, light, intensity, inverse)
        if batch.rim_count:
            _match(rim_match_led, batch, intensity, inverse)
        change, missed = _change(frames, batch, intensity, inverse)
        error += missed
        # vectorised, which a product of complex and real values is not
        of_beam = change if batch.frame_beam is None else change[batch.frame_beam]
        back = frames.back(light.mul_(of_beam.to(light.dtype)))
        lesson.hear(batch, aperture, phase, Light(seen.mul_(transfer), back, change, missed))
        back.mul_(transfer.conj())
        gradient.scatter_add_(0, index.view(-1), back.view(-1))
        of_own, of_cross = frames.slow.pair(transfer, index)
        own, cross = own + of_own, cross + of_cross
    lesson.end()
    return Wrong(samples, gradient, (own, cross), error)


def _intensity(
    frames: Frames, batch: Batch, light: Tensor, background_led: Tensor | None
) -> Tensor:
    """Predicted intensity [frame, y, x] of light [beam, y, x]."""
    part = torch.view_as_real(light)
    intensity = torch.addcmul(frames.dark, part[..., 0], part[..., 0])
    intensity.addcmul_(part[..., 1], part[..., 1])
    if batch.frame_beam is not None:
        summed = torch.zeros_like(batch.measured_led_y_x)
        intensity = summed.index_add_(0, batch.frame_beam, intensity)
    if background_led is not None:
        intensity += background_led.detach()[:, None, None]
    return intensity


def _change(
    frames: Frames, batch: Batch, intensity: Tensor, inverse: Tensor
) -> tuple[Tensor, Tensor]:
    """Relative change [led, y, x] of the amplitudes, weighted; the loss. `intensity` is spent."""
    change = torch.addcmul(frames.one, batch.measured_led_y_x, inverse, value=-1)
    if batch.believed is not None:
        change.masked_fill_(batch.believed.ignored(change), 0)
    intensity.mul_(change)
    change.mul_(frames.weight_y_x)
    return change, torch.dot(change.view(-1), intensity.view(-1)) / (2 * frames.pixels)


def _match(rim_match_led: Tensor, batch: Batch, intensity: Tensor, inverse: Tensor) -> None:
    """Scale measured over predicted amplitude, in place, where an LED's brightness is free.

    `inverse` [led, y, x], that of the predicted amplitude, takes the factor. Pixels that are not
    believed do not count, neither as measured nor as predicted.
    """
    rim = batch.rim_count
    predicted = intensity[:rim]
    if batch.believed is not None:
        predicted = predicted * batch.believed.exact_led_y_x[:rim]
    product = (predicted * inverse[:rim]).mul_(batch.measured_led_y_x[:rim]).sum(dim=(1, 2))
    inverse[:rim] *= (product / batch.rim_power)[:, None, None]
    # apart from each other, so that a visit that predicts no light does not count
    found = torch.stack((product, predicted.sum(dim=(1, 2))))
    leds = batch.leds[:rim]
    rim_match_led[:, leds] = torch.lerp(rim_match_led[:, leds], found, RIM_MATCH_SHARE)
