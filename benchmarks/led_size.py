"""LEDs of finite size at the pupil's edge: described, taken for points, or of free brightness.

    python benchmarks/led_size.py --sizes 0.5,1,2

Frames are those of `fpm-inr simulate --led-size`: 25 points a face, an objective of NA 0.1, an
array that stands so that LEDs lie on the pupil's edge. The residual is sum (predicted - measured)^2
/ sum measured^2 over the frames of LEDs whose faces reach across the edge.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

import fpm_inr as fpm
from fpm_inr.engines.inr import Inr
from fpm_inr.metrics import complex_error
from fpm_inr.simulate import Specimen, preset, simulate
from fpm_inr.trust.explained import explain

RIM_PX = 24
OBJECTS = {
    "siemens": Specimen("siemens", "thin", opacity=0.95, phase_rad=0.0),
    "smear": Specimen("smear", "thin"),
    "slow phase": Specimen("slow-phase", "thin", opacity=0.6, phase_rad=1.2),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="0.5,1,2")
    parser.add_argument("--objects", default="siemens,smear,slow phase")
    parser.add_argument("--distances", default="57,59")
    parser.add_argument("--size", type=int, nargs=2, default=(72, 72))
    chosen = parser.parse_args()
    recipe = Inr().recipe("default")
    order = recipe.order_2d.model_copy(update={"rim_width": 0.0})
    bound = recipe.model_copy(update={"order_2d": order})
    start = preset("siemens")
    for name in chosen.objects.split(","):
        for distance in map(float, chosen.distances.split(",")):
            for size in map(float, chosen.sizes.split(",")):
                rig = replace(start.rig, led_size_mm=size, distance_mm=distance)
                setup = replace(
                    start, specimen=OBJECTS[name], rig=rig, shape_y_x=tuple(chosen.size)
                )
                made = simulate(setup)
                light, na = made.acquisition.illumination, rig.optics.na
                across = np.abs(light.na_led - na) < 0.75 * size / distance
                point = replace(made.acquisition, illumination=replace(light, die=None))
                for how, seen, used in (
                    ("size known", made.acquisition, recipe),
                    ("points, brightness free", point, recipe),
                    ("points", point, bound),
                ):
                    solution = fpm.reconstruct(seen, upsample=3, recipe=used)
                    told = explain(seen, solution, [0.0])
                    rim = told.error_led[across].sum() / told.power_led[across].sum()
                    image = solution.render([0.0]).field_z_y_x[0]
                    inner = (slice(RIM_PX, -RIM_PX),) * 2
                    error = complex_error(image[inner], made.truth.seen_y_x[inner])
                    print(
                        f"{name:10s} {distance:g} mm, LEDs of {size:g} mm, {across.sum()} across: "
                        f"{how:24s} error {error:.4f}, residual of their frames {rim:.4f}, "
                        f"of all {told.residual:.4f}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
