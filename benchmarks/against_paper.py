"""How soon the default recipe is as good as the paper's recipe at its end.

    python benchmarks/against_paper.py 2d 3d --sizes 128,256

On simulated frames of an object with slow phase and of a blood smear (5,000 photons; tilted over
half of -12..12 um, or thin and in focus), solves with the paper's recipe, and with the default one
at all and at fewer of its passes. Per solve: seconds, PSNR over all LEDs (3D: median over nine
heights), complex error and phase error (one complex factor removed, no ramp) and relative L2 of
the amplitude of the image (3D: all in focus) against the truth. The paper's recipe takes minutes at
128 and a quarter of an hour at 256.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

import fpm_inr as fpm
from fpm_inr.allocator import keep_freed_memory
from fpm_inr.benchmark.experiment import ACQUISITION, TRUTH, prepare
from fpm_inr.benchmark.judge import without_rim
from fpm_inr.benchmark.settings import BenchmarkSettings
from fpm_inr.engines.recipe import Recipe, load_recipe
from fpm_inr.focus import FocusSettings, all_in_focus
from fpm_inr.focus.residual import score_against_frames
from fpm_inr.metrics import compare
from fpm_inr.reconstruction import data_residual
from fpm_inr.simulate import Truth, load_truth, preset, simulate

Z_RANGE_UM = (-12.0, 12.0)


PRESETS = {"slow-phase": "slow-phase", "smear": "blood-smear"}


def thin(specimen_name: str, size: int) -> tuple[fpm.Acquisition, Truth]:
    setup = preset(PRESETS[specimen_name])
    specimen = replace(setup.specimen, shape="thin", z_um=0.0, tilt_deg=0.0)
    camera = replace(setup.camera, photons=5000.0)
    made = simulate(replace(setup, shape_y_x=(size, size), specimen=specimen, camera=camera))
    return made.acquisition, made.truth


def tilted(specimen_name: str, size: int) -> tuple[fpm.Acquisition, Truth]:
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), size, specimen_name, BenchmarkSettings())
        return fpm.load(Path(folder) / ACQUISITION), load_truth(Path(folder) / TRUTH)


def shortened(passes: int, name: str) -> Recipe:
    recipe = load_recipe("default")
    order = getattr(recipe, name).model_copy(update={"passes_per_plane": passes})
    return recipe.model_copy(update={name: order})


def report(
    name: str, recipe: str | Recipe, acquisition: fpm.Acquisition, truth: Truth, is_flat: bool
) -> None:
    z_range = (0.0, 0.0) if is_flat else Z_RANGE_UM
    solution = fpm.reconstruct(acquisition, z_range_um=z_range, recipe=recipe)
    if is_flat:
        image = solution.render(0.0).field_z_y_x[0]
    else:
        image = all_in_focus(
            solution.slices,
            np.linspace(*Z_RANGE_UM, 41),
            FocusSettings.usual("residual"),
            judge=score_against_frames(acquisition, solution),
        ).field_y_x
    heights = np.linspace(*z_range, 1 if is_flat else 9)
    residual = float(np.median(data_residual(acquisition, solution, heights.tolist())))
    amplitude = acquisition.amplitude_led_y_x
    noise = residual * float(np.mean(np.square(amplitude)))
    psnr_db = 10 * math.log10(float(amplitude.max()) ** 2 / noise)
    numbers = compare(
        without_rim(image, solution.upsampling),
        without_rim(truth.seen_y_x, solution.upsampling),
        find_shift=False,
    ).numbers
    print(
        f"  {name:24} {solution.record['solve_seconds']:8.2f} s  {psnr_db:6.2f} dB  "
        f"complex {numbers['relative_l2']:.4f}  phase {numbers['phase_error_rad']:.4f} rad  "
        f"amplitude {numbers['amplitude_relative_l2']:.4f}",
        flush=True,
    )


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("parts", nargs="+", choices=["2d", "3d"])
parser.add_argument("--sizes", default="128,256")
parser.add_argument("--specimens", default=",".join(PRESETS))
arguments = parser.parse_args()
keep_freed_memory()  # as the command does
for part in arguments.parts:
    is_flat = part == "2d"
    order = "order_2d" if is_flat else "order"
    whole = getattr(load_recipe("default"), order).passes_per_plane
    for size in map(int, arguments.sizes.split(",")):
        for specimen in arguments.specimens.split(","):
            print(f"{part}, {specimen}, {size} x {size} x 68")
            frames, true = thin(specimen, size) if is_flat else tilted(specimen, size)
            for passes in sorted({1, 2, max(1, whole // 8), max(1, whole // 4), whole}):
                recipe = shortened(passes, order)
                report(f"default, {passes} passes", recipe, frames, true, is_flat)
            report("paper", "paper", frames, true, is_flat)
