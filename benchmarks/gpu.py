"""What a graphics card (or any device of torch) makes of it: the table of docs/performance.md.

    python benchmarks/gpu.py [--device cuda] [--sizes 256 512 1024 2048] [--parts PART ...]
                             [-o gpu.json]

ffts     bare: a pair of Fourier transforms for each of 68 frames, in one batch and one by one
step     a step of the default recipe (17 LEDs of 68, 3D) over its bare transforms, as
         performance.py counts them: a pair for every frame, and a pair of the large image
2d, 3d   whole solves of 68 frames: a single plane, and -20..20 um; the least time of two
wide     a single plane of 361 frames, as seconds per megapixel of the frames of one LED
paper    the paper's recipe: some steps, and what all of them foretell; in bfloat16 and compiled
         too, on a card
mosaic   a field of 2 x 2 tiles, one after the other
all      all of these (the default)

Frames are a grainy sheet under the LEDs of the preset `blood-smear`: what a step costs does not
hang on what is in them. Memory is the most that torch held on a card, or the process on a CPU.
Utilisation is that of nvidia-smi, sampled during the solve (it takes the package nvidia-ml-py).
`--device cpu --sizes 128 256` runs it without a card. What is measured is written after every row;
Ctrl-C ends it at once, with the table so far.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

import fpm_inr as fpm
from fpm_inr import transforms
from fpm_inr.acquisition import Acquisition, Illumination
from fpm_inr.allocator import keep_freed_memory
from fpm_inr.device import describe_device, in_plain_words, pick_device
from fpm_inr.engines.plan import make_plan
from fpm_inr.engines.recipe import load_recipe
from fpm_inr.files.replacing import replacing
from fpm_inr.results import peak_memory_mb
from fpm_inr.simulate import preset

Z_RANGE_UM = (-20.0, 20.0)
LEDS = 68
WIDE_SIDE = 19  # 361 LEDs
STEPS = 64
PAPER_STEPS = 48
SKIPPED = 16  # first steps, in which all is made ready; the loop fetches so many together
TILE_OVERLAP = 48
SAMPLED_S = 0.05
WAITED_S = 0.2

Row = dict[str, Any]


def acquisition_of(side: int, illumination: Illumination | None = None) -> Acquisition:
    """A grainy sheet with some noise, for every LED of the preset or of another illumination."""
    rig = preset("blood-smear").rig
    light = rig.illumination if illumination is None else illumination
    random = np.random.default_rng(0)
    grain = 100 * (1 + 0.3 * gaussian_filter(random.standard_normal((side, side)), 2, mode="wrap"))
    frames = np.empty((light.led_count, side, side), np.float32)
    for frame in frames:
        frame[:] = grain + random.standard_normal((side, side), dtype=np.float32)
    return Acquisition(frames, rig.optics, light)


def wide_illumination() -> Illumination:
    """361 LEDs over the aperture of the preset's."""
    steepest = float(preset("blood-smear").rig.illumination.na_led.max())
    axis = np.linspace(-steepest, steepest, WIDE_SIDE) / np.sqrt(2)
    return Illumination(np.array([(x, y) for y in axis for x in axis]))


class Use:
    """What a part took: memory, and the card's utilisation where it tells."""

    memory_mb: float | None = None
    utilisation: float | None = None


@contextmanager
def watched(device: torch.device) -> Iterator[Use]:
    """Watch a part."""
    use, ended, seen = Use(), threading.Event(), []

    def sample() -> None:
        while not ended.wait(SAMPLED_S):
            try:
                seen.append(torch.cuda.utilization(device))
            except Exception:  # no nvidia-ml-py, or a card that does not tell
                return

    is_cuda = device.type == "cuda"
    if is_cuda:
        torch.cuda.reset_peak_memory_stats(device)
    sampler = threading.Thread(target=sample, daemon=True)
    if is_cuda:
        sampler.start()
    try:
        yield use
    finally:
        ended.set()
    if is_cuda:
        sampler.join()
        use.memory_mb = torch.cuda.max_memory_allocated(device) / 1e6
        use.utilisation = statistics.mean(seen) if seen else None
    elif device.type == "cpu":
        use.memory_mb = peak_memory_mb()


def waited(device: torch.device) -> None:
    """Wait for a device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def seconds_of(work: Callable[[], object], device: torch.device, turns: int = 20) -> float:
    """Median time of work, once it has been done."""
    work()
    times = []
    for _ in range(turns):
        waited(device)
        began = time.perf_counter()
        work()
        waited(device)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def bare_seconds(side: int, frames: int, device: torch.device, *, one_by_one: bool) -> float:
    """A pair of transforms for each of some frames."""
    light = torch.randn(frames, side, side, dtype=torch.complex64, device=device)
    parts = light.split(1) if one_by_one else (light,)

    def pairs() -> None:
        for part in parts:
            transforms.summed(transforms.image(part))

    return seconds_of(pairs, device, 5)


def ffts(side: int, device: torch.device) -> Row:
    together, apart = (
        bare_seconds(side, LEDS, device, one_by_one=one_by_one) for one_by_one in (False, True)
    )
    return {"together_ms": 1e3 * together, "one_by_one_ms": 1e3 * apart}


def step(side: int, device: torch.device) -> Row:
    solution = fpm.reconstruct(
        acquisition_of(side),
        z_range_um=Z_RANGE_UM,
        upsample=2,
        steps=SKIPPED + STEPS,
        device=str(device),
    )
    ours = seconds_a_step(solution)
    frames = LEDS // load_recipe("default").order.groups
    bare = min(
        bare_seconds(side, frames, device, one_by_one=one_by_one) for one_by_one in (False, True)
    )
    large = bare_seconds(2 * side, 1, device, one_by_one=True)
    return {
        "step_ms": 1e3 * ours,
        "bare_ms": 1e3 * (bare + large),
        "ratio": ours / (bare + large),
        "ratio_to_frames": ours / bare,
    }


def seconds_a_step(solution: fpm.Solution) -> float:
    """Of all but the first steps."""
    seconds = [row["seconds"] for row in solution.history]
    return (seconds[-1] - seconds[SKIPPED - 1]) / (len(seconds) - SKIPPED)


def solved(acquisition: Acquisition, device: torch.device, **settings: Any) -> Row:
    """A whole solve, the better of two: the first one readies the card."""
    with watched(device) as use:
        solution = fpm.reconstruct(acquisition, device=str(device), **settings)
        again = fpm.reconstruct(acquisition, device=str(device), **settings)
    took = [one.record["solve_seconds"] for one in (solution, again)]
    return {
        "seconds": min(took),
        "first_seconds": took[0],
        "steps": solution.record["steps"],
        "memory_mb": use.memory_mb,
        "utilisation_percent": use.utilisation,
        "told": solution.record.get("memory", []),
    }


def flat(side: int, device: torch.device) -> Row:
    return solved(acquisition_of(side), device, upsample=2)


def stack(side: int, device: torch.device) -> Row:
    return solved(acquisition_of(side), device, upsample=2, z_range_um=Z_RANGE_UM)


def wide(side: int, device: torch.device) -> Row:
    row = solved(acquisition_of(side, wide_illumination()), device, upsample=2)
    return {**row, "seconds_a_megapixel": row["seconds"] / (side**2 / 1e6)}


def paper(side: int, device: torch.device) -> Row:
    acquisition = acquisition_of(side)
    plain = load_recipe("paper")
    kinds = {"plain": {}}
    if device.type != "cpu":
        kinds |= {"amp": {"amp": True}, "compile": {"compile": True}}
        kinds["both"] = {"amp": True, "compile": True}
    plan = make_plan(
        plain.order,
        na_led=acquisition.illumination.na_led,
        na_objective=acquisition.optics.na,
        z_range_um=Z_RANGE_UM,
        seed=0,
    )
    row: Row = {"steps": len(plan)}
    for name, changes in kinds.items():
        settings = plain.field.model_copy(update=changes)
        solution = fpm.reconstruct(
            acquisition,
            z_range_um=Z_RANGE_UM,
            upsample=2,
            recipe=plain.model_copy(update={"field": settings}),
            steps=SKIPPED + PAPER_STEPS,
            device=str(device),
        )
        each = seconds_a_step(solution)
        row |= {f"{name}_step_ms": 1e3 * each, f"{name}_foretold_s": each * len(plan)}
    return row


def mosaic(side: int, device: torch.device) -> Row:
    from fpm_inr.io.native import write_acquisition
    from fpm_inr.mosaic.plan import make_plan as plan_mosaic
    from fpm_inr.mosaic.source import Source
    from fpm_inr.mosaic.worker import solve_tile

    overlap = min(TILE_OVERLAP, side // 2)
    whole = acquisition_of(2 * side - overlap)
    with tempfile.TemporaryDirectory() as name, watched(device) as use:
        data, folder = Path(name) / "data.h5", Path(name) / "out"
        write_acquisition(data, whole)
        plan = plan_mosaic(
            Source(data),
            folder,
            z_range_um=Z_RANGE_UM,
            recipe=load_recipe("default"),
            recipe_name="default",
            settings={"device": str(device)},
            tile_px=side,
            overlap_px=overlap,
            upsample=2,
        )
        (folder / "tiles").mkdir(parents=True)
        began = time.perf_counter()
        kinds = {solve_tile(plan, folder, tile).kind for tile in plan.tiles}
        took = time.perf_counter() - began
    assert kinds == {"solved"}, kinds
    count = len(plan.tiles)
    return {
        "tiles": count,
        "seconds_a_tile": took / count,
        "memory_mb": use.memory_mb,
        "utilisation_percent": use.utilisation,
    }


PARTS: dict[str, Callable[[int, torch.device], Row]] = {
    "ffts": ffts,
    "step": step,
    "2d": flat,
    "3d": stack,
    "wide": wide,
    "paper": paper,
    "mosaic": mosaic,
}


def measured(part: str, side: int, device: torch.device) -> Row:
    """What a part measures; why not, where it does not fit: the rest goes on.

    It runs in a thread of its own: Ctrl-C is then for the benchmark, and ends no solve early, whose
    time would be taken for a whole one's.
    """
    found: list[Row | BaseException] = []

    def work() -> None:
        try:
            with in_plain_words():
                found.append(PARTS[part](side, device))
        except fpm.FpmInrError as error:
            found.append({"error": str(error)})
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(WAITED_S)
    outcome = found[0]
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def keep(path: Path | None, content: dict[str, Any]) -> None:
    """Write what is known so far, whole or not at all."""
    if path is not None:
        with replacing(path) as beside:
            beside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    lines = ["| part | frames | measured |", "|---|---|---|"]
    for row in rows:
        told = {key: value for key, value in row.items() if key not in ("part", "side")}
        values = ", ".join(f"{key} {_plain(value)}" for key, value in told.items() if value)
        lines.append(f"| {row['part']} | {row['side']} x {row['side']} | {values} |")
    return "\n".join(lines)


def _plain(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024, 2048])
    parser.add_argument("--parts", nargs="+", choices=["all", *PARTS], default=["all"])
    parser.add_argument("-o", "--output", type=Path, help="also as JSON")
    given = parser.parse_args()
    keep_freed_memory()
    device = pick_device(given.device)
    about = {
        "device": describe_device(device),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "threads": torch.get_num_threads(),
        "version": fpm.__version__,
    }
    print(", ".join(f"{key} {value}" for key, value in about.items() if value), flush=True)
    rows: list[Row] = []
    parts = PARTS if "all" in given.parts else given.parts
    status = 0
    try:
        for part in parts:
            for side in given.sizes:
                rows.append({"part": part, "side": side, **measured(part, side, device)})
                print(table(rows[-1:]).splitlines()[-1], flush=True)
                keep(given.output, {**about, "is_whole": False, "rows": rows})
        keep(given.output, {**about, "is_whole": True, "rows": rows})
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        status = 130
    print("\n" + table(rows), flush=True)
    # a part may still be under way in its thread
    os._exit(status)


if __name__ == "__main__":
    main()
