"""What calibrate finds of wrongly stated arrays and objectives, and what the circles tell.

Usage: python benchmarks/found_instrument.py   (needs ../shared/data)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fpm_inr import Acquisition
from fpm_inr.calibration.brightfield import na_from_circles
from fpm_inr.calibration.calibrate import calibrate
from fpm_inr.errors import DataError
from fpm_inr.io import load
from fpm_inr.simulate import Specimen, preset, simulate
from fpm_inr.simulate.camera import Camera

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
STATED = (0.8, 0.9, 1.0, 1.1, 1.2)
Places = NDArray[np.float64]


def main() -> None:
    usaf = load(ROOT / "examples" / "usaf")
    arrays: dict[str, Callable[[Places], Places]] = {
        "5 mm off": lambda places: places + np.array([5.0, 0.0, 0.0]),
        "rotated by 8 degrees": _turned,
        "20 % too near": lambda places: places * np.array([1.0, 1.0, 0.8]),
    }
    for name, change in arrays.items():
        _tell(f"USAF, {name}", _with_leds(usaf, change))
    for na in (0.08, 0.09, 0.11, 0.12):
        stated = replace(usaf, optics=replace(usaf.optics, na=na))
        _tell(f"USAF, NA {na}", stated, free="gains,pupil,pose,na")
    for name, specimen in (("siemens", None), ("demo", Specimen("cell", "thin"))):
        truth = _simulated(name, 80, specimen)
        for factor in STATED[1:]:
            _tell(f"{name}, NA x {factor}", _stating(truth, factor), free="gains,na", steps=80)
    series = {
        "USAF": usaf,
        "blood smear": load(ROOT / "examples" / "bloodsmear_red"),
        "algae": load(DATA / "algae_r.mat", wavelength_um=0.63, medium_index=1.33),
        **{name: _simulated(name, 96) for name in ("demo", "siemens", "thyroid")},
    }
    for name, truth in series.items():
        found = " ".join(f"{factor}: {_by_circles(truth, factor)}" for factor in STATED)
        print(f"circles, {name}: {found}", flush=True)


def _tell(name: str, acquisition: Acquisition, **how: object) -> None:
    found = calibrate(acquisition, z_um=0.0, **how)  # type: ignore[arg-type]
    na = found.found.na_of(acquisition.optics)
    print(
        f"{name}: {found.before.residual:.4f} to {found.after.residual:.4f}, NA {na:.4f}, "
        f"{found.reason or 'accepted'}; {found.array}",
        flush=True,
    )


def _by_circles(truth: Acquisition, factor: float) -> str:
    try:
        return f"{na_from_circles(_stating(truth, factor)) / truth.optics.na:.3f}"
    except DataError:
        return "-"


def _stating(truth: Acquisition, factor: float) -> Acquisition:
    return replace(truth, optics=replace(truth.optics, na=factor * truth.optics.na))


def _with_leds(acquisition: Acquisition, change: Callable[[Places], Places]) -> Acquisition:
    geometry = acquisition.illumination.geometry
    assert geometry is not None
    moved = replace(geometry, position_led_xyz_mm=change(geometry.position_led_xyz_mm))
    illumination = replace(acquisition.illumination, na_led_xy=moved.na_at(), geometry=moved)
    return replace(acquisition, illumination=illumination)


def _turned(places: Places) -> Places:
    cosine, sine = math.cos(math.radians(8)), math.sin(math.radians(8))
    return places @ np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])


def _simulated(name: str, side: int, specimen: Specimen | None = None) -> Acquisition:
    setup = preset(name)
    camera = Camera(photons=5000, read_noise_e=2)
    setup = replace(setup, shape_y_x=(side, side), scan_z_um=(), camera=camera)
    return simulate(setup if specimen is None else replace(setup, specimen=specimen)).acquisition


if __name__ == "__main__":
    main()
