"""What the page is told of a field that it shows as a map."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fpm_inr.viewer.map_depth import BLOCK_PX, CELL_PX, MapDepth
from fpm_inr.viewer.map_tiles import MapTiles
from fpm_inr.viewer.tile_codec import HeightBasis
from fpm_inr.viewer.tile_grid import APRON_PX, TILE_PX

if TYPE_CHECKING:
    from fpm_inr.mosaic.mosaic import Mosaic

# addresses, relative to the page
TILES, DEPTHS = "tiles/{level}/{row}-{column}.tile", "depth/{row}-{column}.tile"
MOST_PLANES = 64
# contrast is taken from so many windows a side, of so many pixels, at so many heights
SAMPLED, SAMPLE_PX, SAMPLED_HEIGHTS = 3, 96, 3
QUANTILES = 401


@dataclass(frozen=True, eq=False)
class FieldMap:
    """A field with its tiles and its name.

    Parameters
    ----------
    name : str
    mosaic : Mosaic
    tiles : MapTiles
    depth : MapDepth
    """

    name: str
    mosaic: Mosaic
    tiles: MapTiles
    depth: MapDepth

    def description(self) -> dict[str, Any]:
        """What the page needs before the first tile: plain JSON values."""
        mosaic, basis = self.mosaic, self.tiles.basis
        low, high = mosaic.z_range_um
        return {
            "name": self.name,
            "pixelUm": mosaic.pixel_um,
            "zRange": [low, high],
            "planes": len(basis.nodes_um),
            "planesUm": None if basis.planes_um is None else basis.planes_um.tolist(),
            "levels": [list(shape) for shape in self.tiles.grid.shape_level],
            "tilePx": TILE_PX,
            "apronPx": APRON_PX,
            "amplitudeScale": mosaic.amplitude_scale,
            "tiles": TILES,
            "depth": self._depth(),
            **self._contrast(),
        }

    def _depth(self) -> dict[str, Any] | None:
        if not self.depth.is_there:
            return None
        return {"address": DEPTHS, "blockPx": BLOCK_PX, "cellPx": CELL_PX}

    def _contrast(self) -> dict[str, Any]:
        """Ascending amplitudes, and phases relative to the mean, of a few windows and heights."""
        heights = np.linspace(*self.mosaic.z_range_um, SAMPLED_HEIGHTS + 2)[1:-1]
        if self.mosaic.planes_um is not None:
            heights = self.mosaic.planes_um[:: max(1, len(self.mosaic.planes_um) // 3)]
        windows = []
        whole = self.mosaic.shape_y_x
        height, width = (min(SAMPLE_PX, side) for side in whole)
        for row in range(SAMPLED):
            for column in range(SAMPLED):
                y, x = (
                    round((side - px) * (n + 0.5) / SAMPLED)
                    for side, px, n in zip(whole, (height, width), (row, column), strict=True)
                )
                window = (y, x, height, width)
                windows.append(self.mosaic.render(heights, window=window).field_z_y_x)
        field = np.stack(windows)
        mean = field.mean(axis=(0, 2, 3))[:, None, None]
        phase = np.abs(np.angle(field * np.conj(mean)))
        shares = np.linspace(0, 1, QUANTILES)
        return {
            "amplitudes": np.quantile(np.abs(field), shares).round(5).tolist(),
            "phases": np.quantile(phase, shares).round(5).tolist(),
        }


def map_of(folder: Path) -> FieldMap:
    """The map of a mosaic's folder.

    Raises
    ------
    DataError
        It is damaged, or not done.
    """
    from fpm_inr.mosaic.mosaic import load_mosaic

    mosaic = load_mosaic(folder)
    basis = HeightBasis(mosaic.z_range_um, planes_of(mosaic), mosaic.planes_um)
    tiles = MapTiles(mosaic, basis)
    return FieldMap(folder.resolve().name, mosaic, tiles, MapDepth(tiles, mosaic.cutoff_per_um))


def planes_of(mosaic: Mosaic) -> int:
    """Planes that a mosaic's tiles are made of; as many as their depth takes where it is others."""
    low, high = mosaic.z_range_um
    if low == high:
        return 1
    solved = (one.number for one in mosaic.manifest.records if one.kind == "solved")
    number = next(solved, None)
    if number is not None:
        field = mosaic.tile_solution(number).field
        if field.kind == "spline":
            return int(field.settings["planes"])
    # light of the steepest LED goes out of focus over this depth
    depth_um = mosaic.plan.depth_of_field_um
    return 3 + min(max(1, math.ceil((high - low) / depth_um)), MOST_PLANES)
