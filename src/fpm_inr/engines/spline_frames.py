"""What a group of LEDs needs to correct a height, made once: frames, pupils, curvatures."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fpm_inr import transforms
from fpm_inr.beams import Choice, Chosen, numbers_of
from fpm_inr.believed import Believed
from fpm_inr.device import taken
from fpm_inr.edges import at_the_rim, trust
from fpm_inr.engines.recipe import PassOrder
from fpm_inr.engines.slow_phase import Coupling, SlowBand
from fpm_inr.fields.spline import SplineField
from fpm_inr.forward import Aperture, ForwardModel, Instrument, Sight
from fpm_inr.memory import Portion
from fpm_inr.solve.problem import Problem

# Pixels of the frames that are worked on together: more would leave the caches of a CPU.
SAMPLES_AT_ONCE = 1 << 19
# One LED in so many teaches about the instrument at a visit, in turn: its gradient costs more than
# the field's, and takes fewer frames.
TAUGHT_ONE_IN = 4
# Added to every predicted intensity (mean bright-field: 1): a dark pixel has no phase to speak of.
DARK = 1e-12
# Damping, as a share of the most seen frequency's number of LEDs, of what those at the pupil's edge
# alone see: how much of their light passes where is not known, and fringes would answer it.
RIM_FLOOR = 0.3


@dataclass(eq=False)
class Batch:
    """Frames that are worked on together, with all their beams.

    Parameters
    ----------
    frames : Tensor [frame] or Chosen
        Their numbers, which are those of their LEDs where each has one; else with their beams.
    index_led_k : Tensor [beam, sample]
        Which of the field's frequencies each beam brings into the pupil.
    aperture : Aperture
        The pupil as they see it, before anything is learned.
    measured_led_y_x : Tensor [frame, y, x]
    rim_count : int
        Frames whose brightness is free; they come first.
    rim_power : Tensor [rim_count]
        Sum of their squared amplitudes.
    believed : Believed, optional
        Which of their pixels are believed.
    seen : (Tensor [led, 2], Tensor or None, Tensor [mode]) or three times None
        Directions of all LEDs, radius and Zernike coefficients of the pupil that were last taken
        into account; None where nothing is learned.
    sight : Sight, optional
        What their light met in that pupil.
    """

    frames: Choice
    index_led_k: Tensor
    aperture: Aperture
    measured_led_y_x: Tensor
    rim_count: int
    rim_power: Tensor
    believed: Believed | None = None
    seen: tuple[Tensor | None, ...] = (None, None, None)
    sight: Sight | None = None

    @property
    def leds(self) -> Tensor:
        """Numbers [frame] of the frames."""
        return numbers_of(self.frames)

    @property
    def frame_beam(self) -> Tensor | None:
        """The place [beam] of each beam's frame among these. None: beams are frames."""
        return self.frames.runs.frame_beam if isinstance(self.frames, Chosen) else None


@dataclass(frozen=True, eq=False)
class Group:
    """LEDs of a step in batches.

    Parameters
    ----------
    number : int
    batches : list of Batch
    share_k : Tensor [sample]
        Step of each of the field's frequencies, were it alone.
    floor_q : Tensor [q]
        Damping of those of the slow band, for lack of LEDs.
    power : Tensor, scalar
        Half the mean over pixels of the frames' intensity, summed over LEDs.
    led_count : int
    """

    number: int
    batches: list[Batch]
    share_k: Tensor
    floor_q: Tensor
    power: Tensor
    led_count: int

    def teaches(self, visit: int) -> list[Batch]:
        """The batches that teach about the instrument at this visit: a quarter of the LEDs."""
        return self.batches[visit % TAUGHT_ONE_IN :: TAUGHT_ONE_IN]


def as_seen(model: ForwardModel, instrument: Instrument, frames: Choice | None = None) -> Tensor:
    """LEDs' directions, radius (0: as stated) and Zernike coefficients [beam, 3 + mode]."""
    if frames is None:
        frames = torch.arange(model.frame_count, device=model.device)
    na = instrument.na_led_xy.detach()[model.leds_of(frames)]
    zernike = instrument.zernike_rad.detach()
    radius = na.new_zeros(1) if instrument.na is None else instrument.na.detach().reshape(1)
    return torch.cat([na, torch.cat([radius, zernike]).expand(len(na), -1)], dim=1)


class Frames:
    """What does not change from step to step: everything that a group of LEDs needs.

    Parameters
    ----------
    problem : Problem
    field : SplineField
        On the model's device.
    order : PassOrder
    groups : int
    seen_group_led : Tensor [group, led, 3 + mode], optional
        What each group has last taken into account (`as_seen`), where something is learned.
    """

    def __init__(
        self,
        problem: Problem,
        field: SplineField,
        order: PassOrder,
        groups: int,
        seen_group_led: Tensor | None = None,
    ) -> None:
        model, learned = problem.model, problem.learned
        # windows follow LEDs that move, as far as the field has frequencies for them
        self.model, self._reached, self._problem = model.narrowed(), model, problem
        self.one, self.dark = torch.tensor([1.0, DARK], device=model.device)
        self.weight_y_x = trust(model.shape_y_x, order.edge_px).to(model.device)
        self.pixels = math.prod(model.shape_y_x)
        self.instrument: Instrument | None = None  # as learned, until it changes
        self._seen_group_led = seen_group_led
        self._floor = order.floor
        self._on_rim = at_the_rim(model, problem.instrument, order.rim_width).to(model.device)
        rim_frame = model.any_of_frames(self._on_rim)
        # where gains are learned, one freedom is enough
        gains_are_learned = learned is not None and learned.free.gains is not None
        self._is_rim = torch.zeros_like(rim_frame) if gains_are_learned else rim_frame
        self.slow = SlowBand(model, field)
        self.coupling = Coupling(self.slow, field)
        self.groups = groups
        self._groups: dict[int, Group] = {}
        beams = math.ceil(model.beam_count / model.frame_count)
        # light, its transforms, intensity and change; and complex samples of the pupil
        self.portion = Portion(
            "frames",
            model.device,
            bytes_each=8 * 6 * beams * (self.pixels + self.model.sample_yx.shape[1]),
            most=model.frame_count,
            most_on_cpu=max(1, SAMPLES_AT_ONCE // (self.pixels * beams)),
        )
        samples = field.flat_index()
        # a window sample that no field frequency is at does not occur
        self._sample_at = samples.new_zeros(math.prod(model.field_shape_y_x))
        self._sample_at[samples] = torch.arange(len(samples), device=model.device)
        self._sample_count = len(samples)
        self._frame_index = self.model.frame_index()
        self._grid = torch.zeros(0, dtype=torch.complex64, device=model.device)
        self._places = self._frame_index[None]

    def group(self, leds: NDArray[np.int64], number: int) -> Group:
        """The group of this number, of these LEDs; made when it is first asked for."""
        if number not in self._groups:
            leds_there = torch.from_numpy(leds).to(self.model.device)
            self._groups[number] = self._prepared(leds_there, number)
        return self._groups[number]

    def forget(self) -> None:
        """Have all groups made anew, in batches that memory has room for."""
        self._groups.clear()
        self._grid = self._grid.new_zeros(0)
        self.instrument = None

    def look(self, batch: Batch, instrument: Instrument) -> Sight:
        """What the light of a batch meets in the pupil now, differentiable in the instrument."""
        na_led_xy, na, zernike = instrument.na_led_xy, instrument.na, instrument.zernike_rad
        sight, (last_na_led_xy, last_na, last_zernike) = batch.sight, batch.seen
        if sight is None or last_na_led_xy is not na_led_xy or last_na is not na:
            window = self._reached.windows_following(na_led_xy.detach())
            sighting = self.model.at_windows(window)
            batch.index_led_k = self._sample_at[sighting.field_index(batch.frames)]
            sight = sighting.sight(na_led_xy, batch.frames, na)
        if sight is not batch.sight or last_zernike is not zernike:
            sight = self.model.aberrated(sight, zernike)
        # what is learned comes anew every time, and is looked at again
        batch.seen = _kept(na_led_xy), _kept(na), _kept(zernike)
        batch.sight = sight.detached()
        return sight

    def light(self, pupil_led_k: Tensor) -> Tensor:
        """Complex field [led, y, x] on the camera of light [led, sample] in the pupil."""
        # the grid stays: outside the pupil it is always 0
        grid = self._grid[: len(pupil_led_k)]
        grid.index_copy_(1, self._frame_index, pupil_led_k)
        return transforms.image(grid.unflatten(1, self.model.shape_y_x))

    def back(self, light_led_y_x: Tensor) -> Tensor:
        """The adjoint of `light`, over the number of pixels."""
        spectrum = transforms.summed(light_led_y_x)
        return taken(spectrum, self._places[: len(light_led_y_x)]).div_(self.pixels)

    def _prepared(self, leds: Tensor, number: int) -> Group:
        batches = [self._batch(some, number) for some in self._dealt(leds)]
        self._make_room(max(len(batch.index_led_k) for batch in batches))
        cover, of_rim = torch.zeros(2, self._sample_count, device=self.model.device)
        power = torch.zeros((), device=self.model.device)
        for batch in batches:
            index = self._sample_at[self.model.field_index(batch.frames)].flatten()
            seen_k = batch.aperture.transmission_led_k.abs().square()
            cover.index_add_(0, index, seen_k.flatten())
            on_rim = self._on_rim[self.model.leds_of(batch.frames), None]
            of_rim.index_add_(0, index, (seen_k * on_rim).flatten())
            measured = batch.measured_led_y_x
            power += torch.einsum("lyx,lyx,yx->", measured, measured, self.weight_y_x)
        most_seen = cover.max()
        return Group(
            number,
            batches,
            1 / (cover + (self._floor + RIM_FLOOR * of_rim / cover.clamp_min(DARK)) * most_seen),
            self._floor * (most_seen - cover[self.slow.at]),
            power / (2 * self.pixels),
            len(leds),
        )

    def _dealt(self, leds: Tensor) -> list[Tensor]:
        """The LEDs of a group in batches: each has some from all of the pupil, rim ones first."""
        leds = leds[self._is_rim[leds].logical_not().argsort(stable=True)]
        count = math.ceil(len(leds) / self.portion.at_once)
        if self._problem.learned is not None:
            # each quarter of the LEDs in batches of its own
            count = min(TAUGHT_ONE_IN * math.ceil(count / TAUGHT_ONE_IN), len(leds))
        return [leds[place::count] for place in range(count)]

    def _batch(self, leds: Tensor, number: int) -> Batch:
        problem, nominal = self._problem, self._problem.instrument
        rim_count = int(self._is_rim[leds].sum())
        measured = problem.amplitude_led_y_x[leds]
        beams = self.model.beams
        frames = leds if beams is None else beams.runs.choose(leds)
        aperture = self.model.aperture(nominal, frames)
        believed = None if problem.pixels is None else problem.pixels.select(leds)
        rim = measured[:rim_count]
        if believed is not None:
            rim = rim * believed.exact_led_y_x[:rim_count]
        batch = Batch(
            frames,
            self._sample_at[self.model.field_index(frames)],
            aperture,
            measured,
            rim_count,
            rim.square().sum(dim=(1, 2)).clamp_min(DARK),
            believed,
        )
        if self._seen_group_led is not None:
            seen = self._seen_group_led[number, self.model.beams_of(frames)]
            # beams of a batch have seen the same pupil
            radius, zernike = seen[0, 2], seen[0, 3:]
            na = radius if radius > 0 else None
            na_led_xy = nominal.na_led_xy.clone()
            na_led_xy[self.model.leds_of(frames)] = seen[:, :2]
            self.look(batch, replace(nominal, na_led_xy=na_led_xy, zernike_rad=zernike, na=na))
        return batch

    def _make_room(self, leds: int) -> None:
        """Room for the light of so many LEDs at once."""
        if leds > len(self._grid):
            self._grid = self._grid.new_zeros(leds, self.pixels)
            of_led = self.pixels * torch.arange(leds, device=self.model.device)
            self._places = of_led[:, None] + self._frame_index


def _kept(value: Tensor | None) -> Tensor | None:
    """The value itself, or where it is learned a copy apart from its gradient."""
    return value.detach() if value is not None and value.requires_grad else value
