"""Spectra in bytes: a spline field's file at half its size.

A spectrum falls steeply from its centre, so every ring of frequencies has a scale of its own, and
the few frequencies at the centre, which hold most of the light, keep 16 bits. On a simulated blood
smear the all-in-focus error grows by less than 0.1 dB (docs/performance.md).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

RINGS = 128
NEAR_CYCLES = 12  # frequencies up to here keep 16 bits
LARGEST_HALF = 2.0**14

Arrays = dict[str, NDArray[Any]]


def pack(spectrum_plane_k_part: NDArray[np.float32], sample_yx: NDArray[np.integer[Any]]) -> Arrays:
    """Bytes of a spectrum, and what it takes to read them.

    Parameters
    ----------
    spectrum_plane_k_part : array [plane, sample, 2]
        Real and imaginary parts.
    sample_yx : array [2, sample]
        Frequencies, in whole cycles per image side.

    Returns
    -------
    dict
        ``spectrum`` int8 [plane, sample, 2]; ``spectrum_ring`` uint8 [sample], 0 for what keeps 16
        bits; ``spectrum_ring_scale`` float32 [plane, ring], 0 in ring 0; ``spectrum_near`` float16
        [plane, sample of ring 0, 2], to be multiplied by ``spectrum_scale`` float32 [plane].
    """
    ring = _rings(sample_yx.astype(np.float64))
    near = ring == 0
    planes = len(spectrum_plane_k_part)
    scale = np.zeros((planes, RINGS + 1), np.float32)
    stored = np.zeros(spectrum_plane_k_part.shape, np.int8)
    for plane, values in enumerate(spectrum_plane_k_part):
        np.maximum.at(scale[plane], ring, np.abs(values).max(axis=1) / 127)
        apart = np.where(scale[plane] > 0, scale[plane], 1)[ring]
        stored[plane] = np.rint(values / apart[:, None])
    stored[:, near] = 0
    scale[:, 0] = 0
    halves, half_scale = to_halves(spectrum_plane_k_part[:, near])
    return {
        "spectrum": stored,
        "spectrum_ring": ring.astype(np.uint8),
        "spectrum_ring_scale": scale,
        "spectrum_near": halves,
        "spectrum_scale": half_scale,
    }


def unpack(arrays: Arrays) -> NDArray[np.float32]:
    """The spectrum [plane, sample, 2] of `pack`.

    Raises
    ------
    ValueError
        The arrays do not fit together.
    """
    stored, ring = arrays["spectrum"], arrays["spectrum_ring"]
    scale, exact = arrays["spectrum_ring_scale"], arrays["spectrum_near"]
    near = ring == 0
    if stored.ndim != 3 or ring.shape != stored.shape[1:2] or ring.max() >= scale.shape[1]:
        raise ValueError("the rings do not fit the spectrum")
    spectrum: NDArray[np.float32] = stored * scale[:, ring, None].astype(np.float32)
    spectrum[:, near] = exact * arrays["spectrum_scale"][:, None, None]
    return spectrum


def to_runs(sample_yx: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
    """Frequencies [2, sample] as runs along x, [run, 3]: y, first x, how many."""
    y, x = sample_yx
    begins = np.flatnonzero(np.r_[True, (np.diff(y) != 0) | (np.diff(x) != 1)])
    counts = np.diff(np.r_[begins, len(y)])
    return np.stack([y[begins], x[begins], counts], axis=1).astype(np.int32)


def from_runs(runs: NDArray[Any], samples: int) -> NDArray[np.int32]:
    """Frequencies [2, sample] of `to_runs`.

    Raises
    ------
    ValueError
        They are not as many as the samples.
    """
    y, x, counts = runs.astype(np.int64).reshape(-1, 3).T
    if counts.min(initial=1) < 1 or counts.max(initial=1) > samples or counts.sum() != samples:
        raise ValueError(f"runs of frequencies that are not {samples}")
    within = np.arange(samples) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.stack([np.repeat(y, counts), np.repeat(x, counts) + within]).astype(np.int32)


def to_halves(
    spectrum_plane_k_part: NDArray[np.float32],
) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    """Values in 16 bits, and what to multiply them by, [plane].

    A spectrum's few strong samples and many weak ones would leave the range of 16 bits.
    """
    largest = np.abs(spectrum_plane_k_part).max(axis=(1, 2), initial=0)
    scale = (largest.clip(1e-30) / LARGEST_HALF).astype(np.float32)
    return (spectrum_plane_k_part / scale[:, None, None]).astype(np.float16), scale


def _rings(sample_yx: NDArray[np.float64]) -> NDArray[np.intp]:
    """Ring of each frequency, equally wide from 1 to `RINGS`; 0 for those that keep 16 bits."""
    reach = np.abs(sample_yx).max(axis=1, keepdims=True).clip(1)
    radius = np.sqrt(((sample_yx / reach) ** 2).sum(axis=0))
    ring = 1 + np.minimum(RINGS * radius / max(radius.max(), 1e-9), RINGS - 1).astype(np.intp)
    return np.where((sample_yx**2).sum(axis=0) <= NEAR_CYCLES**2, 0, ring)
