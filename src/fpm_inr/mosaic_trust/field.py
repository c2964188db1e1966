"""Maps of a whole field, blended from its tiles' with the mosaic's own weights.

Neighbouring tiles see the same pixels of the camera where they overlap, so that they hold the same
noise: blended noise is the weighted mean of the tiles' standard deviations, not less.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr import __version__
from fpm_inr.files.replacing import replacing
from fpm_inr.heights import uniform_step_um
from fpm_inr.io.multiscale import described, multiscale_of, shown_from
from fpm_inr.io.ome_zarr import stored_as
from fpm_inr.io.slide import SlideOptions
from fpm_inr.mosaic import blend
from fpm_inr.mosaic.mosaic import Mosaic
from fpm_inr.mosaic.tiles import Tile, Window
from fpm_inr.mosaic_trust.tile import OF_A_PLACE, OVER_HEIGHTS, Asked, Maps, read_maps
from fpm_inr.trust_results import UNITS

FloatArray = NDArray[np.float64]

NAMES = (*OVER_HEIGHTS, *OF_A_PLACE)
CHUNK, REGION = 512, 1024  # pixels a side
KEPT_TILES = 8
LEAST_WEIGHT = 1e-3  # of tiles that tell something, for a pixel to be told


class FieldMaps:
    """The maps of a mosaic: any window of them, from the tiles that are kept on disk.

    Parameters
    ----------
    asked : Asked
        Every tile that was solved is done.
    mosaic : Mosaic
    """

    def __init__(self, asked: Asked, mosaic: Mosaic) -> None:
        self.asked, self.mosaic = asked, mosaic
        self._read = lru_cache(maxsize=KEPT_TILES)(lambda number: read_maps(asked.folder, number))

    def window(self, window: Window) -> NDArray[np.float32]:
        """Maps [map, z, y, x] of `NAMES` in a window (y, x, height, width), in solved pixels.

        Not a number, where no tile tells anything.
        """
        y, x, height, width = window
        shape = (len(NAMES), len(self.asked.z_um), height, width)
        total, weights = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        for tile in self.mosaic.tiles:
            if self.mosaic.manifest.records[tile.number].kind != "solved":
                continue
            factor = self.mosaic.upsampling
            inside = [
                _shared(at, length, factor * tile.crop[axis], factor * tile.crop[axis + 2])
                for axis, (at, length) in enumerate(((y, height), (x, width)))
            ]
            if all(first < last for first, last in inside):
                self._add(tile, inside, (y, x), total, weights)
        told = weights > LEAST_WEIGHT
        blended = np.full(shape, np.nan, np.float32)
        np.divide(total, weights, out=blended, where=told)
        at = NAMES.index("resolution")
        with np.errstate(divide="ignore"):
            blended[at] = 1 / blended[at]
        return blended

    def _add(
        self,
        tile: Tile,
        inside: list[tuple[int, int]],
        corner: tuple[int, int],
        total: NDArray[np.float32],
        weights: NDArray[np.float32],
    ) -> None:
        """A tile's share of a window, from these first to last pixels of the field."""
        mosaic, factor = self.mosaic, self.mosaic.upsampling
        at_px = [np.arange(first, last) / factor for first, last in inside]
        weight = blend.weight_of(tile, mosaic.plan.sides, mosaic.plan.edge_px, *at_px)
        if not weight.any():
            return
        here = np.s_[
            :,
            inside[0][0] - corner[0] : inside[0][1] - corner[0],
            inside[1][0] - corner[1] : inside[1][1] - corner[1],
        ]
        there = np.s_[
            :,
            inside[0][0] - factor * tile.crop[0] : inside[0][1] - factor * tile.crop[0],
            inside[1][0] - factor * tile.crop[1] : inside[1][1] - factor * tile.crop[1],
        ]
        for number, values in enumerate(self._of_tile(tile.number)):
            part = values[there]
            counts = np.where(np.isfinite(part), weight, 0)
            total[number][here] += counts * np.nan_to_num(part)
            weights[number][here] += counts

    def _of_tile(self, number: int) -> list[NDArray[np.float32]]:
        """Maps [z, y, x] of a tile at the mosaic's heights, as they are averaged."""
        maps: Maps = self._read(number)
        z_um = np.array(self.asked.tile_heights(self.mosaic, number))
        nearest = np.abs(z_um[:, None] - maps["z_um"]).argmin(axis=1)
        found = {name: maps[name][nearest] for name in OVER_HEIGHTS}
        for name in OF_A_PLACE:
            found[name] = np.broadcast_to(maps[name], (len(z_um), *maps[name].shape))
        gauge = self.mosaic.gauge
        amplitude = [np.interp(z, gauge.z_um, gauge.log_amplitude[number]) for z in self.asked.z_um]
        found["amplitude_noise"] = found["amplitude_noise"] * np.exp(
            -np.array(amplitude, np.float32)[:, None, None]
        )
        # periods are averaged as frequencies: infinite ones are 0
        found["resolution"] = 1 / found["resolution"]
        return [found[name] for name in NAMES]


def _shared(at: int, length: int, first: int, count: int) -> tuple[int, int]:
    """First pixel, and the one after the last, of two stretches; none where first >= last."""
    return max(at, first), min(at + length, first + count)


def write_maps(
    path: Path, maps: FieldMaps, listen: Callable[[int, int], None] = lambda done, total: None
) -> None:
    """Write [map, z, y, x] of all levels as OME-Zarr, region by region.

    Parameters
    ----------
    path : Path
    maps : FieldMaps
    listen : callable
        Told how many regions of how many are done.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    import zarr

    mosaic, z_um = maps.mosaic, np.array(maps.asked.z_um)
    shapes = [mosaic.level_shape_y_x(level) for level in range(mosaic.levels)]
    regions = [(n, *at) for n, shape in enumerate(shapes) for at in _corners(shape)]
    with replacing(path) as beside:
        group = zarr.create_group(store=str(beside), zarr_format=3)
        arrays: list[Any] = [
            group.create_array(
                str(level),
                shape=(len(NAMES), len(z_um), *shape),
                chunks=(1, 1, *(min(CHUNK, side) for side in shape)),
                dtype="float32",
                fill_value=np.nan,
                **stored_as(SlideOptions(ome_zarr="0.5")),
            )
            for level, shape in enumerate(shapes)
        ]
        for done, (level, y, x) in enumerate(regions, start=1):
            height, width = (
                min(REGION, side - at) for side, at in zip(shapes[level], (y, x), strict=True)
            )
            if level == 0:
                values = maps.window((y, x, height, width))
            else:
                finer = np.s_[:, :, 2 * y : 2 * (y + height), 2 * x : 2 * (x + width)]
                values = _halved(np.asarray(arrays[level - 1][finer]))
            arrays[level][:, :, y : y + height, x : x + width] = values
            listen(done, len(regions))
        name = path.name.removesuffix(".ome.zarr")
        multiscale = multiscale_of(name, z_um, mosaic.pixel_um, len(shapes), "mean")
        most = [_most(np.asarray(arrays[-1][number])) for number in range(len(NAMES))]
        displays = [
            shown_from(name, "FFFFFF", 0.0, high, 0.0, high)
            for name, high in zip(NAMES, most, strict=True)
        ]
        units = {name: UNITS[name] for name in NAMES}
        about = {"version": __version__, "units": units, "z_um": z_um.tolist()}
        group.attrs.update(described("0.5", multiscale, displays, about))


def is_even(z_um: tuple[float, ...]) -> bool:
    """Whether OME-Zarr can say where these heights lie."""
    return len(z_um) == 1 or uniform_step_um(np.array(z_um)) is not None


def _corners(shape_y_x: tuple[int, int]) -> list[tuple[int, int]]:
    rows, columns = (range(0, side, REGION) for side in shape_y_x)
    return list(product(rows, columns))


def _halved(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of 2 x 2 pixels of what is told."""
    height, width = (side // 2 for side in values.shape[-2:])
    cells = values[..., : 2 * height, : 2 * width]
    cells = cells.reshape(*values.shape[:-2], height, 2, width, 2)
    told = np.isfinite(cells)
    count = told.sum(axis=(-3, -1))
    mean = np.where(told, cells, 0).sum(axis=(-3, -1)) / np.maximum(count, 1)
    return np.where(count > 0, mean, np.nan).astype(np.float32)


def _most(values: NDArray[np.float32]) -> float:
    told = np.abs(values[np.isfinite(values)])
    return max(float(np.percentile(told, 99.5)), 1e-6) if told.size else 1.0
