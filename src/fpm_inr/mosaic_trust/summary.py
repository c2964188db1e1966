"""Numbers of how far to trust a whole field, from those of its tiles."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.mosaic.mosaic import Mosaic
from fpm_inr.mosaic_trust.tile import Asked, Told

FloatArray = NDArray[np.float64]

NUMBER = re.compile(r"[-+]?\d[\d.]*(e-?\d+)?")


def summary(asked: Asked, mosaic: Mosaic, told: list[Told]) -> dict[str, Any]:
    """As the manifest holds it: plain JSON values, medians over tiles; and tile by tile."""
    by_tile = [_of_tile(mosaic, one) for one in told]
    return {
        "z_um": list(asked.z_um),
        "halves": asked.halves,
        "tiles": len(told),
        "amplitude_noise": _middle(by_tile, "amplitude_noise"),
        "phase_noise_rad": _middle(by_tile, "phase_noise_rad"),
        "resolution_um": _middle(by_tile, "resolution_um"),
        "cutoff_um": 1 / mosaic.cutoff_per_um,
        "excess_over_noise": _middle(by_tile, "excess"),
        "by_tile": by_tile,
        "warnings": _warnings(by_tile),
    }


def of_tiles(numbers: dict[str, Any], name: str, mosaic: Mosaic) -> FloatArray:
    """A number of every tile [row, column]; not a number, where it has none."""
    values = np.full(len(mosaic.tiles), np.nan)
    for one in numbers["by_tile"]:
        if one[name] is not None:
            values[one["number"]] = one[name]
    return values.reshape([side.count for side in mosaic.plan.sides])


def _of_tile(mosaic: Mosaic, told: Told) -> dict[str, Any]:
    tile, numbers = mosaic.tiles[told.number], told.numbers
    best = int(np.abs(np.array(numbers["z_um"]) - numbers["model"]["z_um"]).argmin())
    # in the unit of the mosaic's amplitudes: its bright field is 1
    scale = mosaic.manifest.records[told.number].amplitude_scale / mosaic.amplitude_scale
    return {
        "number": tile.number,
        "row": tile.row,
        "column": tile.column,
        "amplitude_noise": scale * numbers["amplitude_noise"][best],
        "phase_noise_rad": numbers["phase_noise_rad"][best],
        "resolution_um": numbers["resolution"]["whole_um"],
        "excess": numbers["model"]["excess_over_noise"],
        "warnings": numbers["warnings"],
    }


def _warnings(by_tile: list[dict[str, Any]]) -> list[str]:
    """What tiles say, each thing once: with the numbers of the tile that has the largest excess."""
    said: dict[str, list[tuple[dict[str, Any], str]]] = {}
    for one in sorted(by_tile, key=lambda one: -one["excess"]):
        # up to the first comma a sentence says what, then where
        kinds = {
            NUMBER.sub("", sentence).split(",")[0]: sentence
            for sentence in reversed(one["warnings"])
        }
        for kind, sentence in reversed(kinds.items()):
            said.setdefault(kind, []).append((one, sentence))
    return [
        f"{len(cases)} of {len(by_tile)} tiles, as tile {cases[0][0]['number']} (row "
        f"{cases[0][0]['row']}, column {cases[0][0]['column']}): {cases[0][1]}"
        for cases in said.values()
    ]


def _middle(by_tile: list[dict[str, Any]], name: str) -> float | None:
    values = [one[name] for one in by_tile if one[name] is not None]
    return float(np.median(values)) if values else None
