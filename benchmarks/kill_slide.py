"""A slide that is being written is killed again and again: every file of it is the same.

    python benchmarks/kill_slide.py --kills 20 --seed 0

A mosaic of repeated fields is written as OME-Zarr by ``fpm-inr render`` with two workers, once
unbroken, then again and again through SIGKILLs at random moments, of the command and of a worker by
turns. Shards are small, so that there are many (`kill_witness.py`). A command that loses a worker
must end in one sentence; the same command goes on. Ends in an error where a file of a slide
differs from that of the unbroken one, where a shard that was whole is written again, where a
command ends in a traceback or leaves processes behind.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

from kill_processes import Command, until

from tests.mosaic.repeated import repeated_mosaic

WORKERS = 2
EARLY_SECONDS = 5.0  # in which a command begins its first shard
EARLY_SHARE = 1 / 4  # of kills that wait for no shard
LATE_SECONDS = 1.0  # after one of the next shards
MOST_SHARDS = 20


class Siege:
    """Slides of one mosaic, each in a folder of its own, written through kills."""

    def __init__(self, place: Path, moment: random.Random) -> None:
        self._place, self._moment = place, moment
        self._number, self._kept = 0, dict[str, int]()
        self._command: Command | None = None

    @property
    def slides(self) -> int:
        """How many are written, the first unbroken."""
        return self._number

    @property
    def slide(self) -> Path:
        """The slide that is being written."""
        return self._place / str(self._number) / "slide.ome.zarr"

    def _go(self) -> Command:
        if self._command is None:
            self.slide.parent.mkdir(exist_ok=True)
            words = ("render", self._place / "mosaic", "--z", "-8:8:2", "--workers", WORKERS)
            self._command = Command((*words, "-o", self.slide), self._place / "command.log")
        return self._command

    def kill(self, target: str) -> str:
        """Kill it at a random moment, of this slide or a later one; what came of it."""
        while True:
            command, early = self._go(), self._moment.random() < EARLY_SHARE
            if not early:
                self._wait_for_shards(command)
            time.sleep(self._moment.uniform(0, EARLY_SECONDS if early else LATE_SECONDS))
            if not command.runs():
                self.through()
                continue
            children = command.children()
            self._command, said = None, ""
            if target == "a worker" and children:
                self._moment.choice(children).kill()
                said = f"; {command.ended(0, 2)}"
            else:
                command.kill()
            return f"{self._checked()}{said}"

    def _wait_for_shards(self, command: Command) -> None:
        wanted = len(self._shards()) + self._moment.randint(1, MOST_SHARDS)
        until(lambda: len(self._shards()) >= wanted or not command.runs())

    def _shards(self) -> dict[str, int]:
        """Shards that are whole, with the time at which each was made."""
        beside = self.slide.with_name(f".{self.slide.name}.partial")
        folder = beside if beside.is_dir() else self.slide
        return {
            str(one.relative_to(folder)): one.stat().st_mtime_ns
            for one in folder.glob("[0-9]*/c/**/*")
            if one.is_file() and "partial" not in one.name
        }

    def _checked(self) -> str:
        now = self._shards()
        again = [name for name, when in self._kept.items() if now.get(name) != when]
        if again:
            raise RuntimeError(f"written again: {', '.join(again)}")
        self._kept = now
        return f"{len(now)} shards"

    def through(self) -> None:
        """Let the slide come to its end, compare it with the first, and turn to the next."""
        self._go().ended(0)
        print(f"  slide {self._number}: {self._checked()}", flush=True)
        first, ours = files(self._place / "0"), files(self.slide.parent)
        differ = [name for name in {*first, *ours} if first.get(name) != ours.get(name)]
        if differ:
            raise RuntimeError(f"slides differ in {', '.join(differ)}")
        self._number, self._command, self._kept = self._number + 1, None, {}


def files(folder: Path) -> dict[str, bytes]:
    """Content of all files of a folder."""
    return {
        str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        repeated_mosaic(place / "mosaic", 6, tile_px=128, overlap_px=32, planes=7)
        siege = Siege(place, random.Random(asked.seed))
        siege.through()
        targets = ("the command", "a worker")
        for number in range(asked.kills):
            target = targets[number % 2]
            print(f"  kill {number + 1}, {target}: {siege.kill(target)}", flush=True)
        siege.through()
        print(f"{asked.kills} kills, {siege.slides - 1} slides of {len(files(place / '0'))} files: "
              "the same bits, no shard written twice")  # fmt: skip


if __name__ == "__main__":
    main()
