"""How far solutions explain right and wrong frames: the figures behind the limits of the warning.

Usage: python benchmarks/explained.py [simulated] [real]  (default: both; real: ../shared/data)
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from fpm_inr import Acquisition, reconstruct
from fpm_inr.calibration.calibrate import calibrate
from fpm_inr.calibration.orientation import Orientation, oriented
from fpm_inr.forward import Instrument
from fpm_inr.io import load
from fpm_inr.simulate import preset, simulate
from fpm_inr.simulate.camera import Camera, expose
from fpm_inr.trust.explained import explain

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
Case = tuple[str, Acquisition, tuple[float, float], Instrument | None]


def main() -> None:
    wanted = sys.argv[1:] or ["simulated", "real"]
    print(f"{'frames':34s} residual    noise  ratio  share  warned")
    for kind in wanted:
        for name, acquisition, z_range_um, instrument in {"simulated": simulated, "real": real}[
            kind
        ]():
            solution = reconstruct(acquisition, z_range_um=z_range_um, calibration=instrument)
            low, high = z_range_um
            found = explain(
                acquisition, solution, list(np.linspace(low, high, 9 if low < high else 1))
            )
            warned = "no" if found.is_explained else "yes"
            warned += f", LEDs {found.lost_leds.tolist()}" if len(found.lost_leds) else ""
            print(
                f"{name:34s} {found.residual:8.4f} {found.expected_residual:8.4f} "
                f"{found.residual / found.expected_residual:6.1f} {found.unexplained_share:6.3f}  "
                f"{warned}",
                flush=True,
            )


def simulated() -> Iterator[Case]:
    for name, z_range_um in (
        ("demo", (-12.0, 12.0)),
        ("thyroid", (-5.0, 10.0)),
        ("siemens", (0.0, 0.0)),
        ("usaf", (0.0, 0.0)),
    ):
        setup = replace(preset(name), shape_y_x=(96, 96), scan_z_um=(), camera=Camera())
        clean = simulate(setup).acquisition
        for photons in (500, 5_000, 50_000):
            random = np.random.default_rng(0)
            camera = Camera(photons=photons, read_noise_e=2)
            frames = expose(clean.frames_led_y_x, camera, random)
            seen = replace(clean, frames_led_y_x=frames)
            yield f"{name}, {photons} photons", seen, z_range_um, None
            if photons == 5_000:
                middle = (sum(z_range_um) / 2,) * 2
                yield from faults(name, seen, z_range_um)
                yield f"{name}, 60 um too high", seen, (middle[0] + 60, middle[1] + 60), None


def real() -> Iterator[Case]:
    usaf = load(ROOT / "examples" / "usaf")
    yield "USAF", usaf, (0.0, 0.0), None
    yield "USAF, calibrated", usaf, (0.0, 0.0), calibrate(usaf).instrument
    yield "USAF, 100 um too high", usaf, (100.0, 100.0), None
    yield from faults("USAF", usaf, (0.0, 0.0))
    blood = load(ROOT / "examples" / "bloodsmear_red")
    yield "blood smear, -55 um", blood, (-55.0, -55.0), None
    found = calibrate(blood, z_um=-55).instrument
    yield "blood smear, calibrated", blood, (-55.0, -55.0), found
    yield "blood smear, 0 um (wrong)", blood, (0.0, 0.0), None
    algae = load(DATA / "algae_r.mat", wavelength_um=0.63, medium_index=1.33)
    algae = algae.crop(64, 64, 128, 128)
    yield "algae", algae, (-60.0, 0.0), None
    yield "algae, +60 um (wrong)", algae, (60.0, 60.0), None
    field = load(DATA / "algae_field", crop=(128, 128, 192, 192))
    yield "algae field", field, (-60.0, 0.0), None
    found = calibrate(field, z_um=-40).instrument
    yield "algae field, calibrated", field, (-60.0, 0.0), found


def faults(name: str, right: Acquisition, z_range_um: tuple[float, float]) -> Iterator[Case]:
    """What goes wrong with frames."""
    frames, count = right.frames_led_y_x, right.led_count

    def changed(what: str, values: np.ndarray) -> Case:
        return f"{name}, {what}", replace(right, frames_led_y_x=values), z_range_um, None

    bayer = np.ones(right.shape_y_x)
    bayer[1::2, ::2] = bayer[::2, 1::2] = 0.15
    bayer[1::2, 1::2] = 0.03
    yield changed("raw Bayer", frames * bayer)
    yield changed("one frame late from LED 15", np.insert(frames, 15, frames[15], 0)[:-1])
    dark = frames.copy()
    dark[right.illumination.na_led.argmin()] = np.random.default_rng(0).poisson(1, frames[0].shape)
    yield changed("central lamp failed", dark)
    yield changed("LEDs scrambled", frames[np.random.default_rng(0).permutation(count)])
    twice = np.concatenate([frames, np.minimum(frames, frames.max() / 50)])
    illumination = right.illumination.select(np.tile(np.arange(count), 2))
    clipped = replace(right, frames_led_y_x=twice, illumination=illumination)
    yield f"{name}, clipped long exposures", clipped, z_range_um, None
    turned = oriented(right, Orientation(transpose=True, flip_x=True))
    yield f"{name}, LED map turned", turned, z_range_um, None


if __name__ == "__main__":
    main()
