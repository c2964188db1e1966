"""A small stained section under three wavelengths, simulated once for all tests."""

from __future__ import annotations

from functools import cache

import numpy as np

from fpm_inr.acquisition import Acquisition
from fpm_inr.chromatic_offset import shifted
from fpm_inr.simulate import Simulation, simulate
from fpm_inr.simulate.section import section_setups
from fpm_inr.solution_set import SolutionSet

SIZE = (80, 96)
Z_UM = {"red": 3.0, "green": 0.0, "blue": -2.0}
SHIFT_PX = {"red": (0.7, -0.3), "green": (0.0, 0.0), "blue": (-0.4, 0.7)}


@cache
def simulations() -> dict[str, Simulation]:
    setups = section_setups(SIZE, z_um=Z_UM, shift_y_x_px=SHIFT_PX)
    return {name: simulate(setup) for name, setup in setups.items()}


def acquisitions() -> dict[str, Acquisition]:
    return {name: made.acquisition for name, made in simulations().items()}


def true_colour(solutions: SolutionSet) -> np.ndarray:
    """Colour [y, x, rgb] of the specimen, each wavelength as far as it can be resolved."""
    made = simulations()
    fields = []
    for name in solutions.names:
        y, x = (2 * px for px in SHIFT_PX[name])
        fields.append(shifted(made[name].truth.seen_y_x, y, x))
    white = solutions.with_(white=dict.fromkeys(solutions.names, 1.0))
    return np.moveaxis(white.srgb(np.stack(fields)), 0, -1)


def true_white(solutions: SolutionSet) -> SolutionSet:
    """The same with the white that makes mean transmissions true."""
    (fields,) = solutions.fields(0.0)
    found = (np.abs(fields) ** 2).mean(axis=(1, 2))
    true = [np.mean(np.abs(simulations()[n].truth.seen_y_x) ** 2) for n in solutions.names]
    white = np.sqrt(found / np.array(true))
    return solutions.with_(white=dict(zip(solutions.names, map(float, white), strict=True)))


def raw_mosaic(cell: str) -> np.ndarray:
    """Frames [led, y, x] of a camera whose pixels lie under filters, in white light."""
    frames = {name[0]: one.frames_led_y_x for name, one in acquisitions().items()}
    raw = np.zeros_like(frames["g"])
    for place, letter in enumerate(cell):
        at = (slice(None), slice(place // 2, None, 2), slice(place % 2, None, 2))
        raw[at] = frames[letter][at]
    return raw
