"""A blood smear, drawn: red cells, some white ones, platelets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

SITE_UM = 8.6
RED_RADIUS_UM = 3.9
WHITE_SHARE, EMPTY_SHARE, PLATELET_SHARE = 0.06, 0.14, 0.35


def draw_smear(y_um: FloatArray, x_um: FloatArray, seed: int) -> tuple[FloatArray, FloatArray]:
    """Absorption and phase [y, x], each from 0 to 1, of a smear of blood.

    One cell sits near every site of a hexagonal lattice that fills the plane. What is at a site
    depends on the seed and the site alone: a larger field of view shows more of the same smear.
    Red cells have the thickness of Evans and Fung (Microvasc. Res. 4, 335 (1972)).

    Parameters
    ----------
    y_um, x_um : array
        Evenly spaced coordinates.
    seed : int
    """
    absorption = np.zeros((len(y_um), len(x_um)))
    phase = np.zeros_like(absorption)
    row_um = SITE_UM * np.sqrt(3) / 2
    reach = 2 * SITE_UM
    for i in range(
        int(np.floor((y_um[0] - reach) / row_um)), int(np.ceil((y_um[-1] + reach) / row_um)) + 1
    ):
        for j in range(
            int(np.floor((x_um[0] - reach) / SITE_UM)),
            int(np.ceil((x_um[-1] + reach) / SITE_UM)) + 1,
        ):
            random = np.random.default_rng([seed, i + 2**20, j + 2**20])
            y = i * row_um + random.uniform(-1.1, 1.1)
            x = (j + 0.5 * (i % 2)) * SITE_UM + random.uniform(-1.1, 1.1)
            rows = slice(*np.searchsorted(y_um, [y - 6.5, y + 6.5]))
            columns = slice(*np.searchsorted(x_um, [x - 6.5, x + 6.5]))
            dy, dx = y_um[rows, None] - y, x_um[None, columns] - x
            if dy.size == 0 or dx.size == 0:
                continue
            kind = random.random()
            if kind < WHITE_SHARE:
                cell_absorption, cell_phase = _white_cell(dy, dx, random)
            elif kind < WHITE_SHARE + EMPTY_SHARE:
                cell_absorption, cell_phase = _platelet(dy, dx, random)
            else:
                thickness = _red_cell(dy, dx, random)
                cell_absorption, cell_phase = 0.55 * thickness, 0.8 * thickness
            absorption[rows, columns] += cell_absorption
            phase[rows, columns] += cell_phase
            if random.random() < PLATELET_SHARE:
                away = random.uniform(4.0, 4.8) * np.exp(2j * np.pi * random.random())
                cell_absorption, cell_phase = _platelet(dy - away.imag, dx - away.real, random)
                absorption[rows, columns] += cell_absorption
                phase[rows, columns] += cell_phase
    return np.minimum(absorption, 1.0), np.minimum(phase, 1.0)


def _ellipse(
    dy: FloatArray, dx: FloatArray, radius_um: float, stretch: float, turn: float
) -> FloatArray:
    """Square of the distance from the centre, 1 on the ellipse."""
    along = dx * np.cos(turn) + dy * np.sin(turn)
    across = dy * np.cos(turn) - dx * np.sin(turn)
    squared: FloatArray = ((along / stretch) ** 2 + (across * stretch) ** 2) / radius_um**2
    return squared


def _red_cell(dy: FloatArray, dx: FloatArray, random: np.random.Generator) -> FloatArray:
    radius = RED_RADIUS_UM * random.uniform(0.88, 1.04)
    squared = _ellipse(dy, dx, radius, random.uniform(0.95, 1.06), random.uniform(0, np.pi))
    dimple = random.uniform(0.6, 1.4)
    profile_um = np.sqrt(np.maximum(1 - squared, 0)) * (
        0.81 * dimple + 7.83 * squared - 4.39 * squared**2
    )
    return np.maximum(profile_um, 0.0) / 2.7


def _white_cell(
    dy: FloatArray, dx: FloatArray, random: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    body = _smooth_disc(_ellipse(dy, dx, 5.2, 1.0, 0.0), 5.2)
    nucleus = np.zeros_like(body)
    start = random.uniform(0, 2 * np.pi)
    for lobe in range(3):
        centre = 2.0 * np.exp(1j * (start + 1.7 * lobe))
        disc = _ellipse(dy - centre.imag, dx - centre.real, 1.9, 1.1, start + lobe)
        nucleus = np.maximum(nucleus, _smooth_disc(disc, 1.9))
    grains = np.zeros_like(body)
    for _ in range(40):
        centre = 4.6 * np.sqrt(random.random()) * np.exp(2j * np.pi * random.random())
        size = random.uniform(0.25, 0.5)
        squared = (dy - centre.imag) ** 2 + (dx - centre.real) ** 2
        grains += np.exp(-squared / (2 * size**2))
    speckle = body * np.minimum(grains, 1.0)
    return 0.12 * body + 0.7 * nucleus + 0.18 * speckle, 0.3 * body + 0.4 * nucleus + 0.3 * speckle


def _platelet(
    dy: FloatArray, dx: FloatArray, random: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    radius = random.uniform(0.7, 1.2)
    disc = _smooth_disc(
        _ellipse(dy, dx, radius, random.uniform(0.8, 1.25), random.uniform(0, np.pi)), radius
    )
    return 0.6 * disc, 0.4 * disc


def _smooth_disc(squared: FloatArray, radius_um: float) -> FloatArray:
    """1 inside, 0 outside, over an edge of 0.4 um."""
    distance_um = (np.sqrt(squared) - 1) * radius_um
    disc: FloatArray = np.clip(0.5 - distance_um / 0.4, 0.0, 1.0)
    return disc
