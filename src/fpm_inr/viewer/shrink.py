"""Field files in bytes: half as long, for a page that is handed on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from fpm_inr.errors import DataError
from fpm_inr.field_header import FIELD_PREFIX
from fpm_inr.viewer.sources import Source

PLANE = f"{FIELD_PREFIX}plane"
SPECTRUM = f"{FIELD_PREFIX}spectrum"

Tensors = dict[str, NDArray[np.generic]]


def in_bytes(source: Source) -> Source:
    """The same field with its planes in bytes; any other source as it is.

    On real fields that changes amplitudes by up to 0.3 % of the largest and phases by up to
    0.03 rad.

    Raises
    ------
    DataError
        The file is damaged, or values are not finite.
    """
    if isinstance(source.content, bytes):
        return source
    try:
        with safe_open(source.content, framework="numpy") as file:
            metadata = file.metadata()
            tensors: Tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(
            f"cannot be read as a field ({' '.join(str(error).split())[:120]})",
            "reconstruct again or restore the file",
            source=source.content,
        ) from error
    try:
        if SPECTRUM in tensors and tensors[SPECTRUM].dtype == np.int8:
            return source  # stored so already
        if SPECTRUM in tensors:
            tensors |= _packed(tensors)
        elif PLANE in tensors:
            tensors |= _features(tensors)
        else:
            return source
    except DataError as error:
        raise error.at(source.content) from error
    return replace(source, content=save(tensors, metadata=metadata))


def _features(tensors: Tensors) -> Tensors:
    """Features of a neural field: each channel has a scale of its own, low + step * byte."""
    plane = tensors[PLANE].astype(np.float32)
    if plane.ndim != 4 or plane.size == 0 or not np.isfinite(plane).all():
        raise DataError("is not finite or misshapen", "restore the file", field=PLANE)
    low = plane.min(axis=(1, 2))
    step = (plane.max(axis=(1, 2)) - low) / 255
    apart = np.where(step > 0, step, 1)[:, None, None]
    plane -= low[:, None, None]
    bytes_ = np.rint(plane / apart).astype(np.uint8)
    return {PLANE: bytes_, f"{FIELD_PREFIX}plane_low": low, f"{FIELD_PREFIX}plane_step": step}


def _packed(tensors: Tensors) -> Tensors:
    """Samples of a spline field; see `fpm_inr.fields.packing`."""
    from fpm_inr.fields.packing import from_runs, pack

    spectrum = tensors[SPECTRUM]
    scale = tensors.get(f"{SPECTRUM}_scale", np.empty(0))
    runs = tensors.get(f"{FIELD_PREFIX}sample_runs", np.empty(0))
    if (
        spectrum.ndim != 3
        or spectrum.size == 0
        or spectrum.shape[2] != 2
        or scale.shape != spectrum.shape[:1]
        or runs.ndim != 2
        or not np.isfinite(spectrum).all()
        or not np.isfinite(scale).all()
    ):
        raise DataError("is not finite or misshapen", "restore the file", field=SPECTRUM)
    try:
        sample_yx = from_runs(runs, spectrum.shape[1])
    except ValueError as error:
        raise DataError(
            str(error), "restore the file", field=f"{FIELD_PREFIX}sample_runs"
        ) from error
    values = spectrum.astype(np.float32) * scale.astype(np.float32)[:, None, None]
    return {f"{FIELD_PREFIX}{name}": value for name, value in pack(values, sample_yx).items()}
