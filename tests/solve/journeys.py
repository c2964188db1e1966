"""Joint solves that pass through every state, small enough to be killed at each of them."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fpm_inr.acquisition import Acquisition, Illumination
from fpm_inr.calibration.calibrate import calibrate
from fpm_inr.reconstruction import reconstruct
from fpm_inr.solution import Solution
from fpm_inr.solve import drive
from fpm_inr.solve import start as solve_start
from tests.tiny import tiny_acquisition


def off() -> Acquisition:
    """LEDs a little nearer to the axis than they are: those at the edge come to straddle it."""
    data = tiny_acquisition()
    return replace(data, illumination=Illumination(data.illumination.na_led_xy * 0.96))


def uneven() -> Acquisition:
    """LEDs of unequal brightness, which is found."""
    data = tiny_acquisition()
    gains = np.exp(np.random.default_rng(0).normal(0, 0.4, data.led_count))
    return replace(data, frames_led_y_x=data.frames_led_y_x * gains[:, None, None])


quick_calibration = partial(calibrate, steps=10)
SMALL_STEPS = {"pose": {"init": [0.0] * 6, "learning_rate": 0.1}}
# name -> acquisition, settings; by what comes after the joint solve
JOURNEYS: dict[str, tuple[Acquisition, dict[str, Any]]] = {
    "plain": (tiny_acquisition(), {"z_range_um": (-3.0, 3.0), "steps": 6}),
    "conventional": (
        tiny_acquisition(),
        {"engine": "conventional", "z_range_um": (-3.0, 3.0), "planes": 2, "passes": 3},
    ),
    "neural": (tiny_acquisition(), {"recipe": "neural", "steps": 4, "calibrate": "gains,pupil"}),
    "accepted": (uneven(), {"steps": 6, "calibrate": "gains,pupil,pose"}),
    "refused": (
        tiny_acquisition(),
        {"steps": 12, "calibrate": {"pupil": {"learning_rate": 10.0}}},
    ),
    "crossed": (off(), {"steps": 40, "calibrate": {"gains": True, **SMALL_STEPS}}),
}


def run(name: str, **more: Any) -> Solution:
    acquisition, settings = JOURNEYS[name]
    return reconstruct(acquisition, **settings, device="cpu", **more)


def content(solution: Solution) -> dict[str, Any]:
    """Everything that a resumed solve must bring about again, to the bit."""
    instrument = solution.instrument
    kept = ("calibration_refused", "calibration_residual", "calibration_of_a_plane")
    return {
        "field": {n: v.numpy().tobytes() for n, v in solution.field.state_dict().items()},
        "na": instrument.na_led_xy.numpy().tobytes(),
        "gain": instrument.gain_led.numpy().tobytes(),
        "zernike": instrument.zernike_rad.numpy().tobytes(),
        "loss": [row["loss"] for row in solution.history],
        "upsampling": solution.upsampling,
        **{name: solution.record.get(name) for name in kept},
        "leds_left_out": list(solution.leds_left_out),
        "settings": solution.record["settings"],
        "status": solution.record["status"],
    }


def main(name: str, checkpoint: str, kill_at: str, out: str) -> None:
    """Solve and save the image; or be killed, before the checkpoint of this number."""
    torch.set_num_threads(1)
    solve_start.find_calibration = quick_calibration  # type: ignore[assignment]
    drive.CHECKPOINT_SECONDS = 0.0
    written = iter(range(1, 10**6))
    write = drive.write_checkpoint

    def write_or_die(path: Path, *rest: Any) -> None:
        if next(written) == int(kill_at):
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, *rest)

    drive.write_checkpoint = write_or_die  # type: ignore[assignment]
    solution = run(name, checkpoint=checkpoint, resume=Path(checkpoint).exists())
    np.save(out, solution.render(0.0))


if __name__ == "__main__":
    main(*sys.argv[1:])
