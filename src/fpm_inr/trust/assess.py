"""All that can be said of how far to trust a solution: noise, LEDs, resolution, model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition
from fpm_inr.device import pick_device
from fpm_inr.forward import Instrument
from fpm_inr.heights import check_heights
from fpm_inr.solution import Solution
from fpm_inr.solve.progress import Listener, ignore
from fpm_inr.trust.again import change, noise_draw, solve_halves
from fpm_inr.trust.explained import explain
from fpm_inr.trust.model_error import ModelError, model_error
from fpm_inr.trust.noise_map import NoiseMap, noise_map
from fpm_inr.trust.resolution import ResolutionMap, resolution_map
from fpm_inr.trust.transfer import Transfer, transfer

FloatArray = NDArray[np.float64]
Halves = Literal["photons", "leds"]

HEIGHTS = 5  # of a stack, where none are named
HANGS_RAD = 0.1  # phase on undetermined frequencies that is worth a mark
MODEL_RULES = 4.0  # what frames keep, over their noise, that makes noise the smaller part of errors


@dataclass(frozen=True, eq=False)
class Trust:
    """How far to trust a solution.

    Parameters
    ----------
    noise : list of NoiseMap
        One a height, ascending.
    hanging_phase_z_y_x : array [z, y, x]
        Phase that stands on frequencies that the LEDs do not determine, in rad.
    transfer : Transfer
        Of the LEDs at the height that explains the frames best.
    resolution : ResolutionMap
        At that height.
    halves : {"photons", "leds"}
        Which halves of the data it compares.
    model : ModelError
        At that height.
    pixel_um : float
    """

    noise: list[NoiseMap]
    hanging_phase_z_y_x: FloatArray
    transfer: Transfer
    resolution: ResolutionMap
    halves: Halves
    model: ModelError
    pixel_um: float

    @property
    def z_um(self) -> FloatArray:
        """Heights [z] that were assessed."""
        return np.array([one.z_um for one in self.noise])

    @property
    def best(self) -> int:
        """Index of the height that explains the frames best."""
        return int(np.abs(self.z_um - self.model.z_um).argmin())

    def warnings(self) -> Iterator[str]:
        """Sentences for a person."""
        of_leds = self.transfer.warning()
        if of_leds is not None:
            hanging = np.abs(self.hanging_phase_z_y_x[self.best])
            yield of_leds + (
                f" {np.mean(hanging > HANGS_RAD):.0%} of the phase map hangs on them by more than "
                f"{HANGS_RAD:g} rad."
            )
        if self.model.excess > MODEL_RULES:
            yield (
                f"The frames keep {self.model.excess:.0f} times their noise beside it: what is "
                "wrong with the model, not noise, limits this result. Error bars are of noise "
                "alone."
                + " --halves leds lets the resolution feel the rest."
                * (self.halves == "photons")
            )
        yield from self.model.warnings()

    def numbers(self) -> dict[str, Any]:
        """As run.json holds it: plain JSON values."""
        whole = self.resolution.whole_um
        local = self.resolution.resolution_um
        local = local[np.isfinite(local)]
        return {
            "z_um": self.z_um.tolist(),
            "amplitude_noise": [float(np.median(one.amplitude_y_x)) for one in self.noise],
            "phase_noise_rad": [float(np.median(one.phase_y_x)) for one in self.noise],
            "noise_bands": {
                "edges_cycles": [
                    one if math.isfinite(one) else None
                    for one in self.noise[self.best].edges_cycles.tolist()
                ],
                "amplitude": self.noise[self.best].amplitude_band.tolist(),
                "phase": self.noise[self.best].phase_band.tolist(),
            },
            "resolution": {
                "definition": "period at which the Fourier ring correlation of two halves of the "
                f"{'photons' if self.halves == 'photons' else 'LEDs'} falls under 1/7",
                "whole_um": whole if math.isfinite(whole) else None,
                "local_median_um": float(np.median(local)) if local.size else None,
                "cutoff_um": self.resolution.cutoff_um,
                "patch_um": self.resolution.patch_px * self.pixel_um,
            },
            "leds": self.transfer.numbers(),
            "model": self.model.numbers(),
            "warnings": list(self.warnings()),
        }


def assess(
    acquisition: Acquisition,
    solution: Solution,
    z_um: Sequence[float] | None = None,
    *,
    calibration: str | Path | Instrument | None = None,
    halves: Halves = "photons",
    seed: int = 0,
    device: str = "cpu",
    listen: Listener = ignore,
) -> Trust:
    """Find how far to trust a solution.

    It takes one further solve, two where the instrument was learned together with the field; and
    one more (as two halves) with ``halves="leds"``.

    Parameters
    ----------
    acquisition : Acquisition
        What the solution was made from.
    solution : Solution
    z_um : sequence of float, optional
        Heights. Default: the one that was solved, five over a range, or the planes nearest to them.
    calibration : str, Path or Instrument, optional
        What the solution began with, where it began at a calibration; without it, two solves.
    halves : {"photons", "leds"}
        What the local resolution compares. Halves of the photons differ by noise alone; halves of
        the LEDs also by what is wrong with the model, and have half the overlap.
    seed : int
        Of the noise that is drawn.
    device : str
    listen : callable
        Receives a `StepReport` after every step of every further solve.

    Raises
    ------
    SettingsError
        A height is not finite or lies outside the solved range.
    DataError
        The solution was not made from this acquisition, or does not say how it was made.
    """
    heights = _heights(solution, z_um)
    first, second = noise_draw(
        acquisition, solution, calibration, seed=seed, device=device, listen=listen
    )
    found = explain(acquisition, solution.on(pick_device(device)), heights.tolist())
    best_um = found.best_um
    frames = solution.frames_used(acquisition)
    used = acquisition.select(frames)
    of_frames = acquisition.illumination.leds_of(frames)
    instrument = solution.instrument.select(_tensor(frames), _tensor(of_frames))
    maps, hanging, told = [], [], None
    for height in found.z_um:
        at = float(height)
        image = solution.render(at).field_z_y_x[0]
        draw = change(second.render(at).field_z_y_x[0], first.render(at).field_z_y_x[0])
        leds = transfer(used, solution.upsampling, instrument=instrument, z_um=at)
        maps.append(noise_map(image, draw, leds))
        hanging.append(leds.hanging_phase(image))
        if at == best_um:
            told, pair = leds, (image + draw, image - draw)
    assert told is not None
    if halves == "leds":
        parts = solve_halves(acquisition, solution, device=device, listen=listen)
        one, other = (part.render(best_um).field_z_y_x[0] for part in parts)
        pair = (one.astype(np.complex128), one + change(other, one))
    return Trust(
        maps,
        np.stack(hanging),
        told,
        resolution_map(*pair, solution.pixel_um, solution.cutoff_per_um),
        halves,
        model_error(acquisition, solution, best_um),
        solution.pixel_um,
    )


def _heights(solution: Solution, z_um: Sequence[float] | None) -> FloatArray:
    low, high = solution.z_range_um
    wanted = np.linspace(low, high, HEIGHTS if low < high else 1) if z_um is None else z_um
    heights = np.unique(check_heights(wanted, solution.z_range_um))
    planes = solution.planes_um
    if planes is None:
        return heights
    return np.unique(planes[np.abs(heights[:, None] - planes).argmin(axis=1)])


def _tensor(numbers: NDArray[np.intp]) -> Any:
    import torch

    return torch.from_numpy(numbers)
