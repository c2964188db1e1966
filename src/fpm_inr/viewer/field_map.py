"""A whole field of one wavelength or several, and what the page is told of it."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpm_inr.errors import DataError
from fpm_inr.set_manifest import manifest_of, read_manifest
from fpm_inr.viewer.map_depth import BLOCK_PX, CELL_PX, MapDepth
from fpm_inr.viewer.map_tiles import MapTiles, Pyramid
from fpm_inr.viewer.tile_codec import HeightBasis, Planes, packed
from fpm_inr.viewer.tile_grid import APRON_PX, TILE_PX, Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from fpm_inr.laid_over import LaidOver
    from fpm_inr.mosaic.mosaic import Mosaic
    from fpm_inr.solution import ImageStack
    from fpm_inr.solution_set import SolutionSet

# addresses, relative to the page
TILES, DEPTHS = "tiles/{level}/{row}-{column}.tile", "depth/{row}-{column}.tile"
MOST_PLANES = 64
KEPT_TILES = 24  # solved tiles that stay decoded, of every wavelength
# contrast is taken from so many windows a side, of so many pixels, at so many heights
SAMPLED, SAMPLE_PX, SAMPLED_HEIGHTS = 3, 96, 3
QUANTILES = 401


@dataclass(frozen=True, eq=False)
class Wavelength:
    """One of several wavelengths, at heights of the reference; a `LevelSource`.

    Parameters
    ----------
    laid : LaidOver
    levels : int
    """

    laid: LaidOver
    levels: int

    @property
    def z_range_um(self) -> tuple[float, float]:
        """Heights of the reference for which it is solved."""
        return self.laid.z_range_um

    @property
    def planes_um(self) -> NDArray[np.float64] | None:
        """Planes of a conventional mosaic, in heights of the reference."""
        return self.laid.planes_um

    @property
    def pixel_um(self) -> float:
        """Pixel of the reference."""
        return self.laid.pixel_um

    @property
    def amplitude_scale(self) -> float:
        """Multiplying amplitudes by it gives the camera's unit."""
        return self.laid.amplitude_scale

    def level_shape_y_x(self, level: int) -> tuple[int, int]:
        """Size of a level of the reference."""
        height, width = self.laid.shape_y_x
        return max(1, height >> level), max(1, width >> level)

    def render(
        self, z_um: ArrayLike, *, window: Window | None = None, level: int = 0
    ) -> ImageStack:
        """Images of a window, in pixels of the reference's level."""
        return self.laid.render(z_um, window=window, level=level)


@dataclass(frozen=True, eq=False)
class MapChannel:
    """What a map shows of one wavelength.

    Parameters
    ----------
    name : str
    pyramid : Pyramid
    white : float
        Amplitude of clear background, on the scale of the field.
    rgb : (float, float, float), optional
        Linear sRGB of its whole light, where there are several.
    """

    name: str
    pyramid: Pyramid
    white: float = 1.0
    rgb: tuple[float, float, float] | None = None

    def description(self, first: int, heights: NDArray[np.float64]) -> dict[str, Any]:
        """What the page needs of it; `first` is the number of its first plane in a tile."""
        source, basis = self.pyramid.source, self.pyramid.basis
        return {
            "name": self.name,
            "first": first,
            "planes": len(basis.nodes_um),
            "zRange": list(source.z_range_um),
            "planesUm": None if basis.planes_um is None else basis.planes_um.tolist(),
            "amplitudeScale": source.amplitude_scale,
            "white": self.white,
            "rgb": self.rgb,
            **self._contrast(heights),
        }

    def _contrast(self, heights: NDArray[np.float64]) -> dict[str, Any]:
        """Ascending amplitudes, and phases relative to the mean, of a few windows and heights."""
        source = self.pyramid.source
        windows = []
        whole = source.level_shape_y_x(0)
        height, width = (min(SAMPLE_PX, side) for side in whole)
        for row in range(SAMPLED):
            for column in range(SAMPLED):
                y, x = (
                    round((side - px) * (n + 0.5) / SAMPLED)
                    for side, px, n in zip(whole, (height, width), (row, column), strict=True)
                )
                windows.append(source.render(heights, window=(y, x, height, width)).field_z_y_x)
        field = np.stack(windows)
        mean = field.mean(axis=(0, 2, 3))[:, None, None]
        phase = np.abs(np.angle(field * np.conj(mean)))
        shares = np.linspace(0, 1, QUANTILES)
        return {
            "amplitudes": np.quantile(np.abs(field), shares).round(5).tolist(),
            "phases": np.quantile(phase, shares).round(5).tolist(),
        }


@dataclass(frozen=True, eq=False)
class FieldMap:
    """A field with its tiles and its name.

    Parameters
    ----------
    name : str
    channels : tuple of MapChannel
        The reference first.
    z_range_um : (float, float)
        Heights for which all of them are solved.
    planes_um : array, optional
        Heights that can be shown, where these are few.
    tiles : MapTiles
    depth : MapDepth
        Of the reference.
    """

    name: str
    channels: tuple[MapChannel, ...]
    z_range_um: tuple[float, float]
    planes_um: NDArray[np.float64] | None
    tiles: MapTiles
    depth: MapDepth

    def encoding(self, encode: Callable[[Planes], bytes]) -> FieldMap:
        """The same with tiles of another encoding."""
        return replace(self, tiles=replace(self.tiles, encode=encode))

    def description(self) -> dict[str, Any]:
        """What the page needs before the first tile: plain JSON values."""
        heights = np.linspace(*self.z_range_um, SAMPLED_HEIGHTS + 2)[1:-1]
        if self.planes_um is not None:
            heights = self.planes_um[:: max(1, len(self.planes_um) // 3)]
        channels, first = [], 0
        for channel in self.channels:
            channels.append(channel.description(first, heights))
            first += channels[-1]["planes"]
        return {
            "name": self.name,
            "pixelUm": self.channels[0].pyramid.source.pixel_um,
            "zRange": list(self.z_range_um),
            "planes": first,
            "planesUm": None if self.planes_um is None else self.planes_um.tolist(),
            "levels": [list(shape) for shape in self.tiles.grid.shape_level],
            "tilePx": TILE_PX,
            "apronPx": APRON_PX,
            "tiles": TILES,
            "packing": "gzip" if self.tiles.encode is packed else "none",
            "depth": self._depth(),
            "channels": channels,
        }

    def _depth(self) -> dict[str, Any] | None:
        if not self.depth.is_there:
            return None
        return {"address": DEPTHS, "blockPx": BLOCK_PX, "cellPx": CELL_PX}


def is_whole_field(path: Path) -> bool:
    """Whether a path is the folder of a mosaic, or of mosaics of several wavelengths."""
    from fpm_inr.io.results import is_mosaic

    manifest = manifest_of(path)
    if manifest is None:
        return is_mosaic(path)
    return any(is_mosaic(manifest.parent / one.field) for one in read_manifest(manifest).channels)


def map_of(folder: Path) -> FieldMap:
    """The map of a mosaic's folder, or of the folder of several wavelengths' mosaics.

    Raises
    ------
    DataError
        It is damaged, or not done.
    """
    from fpm_inr.mosaic.mosaic import load_mosaic
    from fpm_inr.solution_set import load_set

    manifest = manifest_of(folder)
    if manifest is not None:
        return _of_colours(manifest.parent.resolve().name, load_set(manifest))
    mosaic, name = load_mosaic(folder).keeping(KEPT_TILES), folder.resolve().name
    channel = MapChannel(name, Pyramid(mosaic, basis_of(mosaic, mosaic)))
    return _map(name, (channel,), mosaic.z_range_um, mosaic.planes_um, mosaic.cutoff_per_um)


def _of_colours(name: str, solutions: SolutionSet) -> FieldMap:
    """The reference first, as it is judged for depth."""
    ordered = sorted(solutions.names, key=lambda one: one != solutions.reference)
    channels = []
    for one in ordered:
        solution = solutions.solutions[one]
        mosaic = solution.keeping(KEPT_TILES)  # type: ignore[union-attr]
        laid = replace(solutions.channel(one), solution=mosaic)
        source = Wavelength(laid, solutions.levels)
        white = solutions.white[one] / mosaic.amplitude_scale
        red, green, blue = solutions.rgb_of(one)
        pyramid = Pyramid(source, basis_of(mosaic, source))
        channels.append(MapChannel(one, pyramid, white, (red, green, blue)))
    cutoff = solutions.solutions[solutions.reference].cutoff_per_um
    return _map(name, tuple(channels), solutions.z_range_um, solutions.planes_um, cutoff)


def _map(
    name: str,
    channels: tuple[MapChannel, ...],
    z_range_um: tuple[float, float],
    planes_um: NDArray[np.float64] | None,
    cutoff_per_um: float,
) -> FieldMap:
    tiles = MapTiles(tuple(channel.pyramid for channel in channels))
    depth = MapDepth(channels[0].pyramid, z_range_um, cutoff_per_um, tiles.grid)
    return FieldMap(name, channels, z_range_um, planes_um, tiles, depth)


def basis_of(mosaic: Mosaic, source: Mosaic | Wavelength) -> HeightBasis:
    """How planes of a mosaic are summed at the heights that a source of it counts by."""
    return HeightBasis(source.z_range_um, planes_of(mosaic), source.planes_um)


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


def fingerprint_of(folder: Path) -> str:
    """Digest of all that a map shows, by the manifests, which hold those of the tiles.

    Raises
    ------
    DataError
        One of them cannot be read.
    """
    from fpm_inr.mosaic.manifest import MANIFEST

    colours = manifest_of(folder)
    files = [folder / MANIFEST]
    if colours is not None:
        fields = (one.field for one in read_manifest(colours).channels)
        files = [colours, *(colours.parent / field / MANIFEST for field in fields)]
    digest = hashlib.sha256()
    for file in files:
        try:
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        except OSError as error:
            raise DataError(
                f"cannot be read ({error.strerror})", "make it readable", source=file
            ) from error
    return digest.hexdigest()
