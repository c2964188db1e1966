"""What a reconstruction leaves in its folder: the field, run.json, history.csv, preview.png."""

from __future__ import annotations

import csv
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fpm_inr.acquisition import Acquisition
from fpm_inr.files.replacing import replacing
from fpm_inr.solution import Solution

RESIDUAL_HEIGHTS = 9
PREVIEW_HEIGHTS = 5
# what run.json tells of a calibration, and of memory that ran out, where there was any
FOUND = (
    "calibration_residual",
    "calibration_refused",
    "calibration_of_a_plane",
    "memory",
    "transferred_from",
)


def write_results(
    folder: Path,
    acquisition: Acquisition,
    solution: Solution,
    *,
    settings: dict[str, Any],
    data: Path,
    load_seconds: float,
    precision: str = "compact",
) -> dict[str, Any]:
    """Write all results of a reconstruction; return the content of run.json (docs/outputs.md).

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    from fpm_inr.report import write_report
    from fpm_inr.trust.explained import explain

    began = time.perf_counter()
    explanation = explain(acquisition, solution, _spread(solution, RESIDUAL_HEIGHTS))
    judged = {
        "expected_residual": explanation.expected_residual,
        "warnings": [*_transfer_told(solution), *explanation.warnings()],
    }
    # the field file tells it too: a viewer has nothing else
    solution = replace(solution, record={**solution.record, **judged})
    field_path = folder / "field.safetensors"
    solution.save(field_path, precision=precision)
    _write_history(folder / "history.csv", solution)
    _write_preview(folder / "preview.png", acquisition, solution)
    run = {
        **_told(solution),
        "seconds": {
            "load": load_seconds,
            "solve": solution.record["solve_seconds"],
            "write": time.perf_counter() - began,
        },
        "z_um": explanation.z_um.tolist(),
        "data_residual": explanation.residual_z.tolist(),
        **judged,
        "peak_memory_mb": peak_memory_mb(),
        "field_bytes": field_path.stat().st_size,
        "settings": {"data": str(data), **settings, "resolved": solution.record["settings"]},
    }
    with replacing(folder / "run.json") as beside:
        beside.write_text(json.dumps(run, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    write_report(folder / "report.html", acquisition, solution, run, explanation)
    return run


def _transfer_told(solution: Solution) -> list[str]:
    """That a wavelength was not solved, if so."""
    source = solution.record.get("transferred_from")
    if source is None:
        return []
    return [
        f"This wavelength was not solved: its detail and its phase are those of {source}, its "
        "colour that of its bright-field frames."
    ]


def _told(solution: Solution) -> dict[str, Any]:
    """What a solution itself tells of how it was made."""
    kept = ("engine", "recipe", "status", "device", "threads", "steps", "version")
    return {
        **{name: solution.record[name] for name in kept},
        "upsampling": solution.upsampling,
        "shape": list(solution.shape_y_x),
        **{name: solution.record[name] for name in FOUND if name in solution.record},
        **({"leds_left_out": list(solution.leds_left_out)} if solution.leds_left_out else {}),
    }


def peak_memory_mb() -> float:
    """Largest memory that this process has held so far, in MB (10^6 bytes)."""
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def _spread(solution: Solution, count: int) -> list[float]:
    """At most so many heights over the solved range, each a plane where there are planes."""
    low, high = solution.z_range_um
    heights = np.linspace(low, high, count if low < high else 1)
    planes = solution.planes_um
    if planes is not None:
        heights = np.unique(planes[np.abs(heights[:, None] - planes).argmin(axis=1)])
    return [float(z) for z in heights]


def _write_preview(path: Path, acquisition: Acquisition, solution: Solution) -> None:
    """Some heights beside the frame of the LED that is nearest to the axis."""
    from fpm_inr.figures import preview_figure, save_figure

    centre = int(acquisition.illumination.na_frame.argmin())
    preview = preview_figure(
        acquisition.amplitude_led_y_x[centre],
        solution.render(_spread(solution, PREVIEW_HEIGHTS)),
        acquisition.optics.pixel_um,
    )
    save_figure(preview, path)


def load_results(folder: Path) -> tuple[dict[str, Any], Solution]:
    """The content of run.json, and the solution with its history.

    Raises
    ------
    DataError
        The folder holds no field or no run.json, one of them is damaged, or it holds a mosaic.
    """
    from fpm_inr.errors import DataError
    from fpm_inr.solution import load_solution

    solution = load_solution(folder / "field.safetensors")
    if not isinstance(solution, Solution):
        raise DataError("is a mosaic", "give the folder of a single field of view", source=folder)
    try:
        run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        if not isinstance(run["settings"], dict) or not isinstance(run["z_um"], list):
            raise TypeError("misshapen")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            "cannot be read as the record of a reconstruction",
            "give the folder that `fpm-inr reconstruct` wrote",
            source=folder / "run.json",
        ) from error
    return run, replace(solution, history=_read_history(folder / "history.csv"))


def _read_history(path: Path) -> list[dict[str, float]]:
    """Rows of history.csv; none where it is missing or damaged."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    except (OSError, ValueError, TypeError):
        return []


def _write_history(path: Path, solution: Solution) -> None:
    columns = ["step", "total", "loss", "psnr_db", "z_um", "seconds"]
    with (
        replacing(path) as beside,
        beside.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(solution.history)
