"""OME-TIFF: one page a plane, read by Fiji, QuPath, napari and Bio-Formats."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr import __version__
from fpm_inr.files.replacing import replacing
from fpm_inr.heights import uniform_step_um
from fpm_inr.io.rendering import Rendering

CLASSIC_TIFF_BYTES = 2**32 - 2**25  # tifffile's own margin for what 32-bit offsets can reach


def write_ome_tiff(path: Path, rendering: Rendering) -> None:
    """Write float32 planes [z, channel, y, x] one by one; BigTIFF where 4 GiB do not suffice.

    Every plane carries its height (PositionZ), so heights need not be evenly spaced; where they
    are, PhysicalSizeZ is given too.
    """
    import tifffile

    channels = rendering.channels
    shape = (len(rendering.z_um), len(channels), *rendering.shape_y_x)
    bytes_needed = 4 * int(np.prod(shape, dtype=np.int64))

    def pages() -> Iterator[NDArray[np.float32]]:
        for plane in rendering.planes():
            for channel in channels:
                yield np.ascontiguousarray(channel.of(plane), dtype=np.float32)

    with (
        replacing(path) as beside,
        tifffile.TiffWriter(beside, ome=True, bigtiff=bytes_needed > CLASSIC_TIFF_BYTES) as tiff,
    ):
        tiff.write(
            pages(),
            shape=shape,
            dtype=np.float32,
            photometric="minisblack",
            resolutionunit="CENTIMETER",
            resolution=(1e4 / rendering.pixel_um, 1e4 / rendering.pixel_um),
            software=f"fpm-inr {__version__}",
            metadata=_metadata(path.name, rendering),
        )


def _metadata(name: str, rendering: Rendering) -> dict[str, Any]:
    channels = rendering.channels
    step_um = uniform_step_um(rendering.z_um)
    positions = np.repeat(rendering.z_um, len(channels)).tolist()
    depth = {} if step_um is None else {"PhysicalSizeZ": step_um, "PhysicalSizeZUnit": "µm"}
    return {
        "axes": "ZCYX",
        "Name": name,
        "Description": ", ".join(f"{c.name} in {c.unit}" for c in channels),
        "PhysicalSizeX": rendering.pixel_um,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": rendering.pixel_um,
        "PhysicalSizeYUnit": "µm",
        **depth,
        "Channel": {"Name": [c.name for c in channels]},
        "Plane": {"PositionZ": positions, "PositionZUnit": ["µm"] * len(positions)},
    }
