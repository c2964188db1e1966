"""`fpm-inr` as it is, but that every solve of a tile that begins leaves a line: which, and where.

    python benchmarks/kill_witness.py mosaic ...
    dask worker ADDRESS --preload benchmarks/kill_witness.py

Processes that the command spawns import its main file, and so leave lines too. Shards of slides
are small, so that a small slide has many.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from fpm_inr.cli import main
from fpm_inr.io import sharded
from fpm_inr.mosaic import worker


def solves(folder: Path) -> Counter[int]:
    """How often the solve of each tile of a mosaic's folder has begun."""
    lines = _lines(folder)
    if not lines.exists():
        return Counter()
    return Counter(int(line.split()[0]) for line in lines.read_text().splitlines())


def _lines(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.begun")


def _witnessed(solved: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(solved)
    def told(plan: Any, folder: Path, tile: Any, *more: Any) -> Any:
        with _lines(folder).open("a") as lines:
            lines.write(f"{tile.number} {os.getpid()}\n")
        return solved(plan, folder, tile, *more)

    return told


if not hasattr(worker.solved, "__wrapped__"):  # Dask imports a preload twice
    worker.solved = _witnessed(worker.solved)
sharded.CHUNK, sharded.SHARD = 128, 256

if __name__ == "__main__":
    main(sys.argv[1:])
