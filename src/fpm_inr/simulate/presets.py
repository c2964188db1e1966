"""Rigs and specimens ready to use: the paper's two microscopes, slow phases, targets, demo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fpm_inr.acquisition import Optics
from fpm_inr.errors import SettingsError
from fpm_inr.simulate.camera import Camera
from fpm_inr.simulate.experiment import Setup
from fpm_inr.simulate.rig import Rig, grid_leds, ring_leds
from fpm_inr.simulate.samples import Specimen


def preset(name: str) -> Setup:
    """Return a setup by name (one of `PRESETS`); change it with `dataclasses.replace`.

    Raises
    ------
    SettingsError
        The name is unknown.
    """
    if name not in PRESETS:
        raise SettingsError(
            f"is {name!r}, which is unknown", f"give one of {', '.join(PRESETS)}", field="preset"
        )
    return PRESETS[name]()


def _even(low: float, high: float, step: float) -> tuple[float, ...]:
    return tuple(np.linspace(low, high, round((high - low) / step) + 1).tolist())


def _blood_smear_rig(counts: tuple[int, ...]) -> Rig:
    optics = Optics(wavelength_um=0.5226, na=0.256, pixel_um=3.45 / 10)
    distance_mm = 66.0
    # the outermost ring stands just inside the objective's NA, as the paper's does
    return Rig(optics, ring_leds(counts, 0.98 * optics.na, distance_mm), distance_mm)


def _blood_smear() -> Setup:
    return Setup(
        Specimen("smear", "tilted", tilt_deg=4.0),
        _blood_smear_rig((1, 7, 13, 20, 27)),
        camera=Camera(photons=5000, read_noise_e=2, bits=12),
        scan_z_um=_even(-20, 20, 1),
    )


def _slow(subject: str, opacity: float, phase_rad: float) -> Setup:
    specimen = Specimen(subject, "thin", opacity=opacity, phase_rad=phase_rad)
    return replace(_blood_smear(), specimen=specimen, scan_z_um=())


def _thyroid() -> Setup:
    optics = Optics(wavelength_um=0.5226, na=0.40, pixel_um=5.5 / 20)
    return Setup(
        Specimen("immunohistochemistry", "wavy", z_um=2.0, depth_um=8.0, wave_um=60.0),
        # the LEDs of a 15 x 15 array less than seven pitches from its middle: 145
        Rig(optics, grid_leds(15, 4.0, 6.9), 66.0),
        camera=Camera(photons=5000, read_noise_e=2, bits=12),
        scan_z_um=_even(-10, 20, 1),
    )


def _target(subject: str) -> Setup:
    optics = Optics(wavelength_um=0.632, na=0.1, pixel_um=6.5 / 4)
    return Setup(
        Specimen(subject, "thin", opacity=0.95, phase_rad=0.0),
        Rig(optics, grid_leds(13, 4.0, 6.5), 66.0),
        upsampling=3,
        # one exposure for bright and dark field needs the range of several
        camera=Camera(photons=100_000, read_noise_e=2, bits=16),
    )


def _demo() -> Setup:
    return Setup(
        Specimen("smear", "tilted", tilt_deg=15.0),
        _blood_smear_rig((1, 6, 12, 18)),
        shape_y_x=(96, 96),
        camera=Camera(photons=5000, read_noise_e=2, bits=12),
        scan_z_um=_even(-8, 8, 1),
    )


PRESETS: dict[str, Callable[[], Setup]] = {
    "blood-smear": _blood_smear,
    "thyroid": _thyroid,
    "slow-phase": lambda: _slow("slow-phase", 0.6, 2.4),
    "lens": lambda: _slow("lens", 0.4, 3.0),
    "siemens": lambda: _target("siemens"),
    "usaf": lambda: _target("usaf"),
    "demo": _demo,
}
