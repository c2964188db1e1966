"""Running all cases, one process each, and keeping what is finished."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import psutil

from fpm_inr import __version__
from fpm_inr.benchmark.experiment import ACQUISITION, prepare
from fpm_inr.benchmark.settings import BenchmarkSettings, Method
from fpm_inr.errors import DataError, OutputError, SettingsError
from fpm_inr.files.replacing import replacing

# Without being asked, no case is begun that smaller ones foretell to take longer.
LONGEST_SECONDS = 3600.0
# Largest patch that is begun without a smaller one to judge it by.
LARGEST_UNJUDGED_PX = 128
# A solve that is told to end gets this long.
PATIENCE_SECONDS = 10.0
IDLE_PROCESS_BYTES = 400 * 2**20

Outcome = dict[str, Any]


class Listener(Protocol):
    """Hears what is under way, and how far it is."""

    def __call__(self, what: str, step: int = 0, total: int | None = None) -> None: ...


def run_benchmark(
    folder: Path,
    settings: BenchmarkSettings,
    *,
    large: bool = False,
    listen: Listener = lambda what, step=0, total=None: None,
) -> Outcome:
    """Run all cases that are not in the folder yet, smallest first; return all results.

    For every size and specimen, methods alternate within each repeat. Ctrl-C leaves finished cases
    in the folder; another call goes on from there.

    Parameters
    ----------
    folder : Path
        Receives benchmark.json and, by specimen and size, the frames, the fields and a JSON for
        every case.
    settings : BenchmarkSettings
    large : bool
        Also begin cases that seem too large for this machine.
    listen : callable

    Returns
    -------
    dict
        The content of benchmark.json: "machine", "settings" and "cases".

    Raises
    ------
    SettingsError, OutputError, DataError
        The folder holds another benchmark or cannot be written; the data cannot be used.
    """
    claim(folder, settings)
    cases: list[Outcome] = []
    for size in sorted(set(settings.sizes)):
        for subject in settings.subjects:
            cases += _one_size(folder, size, subject, settings, cases, large, listen)
            outcome = {"machine": machine(), "settings": settings.identity, "cases": cases}
            with replacing(folder / "benchmark.json") as beside:
                beside.write_text(json.dumps(outcome, indent=1) + "\n", encoding="utf-8")
    return outcome


def place_of(folder: Path, size: int, subject: str) -> Path:
    """Folder of one size of one specimen."""
    return folder / f"{subject}-{size}"


def _one_size(
    folder: Path,
    size: int,
    subject: str,
    settings: BenchmarkSettings,
    before: list[Outcome],
    large: bool,
    listen: Listener,
) -> list[Outcome]:
    """Cases of all methods for one size of one specimen; `before` foretell how long they take."""
    from fpm_inr.benchmark.judge import judge_size

    place = place_of(folder, size, subject)
    place.mkdir(exist_ok=True)
    name = f"{size} {subject}"
    cases, wanted = [], []
    for method in settings.methods:
        reason = "" if large else too_large(size, method, settings, before)
        if reason and not list(place.glob(f"{method.name}.*.json")):
            cases.append(
                {"size": size, "specimen": subject, "method": method.name, "not_run": reason}
            )
            listen(f"{name} {method.name} is left out: {reason}")
        else:
            wanted.append(method)
    if not wanted:
        return cases
    listen(f"{name}: frames")
    prepare(place, size, subject, settings)
    solved: dict[str, list[Outcome]] = {method.name: [] for method in wanted}
    for repeat in range(settings.repeats):
        for method in wanted:
            what = f"{name} {method.name}, {repeat + 1} of {settings.repeats}"
            solved[method.name].append(
                _solved(place, method, repeat, settings, lambda *at, w=what: listen(w, *at))
            )
    listen(f"{name}: judging")
    judged = judge_size(place, size, wanted, solved, settings)
    return cases + [{"specimen": subject, **case} for case in judged]


def claim(folder: Path, settings: BenchmarkSettings) -> None:
    """Make the folder, or see that what it holds has the same settings."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot be made ({error.strerror})", "choose a folder that is writable", source=folder
        ) from error
    path = folder / "settings.json"
    if path.is_file():
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError("is no JSON", "choose another folder", source=path) from error
        for name, value in settings.identity.items():
            if not isinstance(there, dict) or there.get(name) != value:
                raise SettingsError(
                    f"is {value}, and the benchmark in this folder has another",
                    "repeat its settings or choose another folder",
                    field=name,
                    source=folder,
                )
        return
    if any(folder.iterdir()):
        raise OutputError("holds other files", "choose a new folder", source=folder)
    with replacing(path) as beside:
        beside.write_text(json.dumps(settings.identity, indent=1) + "\n", encoding="utf-8")


def too_large(size: int, method: Method, settings: BenchmarkSettings, cases: list[Outcome]) -> str:
    """Say why a case is not begun unasked; empty where it is.

    Time and memory are foretold from the largest finished case of the method, both in proportion to
    the number of pixels (memory beyond that of an idle process).
    """
    smaller = [c for c in cases if c["method"] == method.name and "not_run" not in c]
    if not smaller:
        if size <= LARGEST_UNJUDGED_PX:
            return ""
        return (
            f"no smaller case tells how long it takes; add {LARGEST_UNJUDGED_PX} to --sizes, "
            "or give --yes"
        )
    last = max(smaller, key=lambda case: case["size"])
    growth = (size / last["size"]) ** 2
    seconds = last["solve_seconds"] * growth
    grows = max(0, last["peak_memory_bytes"] - IDLE_PROCESS_BYTES)
    needed = IDLE_PROCESS_BYTES + grows * growth
    free = psutil.virtual_memory().available
    if needed > free:
        return (
            f"it would take about {needed / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are free "
            f"(from the case of {last['size']}); --yes runs it all the same"
        )
    if seconds > LONGEST_SECONDS:
        return (
            f"it would take about {seconds / 3600:.1f} hours (from the case of {last['size']}); "
            "--yes runs it all the same"
        )
    return ""


def _solved(
    place: Path,
    method: Method,
    repeat: int,
    settings: BenchmarkSettings,
    report: Callable[..., None],
) -> Outcome:
    """Result of a solve: the kept one, or that of a new process."""
    path = place / f"{method.name}.{repeat}.json"
    field = place / f"{method.name}.safetensors"
    if path.is_file() and field.is_file():
        kept: Outcome = json.loads(path.read_text(encoding="utf-8"))
        return kept
    job = {
        "acquisition": str(place / ACQUISITION),
        "field": str(field),
        "engine": method.engine,
        "recipe": method.recipe,
        "slices": settings.slices,
        "z_range_um": list(settings.z_range_um),
        "device": settings.device,
        "seed": settings.seed,
    }
    result = in_own_process(job, report)
    with replacing(path) as beside:
        beside.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def in_own_process(job: dict[str, Any], report: Callable[..., None]) -> Outcome:
    """Run `fpm_inr.benchmark.solve`; when interrupted, end it and wait for its end."""
    with tempfile.TemporaryDirectory() as scratch:
        job_file = Path(scratch) / "job.json"
        job_file.write_text(json.dumps(job), encoding="utf-8")
        errors = (Path(scratch) / "errors.txt").open("w+", encoding="utf-8")
        command = [sys.executable, "-m", "fpm_inr.benchmark.solve", str(job_file)]
        with (
            errors,
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, encoding="utf-8"
            ) as process,
        ):
            assert process.stdout is not None
            last: dict[str, Any] = {}
            try:
                for line in process.stdout:
                    last = json.loads(line)
                    if "step" in last:
                        report(last["step"], last["total"])
                code = process.wait()
            finally:
                _end(process)
            if code == 130:
                raise KeyboardInterrupt
            if "refused" in last:
                raise SettingsError(last["refused"].rstrip("."), "change that", field="case")
            if "result" not in last:
                errors.seek(0)
                tail = " ".join(errors.read().split())[-300:]
                killed = " (killed, perhaps for want of memory)" if code == -9 else ""
                raise DataError(
                    f"the solve ended with code {code}{killed} {tail}".rstrip(),
                    "choose smaller sizes or fewer slices",
                    field=job["engine"],
                )
    result: Outcome = last["result"]
    return result


def _end(process: subprocess.Popen[str]) -> None:
    """See that a process is no more."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    import torch

    model = platform.processor() or platform.machine()
    about = Path("/proc/cpuinfo")
    if about.is_file():
        for line in about.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "load": psutil.getloadavg()[0],
        "torch": torch.__version__,
        "python": platform.python_version(),
        "version": __version__,
    }
