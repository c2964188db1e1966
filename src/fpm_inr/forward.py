"""The one physics: a complex field at z -> the amplitude that every frame shows.

    amplitude_led = gain_led * | IFFT( P(k) exp(1j kz z) O_z(k + shift_led) ) |

(Zhou et al., Optica 10, 1679 (2023), Eq. 1.) The whole-pixel part of a shift moves the window cut
from the object's spectrum; the sub-pixel rest moves the pupil. Only samples inside the pupil are
touched. Where a frame has several LEDs, or an LED a size, its intensity is the sum over them
(`fpm_inr.beams`; Tian et al., Biomed. Opt. Express 5, 2376 (2014)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fpm_inr import transforms
from fpm_inr.aberration import monomials, zernike_phase
from fpm_inr.acquisition import Acquisition, Optics
from fpm_inr.aperture import Aperture as Aperture
from fpm_inr.aperture import Sight as Sight
from fpm_inr.aperture import _Crossing, samples_in_pupil
from fpm_inr.aperture import with_phase as with_phase
from fpm_inr.beams import Beams, Choice, Chosen, Shares, beams_of, numbers_of
from fpm_inr.instrument_values import Instrument as Instrument
from fpm_inr.instrument_values import nominal_instrument as nominal_instrument
from fpm_inr.reach import check_reach
from fpm_inr.residual import residual_by_led as residual_by_led

# The pupil's edge, in Fourier samples: the width over which a sample is partly inside. A real one
# is sharp; what is left makes it differentiable (docs/recipes.md).
EDGE_SAMPLES = 0.2


@dataclass(frozen=True, eq=False)
class ForwardModel:
    """Compiled geometry of an acquisition: which spectrum samples feed which frame.

    Made by `compile_forward`. All methods are differentiable. `reach_na` is the largest radius of
    the pupil that its samples hold, `edge_samples` the width of its edge. Methods take numbers of
    frames, and give axes of beams: the frames again, unless `beams` says otherwise.
    """

    optics: Optics
    shape_y_x: tuple[int, int]
    upsampling: int
    window_led_yx: Tensor
    sample_yx: Tensor
    reach_na: float
    margin_samples: float = 0.0
    edge_samples: float = EDGE_SAMPLES
    beams: Beams | None = None
    _monomials_by_kind: dict[tuple[int, torch.dtype, torch.device], Tensor] = field(
        default_factory=dict, repr=False
    )

    @property
    def field_shape_y_x(self) -> tuple[int, int]:
        """Size of the high-resolution field."""
        return self.shape_y_x[0] * self.upsampling, self.shape_y_x[1] * self.upsampling

    @property
    def pixel_um(self) -> float:
        """Pixel of the high-resolution field."""
        return self.optics.pixel_um / self.upsampling

    @property
    def beam_count(self) -> int:
        """Number of beams."""
        return len(self.window_led_yx)

    @property
    def led_count(self) -> int:
        """Number of LEDs."""
        return self.beam_count if self.beams is None else self.beams.led_count

    @property
    def frame_count(self) -> int:
        """Number of frames."""
        return self.beam_count if self.beams is None else self.beams.runs.frame_count

    def choose(self, frames: Tensor, numbers: NDArray[np.integer[Any]]) -> Choice:
        """These frames with their beams, to be given to all methods instead of them.

        `numbers` are theirs on the CPU. Without this, methods that are asked about frames of
        several LEDs look up their beams each time, and a graphics card is waited for.
        """
        return frames if self.beams is None else self.beams.choose(frames, numbers)

    def in_parts(
        self, frames: Tensor, numbers: NDArray[np.integer[Any]], at_once: int
    ) -> list[Choice]:
        """`choose`, of at most so many frames each."""
        parts = [slice(first, first + at_once) for first in range(0, len(frames), at_once)]
        return [self.choose(frames[part], numbers[part]) for part in parts]

    def frames(self, part: slice) -> Choice:
        """The frames from one number up to another, with their beams."""
        numbers = np.arange(part.start, part.stop)
        return self.choose(torch.arange(part.start, part.stop, device=self.device), numbers)

    def beams_of(self, frames: Choice) -> Tensor:
        """Numbers of the beams of these frames, frame by frame."""
        return numbers_of(frames) if self.beams is None else self.beams.runs.choose(frames).beams

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.sample_yx.device

    def least_of_frames(self, value_led: Tensor, frames: Choice) -> Tensor:
        """The least of a value [led] over the LEDs of each of these frames, [frame]."""
        if self.beams is None:
            return value_led[numbers_of(frames)]
        some = self.beams.runs.choose(frames)
        return some.runs.least(value_led[self.beams.led_beam[some.beams]])

    def leds_of(self, frames: Choice) -> Tensor:
        """The LED of every beam of these frames, [beam]."""
        beams = self.beams_of(frames)
        return beams if self.beams is None else self.beams.led_beam[beams]

    def any_of_frames(self, is_led: Tensor) -> Tensor:
        """Whether one of the LEDs of each frame is among some [led], [frame]."""
        if self.beams is None:
            return is_led
        return self.beams.runs.least((~is_led[self.beams.led_beam]).float()) == 0

    def gain_of_leds(self, gain_frame: Tensor) -> Tensor:
        """Factors [led] that stand for factors of frames: geometric means over those it lights."""
        if self.beams is None:
            return gain_frame
        return self.beams.mean_of_leds(gain_frame.log()).exp()

    def shares(
        self, frames: Choice, light_beam_y_x: Tensor, weight_y_x: Tensor | None = None
    ) -> Shares | None:
        """How the light of these frames, weighted, divides among LEDs; None: one beam a frame."""
        if self.beams is None:
            return None
        some, light = self.beams.runs.choose(frames), light_beam_y_x.detach()
        intensity = light.real**2 + light.imag**2
        if weight_y_x is not None:
            intensity = intensity * weight_y_x
        led_beam = self.beams.led_beam[some.beams]
        return Shares(led_beam, some.runs.frame_beam, intensity, self.beams.led_count)

    def to(self, device: torch.device | str) -> ForwardModel:
        """Move to a device."""
        return replace(
            self,
            window_led_yx=self.window_led_yx.to(device),
            sample_yx=self.sample_yx.to(device),
            beams=None if self.beams is None else self.beams.to(device),
        )

    def narrowed(self) -> ForwardModel:
        """The same without a margin: for LEDs whose windows follow them."""
        samples = samples_in_pupil(
            self.optics, self.shape_y_x, self.reach_na, 0.0, self.edge_samples
        ).to(self.device)
        return replace(self, sample_yx=samples, margin_samples=0.0, _monomials_by_kind={})

    def at_windows(self, window_led_yx: Tensor) -> ForwardModel:
        """The same around other windows."""
        return replace(self, window_led_yx=window_led_yx)

    def windows(self, na_led_xy: Tensor) -> Tensor:
        """Whole samples [beam, 2] (y, x) in the shifts of light from LEDs at these directions."""
        step_y, step_x = self._frequency_step_per_um()
        na_xy = na_led_xy if self.beams is None else self.beams.na_beam_xy(na_led_xy)
        x, y = (na_xy / self.optics.wavelength_um).unbind(1)
        return torch.stack([y / step_y, x / step_x], dim=1).round().long()

    def windows_following(self, na_led_xy: Tensor) -> Tensor:
        """Windows [beam, 2] of LEDs that have moved, no further away than the margin allows."""
        most = math.floor(self.margin_samples)
        moved = self.windows(na_led_xy) - self.window_led_yx
        return self.window_led_yx + moved.clamp(-most, most)

    def spectrum(self, field_z_y_x: Tensor) -> Tensor:
        """Spectrum of fields, scaled so that a field of 1 has a zero frequency of 1."""
        return transforms.spectrum(field_z_y_x)

    def sight(
        self, na_led_xy: Tensor, leds: Choice | None = None, na: Tensor | None = None
    ) -> Sight:
        """Where the light of these frames (all when None) crosses, for LEDs at [led, 2].

        `na` is the pupil's radius; None: as stated.
        """
        na_xy = na_led_xy if self.beams is None else self.beams.na_beam_xy(na_led_xy)
        window = self.window_led_yx
        if leds is not None:
            beams = self.beams_of(leds)
            na_xy, window = na_xy[beams], window[beams]
        window = window.to(na_led_xy)
        samples = self.sample_yx.to(na_led_xy.dtype)
        step_y, step_x = self._frequency_step_per_um()
        # pupil coordinate of a sample = its frequency in the frame + (window - shift)
        wavelength = self.optics.wavelength_um
        rest_y = window[:, 0] * step_y - na_xy[:, 1] / wavelength
        rest_x = window[:, 1] * step_x - na_xy[:, 0] / wavelength
        disc, defocus = _Crossing.apply(  # type: ignore[no-untyped-call]
            rest_y,
            rest_x,
            (self.optics.na if na is None else na) / wavelength,
            samples[0] * step_y,
            samples[1] * step_x,
            self.optics,
            self.edge_samples * math.sqrt(step_y * step_x),
        )
        return Sight(disc, defocus, rest_y, rest_x)

    def aberrated(self, sight: Sight, zernike_rad: Tensor) -> Sight:
        """The same sight through a pupil of these Zernike coefficients [mode]."""
        phase = None
        if len(zernike_rad):
            cutoff = self.optics.na / self.optics.wavelength_um
            phase = zernike_phase(
                zernike_rad,
                self._monomials(len(zernike_rad), sight.rest_y_per_um.dtype),
                (sight.rest_y_per_um / cutoff, sight.rest_x_per_um / cutoff),
            )
        return replace(sight, phase_led_k=phase)

    def aperture(
        self, instrument: Instrument, leds: Choice | None = None, sight: Sight | None = None
    ) -> Aperture:
        """The pupil as the light of these frames sees it (all when None).

        `sight`, where it is known already, is that of the same frames.
        """
        if leds is not None and self.beams is not None:
            leds = self.beams.runs.choose(leds)
        if sight is None:
            sight = self.sight(instrument.na_led_xy, leds, instrument.na)
            sight = self.aberrated(sight, instrument.zernike_rad)
        gain, runs = instrument.gain_led, None
        if self.beams is None:
            gain = gain if leds is None else gain[numbers_of(leds)]
        else:
            some = slice(None) if leds is None else self.beams_of(leds)
            gain = gain[self.beams.led_beam[some]] * self.beams.root_beam[some].to(gain)
            runs = leds.runs if isinstance(leds, Chosen) else self.beams.runs
        transmission = sight.disc_led_k * gain[:, None]
        if instrument.pupil_y_x is not None:
            transmission = transmission * instrument.pupil_y_x.flatten()[self.frame_index()]
        background = instrument.background_led
        if background is not None and leds is not None:
            background = background[numbers_of(leds)]
        return Aperture(
            transmission,
            sight.defocus_led_k,
            sight.phase_led_k,
            background,
            instrument.defocus_um,
            runs,
        )

    def gather(self, spectrum_z_y_x: Tensor, leds: Choice) -> Tensor:
        """Object-spectrum samples [z, beam, sample] that these frames bring into the pupil."""
        return spectrum_z_y_x.flatten(-2)[..., self.field_index(leds)]

    def scatter(self, samples_z_led_k: Tensor) -> Tensor:
        """Place pupil samples on the frame's frequency grid: [z, beam, y, x]."""
        height, width = self.shape_y_x
        grid = samples_z_led_k.new_zeros(*samples_z_led_k.shape[:-1], height * width)
        grid = grid.index_copy(-1, self.frame_index(), samples_z_led_k)
        return grid.unflatten(-1, (height, width))

    def exit_field(
        self, spectrum_z_y_x: Tensor, z_um: Tensor, leds: Choice, aperture: Aperture
    ) -> Tensor:
        """Complex field [z, beam, y, x] on the camera, for spectra [z, y, x] at heights z [z].

        `aperture` is that of these frames, in this order.
        """
        samples = self.gather(spectrum_z_y_x, leds) * aperture.at(z_um)
        return transforms.image(self.scatter(samples))

    def amplitude(
        self, spectrum_z_y_x: Tensor, z_um: Tensor, leds: Choice, aperture: Aperture
    ) -> Tensor:
        """Amplitude [z, frame, y, x] of these frames."""
        return aperture.amplitude(self.exit_field(spectrum_z_y_x, z_um, leds, aperture))

    def field_index(self, leds: Choice) -> Tensor:
        """Flat index [beam, sample] of these frames' samples in the field's spectrum."""
        height, width = self.field_shape_y_x
        beams = self.beams_of(leds)
        y = (self.sample_yx[0] + self.window_led_yx[beams, 0:1]) % height
        x = (self.sample_yx[1] + self.window_led_yx[beams, 1:2]) % width
        return y * width + x

    def frame_index(self) -> Tensor:
        """Flat index [sample] of the gathered samples on the frame's frequency grid."""
        height, width = self.shape_y_x
        return (self.sample_yx[0] % height) * width + self.sample_yx[1] % width

    def _monomials(self, modes: int, dtype: torch.dtype) -> Tensor:
        key = (modes, dtype, self.device)
        if key not in self._monomials_by_kind:
            cutoff = self.optics.na / self.optics.wavelength_um
            y, x = (
                samples.to(dtype) * step / cutoff
                for samples, step in zip(self.sample_yx, self._frequency_step_per_um(), strict=True)
            )
            self._monomials_by_kind[key] = monomials(modes, (y, x))
        return self._monomials_by_kind[key]

    def _frequency_step_per_um(self) -> tuple[float, float]:
        height, width = self.shape_y_x
        return 1 / (height * self.optics.pixel_um), 1 / (width * self.optics.pixel_um)


def compile_forward(
    acquisition: Acquisition,
    upsampling: int,
    *,
    margin_samples: float = 0.0,
    instrument: Instrument | None = None,
    largest_na: float = 0.0,
    edge_samples: float = EDGE_SAMPLES,
) -> ForwardModel:
    """Prepare the forward model of an acquisition.

    Parameters
    ----------
    acquisition : Acquisition
    upsampling : int
        Ratio of the field's sampling to the frames'.
    margin_samples : float
        How far, in Fourier samples, the LEDs may move from their places.
    instrument : Instrument, optional
        Where the LEDs are, and how wide the pupil is; as the acquisition states it where left out.
    largest_na : float
        How wide the pupil may become.
    edge_samples : float
        Width of the pupil's edge, in Fourier samples.

    Raises
    ------
    SettingsError
        Light of an LED, moved as far as it may, reaches beyond the field's grid.
    """
    optics = acquisition.optics
    reach_na = max(largest_na, optics.na if instrument is None else instrument.na_of(optics))
    na_led_xy = torch.tensor(acquisition.illumination.na_led_xy)
    if instrument is not None:
        na_led_xy = instrument.na_led_xy.detach().cpu().double()
    check_reach(acquisition, na_led_xy, upsampling, margin_samples=margin_samples)
    beams = beams_of(
        acquisition.illumination,
        optics,
        acquisition.shape_y_x,
        na_led_xy,
        optics.na if instrument is None else instrument.na_of(optics),
        margin_samples=margin_samples,
    )
    model = ForwardModel(
        optics,
        acquisition.shape_y_x,
        upsampling,
        torch.zeros(0, 2, dtype=torch.int64),
        samples_in_pupil(optics, acquisition.shape_y_x, reach_na, margin_samples, edge_samples),
        reach_na,
        margin_samples,
        edge_samples,
        beams,
    )
    return model.at_windows(model.windows(na_led_xy))
