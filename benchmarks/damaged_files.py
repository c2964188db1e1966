"""Ten thousand damaged files of every kind: time, memory and how each ends.

    python -m benchmarks.damaged_files --count 10000

Every case is read in a process of its own group that is watched: a case that takes longer than
LONGEST_S, or whose memory grows by more than FACTOR times the size of its folder and ROOM_BYTES,
or that ends in anything but an acquisition or one sentence, is named, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import collections
import multiprocessing
import resource
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from tests.io.damaged_files import KINDS, damaged, fresh, read_or_refused

LONGEST_S = 5.0
FACTOR, ROOM_BYTES = 20, 256 * 2**20
CASES_A_PROCESS = 50


def run(kind: str, seed: int, count: int, folder: str, told: Any) -> None:
    """Read damaged files of one kind; tells (kind, seed, number, seconds, bytes, outcome)."""
    path, content = fresh(Path(folder), kind)
    assert read_or_refused(path.parent) == "read"
    random = np.random.default_rng(seed)
    for number in range(count):
        path.write_bytes(damaged(content, random))
        size = sum(one.stat().st_size for one in path.parent.rglob("*") if one.is_file())
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        told.put((kind, seed, number, None, None, "begun"))
        began = time.perf_counter()
        try:
            outcome = read_or_refused(path.parent)
        except BaseException:
            outcome = "WRONG " + traceback.format_exc()
        seconds = time.perf_counter() - began
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
        if grown > FACTOR * size + ROOM_BYTES:
            outcome = f"WRONG grew by {grown / 2**20:.0f} MiB for {size} bytes"
        told.put((kind, seed, number, seconds, grown, outcome))


def main() -> int:
    """Spread the cases over the kinds; print what was wrong and a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    each = -(-given.count // len(KINDS))
    outcomes: collections.Counter[str] = collections.Counter()
    wrong, slowest, largest = [], 0.0, 0.0
    context = multiprocessing.get_context("fork")
    for kind in KINDS:
        for first in range(0, each, CASES_A_PROCESS):
            seed = given.seed * 1_000_000 + first
            told = context.Queue()
            with tempfile.TemporaryDirectory() as folder:
                some = min(CASES_A_PROCESS, each - first)
                where = str(Path(folder) / "case")
                worker = context.Process(target=run, args=(kind, seed, some, where, told))
                worker.start()
                last, heard = time.perf_counter(), None
                while worker.is_alive() or not told.empty():
                    try:
                        heard = told.get(timeout=0.2)
                    except Exception:
                        late = heard is not None and heard[5] == "begun"
                        if late and time.perf_counter() - last > LONGEST_S:
                            worker.kill()
                        continue
                    last = time.perf_counter()
                    _, _, number, seconds, grown, outcome = heard
                    if outcome == "begun":
                        continue
                    slowest, largest = max(slowest, seconds), max(largest, grown)
                    if outcome.startswith("WRONG") or seconds > LONGEST_S:
                        wrong.append((kind, seed, number, seconds, outcome))
                    outcomes["read" if outcome == "read" else "refused"] += 1
                worker.join()
                if worker.exitcode:
                    wrong.append((kind, seed, heard, None, f"process ended with {worker.exitcode}"))
        print(f"{kind}: {dict(outcomes)}, {len(wrong)} wrong", flush=True)
    for one in wrong:
        print(*one, sep="\n  ")
    print(f"slowest {slowest:.1f} s, memory grew by {largest / 2**20:.0f} MiB at most")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
