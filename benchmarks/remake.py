"""Make the tables of the docs again; keep the results with machine and version.

    python benchmarks/remake.py                      # what there is: table, page, command
    python benchmarks/remake.py quality recipes      # run these, one after the other
    python benchmarks/remake.py all                  # run all; hours
    python benchmarks/remake.py --page               # write docs/versions.md from what is kept

Results go to benchmarks/results/VERSION/NAME.json: what was run, when, on which machine, what it
printed, and figures by name where the command has them. VERSION is that of the package, with the
commit where the package is a checkout.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

import fpm_inr

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "versions.md"


@dataclass(frozen=True)
class Table:
    """A command that makes a table, or the figures of a picture, and the page where they stand.

    Parameters
    ----------
    page : str
        Page of docs/, and what on it.
    command : tuple of str
        Arguments of Python; OUT stands for a folder that is thrown away.
    figures : str
        File in OUT that receives figures by name, as JSON; "" where the command only prints.
    """

    page: str
    command: tuple[str, ...]
    figures: str = ""


def _figured(page: str, *command: str) -> Table:
    return Table(page, (*command, "--figures", "OUT/figures.json"), "figures.json")


BENCHMARK = ("-m", "fpm_inr", "benchmark", "-o", "OUT")
TABLES = {
    "quality": _figured("versions: quality floors", "-m", "tests.quality.measure"),
    "recipes": _figured("recipes: default", "benchmarks/recipes.py", "default"),
    "recipes-neural": _figured("recipes: neural", "benchmarks/recipes.py", "neural"),
    "orientation": _figured(
        "calibration: height and orientation", "benchmarks/calibration.py", "orientation"
    ),
    "calibration-real": _figured("calibration: measured", "benchmarks/calibration.py", "real"),
    "calibration-known": _figured(
        "calibration: known errors", "benchmarks/calibration.py", "known"
    ),
    "calibration-scarce": _figured(
        "calibration: gains by NA", "benchmarks/calibration.py", "scarce"
    ),
    "calibration-joint": _figured("calibration: LED errors", "benchmarks/calibration.py", "joint"),
    "calibration-heights": _figured(
        "calibration: best heights of the blood smear", "benchmarks/calibration.py", "heights"
    ),
    "calibration-detail": _figured(
        "calibration: blood smear, detail", "benchmarks/calibration.py", "detail"
    ),
    "benchmark": Table(
        "benchmarks: a run",
        (*BENCHMARK, "--sizes", "128,256", "--yes"),
        "benchmark.json",
    ),
    "benchmark-networks": Table(
        "benchmarks: a run",
        (*BENCHMARK, "--sizes", "128,256", "--engines", "inr", "--recipe", "neural,paper", "--yes"),
        "benchmark.json",
    ),
    "performance": Table("performance: targets", ("benchmarks/performance.py",)),
    "joint": Table("calibration: cost of a joint step", ("benchmarks/performance.py", "joint")),
    "against-paper": Table(
        "performance: the paper's recipe", ("benchmarks/against_paper.py", "2d", "3d")
    ),
    "map": Table("viewer: a whole field as a map", ("benchmarks/map.py",)),
    "viewer": Table("viewer: how quick it is", ("benchmarks/viewer_frames.py",)),
    "viewer-neural": Table(
        "viewer: how quick it is", ("benchmarks/viewer_frames.py", "--kind", "neural")
    ),
}
# columns of `fpm-inr benchmark` that are figures of a solve
OF_A_CASE = ("solve_seconds", "peak_memory_bytes", "file_bytes", "amplitude_relative_l2")
OF_A_CASE += ("complex_error", "phase_error_rad", "depth_slope", "depth_rmse_um")


def run(name: str) -> None:
    """Run one command from the root of the checkout and keep what it gives."""
    table = TABLES[name]
    with tempfile.TemporaryDirectory() as out:
        arguments = [one.replace("OUT", out) for one in table.command]
        print(f"== {name}: python {' '.join(table.command)}", flush=True)
        done = subprocess.run(
            [sys.executable, *arguments], cwd=ROOT, text=True, stdout=subprocess.PIPE, check=True
        )
        figures = read_figures(Path(out) / table.figures) if table.figures else {}
    print(done.stdout)
    kept = {
        "page": table.page,
        "command": f"python {' '.join(table.command)}",
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": version_text(),
        "machine": machine(),
        "figures": figures,
        "printed": done.stdout.splitlines(),
    }
    place = RESULTS / version_text() / f"{name}.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    print(f"kept in {place.relative_to(ROOT)}")


def read_figures(path: Path) -> dict[str, float]:
    """Figures by name, of a `--figures` file or of benchmark.json."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if "cases" not in content:
        return {name: float(value) for name, value in content.items()}
    return {
        f"{case['size']} {case['method']}: {key}": float(case[key])
        for case in content["cases"]
        for key in OF_A_CASE
        if case.get(key) is not None
    }


def version_text() -> str:
    """The package's version, and the commit of a checkout ("dirty" where files have changed)."""
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    commit = told.stdout.strip()
    return f"{fpm_inr.__version__}-{commit}" if commit else fpm_inr.__version__


def machine() -> dict[str, Any]:
    """What a time depends on."""
    return {
        "processor": processor(),
        "cores": psutil.cpu_count(logical=True),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "load_before": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }


def processor() -> str:
    """Name of the processor, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    named = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def page() -> str:
    """docs/versions.md: every kept figure, a column a version, the newest first."""
    kept: dict[str, dict[str, dict[str, Any]]] = {}
    for path in RESULTS.glob("*/*.json"):
        kept.setdefault(path.stem, {})[path.parent.name] = json.loads(path.read_text("utf-8"))
    lines = [HEAD]
    lines += ["| table | where it stands | command |", "|---|---|---|"]
    for name, table in TABLES.items():
        command = f"python {' '.join(table.command)}"
        lines.append(f"| `{name}` | {table.page} | `{command}` |")
    for name in TABLES:
        runs = [one for one in kept.get(name, {}).values() if one["figures"]]
        if not runs:
            continue
        runs.sort(key=lambda one: str(one["when"]), reverse=True)
        names = list(dict.fromkeys(figure for one in runs for figure in one["figures"]))
        lines += ["", f"## {name}", "", f"`{runs[0]['command']}`", ""]
        lines += ["| | " + " | ".join(one["version"] for one in runs) + " |"]
        lines += ["|---|" + "---|" * len(runs)]
        for figure in names:
            cells = (one["figures"].get(figure) for one in runs)
            texts = ("" if value is None else f"{value:.4g}" for value in cells)
            lines.append(f"| {figure} | " + " | ".join(texts) + " |")
        lines += [""]
        for one in runs:
            at = one["machine"]
            lines.append(
                f"- {one['version']}: {one['when'][:10]}, {at['processor']}, {at['cores']} cores, "
                f"{at['memory_gib']} GiB, threads {at['threads']}, "
                f"load {at['load_before']} before; "
                f"Python {at['python']}, torch {at['torch']}"
            )
    return "\n".join(lines) + "\n"


HEAD = """# Versions compared

This page is written by `python benchmarks/remake.py --page` from the results in
`benchmarks/results`, which `python benchmarks/remake.py NAME ...` makes: one command for a table of
another page, kept with version and machine. Times are worth comparing only where the machine is the
same and idle.

Gains by NA are made again to the digit; known errors and LED errors
have setups of their own, and figures of their own.
"""

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="tables to make, or all")
    parser.add_argument("--page", action="store_true", help="write docs/versions.md")
    asked = parser.parse_args()
    wanted = list(TABLES) if asked.names == ["all"] else asked.names
    if unknown := set(wanted) - set(TABLES):
        parser.error(f"no table {', '.join(sorted(unknown))}; give one of {', '.join(TABLES)}")
    for one in wanted:
        run(one)
    if asked.page:
        PAGE.write_text(page(), encoding="utf-8")
        print(f"wrote {PAGE.relative_to(ROOT)}")
    if not wanted and not asked.page:
        for name, table in TABLES.items():
            print(f"{name:20s} {table.page:40s} python {' '.join(table.command)}")
