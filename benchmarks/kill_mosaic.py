"""A mosaic and its slide are killed again and again: what is left is the same, bit by bit.

    python benchmarks/kill_mosaic.py --kills 20 --seed 0 [--scheduler local]

A small field is simulated and solved by ``fpm-inr mosaic`` with two workers: once unbroken, once
ended with SIGKILL at random moments, by turns the command and one of its processes (a worker, or
what holds Dask's workers; the scheduler lives in the command). A command that lost a process goes
on, and is killed itself a little later. Then ``fpm-inr render`` writes the slide as OME-Zarr with
two workers, killed alike. Compares fields, gauges and every file of the slide; says where kills
fell, and that no tile that was done is done again. Ends in an error where something differs.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from fpm_inr.acquisition import Optics
from fpm_inr.simulate.rig import Rig, grid_leds
from fpm_inr.simulate.samples import Specimen
from fpm_inr.simulate.whole_field import FieldSetup, simulate_field

MOST_SECONDS = 900.0
LINGER_SECONDS = 2.0  # of a command that has lost a process


def begin(*words: object) -> subprocess.Popen[bytes]:
    """`fpm-inr` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "fpm_inr", *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def finish(process: subprocess.Popen[bytes]) -> None:
    """Let it run to its end.

    Raises
    ------
    RuntimeError
        It failed.
    """
    _, errors = process.communicate(timeout=MOST_SECONDS)
    if process.returncode != 0:
        raise RuntimeError(errors.decode(errors="replace")[-2000:])


def end(process: subprocess.Popen[bytes], moment: random.Random, at_worker: bool) -> str:
    """Kill the command, or one of its processes and then the command; say what was hit."""
    hit = "the command"
    children = psutil.Process(process.pid).children(recursive=True) if at_worker else []
    if children:
        hit = "a process of it"
        moment.choice(children).kill()
        time.sleep(moment.uniform(0, LINGER_SECONDS))
    process.kill()
    process.communicate()
    return hit


def killed(
    words: Sequence[object],
    again: Sequence[object],
    begun: Callable[[], bool],
    seconds: float,
    kills: int,
    moment: random.Random,
    done: Callable[[], dict[str, bytes]],
) -> None:
    """Run a command through so many kills, and then to its end."""
    kept: dict[str, bytes] = {}
    for number in range(kills):
        process = begin(*words, *(again if number else ()))
        until = time.monotonic() + MOST_SECONDS
        # two of three kills fall after a part has been done, others before
        waits = number % 3 > 0
        while process.poll() is None and time.monotonic() < until:
            if len(done()) > len(kept) if waits else begun():
                break
            time.sleep(0.02)
        time.sleep(moment.uniform(0, seconds))
        if process.poll() is not None:
            print(f"  kill {number + 1}: through already", flush=True)
            finish(process)
            return
        hit = end(process, moment, at_worker=number % 2 == 1)
        now = done()
        lost = [name for name, content in kept.items() if now.get(name) != content]
        if lost:
            raise RuntimeError(f"done again: {', '.join(lost)}")
        kept = now
        print(f"  kill {number + 1}: {hit}, {len(kept)} parts done", flush=True)
    finish(begin(*words, *again))
    lost = [name for name, content in kept.items() if done().get(name, content) != content]
    if lost:
        raise RuntimeError(f"done again: {', '.join(lost)}")


def records(folder: Path) -> dict[str, bytes]:
    """Records of tiles, which tell how long each took: made again, they differ."""
    return {one.name: one.read_bytes() for one in (folder / "tiles").glob("[0-9]*.json")}


def same_mosaic(first: Path, second: Path) -> None:
    """Compare fields and gauges."""
    told = [json.loads((one / "manifest.json").read_text()) for one in (first, second)]
    digests = [[record["sha256"] for record in one["records"]] for one in told]
    if digests[0] != digests[1] or told[0]["gauge"] != told[1]["gauge"]:
        raise RuntimeError("the mosaics differ")


def shards(folder: Path) -> dict[str, bytes]:
    """Shards of a slide under way, with the time at which each was made."""
    whole = [
        one for one in folder.glob("[0-9]*/c/**/*") if one.is_file() and ".part" not in one.name
    ]
    return {str(one): str(one.stat().st_mtime_ns).encode() for one in whole}


def files(folder: Path) -> dict[str, bytes]:
    """Content of all files of a folder."""
    return {
        str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="of each, mosaic and slide")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--scheduler", default="processes")
    parser.add_argument("--steps", type=int, default=100)
    asked = parser.parse_args()
    moment = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        rig = Rig(Optics(0.53, 0.2, 0.5), grid_leds(5, 2.2, 2.5), 40.0)
        simulate_field(FieldSetup(Specimen("smear"), rig, (128, 176)), folder)
        how = ("--tile", 64, "--overlap", 24, "--z-range", -2, 2, "--steps", asked.steps,
               "--workers", 2, "--scheduler", asked.scheduler)  # fmt: skip
        whole, broken = folder / "whole", folder / "broken"
        finish(begin("mosaic", folder / "frames.h5", "-o", whole, *how))
        ends = sorted(one.stat().st_mtime for one in (whole / "tiles").glob("[0-9]*.json"))
        a_tile = 2 * (ends[-1] - ends[0]) / (len(ends) - 1)
        print(f"mosaic of {len(records(whole))} tiles, seed {asked.seed}", flush=True)
        killed(("mosaic", folder / "frames.h5", "-o", broken, *how), ("--resume",),
               (broken / "tiles").is_dir, a_tile, asked.kills, moment,
               lambda: records(broken))  # fmt: skip
        same_mosaic(whole, broken)
        print("the mosaics are the same", flush=True)
        slides = [folder / f"{name}.ome.zarr" for name in ("unbroken", "killed")]
        words = ("render", whole, "--z", "-2:2:0.25", "--workers", 2, "-o")
        finish(begin(*words, slides[0]))
        beside = folder / ".killed.ome.zarr.partial"
        killed((*words, slides[1]), (), beside.is_dir, 0.5, asked.kills, moment,
               lambda: shards(beside))  # fmt: skip
        first, second = (
            {n: c.replace(slide.name.encode(), b"").replace(slide.stem.split(".")[0].encode(), b"")
             for n, c in files(slide).items()} for slide in slides
        )  # fmt: skip
        if first != second:
            differ = [name for name in {*first, *second} if first.get(name) != second.get(name)]
            raise RuntimeError(f"slides differ in {', '.join(differ)}")
        print(f"the slides are the same, {len(first)} files", flush=True)


if __name__ == "__main__":
    main()
