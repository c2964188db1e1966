"""Quality of solved cases: against the truth, the frames and each other."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.benchmark.experiment import ACQUISITION, TRUTH
from fpm_inr.benchmark.settings import BenchmarkSettings, Method
from fpm_inr.errors import DataError
from fpm_inr.field_file import read_solution
from fpm_inr.files.replacing import replacing
from fpm_inr.focus import FocusSettings, all_in_focus, field_at_depth
from fpm_inr.focus.residual import score_against_frames
from fpm_inr.io import load
from fpm_inr.metrics import band_errors, compare, complex_error, ncc, phase_error
from fpm_inr.reconstruction import data_residual
from fpm_inr.simulate import Truth, load_truth
from fpm_inr.solution import Solution

# Frame pixels at every side that are not compared: a solved field is periodic, a specimen is not.
RIM_PX = 4
RESIDUAL_HEIGHTS = 9

Outcome = dict[str, Any]


def judge_size(
    place: Path,
    size: int,
    methods: list[Method],
    solved: dict[str, list[Outcome]],
    settings: BenchmarkSettings,
) -> list[Outcome]:
    """Results of all methods at one size; all-in-focus images are written beside the fields."""
    acquisition = load(place / ACQUISITION)
    truth = load_truth(place / TRUTH) if (place / TRUTH).is_file() else None
    solutions = {m.name: read_solution(place / f"{m.name}.safetensors") for m in methods}
    cases = []
    for method in methods:
        runs, solution = solved[method.name], solutions[method.name]
        case: Outcome = {
            **runs[0],
            "size": size,
            "method": method.name,
            "solve_seconds": statistics.median(run["solve_seconds"] for run in runs),
            "all_solve_seconds": [run["solve_seconds"] for run in runs],
            "peak_memory_bytes": max(run["peak_memory_bytes"] for run in runs),
        }
        image, depth_um = _focused(place, method, acquisition, solution, settings)
        if truth is not None:
            case |= against_truth(image, depth_um, truth, solution.upsampling)
            case |= at_true_height(solution, truth, settings.focus_z_um)
        heights = settings.z_um[:: max(1, (settings.slices - 1) // (RESIDUAL_HEIGHTS - 1))]
        case["data_residual"] = data_residual(acquisition, solution, heights.tolist())
        cases.append(case)
    for method, case in zip(methods, cases, strict=True):
        other = Method("conventional", method.recipe)
        if method.engine == "inr" and other.name in solutions:
            amplitude, field = slice_ncc(solutions[method.name], solutions[other.name], settings)
            case |= {"ncc_amplitude_z": amplitude, "ncc_complex_z": field}
    return cases


def _focused(
    place: Path, method: Method, acquisition: Any, solution: Solution, settings: BenchmarkSettings
) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    image_path = place / f"{method.name}.all_in_focus.npz"
    if image_path.is_file():
        with np.load(image_path) as kept:
            return kept["image"], kept["depth_um"]
    result = all_in_focus(
        solution.slices,
        settings.focus_z_um,
        FocusSettings.usual("residual"),
        judge=score_against_frames(acquisition, solution),
    )
    with replacing(image_path) as beside:
        np.savez(beside, image=result.field_y_x, depth_um=result.depth_um_y_x)
    return result.field_y_x, result.depth_um_y_x


def without_rim(image: NDArray[Any], upsampling: int) -> NDArray[Any]:
    """The part of an image [y, x] that is compared."""
    rim = RIM_PX * upsampling
    return image[rim:-rim, rim:-rim]


def against_truth(
    image: NDArray[np.complex64], depth_um: NDArray[np.float32], truth: Truth, upsampling: int
) -> Outcome:
    """Errors of the all-in-focus image, whole and by band, and slope and error of the depth map."""
    seen = truth.seen_y_x
    comparison = compare(
        without_rim(image, upsampling),
        without_rim(seen, upsampling),
        truth.pixel_um,
        find_shift=False,
        cutoff_per_um=truth.cutoff_per_um,
    )
    inner = comparison.numbers
    whole = compare(image, seen, find_shift=False).numbers
    true_depth = without_rim(truth.depth_y_x_um, upsampling).astype(np.float64)
    found = without_rim(depth_um, upsampling).astype(np.float64)
    outcome: Outcome = {
        "complex_error": inner["relative_l2"],
        "phase_error_rad": inner["phase_error_rad"],
        "bands": comparison.bands.rows(),
        "amplitude_relative_l2": inner["amplitude_relative_l2"],
        "all_in_focus_l2": inner["amplitude_all_in_focus_l2"],
        "phase_rmse_less_ramp_rad": inner["phase_rmse_less_ramp_rad"],
        "complex_error_with_rim": whole["relative_l2"],
        "amplitude_relative_l2_with_rim": whole["amplitude_relative_l2"],
        "depth_rmse_um": float(np.sqrt(np.mean((found - true_depth) ** 2))),
        "depth_slope": None,
    }
    if np.ptp(true_depth) > 0:
        outcome["depth_slope"] = float(np.polyfit(true_depth.ravel(), found.ravel(), 1)[0])
    return outcome


def at_true_height(solution: Solution, truth: Truth, z_um: NDArray[np.float64]) -> Outcome:
    """Errors of the field with every pixel at its true height: no depth map takes part.

    Once with slices turned to agree with each other, as `focus` does, and once as they come.
    """
    seen = without_rim(truth.seen_y_x, solution.upsampling)
    tied, untied = (
        without_rim(
            field_at_depth(solution.slices, z_um, truth.depth_y_x_um, tied=is_tied),
            solution.upsampling,
        )
        for is_tied in (True, False)
    )
    bands = band_errors(tied, seen, truth.cutoff_per_um * truth.pixel_um)
    return {
        "true_height_complex_error": complex_error(tied, seen),
        "true_height_phase_error_rad": phase_error(tied, seen),
        "true_height_bands": bands.rows(),
        "true_height_untied_complex_error": complex_error(untied, seen),
    }


def slice_ncc(
    a: Solution, b: Solution, settings: BenchmarkSettings
) -> tuple[list[float | None], list[float | None]]:
    """NCC of amplitudes and of complex images at every height; None where an image is flat."""
    amplitude: list[float | None] = []
    field: list[float | None] = []
    z_um = settings.z_um
    for one, other in zip(a.slices(z_um), b.slices(z_um), strict=True):
        left, right = (without_rim(s.field_z_y_x[0], a.upsampling) for s in (one, other))
        for values, pair in ((amplitude, (np.abs(left), np.abs(right))), (field, (left, right))):
            try:
                values.append(ncc(*pair))
            except DataError:
                values.append(None)
    return amplitude, field
