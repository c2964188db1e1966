"""Joining the sharp parts of slices into one image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import DataError
from fpm_inr.focus.depth import DepthMap, depth_map
from fpm_inr.focus.scores import (
    Float32Array,
    FloatArray,
    FocusScores,
    FocusSettings,
    interpolation,
    score_slices,
)
from fpm_inr.solution import ImageStack

Slices = Callable[[FloatArray], Iterable[ImageStack]]
Judge = Callable[[Iterable[ImageStack], FocusSettings, Callable[[], None]], FocusScores]

# Light-field weights are scores raised to this power. With the plain score (power 1) every slice
# takes part nearly equally, and the blend is as soft as the mean of the stack.
LIGHT_FIELD_POWER = 16
COARSE_PX = 16  # slices' phases are compared on blocks of this size


@dataclass(frozen=True, eq=False)
class AllInFocus:
    """The sharp image, and where it was sharp.

    Parameters
    ----------
    field_y_x : array [y, x] of complex64
        Its amplitude blends the slices' amplitudes; its phase is that of the blend of the slices,
        each turned by one angle to agree with the slice before. Defined up to one global phase.
    depth_um_y_x : array [y, x] of float32
        Height at which every pixel is sharpest, in um.
    depth : DepthMap
        The same by patches, with confidence and focus curves.
    amplitude_scale : float
        Multiplying amplitudes by it gives the camera's unit.
    """

    field_y_x: NDArray[np.complex64]
    depth_um_y_x: Float32Array
    depth: DepthMap
    amplitude_scale: float


def all_in_focus(
    slices: Slices,
    z_um: FloatArray,
    settings: FocusSettings | None = None,
    on_slice: Callable[[], None] = lambda: None,
    judge: Judge = score_slices,
) -> AllInFocus:
    """Join the sharp parts of a stack that is rendered twice: once to judge, once to blend.

    "light-field": each pixel is the mean of all slices, weighted by the energy of their fine detail
    around it. Other methods: each pixel is taken at its depth, by linear interpolation between the
    two nearest slices.

    Parameters
    ----------
    slices : callable
        Heights [z] in um -> one-slice ImageStacks in that order (a Solution's `slices`).
    z_um : array [z], ascending
    settings : FocusSettings, optional
    on_slice : callable
        Called after each slice: twice per height at most.
    judge : callable
        Gives the scores: `score_slices`, or what `score_against_frames` makes.

    Raises
    ------
    DataError, SettingsError
        As `score_slices`.
    """
    settings = settings or FocusSettings()
    scores = judge(slices(z_um), settings, on_slice)
    depth = depth_map(scores)
    pixels_um = depth.depth_of_pixels_um()
    if settings.method == "light-field":
        amplitude, field, scale = _weighted(slices, depth, pixels_um, on_slice)
    else:
        amplitude, field, scale = _at_depth(slices, scores.z_um, pixels_um, on_slice)
    return AllInFocus(_of_amplitude(field, amplitude), pixels_um, depth, scale)


def field_at_depth(
    slices: Slices, z_um: FloatArray, depth_um_y_x: NDArray[Any], *, tied: bool = True
) -> NDArray[np.complex64]:
    """Take every pixel of a stack at a height that is known, amplitude and phase.

    Between two slices amplitudes and phases are blended as in `all_in_focus`. Pixels that lie
    beyond the slices are taken from the first or the last.

    Parameters
    ----------
    slices : callable
        As for `all_in_focus`.
    z_um : array [z], ascending
    depth_um_y_x : array [y, x]
        Height of each pixel, in um.
    tied : bool
        True: each slice is first turned by one angle to agree with the slice before. False: slices
        are taken as they come, with the phase that each happens to have.

    Raises
    ------
    DataError
        The map's shape is not that of the slices.
    """
    amplitude, field, _ = _at_depth(slices, z_um, depth_um_y_x, lambda: None, tied=tied)
    return _of_amplitude(field, amplitude)


def _of_amplitude(
    field_y_x: NDArray[np.complex64], amplitude_y_x: Float32Array
) -> NDArray[np.complex64]:
    """Give a field another amplitude and leave it its phase."""
    magnitude = np.abs(field_y_x)
    given: NDArray[np.complex64] = np.ones_like(field_y_x)
    np.divide(field_y_x, magnitude, out=given, where=magnitude > 0)
    given *= amplitude_y_x
    return given


def _at_depth(
    slices: Slices,
    z_um: FloatArray,
    pixels_um: NDArray[Any],
    on_slice: Callable[[], None],
    *,
    tied: bool = True,
) -> tuple[Float32Array, NDArray[np.complex64], float]:
    position = np.interp(pixels_um.ravel(), z_um, np.arange(len(z_um))).astype(np.float32)
    lower = np.minimum(position.astype(np.int32), max(len(z_um) - 2, 0))
    above = position - lower  # weight of the upper slice
    # pixels sorted by slice, so that each slice touches only the pixels that need it
    order = np.argsort(lower, kind="stable")
    start = np.searchsorted(lower[order], np.arange(len(z_um) + 1))
    first = int(lower.min())
    last = min(int(lower.max()) + 1, len(z_um) - 1)
    amplitude = np.zeros(position.shape, np.float32)
    field = np.zeros(position.shape, np.complex64)
    scale = 1.0
    for index, (turn, stack) in enumerate(_in_phase(slices(z_um[first : last + 1])), start=first):
        if stack.shape_y_x != pixels_um.shape:
            raise DataError(
                f"has shape {pixels_um.shape} and the slices {stack.shape_y_x}",
                "give one height for every pixel",
                field="depth",
            )
        turn = turn if tied else np.complex64(1)
        flat = stack.field_z_y_x[0].ravel()
        scale = stack.amplitude_scale
        as_lower = order[start[index] : start[index + 1]]
        as_upper = order[start[max(index - 1, 0)] : start[index]]
        for pixels, weight in ((as_lower, 1 - above[as_lower]), (as_upper, above[as_upper])):
            values = flat[pixels]
            amplitude[pixels] += weight * np.abs(values)
            field[pixels] += (turn * weight) * values
        on_slice()
    shape = pixels_um.shape
    return amplitude.reshape(shape), field.reshape(shape), scale


def _weighted(
    slices: Slices, depth: DepthMap, pixels_um: Float32Array, on_slice: Callable[[], None]
) -> tuple[Float32Array, NDArray[np.complex64], float]:
    scores = depth.scores
    weights = _light_field_weights(scores)
    y = interpolation(scores.centre_y_px, np.arange(scores.shape_y_x[0]))
    x = interpolation(scores.centre_x_px, np.arange(scores.shape_y_x[1]))
    amplitude = np.zeros(pixels_um.shape, np.float32)
    field = np.zeros(pixels_um.shape, np.complex64)
    scale = 1.0
    for weight, (turn, stack) in zip(weights, _in_phase(slices(scores.z_um)), strict=True):
        of_pixels = y @ weight @ x.T
        amplitude += of_pixels * np.abs(stack.field_z_y_x[0])
        field += (turn * of_pixels) * stack.field_z_y_x[0]
        scale = stack.amplitude_scale
        on_slice()
    return amplitude, field, scale


def _light_field_weights(scores: FocusScores) -> Float32Array:
    """Weights [z, patch row, patch column] that sum to 1 over z; even where nothing is seen."""
    peak = scores.score_z_y_x.max(axis=0)
    relative = np.divide(
        scores.score_z_y_x, peak, out=np.ones_like(scores.score_z_y_x), where=peak > 0
    )
    weights = relative**LIGHT_FIELD_POWER
    return np.asarray(weights / weights.sum(axis=0), dtype=np.float32)


def _in_phase(slices: Iterable[ImageStack]) -> Iterator[tuple[np.complex64, ImageStack]]:
    """Give each slice with the factor exp(i angle) that makes it agree with the one before.

    A slice's global phase is arbitrary. It is compared on block means: defocus turns the phase of
    fine detail, and hardly that of frequencies as low as these.
    """
    before: NDArray[np.complex64] | None = None
    for stack in slices:
        coarse = _block_means(stack.field_z_y_x[0])
        overlap = 1.0 + 0j if before is None else complex(np.vdot(coarse, before))
        turn = np.complex64(overlap / abs(overlap) if overlap else 1.0)
        before = coarse * turn
        yield turn, stack


def _block_means(field: NDArray[np.complex64]) -> NDArray[np.complex64]:
    block = min(COARSE_PX, *field.shape)
    rows, columns = field.shape[0] // block, field.shape[1] // block
    cut = field[: rows * block, : columns * block]
    means: NDArray[np.complex64] = (
        cut.reshape(rows, block, -1).mean(axis=1).reshape(rows, columns, block).mean(axis=2)
    )
    return means
