"""Which size of the LEDs explains the frames at the pupil's edge of a real acquisition.

    python benchmarks/led_size_of_frames.py examples/bloodsmear_red --z -55 --crop 16 16 96 96

LED places and pupil are calibrated with LEDs as points; then the same frames are solved with LEDs
of several sizes, and no LED is left out. The residual is sum (predicted - measured)^2 /
sum measured^2.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import torch

import fpm_inr as fpm
from fpm_inr.calibration.calibrate import calibrate
from fpm_inr.engines.inr import Inr
from fpm_inr.lighting import Die
from fpm_inr.trust.explained import explain


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--z", type=float, default=0.0)
    parser.add_argument("--crop", type=int, nargs=4)
    parser.add_argument("--sizes-na", default="0,0.0022,0.0044,0.0088,0.0132")
    parser.add_argument("--near", type=float, default=0.06, help="share of the NA")
    chosen = parser.parse_args()
    seen = fpm.load(chosen.data, crop=None if chosen.crop is None else tuple(chosen.crop))
    found = calibrate(seen, z_um=chosen.z, free="gains,pupil,pose", steps=100).instrument
    found = replace(found, gain_led=torch.ones_like(found.gain_led))
    na = seen.optics.na
    rim = np.abs(found.na_led_xy.norm(dim=1).numpy() - na) < chosen.near * na
    recipe = Inr().recipe("default")
    order = recipe.order_2d.model_copy(update={"rim_width": 0.0})
    recipe = recipe.model_copy(update={"order_2d": order})
    print(f"{rim.sum()} LEDs within {chosen.near:.0%} of the NA")
    for size in map(float, chosen.sizes_na.split(",")):
        # where calibration has put them, as if stated: none counts as moved
        light = replace(
            seen.illumination,
            na_led_xy=found.na_led_xy.numpy(),
            geometry=None,
            die=Die(size_na=size) if size else None,
        )
        placed = replace(seen, illumination=light)
        solution = fpm.reconstruct(
            placed, z_range_um=(chosen.z, chosen.z), recipe=recipe, calibration=found
        )
        told = explain(placed, solution, [chosen.z])
        parts = [told.error_led[some].sum() / told.power_led[some].sum() for some in (rim, ~rim)]
        print(f"size {size:.4f} NA: residual at the edge {parts[0]:.4f}, elsewhere {parts[1]:.4f}")


if __name__ == "__main__":
    main()
