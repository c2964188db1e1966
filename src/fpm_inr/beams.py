"""The plane waves that make up the frames, where these are not one wave each.

A frame's intensity is the sum over its LEDs, and over the points of each, of what a plane wave
leaves on the camera::

    I_frame = sum_led weight sum_point | IFFT( P(k) exp(1j kz z) O_z(k + shift_point) ) |^2 / points

Only LEDs whose faces reach across the pupil's edge are more than a point: everywhere else the
points of an LED tell hardly more than its middle does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fpm_inr.acquisition import Illumination, Optics
from fpm_inr.device import widest

# how far from the pupil's edge, in Fourier samples, an LED's face counts as across it: as far as
# calibration moves it
ACROSS_SAMPLES = 1.0


@dataclass(frozen=True, eq=False)
class Runs:
    """Beams in the order of their frames: those of a frame follow each other.

    Parameters
    ----------
    first_frame : Tensor [frame + 1]
        Where the beams of each frame begin.
    beam_count : int
        Number of all beams.
    """

    first_frame: Tensor
    beam_count: int

    @classmethod
    def of_counts(cls, counts: Tensor, beam_count: int | None = None) -> Runs:
        """Runs of these lengths [frame].

        Where their sum is not given, a graphics card is waited for.
        """
        total = int(counts.sum()) if beam_count is None else beam_count
        return cls(torch.cat([counts.new_zeros(1), counts.cumsum(0)]), total)

    @property
    def frame_count(self) -> int:
        """Number of frames."""
        return len(self.first_frame) - 1

    @property
    def counts(self) -> Tensor:
        """Number of beams of each frame, [frame]."""
        return self.first_frame.diff()

    @cached_property
    def frame_beam(self) -> Tensor:
        """The frame of every beam, [beam]."""
        every = torch.arange(self.frame_count, device=self.first_frame.device)
        return every.repeat_interleave(self.counts, output_size=self.beam_count)

    def choose(self, frames: Choice, beam_count: int | None = None) -> Chosen:
        """The beams of these frames; `beam_count` is as in `of_counts`."""
        if isinstance(frames, Chosen):
            return frames
        counts = self.counts[frames]
        runs = Runs.of_counts(counts, beam_count)
        begin = (self.first_frame[frames] - runs.first_frame[:-1])[runs.frame_beam]
        return Chosen(frames, begin + torch.arange(len(begin), device=begin.device), runs)

    def sum(self, value_beam_y_x: Tensor) -> Tensor:
        """Sums [..., frame, y, x] over the beams of each frame."""
        shape = (*value_beam_y_x.shape[:-3], self.frame_count, *value_beam_y_x.shape[-2:])
        return value_beam_y_x.new_zeros(shape).index_add(-3, self.frame_beam, value_beam_y_x)

    def least(self, value_beam: Tensor) -> Tensor:
        """The least of a value [beam] in each frame, [frame]."""
        least = value_beam.new_zeros(self.frame_count)
        return least.scatter_reduce(0, self.frame_beam, value_beam, "amin", include_self=False)


@dataclass(frozen=True, eq=False)
class Chosen:
    """Some frames with their beams, looked up once for all that asks about them.

    Parameters
    ----------
    frames : Tensor [frame]
        Their numbers.
    beams : Tensor [beam]
        The numbers of their beams, frame by frame.
    runs : Runs
        Which of these beams each of these frames has.
    """

    frames: Tensor
    beams: Tensor
    runs: Runs

    def __len__(self) -> int:
        return len(self.frames)


# Numbers of frames, or what has been looked up of them already.
Choice = Tensor | Chosen


def numbers_of(frames: Choice) -> Tensor:
    """Numbers [frame] of these frames."""
    return frames.frames if isinstance(frames, Chosen) else frames


@dataclass(frozen=True, eq=False)
class Shares:
    """How much of some frames' light is each LED's.

    Parameters
    ----------
    led_beam, frame_beam : Tensor [beam]
        The LED of each beam, and the place of its frame among the frames.
    intensity_beam_y_x : Tensor [beam, y, x]
    led_count : int
        Number of all LEDs.
    """

    led_beam: Tensor
    frame_beam: Tensor
    intensity_beam_y_x: Tensor
    led_count: int

    def fits(self, predicted: Tensor, measured: Tensor) -> Tensor:
        """The factor [led] by which each LED's amplitude falls short of the frames.

        For each sum(measured / predicted * its light) / sum(its light): the step that lowers the
        squared error of the frames' amplitudes [frame, y, x], and of a single LED the
        least-squares one. Not a number for an LED that has no light in them.
        """
        ratio = measured / predicted.clamp_min(1e-6)
        light = self.intensity_beam_y_x
        told = (light * ratio[self.frame_beam]).sum(dim=(1, 2))
        sums = light.new_zeros(2, self.led_count)
        sums.index_add_(1, self.led_beam, torch.stack([told, light.sum(dim=(1, 2))]))
        return sums[0] / sums[1]


@dataclass(frozen=True, eq=False)
class Beams:
    """What tells the plane waves of an acquisition.

    Parameters
    ----------
    runs : Runs
        Which of them each frame has.
    led_beam : Tensor [beam]
        The LED of each.
    offset_beam_xy : Tensor [beam, 2]
        Direction from that of the LED's middle, in NA units.
    root_beam : Tensor [beam]
        Factor of its amplitude: root of the LED's weight over its number of points.
    count_frame : array [frame] of int
        Number of beams of each frame, where no card is asked for it.
    led_count : int
    """

    runs: Runs
    led_beam: Tensor
    offset_beam_xy: Tensor
    root_beam: Tensor
    count_frame: NDArray[np.int64]
    led_count: int

    def to(self, device: torch.device | str) -> Beams:
        """Move to a device."""
        exact = widest(torch.device(device))
        return replace(
            self,
            runs=Runs(self.runs.first_frame.to(device), self.runs.beam_count),
            led_beam=self.led_beam.to(device),
            offset_beam_xy=self.offset_beam_xy.to(device, exact),
            root_beam=self.root_beam.to(device, exact),
        )

    @property
    def is_wide(self) -> Tensor:
        """Which LEDs [led] are more than a point."""
        away = self.offset_beam_xy.abs().amax(dim=1)
        return away.new_zeros(self.led_count).scatter_reduce(0, self.led_beam, away, "amax") > 0

    def na_beam_xy(self, na_led_xy: Tensor) -> Tensor:
        """Directions [beam, 2] for LEDs at these."""
        return na_led_xy[self.led_beam] + self.offset_beam_xy.to(na_led_xy)

    def mean_of_leds(self, value_frame: Tensor) -> Tensor:
        """Means [led] of a value [frame] over the beams of each LED."""
        sums = value_frame.new_zeros(2, self.led_count)
        value = value_frame[self.runs.frame_beam]
        sums.index_add_(1, self.led_beam, torch.stack([value, torch.ones_like(value)]))
        return sums[0] / sums[1]

    def choose(self, frames: Tensor, numbers: NDArray[np.integer[Any]]) -> Chosen:
        """These frames, whose numbers are known on the CPU too: no card is waited for."""
        return self.runs.choose(frames, int(self.count_frame[numbers].sum()))


def beams_of(
    illumination: Illumination,
    optics: Optics,
    shape_y_x: tuple[int, int],
    na_led_xy: Tensor,
    na_objective: float,
    *,
    margin_samples: float = 0.0,
) -> Beams | None:
    """The beams of an illumination; None where every frame is one beam of weight 1.

    Parameters
    ----------
    illumination : Illumination
    optics : Optics
    shape_y_x : (int, int)
        Of a frame: sets the Fourier sample.
    na_led_xy : Tensor [led, 2]
        Where the LEDs are taken to be.
    na_objective : float
        Radius of the pupil.
    margin_samples : float
        How far, in Fourier samples, the LEDs may move.
    """
    pairs = illumination.pairs
    points = np.ones(illumination.led_count, dtype=np.intp)
    if illumination.die is not None:
        side_um = optics.pixel_um * math.sqrt(math.prod(shape_y_x))
        near = (ACROSS_SAMPLES + margin_samples) * optics.wavelength_um / side_um
        offsets = illumination.offsets_led_xy
        reach = np.hypot(offsets[..., 0], offsets[..., 1]).max(axis=1)
        na = na_led_xy.detach().cpu().double().numpy()
        across = np.abs(np.hypot(*na.T) - na_objective) <= reach + near
        points[across] = offsets.shape[1]
    if illumination.lighting is None and (points == 1).all():
        return None
    led = pairs.led_pair.repeat(points[pairs.led_pair])
    root = np.sqrt(pairs.weight_pair / points[pairs.led_pair]).repeat(points[pairs.led_pair])
    offset = np.concatenate(
        [
            illumination.offsets_led_xy[one] if points[one] > 1 else np.zeros((1, 2))
            for one in pairs.led_pair
        ]
    )
    counts = np.bincount(pairs.frame_pair, points[pairs.led_pair]).astype(np.int64)
    return Beams(
        Runs.of_counts(torch.from_numpy(counts)),
        torch.from_numpy(led.astype(np.int64)),
        torch.from_numpy(offset),
        torch.from_numpy(root),
        counts,
        illumination.led_count,
    )
