"""Large mosaics that are quick to make: the fields of four tiles, repeated over the whole field.

    python tests/mosaic/repeated.py FOLDER [TILES] [--colour]

The specimen is periodic over two tiles: discs that absorb and delay, on a wavy surface. In colour,
there are three mosaics, of which two lie off the third.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fpm_inr.acquisition import Optics
from fpm_inr.chromatic_offset import Offset
from fpm_inr.fields.spline import SplineField
from fpm_inr.forward import Instrument
from fpm_inr.mosaic.manifest import GaugePart, Manifest, write_manifest
from fpm_inr.mosaic.mosaic import load_mosaic
from fpm_inr.mosaic.plan import Plan, SidePart, SolveSettings, SourcePart, file_digest
from fpm_inr.mosaic.tiles import cut_side
from fpm_inr.mosaic.worker import TILES, Record, field_path
from fpm_inr.solution import Solution
from fpm_inr.solution_set import SolutionSet

OPTICS = Optics(wavelength_um=0.53, na=0.25, pixel_um=0.5)
CUTOFF_PER_UM = 0.45 / 0.53
UPSAMPLE = 2
TILE_PX, OVERLAP_PX, EDGE_PX = 256, 48, 12
SCALE = 30.0
# wavelength in um, how much the discs absorb, and where it lies against green
COLOURS = {
    "red": (0.632, 0.2, Offset(z_um=1.0, y_um=0.3, x_um=-0.2)),
    "green": (0.53, 0.6, Offset()),
    "blue": (0.47, 0.45, Offset(z_um=-0.7, y_um=-0.25, x_um=0.1)),
}


def surface_um(y_um: np.ndarray, x_um: np.ndarray, period_um: float) -> np.ndarray:
    """Height of the surface that the discs lie on."""
    return 6 * np.sin(2 * np.pi * y_um / period_um) * np.cos(2 * np.pi * x_um / period_um)


def repeated_mosaic(
    folder: Path,
    tiles: int = 3,
    *,
    tile_px: int = TILE_PX,
    overlap_px: int = OVERLAP_PX,
    z_range_um: tuple[float, float] = (-10.0, 10.0),
    planes: int = 11,
    wavelength_um: float = OPTICS.wavelength_um,
    absorbs: float = 1.0,
    offset: Offset | None = None,
) -> Path:
    """Make a mosaic of `tiles` x `tiles` tiles, done, in a folder."""
    optics = replace(OPTICS, wavelength_um=wavelength_um)
    step = tile_px - overlap_px
    side = SidePart(**asdict(cut_side(tile_px + (tiles - 1) * step, tile_px, overlap_px)))
    plan = Plan(
        source=SourcePart(data="repeated"),
        data_sha256="0" * 64,
        shape_y_x=(side.bounds[-1], side.bounds[-1]),
        rows=side,
        columns=side,
        edge_px=min(EDGE_PX, overlap_px // 2 - 2),
        led_count=1,
        optics=asdict(optics),
        axis_y_x_px=(0.0, 0.0),
        angles="same",
        cutoff_per_um=CUTOFF_PER_UM,
        amplitude_scale=SCALE,
        settings=SolveSettings(
            z_range_um=z_range_um, recipe={}, recipe_name="drawn", upsample=UPSAMPLE
        ),
    )
    (folder / TILES).mkdir(parents=True)
    scene = _scene(
        2 * step * UPSAMPLE, z_range_um, planes, wavelength_um, absorbs, offset or Offset()
    )
    digests = {}
    for row in range(2):
        for column in range(2):
            path = folder / f"{row}{column}.safetensors"
            _tile(scene, row, column, step, tile_px, z_range_um).save(path)
            digests[row, column] = file_digest(path)
    for tile in plan.tiles:
        name = f"{tile.row % 2}{tile.column % 2}.safetensors"
        os.link(folder / name, field_path(folder, tile.number))
    for name in ("00", "01", "10", "11"):
        (folder / f"{name}.safetensors").unlink()
    records = [
        Record(
            number=tile.number,
            fingerprint=plan.fingerprint,
            sha256=digests[tile.row % 2, tile.column % 2],
            kind="solved",
            amplitude_scale=SCALE,
        )
        for tile in plan.tiles
    ]
    none = [[0.0]] * len(records)
    gauge = GaugePart(
        z_um=[0.0],
        log_amplitude=none,
        piston_rad=none,
        ramp_y_rad_per_px=none,
        ramp_x_rad_per_px=none,
        bend_rad_per_px2=none,
        height_um=[0.0] * len(records),
    )
    write_manifest(folder, Manifest(status="done", plan=plan, records=records, gauge=gauge))
    return folder


def repeated_colours(folder: Path, tiles: int = 3, **settings: Any) -> Path:
    """Make mosaics of three wavelengths, and what says that they are of one specimen."""
    made = {}
    for name, (wavelength_um, absorbs, offset) in COLOURS.items():
        place = repeated_mosaic(
            folder / name,
            tiles,
            wavelength_um=wavelength_um,
            absorbs=absorbs,
            offset=offset,
            **settings,
        )
        made[name] = load_mosaic(place)
    offsets: Mapping[str, Offset] = {name: one[2] for name, one in COLOURS.items()}
    white = {"red": SCALE, "green": 0.97 * SCALE, "blue": 1.02 * SCALE}
    SolutionSet(made, "green", offsets, white).save_manifest(folder)
    return folder


def _scene(
    period_px: int,
    z_range_um: tuple[float, float],
    planes: int,
    wavelength_um: float,
    absorbs: float,
    offset: Offset,
) -> np.ndarray:
    """Planes [plane, y, x] of a spline along z: discs, each in focus at its own height."""
    random = np.random.default_rng(5)
    pixel = OPTICS.pixel_um / UPSAMPLE
    k = np.fft.fftfreq(period_px, pixel)
    square = k[:, None] ** 2 + k**2
    kz = np.sqrt(np.maximum(1 / wavelength_um**2 - square, 0))
    kz = 2 * np.pi * (kz - 1 / wavelength_um)
    heights = np.linspace(*z_range_um, planes)
    kept = square <= CUTOFF_PER_UM**2
    at_height: dict[float, np.ndarray] = {}
    for _ in range(max(period_px // 12, 4)):
        y, x = random.uniform(0, period_px * pixel, 2)
        radius = random.uniform(1.0, 4.0)
        focus = surface_um(np.array(y), np.array(x), period_px * pixel)
        # soft discs, by their Fourier transform
        strength = absorbs * random.uniform(0.2, 0.5) * np.exp(1j * random.uniform(0, 1.2))
        shape = 3 * np.pi * radius**2 / (period_px * pixel) ** 2
        along = [
            np.exp(-((np.pi * radius * k) ** 2) - 2j * np.pi * k * at)
            for at in (y + offset.y_um, x + offset.x_um)
        ]
        part = (strength * shape * along[0][:, None] * along[1])[kept]
        height = float(np.round(focus)) + offset.z_um
        at_height[height] = at_height.get(height, 0) + part
    spectra = np.zeros((planes, period_px, period_px), np.complex128)
    spectra[:, 0, 0] = 1
    for focus, part in at_height.items():
        for plane, z in enumerate(heights):
            spectra[plane, kept] -= part * np.exp(1j * kz[kept] * (z - focus))
    images = np.fft.ifft2(spectra) * period_px**2
    basis = np.array([_weights(z, z_range_um, planes) for z in heights])
    return np.tensordot(np.linalg.inv(basis), images, axes=1)


def _weights(z_um: float, z_range_um: tuple[float, float], planes: int) -> np.ndarray:
    none = torch.zeros(2, 1, dtype=torch.int32)
    first, weights = SplineField((16, 16), z_range_um, none, planes=planes).weights(z_um)
    row = np.zeros(planes)
    row[first : first + len(weights)] = weights.numpy()
    return row


def _tile(
    scene: np.ndarray,
    row: int,
    column: int,
    step: int,
    tile_px: int,
    z_range_um: tuple[float, float],
) -> Solution:
    side = tile_px * UPSAMPLE
    y, x = ((index * step * UPSAMPLE + np.arange(side)) % scene.shape[1] for index in (row, column))
    images = scene[:, y[:, None], x]
    k = np.arange(-(side // 2), side // 2)
    most = CUTOFF_PER_UM * OPTICS.pixel_um / UPSAMPLE * side
    at_y, at_x = np.nonzero(np.hypot(k[:, None], k) <= most)
    sample_yx = torch.from_numpy(np.stack([k[at_y], k[at_x]]))
    field = SplineField((side, side), z_range_um, sample_yx, planes=len(scene))
    spectra = np.fft.fftshift(np.fft.fft2(images) / side**2, axes=(1, 2))[:, at_y, at_x]
    with torch.no_grad():
        field.spectrum.copy_(torch.view_as_real(torch.from_numpy(spectra)))
    nothing = Instrument(torch.zeros(1, 2), torch.ones(1), torch.zeros(0))
    return Solution(field.requires_grad_(False), OPTICS, nothing, UPSAMPLE, SCALE)


if __name__ == "__main__":
    given = [one for one in sys.argv[1:] if one != "--colour"]
    make = repeated_colours if "--colour" in sys.argv else repeated_mosaic
    make(Path(given[0]), int(given[1]) if len(given) > 1 else 20)
