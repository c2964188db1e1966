"""What calibration and the orientation check find: tables of docs/calibration.md.

    python benchmarks/calibration.py PART ... [--data FOLDER] [--figures FILE]

orientation   residual of the right LED map and of the best wrong one, three published acquisitions
real          data residual of blood smear and USAF as stated and as found by `calibrate`
known         what `calibrate` leaves of errors that were put into a simulated smear
scarce        error of the gains that `calibrate` finds, by the light in a frame
joint         LED errors that `reconstruct --calibrate` leaves in a tilted smear
heights       height at which a plane fits the blood smear best, Noll 4 at 0, by what is free
detail        detail, slope and residual of the blood smear, stack from -75 to -15 um

FOLDER holds `algae_r.mat`; blood smear and USAF are found as examples/*/acquisition.yaml say. By
default ../shared/data beside the checkout.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import fpm_inr as fpm
from fpm_inr.acquisition import Optics
from fpm_inr.calibration.calibrate import calibrate
from fpm_inr.calibration.orientation import Orientation, check_orientation
from fpm_inr.calibration.solve import fit_plane
from fpm_inr.instrument import parse_free
from fpm_inr.reconstruction import data_residual
from fpm_inr.simulate import Camera, Errors, Rig, Setup, Specimen, preset, simulate
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


def scarce(_: Path) -> dict[str, float]:
    """Mean and spread of the relative error of the amplitude gains, by NA."""
    setup = preset("siemens")
    setup = replace(
        setup,
        specimen=Specimen("smear", "thin"),
        camera=replace(setup.camera, photons=5000),
        errors=Errors(gain_spread=0.2),
    )
    made = simulate(setup)
    gain = calibrate(made.acquisition, z_um=0.0, free="gains").found.gain_led.numpy()
    error = gain / np.sqrt(made.truth.intensity_gain_led)
    error = error / error[made.acquisition.is_bright_field].mean() - 1
    na_led = made.acquisition.illumination.na_led
    found = {}
    for low, high in pairwise((0, 0.1, 0.12, 0.16, 0.20, 0.24, 0.28, 0.32, 0.38)):
        there = (na_led >= low) & (na_led < high)
        if there.any():
            found[f"NA {low:.2f}-{high:.2f}, mean"] = float(error[there].mean())
            found[f"NA {low:.2f}-{high:.2f}, spread"] = float(error[there].std())
    return found


def joint(_: Path) -> dict[str, float]:
    """Fourier samples RMS of the LED directions, stated and found with the field."""
    found = {}
    for shift_mm, rotation_deg in (((0.4, -0.4), 1.0), ((1.0, -0.8), 1.0)):
        setup = preset("blood-smear")
        made = simulate(
            replace(
                setup,
                specimen=replace(setup.specimen, tilt_deg=15.0),
                errors=Errors(array_shift_mm=shift_mm, array_rotation_deg=rotation_deg),
                scan_z_um=(),
            )
        )
        acquisition, true = made.acquisition, made.truth.na_led_xy
        sample_na = acquisition.optics.wavelength_um / (128 * acquisition.optics.pixel_um)
        stated = np.sqrt(np.mean((acquisition.illumination.na_led_xy - true) ** 2)) / sample_na
        found[f"stated {shift_mm}"] = float(stated)
        for free in ("gains,pose", "gains,pupil,pose", "gains,pupil,pose,shifts"):
            solution = fpm.reconstruct(acquisition, z_range_um=(-12, 12), calibrate=free)
            off = solution.instrument.na_led_xy.numpy() - true
            found[f"{free} {shift_mm}"] = float(np.sqrt(np.mean(off**2)) / sample_na)
    return found


def heights(_: Path) -> dict[str, float]:
    """Lowest point of the parabola through the residuals at three heights."""
    acquisition = fpm.load(ROOT / "examples" / "bloodsmear_red")
    innermost = np.argsort(acquisition.illumination.na_led, kind="stable")
    z_um = (-41.0, -34.0, -27.0)
    found = {}
    for name, free, count in (
        ("nothing", None, 225),
        ("gains", "gains", 225),
        ("gains,pupil", "gains,pupil", 225),
        ("gains,pupil,pose", "gains,pupil,pose", 225),
        ("gains,pupil, 69 innermost LEDs", "gains,pupil", 69),
        ("gains,pupil, 21 innermost LEDs", "gains,pupil", 21),
    ):
        part = acquisition.select(np.sort(innermost[:count]))
        what = None if free is None else parse_free(free)
        residual = [fit_plane(part, float(z), what, height_is_free=True).residual for z in z_um]
        a, b, _ = np.polyfit(z_um, residual, 2)
        found[name] = float(-b / (2 * a))
    return found


def detail(_: Path) -> dict[str, float]:
    """Fine over coarse power, mean square slope, residuals: as stated, learned, from a file."""
    acquisition = fpm.load(ROOT / "examples" / "bloodsmear_red")
    plane = calibrate(acquisition, z_um=-55.0).instrument
    ways: dict[str, dict[str, Any]] = {
        "as stated": {},
        "gains,pupil": {"calibrate": "gains,pupil"},
        "gains,pupil,pose": {"calibrate": "gains,pupil,pose"},
        "found at -55 um": {"calibration": plane},
    }
    found = {}
    for name, settings in ways.items():
        solution = fpm.reconstruct(acquisition, z_range_um=(-75, -15), **settings)
        image = solution.render(-55).amplitude_z_y_x[0].astype(np.float64)
        power = np.abs(np.fft.fft2(image - image.mean())) ** 2
        frequency = (np.fft.fftfreq(side, solution.pixel_um) for side in image.shape)
        y, x = np.meshgrid(*frequency, indexing="ij")
        na = np.hypot(y, x) * acquisition.optics.wavelength_um
        fine = power[(na > acquisition.optics.na) & (na < 0.45)].sum()
        found[f"{name}: detail"] = float(fine / power[(na > 0.01) & (na < 0.1)].sum())
        slope = sum(np.square(along).mean() for along in np.gradient(image))
        found[f"{name}: slope"] = float(slope)
        for z_um, residual in zip(
            (-55, -34), data_residual(acquisition, solution, [-55, -34]), strict=True
        ):
            found[f"{name}: residual at {z_um} um"] = residual
    return found


PARTS: dict[str, Callable[[Path], dict[str, float]]] = {
    "orientation": orientation,
    "real": real,
    "known": known,
    "scarce": scarce,
    "joint": joint,
    "heights": heights,
    "detail": detail,
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
