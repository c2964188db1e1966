"""What the options that make networks quicker on a card do to the image: errors, and no times.

    python benchmarks/paper_options.py [--parts decoders batches] [--recipes neural paper]
                                       [--specimens smear slow-phase stain] [--dimensions 2d 3d]
                                       [--side 64] [-o FILE]

decoders   hidden layers in bfloat16 (`amp`), compiled (`compile`), and both, beside single
           precision with the same seed and with another one, which says what a difference is worth
batches    batches of LEDs in the paper's order (`leds_per_step`): at the recipe's learning rate,
           and at that rate times the root of the batch's size, or the size itself

A blood smear, an object with slow phase and a stained section under the LEDs of the preset
`blood-smear` (5,000 photons) are solved in focus (2D) and tilted over half of -12..12 um (3D).
Printed: complex error of the image against the truth (one complex factor removed, every pixel at
its true height), then that of the amplitude, and the last losses. All of it runs on the CPU, which
a recipe with these options refuses: rounding does not hang on the device, time does. Compiling
takes a C++ compiler.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fpm_inr as fpm
from fpm_inr.benchmark.judge import without_rim
from fpm_inr.engines.inr import Inr
from fpm_inr.engines.recipe import load_recipe, make_recipe
from fpm_inr.metrics import compare
from fpm_inr.simulate import Simulation, Specimen, preset, simulate

Z_RANGE_UM = (-12.0, 12.0)
PHOTONS = 5000.0
HEIGHTS = 49
SUBJECTS = {"smear": "blood-smear", "slow-phase": "slow-phase", "stain": "thyroid"}
DECODERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "amp": {"amp": True},
    "compile": {"compile": True},
    "amp and compile": {"amp": True, "compile": True},
}
BATCHES = (4, 17, 68)

Change = tuple[str, dict[str, dict[str, Any]], int]


def frames(specimen: str, side: int, *, is_flat: bool) -> Simulation:
    """A specimen in focus, or tilted over half of the range."""
    setup = preset("blood-smear")
    width_um = side * setup.rig.optics.pixel_um
    tilt = math.degrees(math.atan((Z_RANGE_UM[1] - Z_RANGE_UM[0]) / 2 / width_um))
    like = preset(SUBJECTS[specimen]).specimen
    drawn = Specimen(like.subject, opacity=like.opacity, phase_rad=like.phase_rad)
    if not is_flat:
        drawn = replace(drawn, shape="tilted", tilt_deg=tilt)
    camera = replace(setup.camera, photons=PHOTONS)
    return simulate(
        replace(setup, specimen=drawn, camera=camera, shape_y_x=(side, side), scan_z_um=())
    )


def at_true_height(solution: fpm.Solution, depth_y_x_um: NDArray[np.float32]) -> NDArray[Any]:
    """The image, every pixel as the slice nearest to its height has it."""
    low, high = solution.z_range_um
    heights = np.linspace(low, high, HEIGHTS if low < high else 1)
    stack = solution.render(heights).field_z_y_x
    nearest = np.abs(depth_y_x_um[None] - heights[:, None, None]).argmin(axis=0)
    return np.asarray(np.take_along_axis(stack, nearest[None], axis=0)[0])


def errors(made: Simulation, solution: fpm.Solution) -> dict[str, float]:
    image = at_true_height(solution, made.truth.depth_y_x_um)
    numbers = compare(
        without_rim(image, solution.upsampling),
        without_rim(made.truth.seen_y_x, solution.upsampling),
        find_shift=False,
    ).numbers
    last = [row["loss"] for row in solution.history[-68:]]
    return {
        "complex": numbers["relative_l2"],
        "amplitude": numbers["amplitude_relative_l2"],
        "loss": float(np.mean(last)),
    }


def decoders() -> Iterator[Change]:
    for name, changes in DECODERS.items():
        yield name, {"field": changes}, 0
        if name == "plain":
            yield "plain, another seed", {}, 1


def batches(rate: float) -> Iterator[Change]:
    yield "1 LED a step", {}, 0
    yield "1 LED a step, another seed", {}, 1
    for size in BATCHES:
        for factor, told in ((1.0, "the same rate"), (math.sqrt(size), "root"), (size, "times")):
            order = {"leds_per_step": size, "learning_rate": rate * factor}
            yield f"{size} LEDs a step, {told} ({rate * factor:.2g})", {"order": order}, 0


def changes_of(parts: list[str], recipes: list[str]) -> Iterator[tuple[str, str, Change]]:
    """Part, recipe and change, one after the other."""
    for part in parts:
        if part == "batches":
            yield from ((part, "paper", change) for change in batches(1e-3))
        else:
            yield from ((part, *one) for one in product(recipes, decoders()))


def changed(name: str, changes: dict[str, dict[str, Any]]) -> Any:
    """The recipe with some of its values replaced."""
    content = load_recipe(name).model_dump(exclude_none=True)
    for part, values in changes.items():
        content[part] |= values
    return make_recipe(content)


def allowed(self: Inr, settings: Any, device: Any) -> None:
    """A CPU makes the same numbers, in more time."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = ["decoders", "batches"]
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument(
        "--recipes", nargs="+", choices=["neural", "paper"], default=["neural", "paper"]
    )
    parser.add_argument("--specimens", nargs="+", choices=list(SUBJECTS), default=list(SUBJECTS))
    parser.add_argument("--dimensions", nargs="+", choices=["2d", "3d"], default=["2d", "3d"])
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("-o", "--output", type=Path, help="also as JSON, kept up to date")
    given = parser.parse_args()
    Inr.check_device = allowed  # type: ignore[method-assign]
    rows: list[dict[str, Any]] = []
    for part, recipe, (name, values, seed) in changes_of(given.parts, given.recipes):
        for specimen, dimension in product(given.specimens, given.dimensions):
            is_flat = dimension == "2d"
            made = frames(specimen, given.side, is_flat=is_flat)
            solution = fpm.reconstruct(
                made.acquisition,
                z_range_um=(0.0, 0.0) if is_flat else Z_RANGE_UM,
                upsample=2,
                recipe=changed(recipe, values),
                seed=seed,
                device="cpu",
            )
            told = {"part": part, "recipe": recipe, "change": name, "side": given.side}
            row = told | {"specimen": specimen, "dimension": dimension, **errors(made, solution)}
            rows.append(row)
            print(
                f"{recipe:7} {name:36} {specimen:10} {dimension}  complex {row['complex']:.4f}  "
                f"amplitude {row['amplitude']:.4f}  loss {row['loss']:.3e}",
                flush=True,
            )
            if given.output is not None:
                given.output.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
