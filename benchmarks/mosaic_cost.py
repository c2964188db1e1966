"""What a field of view costs as it grows: parts that are by tile, and parts that are of the whole.

    python benchmarks/mosaic_cost.py [--mosaic OUT] [--heights 25]
    python benchmarks/mosaic_cost.py --frames frames.h5 --sides 1024,2048,4096 --workers 2 --out DIR

Solving, measuring overlaps and rendering are by tile: each of them is measured once, on one tile.
What is of the whole field (the plan, the least squares of gauges, the manifest) is measured on
made-up overlaps of fields of 1 to 100 megapixels. Processor seconds of one core.

With `--frames`, whole fields are solved: those of `benchmarks/mosaic.py`, gone on with their
mirror images where larger ones are asked for, every LED in one direction everywhere. Seconds by the
clock, with nothing else on the machine.
"""

from __future__ import annotations

import argparse
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from fpm_inr.mosaic.gauge import heights_of, shared, solve_gauge
from fpm_inr.mosaic.manifest import read_manifest
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


def continued(frames: Path, out: Path, side: int) -> None:
    """Write frames of another side: the corner of these, gone on with its mirror images."""
    with h5py.File(frames) as old, h5py.File(out, "w") as new:
        new.attrs.update(old.attrs)
        old.copy("optics", new)
        new["axis_y_x_px"] = [(side - 1) / 2, (side - 1) / 2]
        new["illumination/na_led_xy"] = old["illumination/na_led_xy"][()]
        images = old["frames_led_y_x"]
        least = min(side, *images.shape[1:])
        missing = (0, side - least)
        written = new.create_dataset(
            "frames_led_y_x", (len(images), side, side), images.dtype, chunks=images.chunks
        )
        for led, image in enumerate(images):
            written[led] = np.pad(image[:least, :least], (missing, missing), mode="symmetric")


def solved(frames: Path, out: Path, side: int, workers: int) -> None:
    """Solve a field of one plane through the command, and say what it took."""
    data, folder = out / f"frames{side}.h5", out / f"mosaic{side}"
    continued(frames, data, side)
    command = [sys.executable, "-m", "fpm_inr", "mosaic", data, "-o", folder, "--overwrite",
               "--workers", str(workers), "--scheduler", "processes"]  # fmt: skip
    began = time.perf_counter()
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - began
    records = read_manifest(folder).records
    by_tiles = sum(record.seconds for record in records)
    megapixels = side**2 / 1e6
    # kilobytes, of the largest process so far
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e9
    print(
        f"{megapixels:5.1f} MP, {workers} workers: {len(records)} tiles in {wall:.1f} s, "
        f"{wall / megapixels:.2f} s a megapixel; tiles alone {by_tiles / len(records):.2f} s each, "
        f"{by_tiles / workers / megapixels:.2f} s a megapixel; a process has {memory:.2f} GB",
        flush=True,
    )
    data.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mosaic", type=Path)
    parser.add_argument("--heights", type=int, default=3)
    parser.add_argument("--megapixels", default="1,4,16,100")
    parser.add_argument("--frames", type=Path)
    parser.add_argument("--sides", default="1024,2048,4096")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, help="with --frames: where fields are solved")
    given = parser.parse_args()
    if given.frames is not None:
        if given.out is None:
            parser.error("--frames needs --out")
        given.out.mkdir(parents=True, exist_ok=True)
        for side in map(int, given.sides.split(",")):
            solved(given.frames, given.out, side, given.workers)
        return
    if given.mosaic is not None:
        by_tile(given.mosaic)
    for megapixels in map(float, given.megapixels.split(",")):
        whole_field(megapixels, given.heights)


if __name__ == "__main__":
    main()
