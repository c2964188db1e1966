"""OME-Zarr 0.5 and 0.4: chunked stacks for napari, Fiji (MoBIE, BigDataViewer) and the web."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from fpm_inr import __version__
from fpm_inr.errors import SettingsError
from fpm_inr.files.replacing import replacing
from fpm_inr.heights import uniform_step_um
from fpm_inr.io.multiscale import AXES, described, displays_of, multiscale_of, units_of
from fpm_inr.io.rendering import Rendering
from fpm_inr.io.slide import TILE, Levels, Pixels, SlideOptions, origins, pixels_of


def write_ome_zarr(path: Path, rendering: Rendering, options: SlideOptions) -> None:
    """Write [channel, z, y, x] chunk by chunk, with coarser levels of large planes.

    Each level halves y and x until a plane fits one chunk of 512 x 512. Amplitudes are averaged;
    the phase of a coarse pixel is that of the averaged field, so that wraps do no harm. Colour has
    three channels.

    Raises
    ------
    SettingsError
        The heights are not evenly spaced, which the format cannot say; or JPEG, which it has not.
    """
    import zarr

    z_um = rendering.z_um
    step_um = uniform_step_um(z_um)
    if step_um is None and len(z_um) > 1:
        raise SettingsError(
            "is not evenly spaced, which OME-Zarr cannot say",
            "give START:STOP:STEP, or write .ome.tif or .npy",
            field="z",
        )
    check_compression(options)
    pixels = pixels_of(rendering, options.bits or 32)
    count = 3 if rendering.part == "colour" else len(rendering.channels)
    with replacing(path) as beside, Levels(path.parent, rendering.shape_y_x) as levels:
        version: Literal[2, 3] = 2 if options.ome_zarr == "0.4" else 3
        group = zarr.create_group(store=str(beside), zarr_format=version)
        arrays = [
            group.create_array(
                str(level),
                shape=(count, len(z_um), *shape_y_x),
                chunks=(1, 1, *(min(TILE, n) for n in shape_y_x)),
                dtype=pixels[0].dtype,
                **stored_as(options),
            )
            for level, shape_y_x in enumerate(levels.shapes)
        ]
        _fill(arrays, rendering, levels, pixels)
        name = path.name.removesuffix(".ome.zarr")
        multiscale = multiscale_of(name, z_um, rendering.pixel_um, len(arrays), "mean")
        contrasts = () if rendering.part == "colour" else tuple(rendering.contrasts())
        displays = displays_of(rendering.channels, contrasts, pixels)
        about = {
            "version": __version__,
            "units": units_of(rendering.channels, pixels),
            "z_um": z_um.tolist(),
            **({"note": rendering.note} if rendering.note else {}),
        }
        group.attrs.update(described(options.ome_zarr, multiscale, displays, about))


def check_compression(options: SlideOptions) -> None:
    """Refuse what the format has not.

    Raises
    ------
    SettingsError
        JPEG.
    """
    if options.compression == "jpeg":
        raise SettingsError("is jpeg, which OME-Zarr has not", "give zstd", field="compression")


def stored_as(options: SlideOptions, *, checksum: bool = False) -> dict[str, Any]:
    """Codec, names of the axes and how chunks are named, in a version's own words.

    `checksum`: of zstd in version 0.5, so that a torn chunk is told from a whole one.
    """
    from numcodecs import Zlib, Zstd
    from zarr.codecs import GzipCodec, ZstdCodec

    chosen = options.compression or "zstd"
    if options.ome_zarr == "0.4":
        codecs = {"zstd": Zstd(level=3), "deflate": Zlib(level=5), "none": None}
        separator = {"name": "v2", "separator": "/"}
        return {"compressors": codecs[chosen], "chunk_key_encoding": separator}
    codecs_3 = {
        "zstd": ZstdCodec(level=3, checksum=checksum),
        "deflate": GzipCodec(level=5),
        "none": None,
    }
    return {"compressors": codecs_3[chosen], "dimension_names": AXES}


def _fill(arrays: list[Any], rendering: Rendering, levels: Levels, pixels: list[Pixels]) -> None:
    for z, source in enumerate(rendering.regions()):
        for level, array in enumerate(arrays):
            tiles = levels.tiles(level, z, source if level == 0 else None)
            for (y, x), tile in zip(origins(levels.shapes[level]), tiles, strict=True):
                place = (slice(y, y + tile.shape[-2]), slice(x, x + tile.shape[-1]))
                for c, (channel, one) in enumerate(zip(rendering.channels, pixels, strict=True)):
                    numbers = one.stored(channel.of(tile))
                    chosen = slice(None) if channel.kind == "colour" else c
                    array[(chosen, z, *place)] = numbers
