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

    "amplitude" and "phase" are [z, y, x]; "both" is [z, channel, y, x]. The file is written in
    order rather than memory-mapped, so that a full disk is an error and not a crash.
    """
    is_complex = rendering.part == "complex"
    channels = rendering.channels
    axes = ["z", "c", "y", "x"] if rendering.part == "both" else ["z", "y", "x"]
    lengths = {"z": len(rendering.z_um), "c": len(channels)} | dict(
        zip("yx", rendering.shape_y_x, strict=True)
    )
    about = {
        "axes": axes,
        "channels": ["complex"] if is_complex else [c.name for c in channels],
        "units": [rendering.channels[0].unit] if is_complex else [c.unit for c in channels],
        "z_um": rendering.z_um.tolist(),
        "pixel_um": rendering.pixel_um,
    }
    dtype = np.dtype(np.complex64 if is_complex else np.float32).newbyteorder("<")
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
                for image in [plane] if is_complex else [c.of(plane) for c in channels]:
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
