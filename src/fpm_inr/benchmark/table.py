"""A benchmark's results as a Markdown table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import Any

Outcome = dict[str, Any]

MB, GB = 1e6, 1e9


def _number(key: str, form: str, factor: float = 1.0) -> Callable[[Outcome], str]:
    def text(case: Outcome) -> str:
        value = case.get(key)
        return "" if value is None else format(value * factor, form)

    return text


def _band(low_cycles: float) -> Callable[[Outcome], str]:
    """Error of the band that starts there, over the whole reference."""

    def text(case: Outcome) -> str:
        for band in case.get("bands", ()):
            if band["cycles"][0] == low_cycles:
                return format(band["error"], ".4f")
        return ""

    return text


def _finer(case: Outcome) -> str:
    """Error of all bands above the slow ones, together."""
    fine = [band["error"] for band in case.get("bands", ()) if band["cycles"][0] >= 16]
    return format(math.hypot(*fine), ".4f") if fine else ""


def _ncc(case: Outcome) -> str:
    known = [value for value in case.get("ncc_amplitude_z", ()) if value is not None]
    return f"{statistics.median(known):.3f} ({min(known):.3f})" if known else ""


COLUMNS: dict[str, Callable[[Outcome], str]] = {
    "size": _number("size", "d", 1),
    "specimen": lambda case: str(case.get("specimen", "")),
    "method": lambda case: str(case["method"]),
    "complex error": _number("complex_error", ".4f"),
    "phase error, rad": _number("phase_error_rad", ".4f"),
    "at true height": _number("true_height_complex_error", ".4f"),
    "0.5-2 cycles": _band(0.5),
    "2-4": _band(2.0),
    "4-8": _band(4.0),
    "8-16": _band(8.0),
    "finer": _finer,
    "solve, s": _number("solve_seconds", ".1f"),
    "render, s": _number("render_seconds", ".1f"),
    "peak memory, MB": _number("peak_memory_bytes", ".0f", 1 / MB),
    "GPU memory, MB": _number("peak_gpu_bytes", ".0f", 1 / MB),
    "file, MB": _number("file_bytes", ".2f", 1 / MB),
    "images as float32, MB": _number("stack_bytes", ".1f", 1 / MB),
    "amplitude, relative L2": _number("amplitude_relative_l2", ".4f"),
    "paper's L2": _number("all_in_focus_l2", ".2e"),
    "phase less a ramp, rad": _number("phase_rmse_less_ramp_rad", ".3f"),
    "depth slope": _number("depth_slope", ".3f"),
    "depth RMSE, um": _number("depth_rmse_um", ".2f"),
    "data residual": lambda case: f"{statistics.median(case['data_residual']):.4f}",
    "NCC between engines, median (least)": _ncc,
}


def table(outcome: Outcome) -> str:
    """Machine, one row a case, and what was not run; columns that nothing fills are left out."""
    machine, settings = outcome["machine"], outcome["settings"]
    cases = [case for case in outcome["cases"] if "not_run" not in case]
    rows = [[text(case) for text in COLUMNS.values()] for case in cases]
    filled = [n for n in range(len(COLUMNS)) if any(row[n] for row in rows)]
    names = list(COLUMNS)
    lines = [machine_text(machine) + ".", _frames_text(settings), ""]
    if cases:
        lines += [
            _row([names[n] for n in filled]),
            _row(["---"] * len(filled)),
            *(_row([row[n] for n in filled]) for row in rows),
            "",
        ]
    lines += [
        f"Not run: {case['size']} {case['specimen']} {case['method']}: {case['not_run']}."
        for case in outcome["cases"]
        if "not_run" in case
    ]
    return "\n".join(lines).rstrip() + "\n"


def machine_text(machine: Outcome) -> str:
    """The machine in a line."""
    gpu = f", {machine['gpu']}" if machine["gpu"] else ""
    memory = math.ceil(machine["memory_bytes"] / 2**30)
    return (
        f"{machine['cpu']}, {machine['cores']} cores (load {machine['load']:.1f} at the end), "
        f"{memory} GiB{gpu}; torch {machine['torch']}, Python {machine['python']}, "
        f"fpm-inr {machine['version']}"
    )


def _frames_text(settings: Outcome) -> str:
    low, high = settings["z_range_um"]
    heights = f"{settings['slices']} slices from {low:g} to {high:g} um"
    if settings["data"] is not None:
        return f"Measured frames; {heights}."
    tilt = settings["tilt_deg"]
    shape = "spanning half of that range" if tilt is None else f"tilted by {tilt:g} degrees"
    return (
        f"Simulated specimens {shape}, {settings['photons']:g} photons at the brightest pixel; "
        f"{heights}."
    )


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
