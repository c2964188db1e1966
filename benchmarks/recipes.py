"""How the numbers of the recipes were chosen: the tables of docs/recipes.md.

    python benchmarks/recipes.py default neural [--figures FILE]

A simulated blood smear (68 LEDs, 128 x 128 frames, upsampling 2, tilt 15 degrees, -12..12 um) is
solved with a recipe as it is and with one change at a time. Printed: relative L2 of the amplitude,
each pixel taken at its true height. `default` has 5,000 photons and a conventional stack to compare
with (a minute or two); `neural` has no noise (some minutes).
"""

from __future__ import annotations

import argparse
import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import fpm_inr as fpm
from fpm_inr.engines.recipe import load_recipe, make_recipe
from fpm_inr.metrics import relative_l2
from fpm_inr.simulate import Camera, Simulation, Truth, preset, simulate

Z_RANGE_UM = (-12.0, 12.0)
RIM_PX = 8  # of the image: a solved field is periodic, a specimen is not

# what is changed -> the new values, by part and key
CHANGES: dict[str, dict[str, dict[str, Any]]] = {
    "default": {
        "none": {},
        "4 passes per plane": {"order": {"passes_per_plane": 4}},
        "6 passes per plane": {"order": {"passes_per_plane": 6}},
        "step 2.0, 2 passes per plane": {"order": {"step": 2.0, "passes_per_plane": 2}},
        "step 2.0, 3 passes per plane": {"order": {"step": 2.0, "passes_per_plane": 3}},
        "step 2.0, 4 passes per plane": {"order": {"step": 2.0, "passes_per_plane": 4}},
        "step 2.0, 5 passes per plane": {"order": {"step": 2.0, "passes_per_plane": 5}},
        "1 group, step 2.0, 6 passes": {"order": {"groups": 1, "step": 2.0, "passes_per_plane": 6}},
        "1 group, step 2.0, 12 passes": {
            "order": {"groups": 1, "step": 2.0, "passes_per_plane": 12}
        },
        "2 groups, step 2.0, 6 passes": {
            "order": {"groups": 2, "step": 2.0, "passes_per_plane": 6}
        },
        "8 groups, step 2.0, 4 passes": {
            "order": {"groups": 8, "step": 2.0, "passes_per_plane": 4}
        },
        "17 groups, step 1.5, 3 passes": {"order": {"groups": 17, "passes_per_plane": 3}},
        "spacing 1.5, 6 passes": {
            "field": {"spacing_dof": 1.5},
            "order": {"passes_per_plane": 6},
        },
        "floor 0.5, step 2.0, 4 passes": {
            "order": {"floor": 0.5, "step": 2.0, "passes_per_plane": 4}
        },
    },
    "neural": {
        "none": {},
        "100 steps of 34 LEDs": {"order": {"steps": 100}},
        "100 steps of 68 LEDs": {"order": {"steps": 100, "leds_per_step": 68}},
        "400 steps of 17 LEDs, rate 1e-2": {
            "order": {"steps": 400, "leds_per_step": 17, "learning_rate": 1e-2}
        },
        "rate 4e-2": {"order": {"learning_rate": 4e-2}},
        "own planes for amplitude and phase": {"field": {"shared_features": False}},
        "16 channels, 16 hidden": {"field": {"channels": 16, "hidden": 16}},
        "plane as large as the image": {"field": {"plane_divisor": 1}},
        "plane starts at 1e-1": {"field": {"plane_start": 1e-1}},
        "layer norm": {"field": {"layer_norm": True}},
        "9 z nodes": {"field": {"z_nodes": 9}},
        "no warm-up": {"order": {"warm_up": 0.0}},
    },
}


def frames(photons: float | None) -> Simulation:
    """Simulate the tilted smear; without noise where there are no photons to count."""
    setup = preset("blood-smear")
    camera = Camera() if photons is None else replace(setup.camera, photons=photons)
    specimen = replace(setup.specimen, tilt_deg=15.0)
    return simulate(replace(setup, specimen=specimen, camera=camera, scan_z_um=()))


def error(solution: fpm.Solution, truth: Truth) -> float:
    """Relative L2 of the amplitude, each pixel taken at its true height."""
    heights_um = np.linspace(*Z_RANGE_UM, 161)
    stack = solution.render(heights_um).amplitude_z_y_x
    at = np.interp(truth.depth_y_x_um, heights_um, np.arange(len(heights_um))).round().astype(int)
    seen = np.take_along_axis(stack, at[None], axis=0)[0]
    inner = np.s_[RIM_PX:-RIM_PX, RIM_PX:-RIM_PX]
    true = np.abs(truth.seen_y_x[inner])
    factor = float(np.vdot(seen[inner], true) / np.vdot(seen[inner], seen[inner]))
    return relative_l2(factor * seen[inner], true)


def changed(name: str, changes: dict[str, dict[str, Any]]) -> Any:
    """The recipe with some of its values replaced."""
    content = deepcopy(load_recipe(name).model_dump(exclude_none=True))
    for part, values in changes.items():
        content[part] |= values
    return make_recipe(content)


def figures(name: str) -> dict[str, float]:
    """Error by change, of one recipe."""
    made = frames(5000.0 if name == "default" else None)
    found = {}
    if name == "default":
        planes = fpm.reconstruct(
            made.acquisition, z_range_um=Z_RANGE_UM, engine="conventional", planes=161
        )
        found["conventional"] = error(planes, made.truth)
        print(f"{'conventional, 161 planes':40s} {found['conventional']:.4f}", flush=True)
    for change, values in CHANGES[name].items():
        recipe = changed(name, values)
        solution = fpm.reconstruct(made.acquisition, z_range_um=Z_RANGE_UM, recipe=recipe)
        found[change] = error(solution, made.truth)
        print(f"{change:40s} {found[change]:.4f}", flush=True)
    return found


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("recipes", nargs="+", choices=list(CHANGES))
parser.add_argument("--figures", type=Path, help="JSON file to write")
arguments = parser.parse_args()
told = {
    f"{name}: {key}": value for name in arguments.recipes for key, value in figures(name).items()
}
if arguments.figures is not None:
    arguments.figures.write_text(json.dumps(told, indent=1), encoding="utf-8")
