"""Figures of the default recipe on known specimens and real crops, against the bounds.

python -m tests.quality.measure        # from the root of the checkout
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

import fpm_inr as fpm
from fpm_inr.focus import FocusSettings, all_in_focus
from fpm_inr.focus.residual import score_against_frames
from fpm_inr.metrics import compare
from fpm_inr.reconstruction import data_residual
from fpm_inr.simulate import Setup, Simulation, Specimen, preset, simulate

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
FLOORS: dict[str, dict[str, dict[str, float]]] = yaml.safe_load(
    Path(__file__).with_name("floors.yaml").read_text(encoding="utf-8")
)
RIM_PX = 4  # of the frames: a solved field is periodic, a specimen is not
SMALL = (80, 80)


def _setup(name: str, *specimen: str, **settings: Any) -> Setup:
    return replace(preset(name), specimen=Specimen(*specimen, **settings), scan_z_um=())


# name -> (what is simulated, range of heights that is solved)
SIMULATED: dict[str, tuple[Setup, tuple[float, float]]] = {
    "absorbing smear, out of focus": (_setup("demo", "smear", "thin", z_um=4), (4, 4)),
    "phase object, out of focus": (
        _setup("demo", "smear", "thin", opacity=0, phase_rad=1, z_um=-5),
        (-5, -5),
    ),
    "other picture in phase than in amplitude": (
        replace(_setup("blood-smear", "camera", "thin", opacity=0.5, phase_rad=1), shape_y_x=SMALL),
        (0, 0),
    ),
    "resolution target, mostly dark field": (
        replace(preset("siemens"), shape_y_x=SMALL),
        (0, 0),
    ),
    "tissue, mostly dark field": (
        replace(
            _setup("siemens", "immunohistochemistry", "thin", opacity=0.6, phase_rad=0.5),
            shape_y_x=SMALL,
        ),
        (0, 0),
    ),
    "slow phase, from one cycle across the field upward": (
        replace(preset("slow-phase"), shape_y_x=SMALL),
        (0, 0),
    ),
    "lens of 3 rad": (replace(preset("lens"), shape_y_x=SMALL), (0, 0)),
    "tilted smear, all heights": (replace(preset("demo"), scan_z_um=()), (-6, 6)),
}


@dataclass(frozen=True)
class Crop:
    """A part of a published acquisition, at the height where it is sharp."""

    read: Callable[[], fpm.Acquisition]
    z_um: float


REAL = {
    "blood smear": Crop(
        lambda: fpm.load(ROOT / "examples" / "bloodsmear_red", crop=(32, 32, 64, 64)), -55.0
    ),
    "resolution target": Crop(
        lambda: fpm.load(ROOT / "examples" / "usaf", crop=(32, 32, 64, 64)), 0.0
    ),
    "algae": Crop(
        lambda: fpm.load(
            DATA / "algae_r.mat", wavelength_um=0.63, medium_index=1.33, crop=(80, 80, 96, 96)
        ),
        -40.0,
    ),
}


def figures_of(
    made: Simulation, acquisition: fpm.Acquisition, z_range_um: tuple[float, float]
) -> dict[str, float]:
    """Solve frames of a known specimen and measure how far the result is from it."""
    pixel_um = made.truth.pixel_um
    factor = round(acquisition.optics.pixel_um / pixel_um)
    solution = fpm.reconstruct(acquisition, z_range_um=z_range_um, upsample=factor)
    inner = np.s_[RIM_PX * factor : -RIM_PX * factor, RIM_PX * factor : -RIM_PX * factor]
    low, high = z_range_um
    if low == high:
        image = solution.render(low).field_z_y_x[0]
        more = {"data_residual": data_residual(acquisition, solution, [low])[0]}
    else:
        sharp = all_in_focus(
            solution.slices,
            np.linspace(low, high, 25),
            FocusSettings("residual", 48, 12),
            judge=score_against_frames(acquisition, solution),
        )
        image = sharp.field_y_x
        # patches at the rim see half of their window only
        middle = np.s_[24:-24, 24:-24]
        true, found = made.truth.depth_y_x_um[middle], sharp.depth_um_y_x[middle]
        more = {
            "depth_rms_um": float(np.sqrt(np.mean((found - true) ** 2))),
            "slope_error": float(abs(1 - np.polyfit(true.ravel(), found.ravel(), 1)[0])),
        }
    return compare(image[inner], made.truth.seen_y_x[inner]).numbers | more


def residual_of(acquisition: fpm.Acquisition, z_um: float) -> float:
    """Data residual of one solved plane."""
    solution = fpm.reconstruct(acquisition, z_range_um=(z_um, z_um))
    return data_residual(acquisition, solution, [z_um])[0]


def measured() -> Iterator[tuple[str, str, dict[str, float]]]:
    """Kind of case, its name, and its figures, one after the other."""
    for name, (setup, z_range_um) in SIMULATED.items():
        made = simulate(setup)
        yield "simulated", name, figures_of(made, made.acquisition, z_range_um)
    for name, crop in REAL.items() if DATA.is_dir() else ():
        yield "real", name, {"data_residual": residual_of(crop.read(), crop.z_um)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figures", type=Path, help="JSON file to write")
    file: Path | None = parser.parse_args().figures
    told = {}
    for kind, name, figures in measured():
        print(name)
        for figure, bound in FLOORS[kind][name].items():
            print(f"    {figure:22s} {figures[figure]:.4f}  (bound {bound:g})", flush=True)
            told[f"{name}: {figure}"] = figures[figure]
    if file is not None:
        file.write_text(json.dumps(told, indent=1), encoding="utf-8")
