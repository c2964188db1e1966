"""OME-Zarr 0.5: chunked stacks for napari, Fiji (MoBIE, BigDataViewer) and the web."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fpm_inr import __version__
from fpm_inr.display import Contrast
from fpm_inr.errors import SettingsError
from fpm_inr.files.replacing import replacing
from fpm_inr.heights import uniform_step_um
from fpm_inr.io.rendering import Channel, Rendering, halve

CHUNK = 512
AXES = ("c", "z", "y", "x")


def write_ome_zarr(path: Path, rendering: Rendering) -> None:
    """Write float32 [channel, z, y, x] slice by slice, with coarser levels of large planes.

    Each level halves y and x until a plane fits one chunk of 512 x 512. Amplitudes are averaged;
    the phase of a coarse pixel is that of the averaged field, so that wraps do no harm.

    Raises
    ------
    SettingsError
        The heights are not evenly spaced, which the format cannot say.
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
    shapes_y_x = level_shapes(rendering.shape_y_x)
    channels = rendering.channels
    contrast = rendering.contrast()
    with replacing(path) as beside:
        group = zarr.create_group(store=str(beside), zarr_format=3)
        levels = [
            group.create_array(
                str(level),
                shape=(len(channels), len(z_um), *shape_y_x),
                chunks=(1, 1, *(min(CHUNK, n) for n in shape_y_x)),
                dtype="float32",
                dimension_names=AXES,
            )
            for level, shape_y_x in enumerate(shapes_y_x)
        ]
        for z, plane in enumerate(rendering.planes()):
            for level, array in enumerate(levels):
                plane = plane if level == 0 else halve(plane)
                for c, channel in enumerate(channels):
                    array[c, z] = channel.of(plane)
        group.attrs.update(
            {
                "ome": {
                    "version": "0.5",
                    "multiscales": [_multiscale(path, rendering, len(levels), step_um or 1.0)],
                    "omero": {"channels": [_display(c, contrast) for c in channels]},
                },
                "fpm_inr": {
                    "version": __version__,
                    "units": {c.name: c.unit for c in channels},
                    "z_um": z_um.tolist(),
                },
            }
        )


def level_shapes(shape_y_x: tuple[int, int]) -> list[tuple[int, int]]:
    """Shapes [y, x] of the levels, finest first, down to one that fits a chunk."""
    shapes = [shape_y_x]
    while max(shapes[-1]) > CHUNK and min(shapes[-1]) > 1:
        shapes.append((shapes[-1][0] // 2, shapes[-1][1] // 2))
    return shapes


def _multiscale(path: Path, rendering: Rendering, levels: int, step_um: float) -> dict[str, Any]:
    pixel, z0 = rendering.pixel_um, float(rendering.z_um[0])
    datasets = []
    for level in range(levels):
        factor = 2**level
        shift = (factor - 1) / 2 * pixel  # centre of the first coarse pixel
        datasets.append(
            {
                "path": str(level),
                "coordinateTransformations": [
                    {"type": "scale", "scale": [1.0, step_um, factor * pixel, factor * pixel]},
                    {"type": "translation", "translation": [0.0, z0, shift, shift]},
                ],
            }
        )
    space = [{"name": name, "type": "space", "unit": "micrometer"} for name in AXES[1:]]
    return {
        "name": path.name.removesuffix(".ome.zarr"),
        "axes": [{"name": "c", "type": "channel"}, *space],
        "datasets": datasets,
        "type": "mean",
    }


def _display(channel: Channel, contrast: Contrast) -> dict[str, Any]:
    if channel.name == "phase":
        low, high, floor = -np.pi, np.pi, -np.pi
    elif channel.name == "amplitude":
        low, high, floor = contrast.black, contrast.white, min(0.0, contrast.black)
    else:
        low, high, floor = -contrast.white, contrast.white, -contrast.white
    return {
        "label": channel.name,
        "color": "FFFFFF",
        "active": True,
        "window": {"min": floor, "max": high, "start": low, "end": high},
    }
