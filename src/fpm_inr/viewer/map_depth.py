"""Where a whole field is sharpest, block by block: what all-in-focus and depth on the map need."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fpm_inr.field_header import KEY
from fpm_inr.solution import ImageStack
from fpm_inr.viewer.map_tiles import Pyramid
from fpm_inr.viewer.tile_grid import TileGrid, Window

if TYPE_CHECKING:
    from fpm_inr.focus.scores import FocusScores

FORMAT = "fpm-inr depth 1"
BLOCK_PX, CELL_PX = 1024, 16  # a block holds a height for every cell
PATCH_PX = 64  # what a height is judged by; as `fpm-inr focus`
HEIGHTS = 41
# A block is judged by so much more on each side: as far as patches and what fills gaps reach.
MARGIN_PX = 256
# What fills gaps: means over so many patches, each counting so much less than the one before; and
# the middle of the range, so much less than what is near.
FILL_PATCHES, FILL_SHARE, FILL_MIDDLE = (1.0, 2.0, 4.0), 1e-2, 1e-7
# What a well-structured patch is, windows tell: so many a side of the field, of so many pixels.
SAMPLED, SAMPLE_PX = 3, 256
NEARLY_ALL = 0.55  # cycles a pixel, of 0.5 that a level holds
LARGEST = 65535  # of whole numbers over the range of z

Block = tuple[int, int]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MapDepth:
    """Heights of cells, judged on the coarsest level that has all of the field's frequencies.

    Parameters
    ----------
    judged : Pyramid
    z_range_um : (float, float)
        Heights that are looked through.
    cutoff_per_um : float
        Highest frequency of the field.
    grid : TileGrid
    """

    judged: Pyramid
    z_range_um: tuple[float, float]
    cutoff_per_um: float
    grid: TileGrid

    @cached_property
    def level(self) -> int:
        """The level that is judged."""
        pixel_um, levels = self.judged.source.pixel_um, self.judged.source.levels
        whole = (n for n in range(levels) if 2**n * pixel_um * self.cutoff_per_um <= NEARLY_ALL)
        # patches must keep some pixels
        return min(max(whole, default=0), 2)

    @property
    def is_there(self) -> bool:
        """Whether any height can be had, so that the sharpest may be looked for."""
        return self.judged.basis.planes > 1 and self.judged.basis.planes_um is None

    @property
    def count(self) -> tuple[int, int]:
        """Rows and columns of blocks."""
        height, width = self.grid.shape_level[0]
        return -(-height // BLOCK_PX), -(-width // BLOCK_PX)

    def make(self, block: Block) -> bytes:
        """The file of a block: heights of its cells and of one more on each side.

        Raises
        ------
        DataError
            The field file of a tile of the mosaic is damaged or missing.
        """
        from safetensors.numpy import save

        low, high = self.z_range_um
        depth = self.depth_um(block)
        shares = np.rint((depth - low) / (high - low) * LARGEST).astype(np.uint16)
        text = json.dumps({"format": FORMAT})
        tensors = {"low": (shares & 0xFF).astype(np.uint8), "high": (shares >> 8).astype(np.uint8)}
        return gzip.compress(save(tensors, metadata={KEY: text}), compresslevel=6, mtime=0)

    def depth_um(self, block: Block) -> FloatArray:
        """Sharpest heights [row, column] of a block's cells and of one more on each side.

        Neighbours agree on cells that both hold: what is not trusted takes the mean of what is
        near, up to 192 pixels away, and else the middle of the range.
        """
        from fpm_inr.focus.depth import depth_map, peak_um
        from fpm_inr.focus.scores import interpolation

        size = 2**self.level
        spans = [self._span(axis, block[axis]) for axis in range(2)]
        (y, height), (x, width) = spans
        scores = self._scores((y, x, height, width))
        found = depth_map(scores, full_contrast=self.full_contrast)
        low, high = self.z_range_um
        known = filled(
            peak_um(scores.z_um, scores.score_z_y_x),
            np.where(found.is_trusted_y_x, found.confidence_y_x, 0),
            (low + high) / 2,
        )
        ways = []
        for axis, (first, _), centre in zip(
            range(2), spans, (scores.centre_y_px, scores.centre_x_px), strict=True
        ):
            whole = self.grid.shape_level[0][axis]
            cells = -(-min(BLOCK_PX, whole - block[axis] * BLOCK_PX) // CELL_PX)
            at = block[axis] * BLOCK_PX + (np.arange(-1, cells + 1) + 0.5) * CELL_PX
            ways.append(interpolation(centre, at / size - first - 0.5).astype(np.float64))
        return np.asarray(np.clip(ways[0] @ known @ ways[1].T, low, high))

    @cached_property
    def full_contrast(self) -> float:
        """Score from which patches are trusted fully: one for all blocks, so that they agree."""
        from fpm_inr.focus.depth import full_contrast_of

        whole = self.grid.shape_level[self.level]
        height, width = (min(SAMPLE_PX >> self.level, side) for side in whole)
        places = [
            (round((whole[0] - height) * row), round((whole[1] - width) * column))
            for row in (np.arange(SAMPLED) + 0.5) / SAMPLED
            for column in (np.arange(SAMPLED) + 0.5) / SAMPLED
        ]
        return full_contrast_of([self._scores((y, x, height, width)) for y, x in places])

    def _scores(self, window: Window) -> FocusScores:
        from fpm_inr.focus.scores import FocusSettings, score_slices

        size = 2**self.level
        patch = min(PATCH_PX // size, *window[2:])
        settings = FocusSettings("edges", patch, min(CELL_PX // size, patch))
        return score_slices(self._slices(window), settings)

    def _span(self, axis: int, index: int) -> tuple[int, int]:
        """First pixel and number of those that a block is judged by, with a margin on each side."""
        size, whole = 2**self.level, self.grid.shape_level[self.level][axis]
        first = max(index * BLOCK_PX - MARGIN_PX, 0) // size
        last = min(((index + 1) * BLOCK_PX + MARGIN_PX) // size, whole)
        return first, last - first

    def _slices(self, window: Window) -> Iterator[ImageStack]:
        basis = self.judged.basis
        planes = self.judged.planes(window, self.level)
        pixel_um = self.judged.source.pixel_um * 2**self.level
        z_um = np.linspace(*self.z_range_um, HEIGHTS)
        for z, weights in zip(z_um, basis.weights(z_um), strict=True):
            some = np.flatnonzero(weights)
            image = np.tensordot(weights[some].astype(np.float32), planes[some], axes=1)
            yield ImageStack(image[None], np.array([z]), pixel_um)


def filled(depth_um: FloatArray, weight: FloatArray, middle_um: float) -> FloatArray:
    """Depths [y, x] of patches, those without weight from what is near."""
    from scipy.ndimage import gaussian_filter

    share, mean = FILL_MIDDLE, FILL_MIDDLE * middle_um
    for n, sigma in enumerate(FILL_PATCHES):
        part = FILL_SHARE**n
        share = share + part * gaussian_filter(weight, sigma, mode="constant", truncate=3)
        mean = mean + part * gaussian_filter(weight * depth_um, sigma, mode="constant", truncate=3)
    return np.where(weight > 0, depth_um, mean / share)
