"""What a large slide takes: memory to write it, seconds to see it.

    python benchmarks/slides.py                 16384 x 16384 pixels in colour
    python benchmarks/slides.py --side 4096     a smaller one
    python benchmarks/slides.py --mosaic        a mosaic of three wavelengths, of about that size

docs/slides.md has the numbers.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fpm_inr.chromatic_offset import Offset
from fpm_inr.colour.white import balanced
from fpm_inr.io.export import export
from fpm_inr.io.rendering import COLOUR, Rendering
from fpm_inr.io.slide import Compression, SlideOptions
from fpm_inr.mosaic.manifest import read_manifest, write_manifest
from fpm_inr.mosaic.mosaic import load_mosaic
from fpm_inr.results import peak_memory_mb
from fpm_inr.simulate.section import WAVELENGTH_UM
from fpm_inr.solution_set import SolutionSet, load_set
from tests.mosaic.repeated import repeated_mosaic

PIXEL_UM = 0.25


@dataclass(frozen=True)
class Section:
    """A picture of scikit-image's, laid edge to edge, to be read window by window."""

    picture_y_x_rgb: np.ndarray

    def read(self, y: int, x: int, height: int, width: int) -> np.ndarray:
        rows, columns = (
            np.arange(first, first + side) % whole
            for first, side, whole in zip(
                (y, x), (height, width), self.picture_y_x_rgb.shape[:2], strict=True
            )
        )
        return np.moveaxis(self.picture_y_x_rgb[np.ix_(rows, columns)], -1, 0)


def slide(side: int) -> Rendering:
    """A slide of this many pixels along y and x."""
    from skimage import data

    section = Section(data.immunohistochemistry())
    return Rendering(
        lambda z_um: (section.read(0, 0, side, side) for _ in z_um),
        np.zeros(1),
        (side, side),
        PIXEL_UM,
        "colour",
        (COLOUR,),
        windows=lambda _: section,
    )


def make_mosaic(folder: Path, side: int) -> None:
    """Drawn tiles, repeated over the field, under three wavelengths with offsets."""
    tiles = max(2, round((side / 2 - 256) / 208) + 1)
    mosaics = {}
    for name, um in WAVELENGTH_UM.items():
        place = repeated_mosaic(folder / name, tiles)
        manifest = read_manifest(place)
        optics = {**manifest.plan.optics, "wavelength_um": um}
        plan = manifest.plan.model_copy(update={"optics": optics})
        write_manifest(place, manifest.model_copy(update={"plan": plan}))
        mosaics[name] = load_mosaic(place)
    offsets = {"red": Offset(3.0, 0.24, -0.1), "blue": Offset(-2.0, -0.14, 0.24, 1.0002)}
    balanced(SolutionSet(mosaics, "green", offsets)).save_manifest(folder)


def mosaic_in_colour(folder: Path, side: int) -> SolutionSet:
    """The same, made by a process of its own, whose memory does not count."""
    maker = multiprocessing.get_context("spawn").Process(target=make_mosaic, args=(folder, side))
    maker.start()
    maker.join()
    return load_set(folder)


def first_view_seconds(path: Path) -> float:
    """Open an OME-TIFF, find the level of a screen's width, and read it."""
    import tifffile

    began = time.perf_counter()
    with tifffile.TiffFile(path) as tiff:
        level = next(one for one in tiff.series[0].levels if max(one.shape) <= 2048)
        level.asarray()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=16384)
    parser.add_argument("--compression", default="jpeg", choices=("jpeg", "deflate", "zstd"))
    parser.add_argument("--mosaic", action="store_true")
    given = parser.parse_args()
    compression: Compression = given.compression
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "slide.ome.tif"
        source = mosaic_in_colour(Path(folder), given.side) if given.mosaic else slide(given.side)
        before = peak_memory_mb()
        began = time.perf_counter()
        z_um = [0.0] if given.mosaic else None
        export(source, path, z_um=z_um, slide=SlideOptions(8, compression))
        numbers = {
            "shape_y_x": source.shape_y_x,
            "compression": compression,
            "file_mb": path.stat().st_size / 1e6,
            "write_s": time.perf_counter() - began,
            "peak_memory_mb": peak_memory_mb(),
            "of_which_before_mb": before,
            "first_view_s": first_view_seconds(path),
        }
    print(json.dumps(numbers, indent=1))


if __name__ == "__main__":
    main()
