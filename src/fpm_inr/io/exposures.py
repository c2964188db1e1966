"""Several frames of one LED become one: merged by their noise, without what is clipped."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fpm_inr.camera_noise import CameraNoise
from fpm_inr.io.window import Judged

Float64 = NDArray[np.float64]


def same_led(places_led: Float64) -> list[NDArray[np.intp]]:
    """Frames of each LED, by its place or direction [frame, 2 or 3], in the order of the first."""
    _, first, group = np.unique(places_led.round(9), axis=0, return_index=True, return_inverse=True)
    group = group.reshape(-1)
    return [np.flatnonzero(group == one) for one in np.argsort(first, kind="stable")]


def merged(
    judged: Judged,
    groups: list[NDArray[np.intp]],
    exposure_led: Float64,
    noise: CameraNoise | None,
) -> tuple[Judged, CameraNoise | None]:
    """One frame for each group of frames of one LED.

    A pixel is the mean of those that are neither clipped nor lie, weighted by the inverse of their
    variance: by their exposure where light makes the noise, and by its square as far as the
    camera's read noise does. Where all are clipped it is as bright as the largest, at least.

    Parameters
    ----------
    judged : Judged
        Intensities per unit of exposure.
    groups : list of array
        Frames of each LED.
    exposure_led : array [frame]
        Relative times.
    noise : CameraNoise, optional
        Of every frame.
    """
    shape = (len(groups), *judged.frames.shape[1:])
    frames = np.empty(shape, dtype=np.float32)
    lies = None if judged.lies is None else np.zeros(shape, dtype=bool)
    saturated = None if judged.saturated is None else np.zeros(shape, dtype=bool)
    unit = np.empty(len(groups))
    for place, group in enumerate(groups):
        some = judged.frames[group]
        weight = _weight(some, exposure_led[group], None if noise is None else noise.select(group))
        weight = weight * _is_good(judged, group)
        if noise is not None:
            unit[place] = 1 / (1 / noise.intensity_per_electron_led[group]).sum()
        total = weight.sum(axis=0)
        known = total > 0
        frames[place] = np.where(known, (weight * some).sum(axis=0) / np.where(known, total, 1), 0)
        at_top = ~known
        if judged.lies is not None and lies is not None:
            lies[place] = judged.lies[group].all(axis=0)
            at_top = at_top & ~lies[place]
            frames[place][lies[place]] = some[0][lies[place]]
        if judged.saturated is not None and saturated is not None:
            clipped = np.where(judged.saturated[group], some, 0)
            frames[place][at_top] = clipped.max(axis=0)[at_top]
            saturated[place] = at_top
    if saturated is not None and not saturated.any():
        saturated = None
    together = None if noise is None else CameraNoise(unit, noise.read_noise_e)
    return Judged(frames, lies, saturated, judged.notes), together


def _is_good(judged: Judged, group: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Pixels [frame, y, x] of some frames that are neither clipped nor lie."""
    good = np.ones(judged.frames[group].shape, dtype=bool)
    for bad in (judged.saturated, judged.lies):
        if bad is not None:
            good &= ~bad[group]
    return good


def _weight(frames: NDArray[np.floating], exposure: Float64, noise: CameraNoise | None) -> Float64:
    """Inverse variances [frame, y, x], up to a factor: exposures where only light makes noise."""
    if noise is None or noise.read_noise_e == 0:
        return exposure[:, None, None] * np.ones_like(frames)
    # variance of an intensity: unit^2 (electrons + read noise^2), electrons = I / unit
    unit = noise.intensity_per_electron_led[:, None, None]
    electrons = np.average(frames, axis=0, weights=exposure) / unit
    return np.asarray(1 / (unit**2 * (electrons + noise.read_noise_e**2)))
