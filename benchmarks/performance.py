"""Where the time, memory and bytes go, on this machine: the figures of docs/performance.md.

    python benchmarks/performance.py [step] [joint] [render] [memory] [command]

step      one pass over the LEDs against the bare Fourier transforms in it, 128 to 512 pixels
joint     what learning about the instrument adds to a step, 128 and 256 pixels
render    161 slices of 2048 x 2048: rendering, writing, all-in-focus
memory    peak memory of solving 1024 x 1024 x 68, for 20 and 80 um of z (a few steps)
command   256 x 256 x 68 from command to files, start-up included

Frames are even light with the LEDs of the preset `blood-smear`: the cost of a step does not hang on
what is in them.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import fpm_inr as fpm
from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.allocator import keep_freed_memory
from fpm_inr.engines.recipe import load_recipe
from fpm_inr.fields.spline import SplineField
from fpm_inr.forward import nominal_instrument
from fpm_inr.simulate import preset
from fpm_inr.solve.progress import StepReport

Z_RANGE_UM = (-12.0, 12.0)
JOINT = ("gains", "gains,pupil", "gains,pupil,pose", "gains,pupil,pose,shifts,background")


def rig() -> tuple[Optics, Illumination]:
    nominal = preset("blood-smear").rig
    return nominal.optics, nominal.illumination


def acquisition_of(side: int) -> Acquisition:
    optics, illumination = rig()
    random = np.random.default_rng(0)
    amplitude = 1 + 0.05 * random.standard_normal((illumination.led_count, side, side))
    return Acquisition(amplitude.astype(np.float32), optics, illumination)


def step() -> None:
    keep_freed_memory()  # as the command does
    print(f"one pass over 68 LEDs, medians of 20, by turns; {torch.get_num_threads()} threads")
    for side in (128, 256, 512):
        ours, floor, ratio, to_frames = step_cost(side)
        print(
            f"  {side}: {1e3 * ours:.1f} ms, bare {1e3 * floor:.1f} ms, ratio {ratio:.2f} "
            f"({to_frames:.2f} to the frames' transforms alone)"
        )


def joint() -> None:
    keep_freed_memory()
    for side in (128, 256):
        acquisition = acquisition_of(side)
        plain, rows = [], {names: [] for names in JOINT}
        # by turns, so that all meet the machine in the same mood
        for _ in range(9):
            plain.append(joint_seconds(acquisition, None))
            for names, seconds in rows.items():
                seconds.append(joint_seconds(acquisition, names))
        for names, seconds in rows.items():
            ratio = statistics.median(one / two for one, two in zip(seconds, plain, strict=True))
            print(f"  {side}: {names}: {ratio:.2f} times a plain step")


def joint_seconds(acquisition: Acquisition, names: str | None) -> float:
    """Seconds of twelve passes, the first visit of every group left out."""
    groups = load_recipe("default").order.groups
    times: list[float] = []
    fpm.reconstruct(
        acquisition,
        z_range_um=Z_RANGE_UM,
        upsample=2,
        steps=13 * groups,
        device="cpu",
        calibration=nominal_instrument(acquisition),
        calibrate=names,
        listen=lambda _: times.append(time.perf_counter()),
    )
    # short solves that judge what was learned come after these
    return times[13 * groups - 1] - times[groups - 1]


def step_cost(side: int) -> tuple[float, float, float, float]:
    """Seconds of a pass (four steps of 17 LEDs); bare Fourier transforms; two ratios to these.

    Bare: a pair for every frame and a pair of the large image for every step. The first ratio is to
    those, the second to the frames' alone: planes kept as spectra need no others.
    """
    acquisition = acquisition_of(side)
    order = load_recipe("default").order
    frame = torch.randn(1, side, side, dtype=torch.complex64)
    image = torch.randn(2 * side, 2 * side, dtype=torch.complex64)

    def bare() -> tuple[float, float]:
        began = time.perf_counter()
        for _ in range(68):
            torch.fft.fft2(torch.fft.ifft2(frame))
        frames = time.perf_counter() - began
        for _ in range(order.groups):
            torch.fft.fft2(torch.fft.ifft2(image))
        return frames, time.perf_counter() - began

    # by turns, so that both meet the machine in the same mood
    rows: list[tuple[float, float, float]] = []
    began = time.perf_counter()

    def turn(report: StepReport) -> None:
        nonlocal began
        if report.step % order.groups == 0:
            ours = time.perf_counter() - began
            rows.append((ours, *bare()))
            began = time.perf_counter()

    steps = 22 * order.groups
    fpm.reconstruct(
        acquisition, z_range_um=Z_RANGE_UM, upsample=2, steps=steps, device="cpu", listen=turn
    )
    ours, _, floor = (statistics.median(column) for column in zip(*rows[2:], strict=True))
    return (
        ours,
        floor,
        statistics.median(ours / both for ours, _, both in rows[2:]),
        statistics.median(ours / frames for ours, frames, _ in rows[2:]),
    )


def big_field(side: int, planes: int) -> fpm.Solution:
    optics, illumination = rig()
    steepest = optics.na + float(illumination.na_led.max())
    radius = steepest / optics.wavelength_um * side / 2 * optics.pixel_um
    reach = np.arange(-int(radius), int(radius) + 1)
    y, x = np.meshgrid(reach, reach, indexing="ij")
    inside = np.hypot(y, x) < radius
    samples = torch.tensor(np.stack([y[inside], x[inside]]))
    field = SplineField((side, side), Z_RANGE_UM, samples, planes=planes)
    generator = torch.Generator().manual_seed(0)
    falling = 1e-2 / (1 + samples.square().sum(dim=0))[None, :, None]
    with torch.no_grad():
        field.spectrum += falling * torch.randn(field.spectrum.shape, generator=generator)
    nominal = nominal_instrument(acquisition_of(8))
    return fpm.Solution(field.requires_grad_(False), optics, nominal, 2, 1.0)


def render() -> None:
    from fpm_inr.focus import FocusSettings, all_in_focus
    from fpm_inr.io.export import export

    solution = big_field(2048, 13)
    heights = np.linspace(*Z_RANGE_UM, 161)
    began = time.perf_counter()
    for _ in solution.slices(heights):
        pass
    rendering = time.perf_counter() - began
    print(f"161 slices of 2048 x 2048: rendered in {rendering:.1f} s")
    few = heights[:17]
    with tempfile.TemporaryDirectory() as folder:
        ready = list(solution.slices(few))
        plain = Path(folder) / "plain.bin"
        began = time.perf_counter()
        with plain.open("wb") as file:
            for stack in ready:
                file.write(stack.amplitude_z_y_x.tobytes())
                file.write(stack.phase_z_y_x.tobytes())
        writing = (time.perf_counter() - began) * 161 / 17
        began = time.perf_counter()
        export(solution, Path(folder) / "stack.ome.tif", z_um=few)
        both = (time.perf_counter() - began) * 161 / 17
    print(f"  amplitude and phase of them to plain files: {writing:.1f} s (from 17)")
    print(f"  rendered and written as OME-TIFF: {both:.1f} s (from 17)")
    began = time.perf_counter()
    all_in_focus(solution.slices, heights, FocusSettings("normal-variance"))
    print(f"  all-in-focus: {time.perf_counter() - began:.1f} s")


def memory() -> None:
    for half in (10.0, 40.0):
        code = (
            "import sys; sys.path.insert(0, 'benchmarks'); import performance;"
            f"performance.solve_some({half})"
        )
        print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout)


def solve_some(half_um: float) -> None:
    acquisition = acquisition_of(1024)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    solution = fpm.reconstruct(acquisition, z_range_um=(-half_um, half_um), steps=6)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    order = load_recipe("default").order
    a_pass = order.groups * np.median(np.diff([row["seconds"] for row in solution.history]))
    planes = solution.field.settings["planes"]
    passes = order.passes_per_plane * planes
    print(
        f"1024 x 1024 x 68, z range {2 * half_um:g} um, {planes} planes: peak "
        f"{peak / 2**20:.2f} GiB ({before / 2**20:.2f} before), {a_pass:.1f} s a pass of all LEDs, "
        f"{passes} passes foretell {passes * a_pass:.0f} s"
    )


def command() -> None:
    fpm_inr = Path(sys.executable).with_name("fpm-inr")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        subprocess.run(
            [fpm_inr, "simulate", "--preset", "blood-smear", "--size", "256", "256", "-o", data],
            check=True,
            capture_output=True,
        )
        began = time.perf_counter()
        subprocess.run(
            [
                fpm_inr,
                "reconstruct",
                data / "acquisition.h5",
                "-o",
                Path(folder) / "out",
                "--z-range",
                "-20",
                "20",
            ],
            check=True,
            capture_output=True,
        )
        took = time.perf_counter() - began
        run = json.loads((Path(folder) / "out" / "run.json").read_text())
    solving = run["seconds"]["solve"]
    print(f"256 x 256 x 68, -20..20 um: {took:.1f} s, of which solving {solving:.1f} s")


PARTS: dict[str, Callable[[], None]] = {
    "step": step,
    "joint": joint,
    "render": render,
    "memory": memory,
    "command": command,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], default=[])
    for part in parser.parse_args().parts or PARTS:
        PARTS[part]()
