"""A joint solve is killed again and again, in every state: the result is the same.

    python benchmarks/kill.py --kills 20 --seed 0

Frames are simulated, then solved by ``fpm-inr reconstruct --calibrate gains,pupil,pose``: once
unbroken; once ended with SIGKILL so many times, at random moments dealt out over the states that
the unbroken solve passed (placing, solving, judging, again, and done, while results are written),
with ``--resume`` each time. Checkpoints are written after every step. Prints where each kill fell,
and compares field, instrument and history bit for bit; ends in an error where they differ.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from safetensors import safe_open

# the command as it is, but that it keeps a checkpoint of every step and says when it begins
CHILD = """
import sys
from fpm_inr import reconstruction
from fpm_inr.cli import main
from fpm_inr.solve import drive

drive.CHECKPOINT_SECONDS = 0.0
solve = reconstruction.reconstruct

def announced(*arguments, **settings):
    print("begins", flush=True)
    return solve(*arguments, **settings)

reconstruction.reconstruct = announced
main(sys.argv[1:])
"""
LOOK_SECONDS = 0.005  # between two looks at the checkpoint
MOST_SECONDS = 600.0  # for a state to come


class Solve:
    """`fpm-inr reconstruct` in a process of its own, from the moment at which the solve begins."""

    def __init__(self, data: Path, output: Path, options: Sequence[str], *more: str) -> None:
        self._checkpoint = output / "checkpoint.safetensors"
        arguments = ["reconstruct", str(data), "-o", str(output), *options, *more]
        self._errors = output.with_name(f"{output.name}.log")
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-c", CHILD, *arguments], stdout=subprocess.PIPE, stderr=errors
            )
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def state(self) -> str:
        """The state that the checkpoint tells; empty where there is none."""
        try:
            with safe_open(self._checkpoint, framework="numpy") as file:
                return str(json.loads(file.metadata()["fpm-inr-checkpoint"])["stage"])
        except FileNotFoundError:
            return ""

    def wait_for(self, states: Sequence[str]) -> bool:
        """Return once the checkpoint tells one of these; False where the solve ended before."""
        until = time.monotonic() + MOST_SECONDS
        while self.state() not in states:
            if self._process.poll() is not None or time.monotonic() > until:
                return False
            time.sleep(LOOK_SECONDS)
        return True

    def kill(self) -> str:
        """End it with SIGKILL; return the state that it died in, empty where it was through."""
        self._process.kill()
        died = self._process.wait() != 0
        return self.state() if died else ""

    def timed(self) -> dict[str, float]:
        """Let it run to its end; return the seconds that each state took."""
        began: dict[str, float] = {}
        while self._process.poll() is None:
            if state := self.state():
                began.setdefault(state, time.monotonic())
            time.sleep(LOOK_SECONDS)
        self.finish()
        ends = [*list(began.values())[1:], time.monotonic()]
        return {state: end - begin for (state, begin), end in zip(began.items(), ends, strict=True)}

    def finish(self) -> None:
        """Let it run to its end.

        Raises
        ------
        RuntimeError
            It failed.
        """
        if self._process.wait() != 0:
            raise RuntimeError(self._errors.read_text(encoding="utf-8", errors="replace"))


def result(folder: Path) -> dict[str, object]:
    """All of a result that does not tell the time: tensors and history."""
    with safe_open(folder / "field.safetensors", framework="numpy") as file:
        tensors = {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118
    with (folder / "history.csv").open(encoding="utf-8", newline="") as rows:
        history = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(rows)]
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    kept = ("status", "steps", "data_residual", "warnings")
    return {**tensors, "history": history, **{name: run[name] for name in kept}}


def killed(data: Path, folder: Path, options: Sequence[str], kills: int, seed: int) -> list[str]:
    """Solve unbroken and broken; return the states that kills fell into.

    Raises
    ------
    RuntimeError
        A solve failed, a kill came too late, the results differ, or half a file is left.
    """
    whole, broken = folder / "whole", folder / "broken"
    seconds = Solve(data, whole, options).timed()
    states = list(seconds)
    print(f"unbroken: {', '.join(f'{one} {seconds[one]:.2f} s' for one in states)}")
    moment, fell = random.Random(seed), list[str]()
    for number, state in enumerate(states):
        share = kills // len(states) + (number < kills % len(states))
        for _ in range(share):
            resumed = ["--resume"] if fell else []
            solve = Solve(data, broken, options, *resumed)
            if not solve.wait_for(states[number:]):
                raise RuntimeError(f"{state} did not come")
            # so that all of them together still fall into it
            time.sleep(moment.uniform(0, seconds[state] / share))
            fell.append(solve.kill())
            print(f"kill {len(fell)}: meant for {state}, fell into {fell[-1] or 'nothing'}")
            if not fell[-1]:
                raise RuntimeError("the solve was through before it was killed")
    Solve(data, broken, options, "--resume").finish()
    first, second = result(whole), result(broken)
    if first != second:
        differ = [name for name in first if first[name] != second.get(name)]
        raise RuntimeError(f"results differ in {', '.join(differ)}")
    if left := [one.name for one in broken.iterdir() if "partial" in one.name]:
        raise RuntimeError(f"left behind: {', '.join(left)}")
    return fell


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--size", type=int, default=48, help="side of the frames, pixels")
    asked = parser.parse_args()
    print(f"seed {asked.seed}")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        size = [str(asked.size)] * 2
        simulate = ["simulate", "--preset", "demo", "--no-scan", "--size", *size, "-o", made]
        subprocess.run([sys.executable, "-m", "fpm_inr", *simulate], check=True)
        options = ["--calibrate", "gains,pupil,pose", "--z-range", "-4", "4", "--device", "cpu"]
        fell = killed(folder / "acquisition.h5", folder, options, asked.kills, asked.seed)
    counts = ", ".join(f"{fell.count(state)} {state}" for state in dict.fromkeys(fell))
    print(f"{len(fell)} kills ({counts}): the same bits as unbroken")


if __name__ == "__main__":
    main()
