"""What a field of view costs as it grows: parts that are by tile, and parts that are of the whole.

    python benchmarks/mosaic_cost.py [--mosaic OUT] [--heights 25]

Solving, measuring overlaps and rendering are by tile: each of them is measured once, on one tile.
What is of the whole field (the plan, the least squares of gauges, the manifest) is measured on
made-up overlaps of fields of 1 to 100 megapixels. Processor seconds of one core.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fpm_inr.mosaic.gauge import heights_of, shared, solve_gauge
from fpm_inr.mosaic.mosaic import load_mosaic
from fpm_inr.mosaic.overlap import Agreement
from fpm_inr.mosaic.tiles import Tile, cut_side, lay_tiles
from fpm_inr.mosaic.worker import Record

TILE, OVERLAP, EDGE = 256, 48, 12


def seconds(work: Callable[[], object]) -> float:
    """Processor seconds of this process."""
    began = time.process_time()
    work()
    return time.process_time() - began


def agreements(tiles: tuple[Tile, ...], heights: int) -> list[Agreement]:
    """Overlaps of tiles whose phases, slopes and amplitudes are random."""
    random = np.random.default_rng(0)
    at = {(tile.row, tile.column): tile for tile in tiles}
    found = []
    for tile in tiles:
        for row, column in ((0, 1), (1, 0)):
            other = at.get((tile.row + row, tile.column + column))
            window = None if other is None else shared(tile, other, EDGE)
            if other is None or window is None:
                continue
            y, x, height, width = window
            middle = np.array([y + (height - 1) / 2, x + (width - 1) / 2])
            noise = 0.01 * random.standard_normal((5, heights))
            found.append(
                Agreement(tile.number, other.number, middle, math.sqrt(height * width), noise[0],
                          noise[1], noise[2:4].T * 1e-2, noise[4] * 1e-4, np.full(heights, 0.99))
            )  # fmt: skip
    return found


def whole_field(megapixels: float, heights: int) -> None:
    side = round(1000 * math.sqrt(megapixels))
    along = cut_side(side, TILE, OVERLAP)
    tiles = lay_tiles(along, along)
    overlaps = agreements(tiles, heights)
    planning = seconds(lambda: lay_tiles(cut_side(side, TILE, OVERLAP), along))
    gauge = seconds(lambda: solve_gauge(tiles, np.arange(float(heights)), overlaps))
    records = [
        Record(number=t.number, fingerprint="0" * 64, sha256="0" * 64, kind="solved",
               amplitude_scale=1.0) for t in tiles
    ]  # fmt: skip
    size = sum(len(one.model_dump_json()) for one in records)
    size += 4 * 20 * heights * len(tiles)
    print(
        f"{megapixels:6.0f} MP {len(tiles):6d} tiles: laying {planning:.3f} s, gauges of {heights} "
        f"heights {gauge:.1f} s ({1e3 * gauge / heights / len(tiles):.2f} ms a tile and height), "
        f"manifest about {size / 1e6:.1f} MB",
        flush=True,
    )


def by_tile(folder: Path) -> None:
    """Reading and rendering; `fpm-inr mosaic --plan` says what solving takes."""
    mosaic = load_mosaic(folder)
    z_um = heights_of(mosaic.plan)[:1]
    window = (0, 0, 256, 256)
    first = seconds(lambda: mosaic.render(z_um, window=window))
    again = seconds(lambda: mosaic.render(z_um, window=window))
    print(f"a window of 256 x 256 pixels: {first:.3f} s first, {again:.3f} s again", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mosaic", type=Path)
    parser.add_argument("--heights", type=int, default=3)
    parser.add_argument("--megapixels", default="1,4,16,100")
    given = parser.parse_args()
    if given.mosaic is not None:
        by_tile(given.mosaic)
    for megapixels in map(float, given.megapixels.split(",")):
        whole_field(megapixels, given.heights)


if __name__ == "__main__":
    main()
