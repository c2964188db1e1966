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
        good = np.ones(some.shape, dtype=bool)
        if judged.saturated is not None:
            good &= ~judged.saturated[group]
        if judged.lies is not None:
            good &= ~judged.lies[group]
        time = exposure_led[group, None, None]
        weight = time * np.ones_like(some)
        if noise is not None:
            of_group = noise.intensity_per_electron_led[group]
            unit[place] = 1 / (1 / of_group).sum()
            if noise.read_noise_e > 0:
                # variance of an intensity: unit^2 (electrons + read noise^2), electrons = I / unit
                light = np.average(some, axis=0, weights=exposure_led[group])
                electrons = light / of_group[:, None, None]
                variance = of_group[:, None, None] ** 2 * (electrons + noise.read_noise_e**2)
                weight = 1 / variance
        weight = weight * good
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
