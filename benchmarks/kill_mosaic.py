"""Mosaics are killed again and again: what is left is the same, bit by bit, and little is lost.

    python benchmarks/kill_mosaic.py --kills 20 --seed 0 --scheduler processes|local|separate

A small field is simulated and solved by ``fpm-inr mosaic`` with two workers: once unbroken, then
again and again in new folders, through SIGKILLs at random moments of the command and of a worker by
turns, and Ctrl-C in every fourth place. ``separate`` starts ``dask scheduler`` and two ``dask
worker`` in processes of their own, and kills the scheduler too: the command must then end in one
sentence, and scheduler and workers are started again. A command that loses a worker must go on.

Every solve of a tile that begins is counted (`kill_witness.py`). Ends in an error where fields or
gauges differ from the unbroken ones, where a tile that was done is made again, where more than one
tile a worker is begun again for a kill, where a command ends in a traceback or leaves processes
behind.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from kill_processes import Command, Dask, until
from kill_witness import solves

from fpm_inr.acquisition import Optics
from fpm_inr.simulate.rig import Rig, grid_leds
from fpm_inr.simulate.samples import Specimen
from fpm_inr.simulate.whole_field import FieldSetup, simulate_field

WORKERS = 2
EARLY_SECONDS = 8.0  # in which a command begins its first tile
EARLY_SHARE = 1 / 3  # of kills that wait for no tile


@dataclass
class Siege:
    """Mosaics of one acquisition, solved through kills.

    Parameters
    ----------
    place : Path
        Of the acquisition and of all mosaics.
    words : tuple
        Of the command, without the output.
    moment : random.Random
    dask : Dask, optional
        The separate scheduler.
    tile_seconds : float
        That a worker takes for a tile.
    """

    place: Path
    words: tuple[object, ...]
    moment: random.Random
    dask: Dask | None
    tile_seconds: float = 0.0
    number: int = 0
    command: Command | None = None
    kept: dict[str, bytes] = field(default_factory=dict)
    may_be_lost: int = 0
    begun_again: int = 0
    allowed: int = 0
    outlived: float = 0.0

    @property
    def folder(self) -> Path:
        """Of the mosaic that is being solved."""
        return self.place / f"mosaic-{self.number}"

    def go(self) -> Command:
        """The command, begun or gone on with."""
        if self.command is None:
            again = ("--resume",) if self.folder.exists() else ()
            words = ("mosaic", *self.words, "-o", self.folder, *again)
            self.command = Command(words, self.place / "command.log")
        return self.command

    def kill(self, target: str) -> str:
        """Kill it at a random moment, in this mosaic or a later one; what came of it."""
        while True:
            command, done = self.go(), len(records(self.folder))
            early = target != "Ctrl-C" and self.moment.random() < EARLY_SHARE
            if not early:
                self.wait_for_tile(command, done)
            time.sleep(self.moment.uniform(0, EARLY_SECONDS if early else self.tile_seconds))
            if command.runs():
                return self.hit(target, command)
            self.through()

    def wait_for_tile(self, command: Command, done: int) -> None:
        """Return once more tiles are done than these, or the command has ended."""
        until(lambda: len(records(self.folder)) > done or not command.runs())

    def hit(self, target: str, command: Command) -> str:
        """Kill the target now."""
        said = ""
        self.may_be_lost += 1 if target == "a worker" else WORKERS
        if target == "the command":
            self.outlived = max(self.outlived, command.kill())
        elif target == "Ctrl-C":
            said = command.interrupt()
        elif target == "the scheduler":
            assert self.dask is not None
            self.dask.kill_scheduler()
            said = command.ended(2)
            self.dask.stop()
            self.dask.start()
        elif self.dask is not None:
            self.dask.kill_worker(self.moment)
        elif children := command.children():
            self.moment.choice(children).kill()
        if target != "a worker":
            self.command = None
        return f"{self.checked()}{'; ' if said else ''}{said}"

    def checked(self) -> str:
        """Say what is done and under way.

        Raises
        ------
        RuntimeError
            Tiles that were done are made again, or more is begun again than one tile a worker.
        """
        now, begun = records(self.folder), solves(self.folder)
        made = [name for name, content in self.kept.items() if now.get(name) != content]
        if made:
            raise RuntimeError(f"made again: {', '.join(made)}")
        self.kept = now
        again = begun.total() - len(begun)
        if again > self.may_be_lost:
            raise RuntimeError(f"{again} begun again for {self.may_be_lost} lost: {begun}")
        return f"{len(now)} tiles done, {len(begun) - len(now)} under way, {again} begun again"

    def through(self) -> None:
        """Let the mosaic come to its end, compare it with the first, and turn to the next."""
        self.go().ended(0)
        print(f"  mosaic {self.number}: {self.checked()}", flush=True)
        same_mosaic(self.place / "mosaic-0", self.folder)
        left = [one.name for one in (self.folder / "tiles").iterdir() if one.name[0] == "."]
        if left:
            raise RuntimeError(f"left behind: {', '.join(left)}")
        begun = solves(self.folder)
        self.begun_again += begun.total() - len(begun)
        self.allowed += self.may_be_lost
        self.number, self.command, self.kept, self.may_be_lost = self.number + 1, None, {}, 0


def records(folder: Path) -> dict[str, bytes]:
    """Records of tiles, which tell how long each took: made again, they differ."""
    return {one.name: one.read_bytes() for one in (folder / "tiles").glob("[0-9]*.json")}


def same_mosaic(first: Path, second: Path) -> None:
    """Compare fields and gauges.

    Raises
    ------
    RuntimeError
        They differ.
    """
    told = [json.loads((one / "manifest.json").read_text()) for one in (first, second)]
    digests = [[record["sha256"] for record in one["records"]] for one in told]
    differ = [n for n, pair in enumerate(zip(*digests, strict=True)) if pair[0] != pair[1]]
    if differ or told[0]["gauge"] != told[1]["gauge"]:
        raise RuntimeError(f"the mosaics differ in tiles {differ} or their gauges")


def simulated(place: Path) -> Path:
    """A small field; its frames."""
    place.mkdir(exist_ok=True)
    rig = Rig(Optics(0.53, 0.2, 0.5), grid_leds(5, 2.2, 2.5), 40.0)
    simulate_field(FieldSetup(Specimen("smear"), rig, (128, 256)), place)
    return place / "frames.h5"


def besieged(siege: Siege, kills: int) -> None:
    """Solve mosaics through so many SIGKILLs, and a Ctrl-C after every third."""
    siege.through()
    times = sorted(one.stat().st_mtime for one in (siege.place / "mosaic-0/tiles").glob("*.json"))
    siege.tile_seconds = WORKERS * (times[-1] - times[0]) / (len(times) - 1)
    targets = ["the command", "a worker", *(["the scheduler"] if siege.dask else [])]
    fell: Counter[str] = Counter()
    for number in range(kills):
        target = targets[number % len(targets)]
        print(f"  kill {number + 1}, {target}: {siege.kill(target)}", flush=True)
        fell[target] += 1
        if number % 3 == 2:
            print(f"  Ctrl-C: {siege.kill('Ctrl-C')}", flush=True)
            fell["Ctrl-C"] += 1
    siege.through()
    counts = ", ".join(f"{count} of {target}" for target, count in fell.items())
    print(
        f"{kills} kills ({counts}), {siege.number - 1} mosaics of {len(times)} tiles: the same "
        f"bits; {siege.begun_again} tiles begun again of {siege.allowed} that may be, one a worker;"
        f" processes outlived their command by {siege.outlived:.1f} s at most"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument(
        "--scheduler", choices=["processes", "local", "separate"], default="processes"
    )
    parser.add_argument("--steps", type=int, default=500)
    asked = parser.parse_args()
    print(f"seed {asked.seed}, {asked.scheduler}", flush=True)
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        dask = Dask(WORKERS, place / "dask.log") if asked.scheduler == "separate" else None
        scheduler = dask.address if dask else asked.scheduler
        words = (simulated(place), "--tile", 64, "--overlap", 24, "--z-range", -2, 2, "--steps",
                 asked.steps, "--workers", WORKERS, "--scheduler", scheduler)  # fmt: skip
        try:
            if dask:
                dask.start()
            besieged(Siege(place, words, random.Random(asked.seed), dask), asked.kills)
        finally:
            if dask:
                dask.stop()


if __name__ == "__main__":
    main()
