"""Where a whole field is sharpest, block by block: what all-in-focus and depth on the map need."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fpm_inr.field_header import KEY
from fpm_inr.solution import ImageStack
from fpm_inr.viewer.map_tiles import Pyramid
from fpm_inr.viewer.tile_grid import TileGrid

FORMAT = "fpm-inr depth 1"
BLOCK_PX, CELL_PX = 1024, 16  # a block holds a height for every cell
PATCH_PX = 64  # what a height is judged by; as `fpm-inr focus`
HEIGHTS = 41
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

        A block in which nothing is sharp anywhere has the middle of the range.
        """
        from fpm_inr.focus.depth import depth_map
        from fpm_inr.focus.scores import FocusSettings, interpolation, score_slices

        size = 2**self.level
        spans = [self._span(axis, block[axis]) for axis in range(2)]
        (y, height), (x, width) = spans
        patch = min(PATCH_PX // size, height, width)
        settings = FocusSettings("edges", patch, min(CELL_PX // size, patch))
        found = depth_map(score_slices(self._slices((y, x, height, width)), settings))
        scores = found.scores
        ways = []
        for axis, (first, _), centre in zip(
            range(2), spans, (scores.centre_y_px, scores.centre_x_px), strict=True
        ):
            whole = self.grid.shape_level[0][axis]
            cells = -(-min(BLOCK_PX, whole - block[axis] * BLOCK_PX) // CELL_PX)
            at = block[axis] * BLOCK_PX + (np.arange(-1, cells + 1) + 0.5) * CELL_PX
            ways.append(interpolation(centre, at / size - first - 0.5).astype(np.float64))
        depth = ways[0] @ found.depth_um_y_x @ ways[1].T
        low, high = self.z_range_um
        if not found.is_trusted_y_x.any():
            depth[:] = (low + high) / 2
        return np.asarray(np.clip(depth, low, high))

    def _span(self, axis: int, index: int) -> tuple[int, int]:
        """First pixel and number of those that a block is judged by, a patch more on each side."""
        size, whole = 2**self.level, self.grid.shape_level[self.level][axis]
        first = max(index * BLOCK_PX - PATCH_PX, 0) // size
        last = min(((index + 1) * BLOCK_PX + PATCH_PX) // size, whole)
        return first, last - first

    def _slices(self, window: tuple[int, int, int, int]) -> Iterator[ImageStack]:
        basis = self.judged.basis
        planes = self.judged.planes(window, self.level)
        pixel_um = self.judged.source.pixel_um * 2**self.level
        z_um = np.linspace(*self.z_range_um, HEIGHTS)
        for z, weights in zip(z_um, basis.weights(z_um), strict=True):
            some = np.flatnonzero(weights)
            image = np.tensordot(weights[some].astype(np.float32), planes[some], axes=1)
            yield ImageStack(image[None], np.array([z]), pixel_um)
