"""What calibration and the orientation check find: tables of docs/calibration.md.

    python benchmarks/calibration.py orientation real known [--data FOLDER] [--figures FILE]

orientation   residual of the right LED map and of the best wrong one, three published acquisitions
real          data residual of blood smear and USAF as stated and as found by `calibrate`
known         what `calibrate` leaves of errors that were put into a simulated smear

FOLDER holds `algae_r.mat`; blood smear and USAF are found as examples/*/acquisition.yaml say. By
default ../shared/data beside the checkout.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

import fpm_inr as fpm
from fpm_inr.acquisition import Optics
from fpm_inr.calibration.calibrate import calibrate
from fpm_inr.calibration.orientation import Orientation, check_orientation
from fpm_inr.simulate import Camera, Errors, Rig, Setup, Specimen, simulate
from fpm_inr.simulate.rig import grid_leds

ROOT = Path(__file__).parents[1]
OPTICS = Optics(wavelength_um=0.5226, na=0.256, pixel_um=0.345)
WAVES = ((5, 0.2), (6, 0.2), (7, 0.2), (8, 0.2), (9, 0.15), (10, 0.15), (11, 0.2), (4, 0.1))


def orientation(data: Path) -> dict[str, float]:
    """Residuals of the right map (or its twin) and the best of the others."""
    found = {}
    right = {Orientation(), Orientation().twin}
    for name, acquisition in (
        ("blood smear", fpm.load(ROOT / "examples" / "bloodsmear_red")),
        ("USAF", fpm.load(ROOT / "examples" / "usaf")),
        ("algae", fpm.load(data / "algae_r.mat", wavelength_um=0.63, medium_index=1.33)),
    ):
        residual = check_orientation(acquisition).residual
        found[f"{name}, right map"] = min(residual[one] for one in right)
        found[f"{name}, best wrong map"] = min(v for k, v in residual.items() if k not in right)
    return found


def real(_: Path) -> dict[str, float]:
    """Data residuals as stated and as found."""
    found = {}
    for name, folder, z_um in (("blood smear", "bloodsmear_red", -55.0), ("USAF", "usaf", 0.0)):
        result = calibrate(fpm.load(ROOT / "examples" / folder), z_um=z_um)
        found[f"{name}, as stated"] = result.before.residual
        found[f"{name}, found"] = result.after.residual
    return found


def known(_: Path) -> dict[str, float]:
    """What is left of pupil, gains and LED places, where all three were wrong."""
    made = simulate(
        Setup(
            Specimen("smear", "thin"),
            Rig(OPTICS, grid_leds(11, 4.0, 5.5), 66.0),
            camera=Camera(photons=5000, read_noise_e=2, bits=16),
            errors=Errors(
                aberration_waves=WAVES,
                array_shift_mm=(0.8, -0.6),
                array_rotation_deg=2.0,
                array_pitch_factor=1.03,
                gain_spread=0.2,
            ),
        )
    )
    result = calibrate(made.acquisition, z_um=0.0, free="gains,pupil,pose")
    truth, instrument = made.truth, result.found
    sample_na = OPTICS.wavelength_um / (128 * OPTICS.pixel_um)
    found_waves = instrument.zernike_rad.numpy()[: len(truth.zernike_waves)] / (2 * np.pi)
    wrong_waves = found_waves - truth.zernike_waves[: len(found_waves)]
    bright = made.acquisition.is_bright_field
    gain = instrument.gain_led.numpy() / np.sqrt(truth.intensity_gain_led)
    gain /= gain[bright].mean()

    def samples(na_led_xy: np.ndarray) -> float:
        return float(np.sqrt(np.mean((na_led_xy - truth.na_led_xy) ** 2)) / sample_na)

    return {
        "accepted": float(result.accepted),
        "pupil, waves RMS, put in": float(np.linalg.norm(truth.zernike_waves)),
        "pupil, waves RMS, left": float(np.linalg.norm(wrong_waves)),
        "LEDs, Fourier samples, put in": samples(made.acquisition.illumination.na_led_xy),
        "LEDs, Fourier samples, left": samples(instrument.na_led_xy.numpy()),
        "gains, bright field, left": float(np.std(gain[bright])),
        "gains, all, left": float(np.std(gain)),
    }


PARTS: dict[str, Callable[[Path], dict[str, float]]] = {
    "orientation": orientation,
    "real": real,
    "known": known,
}
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("parts", nargs="+", choices=list(PARTS))
parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
parser.add_argument("--figures", type=Path, help="JSON file to write")
arguments = parser.parse_args()
told = {}
for part in arguments.parts:
    for key, value in PARTS[part](arguments.data).items():
        print(f"{key:40s} {value:.4f}", flush=True)
        told[f"{part}: {key}"] = value
if arguments.figures is not None:
    arguments.figures.write_text(json.dumps(told, indent=1), encoding="utf-8")
