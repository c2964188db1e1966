"""Sharpness of what is too large for memory: block by block, on the patches of the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from fpm_inr.focus.scores import (
    Float32Array,
    FloatArray,
    FocusScores,
    FocusSettings,
    collect_scores,
    judged_image,
    normal_variance,
    patch_centres,
    patch_windows,
)
from fpm_inr.solution import ImageStack

Window = tuple[int, int, int, int]
WindowSlices = Callable[[FloatArray, Window], Iterable[ImageStack]]

BLOCK_PATCHES = 64  # a side: about 1024 pixels


def score_blocks(
    slices: WindowSlices,
    shape_y_x: tuple[int, int],
    pixel_um: float,
    z_um: FloatArray,
    on_block: Callable[[int, int], None] = lambda done, total: None,
) -> FocusScores:
    """Judge slices as `score_slices` does by default, with no more than a block of one in memory.

    No patch's score depends on another's, so the scores are those of whole slices.

    Parameters
    ----------
    slices : callable
        Heights [z] in um and a window (y, x, height, width) -> one-slice ImageStacks of it.
    shape_y_x : (int, int)
    pixel_um : float
    z_um : array [z], ascending
    on_block : callable
        Told how many blocks of how many are done.

    Raises
    ------
    DataError, SettingsError
        As `score_slices`.
    """
    settings = FocusSettings()

    def measure(
        stack: ImageStack, y_weights: Float32Array, x_weights: Float32Array
    ) -> tuple[Float32Array, float]:
        return normal_variance(judged_image(stack.field_z_y_x[0], settings), y_weights, x_weights)

    y_windows, x_windows = (patch_windows(side, settings) for side in shape_y_x)
    score = np.zeros((len(z_um), len(y_windows), len(x_windows)), np.float32)
    whole, pixels = np.zeros(len(z_um)), 0
    blocks = [(rows, columns) for rows in _groups(y_windows) for columns in _groups(x_windows)]
    for done, ((rows, y, height), (columns, x, width)) in enumerate(blocks, start=1):
        windows = y_windows[rows, y : y + height], x_windows[columns, x : x + width]
        seen = slices(z_um, (y, x, height, width))
        part = collect_scores(seen, settings, measure, windows=windows)
        score[:, rows, columns] = part.score_z_y_x
        whole += part.whole_z * height * width
        pixels += height * width
        on_block(done, len(blocks))
    return FocusScores(
        score,
        whole / pixels,
        np.asarray(z_um),
        patch_centres(y_windows),
        patch_centres(x_windows),
        shape_y_x,
        pixel_um,
        settings,
    )


def _groups(windows: NDArray[np.float32]) -> Iterator[tuple[slice, int, int]]:
    """Patches that are judged together; first pixel and number of pixels that they take."""
    count, length = windows.shape
    for first in range(0, count, BLOCK_PATCHES):
        some = slice(first, min(first + BLOCK_PATCHES, count))
        used = np.flatnonzero(windows[some].any(axis=0))
        # differences to the next pixel are judged: one more
        last = min(int(used[-1]) + 2, length)
        yield some, int(used[0]), last - int(used[0])
