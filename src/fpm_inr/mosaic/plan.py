"""The plan of a mosaic: everything that decides it, as one frozen value that is kept as JSON."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from fpm_inr import __version__
from fpm_inr.acquisition import (
    Acquisition,
    DarkError,
    Illumination,
    Optics,
    offset_from_axis_um,
)
from fpm_inr.errors import SettingsError
from fpm_inr.mosaic import tiles as cutting
from fpm_inr.mosaic.source import Crop, Source
from fpm_inr.mosaic.tiles import Side, Tile
from fpm_inr.sampling import default_upsampling

Pair = tuple[float, float]


class Part(BaseModel):
    """What parts of the manifest have in common: frozen, and no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SourcePart(Part):
    """See `fpm_inr.mosaic.source.Source`."""

    data: str
    wavelength_um: float | None = None
    color: str | None = None
    medium_index: float | None = None
    led_distance_mm: float | None = None
    channel: str | None = None

    def source(self) -> Source:
        """The source that these name."""
        return Source(Path(self.data), **self.model_dump(exclude={"data"}))


class SidePart(Part):
    """See `fpm_inr.mosaic.tiles.Side`."""

    length: int = Field(ge=1)
    starts: tuple[int, ...] = Field(min_length=1)
    bounds: tuple[int, ...] = Field(min_length=2)


class SolveSettings(Part):
    """How every tile is solved; see `fpm_inr.reconstruct`."""

    z_range_um: Pair
    engine: str = "inr"
    recipe: dict[str, Any]
    recipe_name: str
    steps: int | None = None
    passes: int | None = None
    planes: int | None = None
    z_step_um: float | None = None
    upsample: int = Field(ge=1, le=64)
    seed: int = 0
    device: str = "auto"
    guard_px: int = Field(0, ge=0)

    @property
    def begins_bent(self) -> bool:
        """Whether a solve begins with the bend of its LEDs' light; neural fields cannot."""
        kind = self.recipe.get("field", {}).get("kind")
        return self.engine == "conventional" or (self.engine == "inr" and kind == "spline")


class Plan(Part):
    """A mosaic before it is solved.

    Parameters
    ----------
    source : SourcePart
    data_sha256 : str
        Of the data's files.
    calibration : str, optional
        Name of the calibration file in the mosaic's folder.
    calibration_sha256 : str
    shape_y_x : (int, int)
        Of the frames.
    rows, columns : SidePart
    edge_px : int
        Pixels at a tile's edge that its neighbours stand for.
    led_count : int
    optics : dict
        Of `fpm_inr.Optics`.
    axis_y_x_px : (float, float)
        Where the optical axis meets the frame.
    angles : {"tile", "same"}
        Whether every tile has the LED directions of its own centre, or all the same ones, because
        the data hold nothing but directions.
    bend_rad_per_px2 : float
        What LEDs at a finite distance add to the phase of every tile: this times the squared
        distance from its centre, in pixels of the frames (`bend_of`).
    cutoff_per_um : float
        Of the synthetic aperture, of the steepest LED of any tile.
    amplitude_scale : float
        Camera amplitude, sqrt(counts), of a field of 1: one for all tiles.
    settings : SolveSettings
    version : str
    """

    source: SourcePart
    data_sha256: str
    calibration: str | None = None
    calibration_sha256: str = ""
    shape_y_x: tuple[int, int]
    rows: SidePart
    columns: SidePart
    edge_px: int = Field(ge=0)
    led_count: int = Field(ge=1)
    optics: dict[str, float]
    axis_y_x_px: Pair
    angles: Literal["tile", "same"]
    bend_rad_per_px2: float = 0.0
    cutoff_per_um: float = Field(gt=0)
    amplitude_scale: float = Field(gt=0)
    settings: SolveSettings
    version: str = __version__

    @property
    def sides(self) -> tuple[Side, Side]:
        """Tiles along y and along x."""
        return Side(**self.rows.model_dump()), Side(**self.columns.model_dump())

    @property
    def tiles(self) -> tuple[Tile, ...]:
        """All tiles, row by row."""
        return cutting.lay_tiles(*self.sides)

    @property
    def depth_of_field_um(self) -> float:
        """Depth over which the finest detail that is solved stays sharp."""
        return self.optics["medium_index"] / (self.optics["wavelength_um"] * self.cutoff_per_um**2)

    @property
    def fingerprint(self) -> str:
        """Digest of data, calibration and settings: what tiles of one mosaic share."""
        content = self.model_dump(mode="json", exclude={"source": {"data"}})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _source_part(source: Source) -> SourcePart:
    return SourcePart(
        data=str(source.data),
        wavelength_um=source.wavelength_um,
        color=source.color,
        medium_index=source.medium_index,
        led_distance_mm=source.led_distance_mm,
        channel=source.channel,
    )


def make_plan(
    source: Source,
    apart: Path,
    *,
    z_range_um: Pair,
    recipe: Any,
    recipe_name: str,
    settings: Mapping[str, Any],
    tile_px: int = cutting.TILE_PX,
    overlap_px: int | None = None,
    upsample: int | None = None,
    calibration: Path | None = None,
) -> Plan:
    """Plan a mosaic; reads the files once for their digest, and one tile's window.

    Parameters
    ----------
    source : Source
    apart : Path
        The mosaic's folder, no part of the data.
    z_range_um : (float, float)
    recipe : pydantic model
        Of the engine.
    recipe_name : str
    settings : mapping
        The rest of `SolveSettings`.
    tile_px, overlap_px : int, optional
        Of a tile, and what neighbours share at least.
    upsample : int, optional
        Default: the smallest that holds the synthetic aperture of every tile, at least 2.
    calibration : Path, optional
        In the mosaic's folder.

    Raises
    ------
    DataError
        The data cannot be read, or no tile holds light.
    SettingsError
        A setting cannot be used.
    """
    shape = source.shape_y_x()
    (y, x, *_), middle = central_window(source, shape, tile_px)
    optics, light = middle.optics, middle.illumination
    assert middle.axis_y_x_px is not None
    axis = (middle.axis_y_x_px[0] + y, middle.axis_y_x_px[1] + x)
    edge = cutting.edge_px(z_range_um, optics, float(light.na_led.max()))
    if overlap_px is None:
        overlap_px = cutting.usual_overlap(edge, tile_px)
    rows, columns = (cutting.cut_side(side, tile_px, overlap_px) for side in shape)
    edge = _leaving_room(edge, rows, columns)
    views = [_view(middle, tile, axis) for tile in cutting.lay_tiles(rows, columns)]
    least = max(_least_upsampling(view, calibration) for view in views)
    if upsample is not None and upsample < least:
        raise SettingsError(
            f"is {upsample}, too coarse for the steepest light of some tile",
            f"give at least {least}",
            field="upsample",
        )
    steepest = max(float(view.illumination.na_led.max()) for view in views)
    return Plan(
        source=_source_part(source),
        data_sha256=source.digest(apart),
        calibration=None if calibration is None else calibration.name,
        calibration_sha256="" if calibration is None else file_digest(calibration),
        shape_y_x=shape,
        rows=SidePart(**asdict(rows)),
        columns=SidePart(**asdict(columns)),
        edge_px=edge,
        led_count=middle.led_count,
        optics=asdict(optics),
        axis_y_x_px=axis,
        angles="same" if light.geometry is None else "tile",
        bend_rad_per_px2=bend_of(light, optics),
        cutoff_per_um=(optics.na + steepest) / optics.wavelength_um,
        amplitude_scale=middle.amplitude_scale,
        settings=SolveSettings(
            z_range_um=z_range_um,
            recipe=recipe.model_dump(mode="json"),
            recipe_name=recipe_name,
            upsample=least if upsample is None else upsample,
            **settings,
        ),
    )


def central_window(
    source: Source, shape_y_x: tuple[int, int], tile_px: int
) -> tuple[Crop, Acquisition]:
    """The window of a tile's size nearest to the middle of the frame that holds light.

    Raises
    ------
    DataError
        None does, or the data cannot be read.
    """
    size = [min(tile_px, side) for side in shape_y_x]
    middle = [(side - part) // 2 for side, part in zip(shape_y_x, size, strict=True)]
    starts = [
        {at, *range(0, side - part + 1, part)}
        for at, side, part in zip(middle, shape_y_x, size, strict=True)
    ]
    places = [(y, x) for y in starts[0] for x in starts[1]]
    places.sort(key=lambda at: (math.dist(at, middle), at))
    for place, (y, x) in enumerate(places):
        crop = (y, x, size[0], size[1])
        try:
            return crop, source.window(crop, shape_y_x)
        except DarkError:
            if place == len(places) - 1:
                raise
    raise AssertionError


def bend_of(illumination: Illumination, optics: Optics) -> float:
    """Bend of the phase that a tile's field has beyond its specimen, in rad per squared pixel.

    A tile is solved as if it saw every LED under the angle of its centre. The angles fall from
    place to place, those of all LEDs nearly alike: what is common to them is a phase that bends
    with the waves' curvature, pi x^2 / (wavelength distance), and no part of the specimen.
    """
    geometry = illumination.geometry
    if geometry is None:
        return 0.0
    step_um = 1.0
    change_x = geometry.na_at(step_um, 0.0) - geometry.na_at(-step_um, 0.0)
    change_y = geometry.na_at(0.0, step_um) - geometry.na_at(0.0, -step_um)
    rate = float(change_x[:, 0].mean() + change_y[:, 1].mean()) / (4 * step_um)
    return math.pi * optics.pixel_um**2 * -rate / optics.wavelength_um


def _leaving_room(edge: int, rows: Side, columns: Side) -> int:
    """The edge, narrower where neighbours share too little to be blended between two of it.

    Raises
    ------
    SettingsError
        They share hardly more than two edges that are wrong at every height.
    """
    shared = [side.overlap for side in (rows, columns) if side.count > 1]
    if not shared:
        return edge
    if min(shared) < 2 * cutting.EDGE_PX + cutting.LEAST_BLEND_PX:
        raise SettingsError(
            f"leaves {min(shared)} pixels to neighbours, of which edges take {2 * cutting.EDGE_PX}",
            f"give at least {2 * cutting.EDGE_PX + cutting.LEAST_BLEND_PX}",
            field="overlap",
        )
    return min(edge, max(cutting.EDGE_PX, (min(shared) - cutting.BLEND_PX) // 2))


def _view(middle: Acquisition, tile: Tile, axis_y_x_px: Pair) -> Acquisition:
    """The illumination of a tile, under the frames of another."""
    y, x, height, width = tile.crop
    axis = (axis_y_x_px[0] - y, axis_y_x_px[1] - x)
    offset = offset_from_axis_um(axis, (height, width), middle.optics)
    return replace(middle, illumination=middle.illumination.seen_from(*offset), axis_y_x_px=axis)


def _least_upsampling(view: Acquisition, calibration: Path | None) -> int:
    from fpm_inr.reach import least_upsampling
    from fpm_inr.solve.start import given_instrument

    usual = default_upsampling(view.optics, view.illumination)
    instrument = given_instrument(view, calibration)
    if instrument is None:
        return usual
    return max(usual, least_upsampling(view, instrument.na_led_xy))


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
