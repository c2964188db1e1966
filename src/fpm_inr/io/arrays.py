"""NumPy files: plain numbers. A JSON file beside those that are written says what they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import DataError
from fpm_inr.files.replacing import replacing
from fpm_inr.io.rendering import Rendering


def sidecar_of(path: Path) -> Path:
    """The JSON file that describes an array file."""
    return path.with_suffix(".json")


def write_npy(path: Path, rendering: Rendering) -> None:
    """Write ``.npy`` slice by slice: complex64 [z, y, x], or float32 of the part that is asked for.

    "amplitude" and "phase" are [z, y, x]; "both" is [z, channel, y, x], as is every part of several
    wavelengths; "colour" is uint8 [z, y, x, rgb]. The file is written in
    order rather than memory-mapped, so that a full disk is an error and not a crash.
    """
    channels = rendering.channels
    is_complex = rendering.part == "complex"
    if is_complex:  # one complex image in place of its two parts
        numbers = list(dict.fromkeys(channel.number for channel in channels))
        names = ["complex" if n is None else channels[2 * n].name[:-5] for n in numbers]
        units = [channels[0].unit] * len(numbers)
    else:
        names, units = [c.name for c in channels], [c.unit for c in channels]
    has_axis = len(names) > 1 or rendering.part == "both"
    is_colour = rendering.part == "colour"
    axes = ["z", *(["c"] if has_axis else []), "y", "x", *(["rgb"] if is_colour else [])]
    lengths = {"z": len(rendering.z_um), "c": len(names), "rgb": 3} | dict(
        zip("yx", rendering.shape_y_x, strict=True)
    )
    about = {
        "axes": axes,
        "channels": names,
        "units": units,
        "z_um": rendering.z_um.tolist(),
        "pixel_um": rendering.pixel_um,
    }
    kind = np.complex64 if is_complex else np.uint8 if is_colour else np.float32
    dtype = np.dtype(kind).newbyteorder("<")
    header = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": tuple(lengths[axis] for axis in axes),
    }
    with replacing(sidecar_of(path)) as sidecar, replacing(path) as beside:
        sidecar.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        with beside.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for plane in rendering.planes():
                images = [plane] if is_complex else [c.of(plane) for c in channels]
                for image in images:
                    image = np.moveaxis(image, 0, -1) if is_colour else image
                    file.write(np.ascontiguousarray(image, dtype=dtype).data)


def npy_frame(path: Path, kinds: str) -> NDArray[Any]:
    """One frame [y, x] in a ``.npy`` file, read when it is sliced.

    Raises
    ------
    DataError
        The file cannot be read, or holds something else; `kinds` are NumPy's letters of types.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    # NumPy has no base class for what damaged files make it raise
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(f"cannot be read ({reason})", "restore the file", source=path) from error
    if array.ndim != 2 or array.dtype.kind not in kinds or not array.size:
        raise DataError(
            f"has shape {array.shape} and type {array.dtype}",
            "store one frame [y, x] of real numbers",
            source=path,
        )
    return np.asarray(array)
