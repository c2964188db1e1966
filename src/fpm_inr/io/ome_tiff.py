"""OME-TIFF: tiles and levels, read by QuPath, OMERO, Fiji, napari and Bio-Formats."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr import __version__
from fpm_inr.files.replacing import replacing
from fpm_inr.heights import uniform_step_um
from fpm_inr.io.rendering import Regions, Rendering
from fpm_inr.io.slide import TILE, Levels, Pixels, SlideOptions, pixels_of

CLASSIC_TIFF_BYTES = 2**32 - 2**25  # tifffile's own margin for what 32-bit offsets can reach
JPEG_QUALITY = 90
COMPRESSION = {"deflate": "adobe_deflate", "zstd": "zstd", "jpeg": "jpeg", "none": None}


def write_ome_tiff(path: Path, rendering: Rendering, options: SlideOptions) -> None:
    """Write planes [z, channel, y, x] (or colour) tile by tile, with coarser levels as SubIFDs.

    Every plane carries its height (PositionZ), so heights need not be evenly spaced; where they
    are, PhysicalSizeZ is given too. BigTIFF where 4 GiB might not suffice.
    """
    _write(path, rendering, options, is_ome=True)


def write_plain_tiff(path: Path, rendering: Rendering, options: SlideOptions) -> None:
    """Write one plane with its levels as pages of their own, which OpenSlide sees.

    Raises
    ------
    SettingsError
        Several planes.
    """
    from fpm_inr.errors import SettingsError

    count = len(rendering.z_um) * len(rendering.channels)
    if count > 1:
        raise SettingsError(
            f"{path.name!r} is one image for {count} planes",
            "give one height and one part (or --all-in-focus), or write .ome.tif",
            field="output",
        )
    _write(path, rendering, options, is_ome=False)


def _write(path: Path, rendering: Rendering, options: SlideOptions, *, is_ome: bool) -> None:
    import tifffile

    pixels = pixels_of(rendering, options.bits or 32)
    samples = 3 if rendering.part == "colour" else 1
    images = len(rendering.z_um) * len(rendering.channels)
    item = pixels[0].dtype.itemsize
    needed = images * samples * item * int(np.prod(rendering.shape_y_x, dtype=np.int64))
    with (
        replacing(path) as beside,
        Levels(path.parent, rendering.shape_y_x) as levels,
        tifffile.TiffWriter(
            beside, ome=is_ome, bigtiff=needed * 4 / 3 > CLASSIC_TIFF_BYTES
        ) as tiff,
    ):
        coarser = len(levels.shapes) - 1
        for level, shape_y_x in enumerate(levels.shapes):
            pixel_um = rendering.pixel_um * 2**level
            first: dict[str, Any] = {"subfiletype": 1, "metadata": None}
            if level == 0:
                first = {"software": f"fpm-inr {__version__}", "metadata": None}
                if is_ome:
                    first |= {
                        "subifds": coarser,
                        "metadata": _metadata(path.name, rendering, pixels),
                    }
            tiff.write(
                _tiles(rendering, levels, level, pixels),
                shape=_shape(rendering, shape_y_x, samples),
                dtype=pixels[0].dtype,
                tile=_tile(shape_y_x),
                photometric="minisblack" if samples == 1 else "rgb",
                resolutionunit="CENTIMETER",
                resolution=(1e4 / pixel_um, 1e4 / pixel_um),
                **_compression(options, pixels[0], samples),
                **first,
            )


def _shape(rendering: Rendering, shape_y_x: tuple[int, int], samples: int) -> tuple[int, ...]:
    if samples > 1:
        return (len(rendering.z_um), *shape_y_x, samples)
    return (len(rendering.z_um), len(rendering.channels), *shape_y_x)


def _tile(shape_y_x: tuple[int, int]) -> tuple[int, int]:
    """Tiles of 512, or one for a small level (a multiple of 16, as TIFF wants)."""
    y, x = (min(TILE, -(-side // 16) * 16) for side in shape_y_x)
    return y, x


def _compression(options: SlideOptions, pixels: Pixels, samples: int) -> dict[str, Any]:
    chosen = options.compression or "deflate"
    if chosen == "jpeg":
        # colours are stored as brightness and two hues, none of them thinned
        hues = {"subsampling": (1, 1)} if samples > 1 else {}
        return {"compression": "jpeg", "compressionargs": {"level": JPEG_QUALITY}, **hues}
    predictor = chosen != "none" and pixels.dtype.kind == "u"
    return {"compression": COMPRESSION[chosen], "predictor": predictor}


def _tiles(
    rendering: Rendering, levels: Levels, level: int, pixels: list[Pixels]
) -> Iterator[NDArray[Any]]:
    """Stored tiles of a level over all planes: z, then channel, then tile."""
    sources: Iterator[Regions | None] = iter([None] * len(rendering.z_um))
    if level == 0:
        sources = iter(rendering.regions())
    tile_y_x = _tile(levels.shapes[level])
    for z, source in enumerate(sources):
        for number, (channel, numbers) in enumerate(zip(rendering.channels, pixels, strict=True)):
            for tile in levels.tiles(level, z, source, again=number > 0):
                yield _padded(numbers.stored(channel.of(tile)), tile_y_x)


def _padded(image: NDArray[Any], tile_y_x: tuple[int, int]) -> NDArray[Any]:
    """A whole tile [y, x] or [y, x, sample]; its edge goes on beyond the image (kind to JPEG)."""
    missing = [(0, want - have) for want, have in zip(tile_y_x, image.shape[-2:], strict=True)]
    if any(more for _, more in missing):
        image = np.pad(image, [(0, 0)] * (image.ndim - 2) + missing, mode="edge")
    return np.ascontiguousarray(np.moveaxis(image, 0, -1) if image.ndim == 3 else image)


def _metadata(name: str, rendering: Rendering, pixels: list[Pixels]) -> dict[str, Any]:
    channels = rendering.channels
    step_um = uniform_step_um(rendering.z_um)
    positions = np.repeat(rendering.z_um, len(channels)).tolist()
    depth = {} if step_um is None else {"PhysicalSizeZ": step_um, "PhysicalSizeZUnit": "µm"}
    is_colour = rendering.part == "colour"
    says = [one.says(channel) for one, channel in zip(pixels, channels, strict=True)]
    return {
        "axes": "ZYXS" if is_colour else "ZCYX",
        "Name": name,
        "Description": ", ".join([*says, *filter(None, [rendering.note])]),
        "PhysicalSizeX": rendering.pixel_um,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": rendering.pixel_um,
        "PhysicalSizeYUnit": "µm",
        **depth,
        "Channel": {"Name": [c.name for c in channels]},
        "Plane": {"PositionZ": positions, "PositionZUnit": ["µm"] * len(positions)},
    }
