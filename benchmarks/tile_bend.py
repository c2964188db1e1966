"""What tiles make of LEDs at a finite distance, with and without bend and LEDs at the edge.

    python benchmarks/tile_bend.py --subjects smear,slow-phase --out /tmp/bent

A field without errors of the instrument is simulated at once, its light bent from its middle, with
a wide margin, and solved in four tiles in three ways. Says for each the error of the whole with one
factor, relative to the specimen's contrast; the slopes of the tiles' phase against the truth; and
what is left of that phase without slope and bend, low-passed to two cycles in 100 um.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from unittest.mock import patch

import h5py
import mosaic as field_benchmark
import numpy as np

from fpm_inr.mosaic import rim
from fpm_inr.mosaic.manifest import Manifest, write_manifest
from fpm_inr.mosaic.mosaic import Mosaic, load_mosaic
from fpm_inr.mosaic.overlap import _shape, _turned
from fpm_inr.mosaic.plan import SolveSettings, make_plan
from fpm_inr.mosaic.run import prepare, settle
from fpm_inr.mosaic.source import Source
from fpm_inr.mosaic.worker import solve_tile
from fpm_inr.simulate import whole_field
from fpm_inr.simulate.rig import Rig, grid_leds
from fpm_inr.simulate.samples import Specimen
from fpm_inr.solve.engine import engine_named

SIDE, MARGIN_PX, EDGE_PX, SLOW_PER_UM = 448, 214, 24, 0.02
OPTICS, DISTANCE_MM = field_benchmark.OPTICS, field_benchmark.DISTANCE_MM
WAYS = {
    "bent, all LEDs": (True, False),
    "clear, without": (False, True),
    "bent, without": (True, True),
}


def simulated(folder: Path, subject: str) -> None:
    """One block around the middle, all of the field."""
    if (folder / "truth.h5").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    rig = Rig(OPTICS, grid_leds(11, DISTANCE_MM * 0.055, 4.7), DISTANCE_MM)
    setup = whole_field.FieldSetup(Specimen(subject), rig, (SIDE, SIDE), 2, photons=2000.0,
                                   read_noise_e=2.0, seed=3)  # fmt: skip
    middle, block = SIDE // 2, whole_field._block

    def only_middle(setup: object, y: tuple, x: tuple, *rest: object) -> None:  # type: ignore[type-arg]
        if y[0] == x[0] == middle:
            block(setup, y, x, *rest)  # type: ignore[arg-type]

    with (
        patch.object(whole_field, "_nodes", lambda side: [0, middle, side]),
        patch.object(whole_field, "_share", lambda at, nodes: np.ones(nodes[2])),
        patch.object(whole_field, "_block", only_middle),
        patch.object(whole_field, "BEND_MARGIN_PX", MARGIN_PX),
    ):
        whole_field.simulate_field(setup, folder)


def solved(folder: Path, name: str, bent: bool, leaves_out: bool) -> Mosaic:
    """A mosaic of four tiles."""
    out = folder / name.replace(", ", "-").replace(" ", "-")
    crossing = rim.crossing if leaves_out else lambda *_: np.zeros(1, dtype=bool)
    with (
        patch.object(rim, "crossing", crossing),
        patch.object(SolveSettings, "begins_bent", property(lambda _: bent)),
    ):
        plan = make_plan(Source(folder / "frames.h5"), out, z_range_um=(0.0, 0.0),
                         recipe=engine_named("inr").recipe("default"), recipe_name="default",
                         settings={})  # fmt: skip
        prepare(out, plan, resume=False, overwrite=True)
        records = [solve_tile(plan, out, tile) for tile in plan.tiles]
        gauge = settle(plan, out, records)
    done = Manifest(status="done", plan=plan, records=records, gauge=gauge.part())
    write_manifest(out, done)
    return load_mosaic(out)


def told(name: str, mosaic: Mosaic, truth: field_benchmark.Complex) -> None:
    """Print what is said above."""
    factor, border = mosaic.upsampling, EDGE_PX * mosaic.upsampling
    field_benchmark.whole_error(name, mosaic.render(0.0).field_z_y_x[0], truth, mosaic)
    for tile in mosaic.tiles:
        y, x, height, width = (side * factor for side in tile.crop)
        alone = mosaic.tile_solution(tile.number).render(0.0).field_z_y_x[0]
        there = truth[y : y + height, x : x + width]
        product = (alone * there.conj())[border:-border, border:-border]
        along = [(np.arange(n) - (n - 1) / 2) / factor for n in product.shape]
        shape = _shape(product, along)
        left = field_benchmark.low_passed(
            _turned(product, along, shape), SLOW_PER_UM, mosaic.pixel_um
        )
        rest = float(np.angle(left * np.exp(-1j * np.angle(left.sum()))).std())
        print(
            f"    tile {tile.number}: slope {1e3 * shape[0]:+.2f} {1e3 * shape[1]:+.2f} mrad/px, "
            f"bend {shape[2] / mosaic.plan.bend_rad_per_px2:.2f} of what LEDs make, rest "
            f"{rest:.3f} rad RMS",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", default="smear,slow-phase")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    for subject in given.subjects.split(","):
        folder = given.out / subject
        simulated(folder, subject)
        with h5py.File(folder / "truth.h5") as file:
            sheets = file["object_sheet_y_x"][()]
        print(f"--- {subject}", flush=True)
        for name, (bent, leaves_out) in WAYS.items():
            mosaic = solved(folder, name, bent, leaves_out)
            truth = field_benchmark.low_passed(
                sheets.prod(axis=0), mosaic.cutoff_per_um, mosaic.pixel_um
            )
            told(name, mosaic, truth)


if __name__ == "__main__":
    main()
