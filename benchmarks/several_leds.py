"""Several LEDs a frame against one by one: complex error and number of frames, on several objects.

    python benchmarks/several_leds.py --leds-per-frame 4 --patterns na-matched,random

Frames are those of `fpm-inr simulate`: an objective of NA 0.1, 137 LEDs of which 9 are bright
field, a camera of 16 bits, one exposure for all frames. Bright-field LEDs have frames of their own
unless --bright-field-too. The error is that of the complex image, one complex factor removed, with
a rim of 8 pixels of the frames left out; a tilted object is taken at every pixel's true height.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

import fpm_inr as fpm
from fpm_inr.metrics import complex_error
from fpm_inr.simulate import Setup, Specimen, pattern, preset, simulate

RIM_PX = 24  # of the image, three a pixel of a frame
HEIGHTS = 21
OBJECTS = {
    "siemens": Specimen("siemens", "thin", opacity=0.95, phase_rad=0.0),
    "smear": Specimen("smear", "thin"),
    "slow phase": Specimen("slow-phase", "thin", opacity=0.6, phase_rad=2.4),
    "lens": Specimen("lens", "thin", opacity=0.4, phase_rad=3.0),
    "smear, out of focus": Specimen("smear", "thin", z_um=20.0),
    "smear, tilted": Specimen("smear", "tilted", tilt_deg=12.0),
}


def error_of(setup: Setup, engine: str) -> tuple[float, int]:
    """Complex error of a solve, and the number of frames."""
    made = simulate(setup)
    truth = made.truth
    z_y_x_um = truth.z_sheet_y_x_um[0]
    low, high = float(z_y_x_um.min()), float(z_y_x_um.max())
    z_range = (low, high) if high - low > 0.1 else ((low + high) / 2,) * 2
    settings = {} if engine == "default" else {"engine": engine}
    solution = fpm.reconstruct(
        made.acquisition, z_range_um=z_range, upsample=setup.upsampling, **settings
    )
    heights = np.linspace(*z_range, HEIGHTS) if z_range[1] > z_range[0] else np.array([z_range[0]])
    stack = solution.render(heights).field_z_y_x
    nearest = np.abs(z_y_x_um[None] - heights[:, None, None]).argmin(axis=0)
    image = np.take_along_axis(stack, nearest[None], axis=0)[0]
    inner = (slice(RIM_PX, -RIM_PX),) * 2
    return complex_error(image[inner], truth.seen_y_x[inner]), made.acquisition.frame_count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leds-per-frame", type=int, default=4)
    parser.add_argument("--patterns", default="na-matched,random")
    parser.add_argument("--objects", default=",".join(OBJECTS).replace(", ", "; "))
    parser.add_argument("--size", type=int, nargs=2, default=(96, 96))
    parser.add_argument("--engine", default="default")
    parser.add_argument("--bright-field-too", action="store_true")
    parser.add_argument("--share", type=float, default=0.4, help="of the frames, at most")
    chosen = parser.parse_args()
    rig = preset("siemens").rig
    for name in (one.replace("; ", ", ") for one in chosen.objects.split(",")):
        setup = replace(preset("siemens"), specimen=OBJECTS[name], shape_y_x=tuple(chosen.size))
        alone, frames = error_of(setup, chosen.engine)
        print(f"{name:20s} one by one  {frames:4d} frames  error {alone:.4f}", flush=True)
        for kind in chosen.patterns.split(","):
            lighting = pattern(
                kind,
                rig.illumination.na_led_xy,
                rig.optics.na,
                chosen.leds_per_frame,
                bright_field_alone=not chosen.bright_field_too,
                frames=int(chosen.share * frames),
            )
            error, some = error_of(replace(setup, lighting=lighting), chosen.engine)
            print(
                f"{name:20s} {kind:11s} {some:4d} frames  error {error:.4f}  "
                f"{error / alone:.2f} times, {some / frames:.0%} of the frames",
                flush=True,
            )


if __name__ == "__main__":
    main()
