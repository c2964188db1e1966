"""Mosaics that were begun go on with nothing but the same, and damaged parts are made again.

    python benchmarks/change_mosaic.py --seed 0

A small mosaic is solved. In copies of it, ``fpm-inr mosaic --resume`` is given other settings,
another calibration and other data: each must be refused in a sentence that leaves every file as
it was; with ``--overwrite`` nothing old may be left. Then fields, records and the manifest are
changed by a bit, cut off and deleted: exactly those tiles must be solved again, to the same bits.
Ends in an error where something else happens.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
from kill_mosaic import WORKERS, same_mosaic, simulated
from kill_processes import Command
from kill_witness import solves

WORDS = ("--tile", 64, "--overlap", 24, "--z-range", -2, 2, "--workers", WORKERS,
         "--scheduler", "processes")  # fmt: skip
STEPS = ("--steps", 20)


def solved(data: Path, folder: Path, *more: object, status: int = 0) -> str:
    """What `fpm-inr mosaic` says at its end."""
    log = folder.with_name(f"{folder.name}.log")
    return Command(("mosaic", data, "-o", folder, *WORDS, *more), log).ended(status)


def files(folder: Path) -> dict[str, bytes]:
    """Content of all files of a folder."""
    return {
        str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()
    }


def refused(data: Path, folder: Path, *more: object) -> None:
    """Go on with what was changed: it must be refused, and nothing be touched."""
    before = files(folder)
    said = solved(data, folder, *more, status=2)
    if files(folder) != before or solves(folder):
        raise RuntimeError(f"touched: {said}")
    print(f"  {said}", flush=True)


def copied(folder: Path, name: str) -> Path:
    """A copy of a mosaic."""
    return Path(shutil.copytree(folder, folder.with_name(name)))


def brighter(data: Path) -> Path:
    """The same frames, of which one pixel has changed."""
    other = data.with_name("other") / data.name
    other.parent.mkdir()
    shutil.copyfile(data, other)
    with h5py.File(other, "r+") as file:
        found: list[h5py.Dataset] = []
        file.visititems(
            lambda _, item: found.append(item) if getattr(item, "ndim", 0) == 3 else None
        )
        found[0][0, 0, 0] += 1
    return other


def changes(data: Path, whole: Path) -> None:
    """Go on with, or begin over, what is not the same."""
    calibrated = ("--calibrate", "gains")
    begun = whole.with_name("calibrated")
    solved(data, begun, *STEPS, *calibrated)
    other_calibration = whole.with_name("other-calibration.json")
    content = json.loads((begun / "calibration.json").read_text())
    content["gain_led"][0] *= 1.1
    other_calibration.write_text(json.dumps(content))
    other = brighter(data)
    for folder in (begun, whole):
        solves_file(folder).unlink()
    print("given something else:", flush=True)
    refused(data, whole, "--steps", 21, "--resume")
    refused(data, whole, *STEPS, "--tile", 72, "--resume")
    refused(data, whole, *STEPS, "--seed", 1, "--resume")
    refused(data, whole, *STEPS, *calibrated, "--resume")
    refused(other, whole, *STEPS, "--resume")
    refused(data, begun, *STEPS, "--resume")
    refused(data, begun, *STEPS, "--calibration", other_calibration, "--resume")
    refused(data, begun, *STEPS, "--calibration", other_calibration)
    refused(data, begun, *STEPS, *calibrated)
    over, alone = copied(whole, "over"), whole.with_name("alone")
    solved(other, over, *STEPS, "--overwrite")
    solved(other, alone, *STEPS)
    same_mosaic(over, alone)
    print(f"  --overwrite: {len(solves(over))} tiles solved anew, as in a new folder", flush=True)


def solves_file(folder: Path) -> Path:
    """Where solves that begin are counted."""
    return folder.with_name(f"{folder.name}.begun")


def flipped(path: Path, moment: random.Random) -> None:
    """Change one bit."""
    content = bytearray(path.read_bytes())
    content[moment.randrange(len(content))] ^= 1 << moment.randrange(8)
    path.write_bytes(content)


def cut(path: Path, moment: random.Random) -> None:
    """Leave the beginning."""
    content = path.read_bytes()
    path.write_bytes(content[: moment.randrange(len(content))])


def gone(path: Path, _: random.Random) -> None:
    """Leave nothing."""
    path.unlink()


def damages(data: Path, whole: Path, moment: random.Random) -> None:
    """Damage fields, records and manifests: what is damaged, and nothing else, is made again."""
    tiles = len(list((whole / "tiles").glob("*.json")))
    ways: Sequence[Callable[[Path, random.Random], None]] = (flipped, cut, gone)
    for kind in ("safetensors", "json"):
        for way in ways:
            hit = moment.sample(range(tiles), 2)
            folder = copied(whole, f"{way.__name__}-{kind}")
            for number in hit:
                way(folder / "tiles" / f"{number:05d}.{kind}", moment)
            solved(data, folder, *STEPS, "--resume")
            again = solves(folder)
            # a changed bit in what a record tells of its tile may be none that matters
            if not set(again) <= set(hit) or (kind == "safetensors" and set(again) != set(hit)):
                raise RuntimeError(f"{kind} {way.__name__} of {hit}: solved again {again}")
            same_mosaic(whole, folder)
            print(f"  {kind} {way.__name__}, tiles {hit}: solved again {sorted(again)}, the same",
                  flush=True)  # fmt: skip
    for way in ways:
        folder = copied(whole, f"{way.__name__}-manifest")
        way(folder / "manifest.json", moment)
        solved(data, folder, *STEPS, "--resume")
        same_mosaic(whole, folder)
        print(f"  manifest {way.__name__}: {solves(folder).total()} solved again, the same")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of what is damaged")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        data = simulated(place / "data")
        whole = place / "whole"
        solved(data, whole, *STEPS)
        changes(data, whole)
        print(f"damaged, seed {asked.seed}:", flush=True)
        damages(data, whole, random.Random(asked.seed))


if __name__ == "__main__":
    main()
