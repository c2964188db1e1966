"""OME-Zarr 0.5 and 0.4: chunked stacks for napari, Fiji (MoBIE, BigDataViewer) and the web."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from fpm_inr import __version__
from fpm_inr.errors import SettingsError
from fpm_inr.files.replacing import replacing
from fpm_inr.heights import uniform_step_um
from fpm_inr.io.multiscale import AXES, display_of, multiscale_of, shown_from
from fpm_inr.io.rendering import Rendering
from fpm_inr.io.slide import TILE, Levels, Pixels, SlideOptions, origins, pixels_of

RGB = (("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF"))


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
    if options.compression == "jpeg":
        raise SettingsError("is jpeg, which OME-Zarr has not", "give zstd", field="compression")
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
                **_stored_as(options),
            )
            for level, shape_y_x in enumerate(levels.shapes)
        ]
        _fill(arrays, rendering, levels, pixels)
        name = path.name.removesuffix(".ome.zarr")
        multiscale = multiscale_of(name, z_um, rendering.pixel_um, len(arrays), "mean")
        display = {"channels": _displays(rendering, pixels)}
        about = {
            "version": __version__,
            "units": {
                one.name: pixel.says(one)
                for one, pixel in zip(rendering.channels, pixels, strict=True)
            }
            if options.bits not in (None, 32)
            else {c.name: c.unit for c in rendering.channels},
            "z_um": z_um.tolist(),
        }
        if version == 2:
            multiscales = [{"version": "0.4", **multiscale}]
            ome: Any = {"multiscales": multiscales, "omero": {"version": "0.4", **display}}
        else:
            ome = {"ome": {"version": "0.5", "multiscales": [multiscale], "omero": display}}
        group.attrs.update({**ome, "fpm_inr": about})


def _stored_as(options: SlideOptions) -> dict[str, Any]:
    """Codec, names of the axes and how chunks are named, in a version's own words."""
    from numcodecs import Zlib, Zstd
    from zarr.codecs import GzipCodec, ZstdCodec

    chosen = options.compression or "zstd"
    if options.ome_zarr == "0.4":
        codecs = {"zstd": Zstd(level=3), "deflate": Zlib(level=5), "none": None}
        separator = {"name": "v2", "separator": "/"}
        return {"compressors": codecs[chosen], "chunk_key_encoding": separator}
    codecs_3 = {"zstd": ZstdCodec(level=3), "deflate": GzipCodec(level=5), "none": None}
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


def _displays(rendering: Rendering, pixels: list[Pixels]) -> list[dict[str, Any]]:
    if rendering.part == "colour":
        return [shown_from(name, colour, 0, 255, 0, 255) for name, colour in RGB]
    return [
        display_of(channel, contrast, one.low, one.step)
        for channel, contrast, one in zip(
            rendering.channels, rendering.contrasts(), pixels, strict=True
        )
    ]
