"""Field files in bytes: half as long, for a page that is handed on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from fpm_inr.errors import DataError
from fpm_inr.viewer.sources import Source

PLANE = "field.plane"
SPECTRUM = "field.spectrum"
RINGS = 16  # of a spectrum, each with its own scale
NEAR_CYCLES = 2  # frequencies up to here stay exact: they hold most of the energy

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
        if SPECTRUM in tensors:
            tensors |= _ringed(tensors)
            del tensors[f"{SPECTRUM}_scale"]
        elif PLANE in tensors:
            tensors |= _features(tensors)
        else:
            return source
    except DataError as error:
        raise error.at(source.content) from error
    return Source(source.name, save(tensors, metadata=metadata))


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
    return {PLANE: bytes_, "field.plane_low": low, "field.plane_step": step}


def _ringed(tensors: Tensors) -> Tensors:
    """Samples of a spline field: each plane and ring of frequencies has a scale of its own.

    Ring 0 are the frequencies that stay exact.
    """
    spectrum = tensors[SPECTRUM]
    scale = tensors.get(f"{SPECTRUM}_scale", np.empty(0))
    sample_yx = tensors.get("field.sample_yx", np.empty(0))
    if (
        spectrum.ndim != 3
        or spectrum.size == 0
        or spectrum.shape[2] != 2
        or scale.shape != spectrum.shape[:1]
        or sample_yx.shape != (2, spectrum.shape[1])
        or not np.isfinite(spectrum).all()
        or not np.isfinite(scale).all()
    ):
        raise DataError("is not finite or misshapen", "restore the file", field=SPECTRUM)
    ring = _rings(sample_yx.astype(np.float64))
    near = ring == 0
    kept = np.empty((len(scale), int(near.sum()), 2), np.float32)
    steps = np.zeros((len(scale), RINGS + 1), np.float32)
    stored = np.zeros(spectrum.shape, np.int8)
    for plane in range(len(scale)):  # one at a time: a large field takes hundreds of megabytes
        values = spectrum[plane].astype(np.float32) * np.float32(scale[plane])
        kept[plane] = values[near]
        np.maximum.at(steps[plane], ring, np.abs(values).max(axis=1) / 127)
        apart = np.where(steps[plane] > 0, steps[plane], 1)[ring]
        stored[plane] = np.rint(values / apart[:, None])
        stored[plane, near] = 0
        steps[plane, 0] = 0
    return {
        SPECTRUM: stored,
        "field.spectrum_ring": ring.astype(np.uint8),
        "field.spectrum_ring_scale": steps,
        "field.spectrum_near": kept,
    }


def _rings(sample_yx: NDArray[np.float64]) -> NDArray[np.intp]:
    """Ring of each frequency, equally wide from 1 to `RINGS`; 0 for those that stay exact."""
    squared = (sample_yx**2).sum(axis=0)
    radius = np.sqrt(
        ((sample_yx / np.abs(sample_yx).max(axis=1, keepdims=True).clip(1)) ** 2).sum(0)
    )
    ring = 1 + np.minimum(RINGS * radius / max(radius.max(), 1e-9), RINGS - 1).astype(np.intp)
    return np.where(squared <= NEAR_CYCLES**2, 0, ring)
