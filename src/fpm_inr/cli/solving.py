"""What `fpm-inr reconstruct` does with one acquisition, alone or one of several wavelengths."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fpm_inr.cli.progress import SolveProgress

if TYPE_CHECKING:
    from rich.console import Console

    from fpm_inr.acquisition import Acquisition
    from fpm_inr.settings import ReconstructSettings
    from fpm_inr.solution import Solution

CHECKPOINT = "checkpoint.safetensors"  # in the output folder, until the results are there


def looked_at(
    console: Console, acquisition: Acquisition, settings: ReconstructSettings, name: str = ""
) -> Acquisition:
    """Warn of its sampling, turn its LED map where that is wanted."""
    from fpm_inr.sampling import warnings

    for warning in warnings(acquisition):
        console.print(f"[yellow]Warning:[/] {name and f'{name}: '}{warning}")
    return _oriented(console, acquisition) if settings.orient == "auto" else acquisition


def solve(
    console: Console,
    acquisition: Acquisition,
    settings: ReconstructSettings,
    folder: Path,
    *,
    resume: bool,
    **more: Any,
) -> Solution:
    """Solve it, with a bar, and a checkpoint in the folder; `more` goes to `reconstruct` too."""
    with console.status("Starting"):
        from fpm_inr.device import pick_device
        from fpm_inr.reconstruction import reconstruct
    with SolveProgress(console) as progress:
        solution = reconstruct(
            acquisition,
            engine=settings.engine,
            recipe=settings.recipe,
            steps=settings.steps,
            passes=settings.passes,
            planes=settings.planes,
            z_step_um=settings.z_step_um,
            device=settings.device,
            seed=settings.seed,
            calibrate=settings.calibrate,
            guard_px=settings.guard_px,
            listen=progress,
            listen_calibration=progress.calibrating,
            checkpoint=folder / CHECKPOINT,
            resume=resume,
            keep_checkpoint=True,
            **more,
        )
    # residuals and pictures are made where the solve was
    return solution.on(pick_device(settings.device))


def write(
    folder: Path,
    acquisition: Acquisition,
    solution: Solution,
    settings: ReconstructSettings,
    *,
    data: Path,
    load_seconds: float,
    full_precision: bool,
) -> dict[str, Any]:
    """Write the results; a solve that is done needs its checkpoint no more."""
    from fpm_inr.results import write_results

    run = write_results(
        folder,
        acquisition,
        solution,
        settings=settings.model_dump(mode="json"),
        data=data,
        load_seconds=load_seconds,
        precision="full" if full_precision else "compact",
    )
    if solution.record["status"] == "done":
        (folder / CHECKPOINT).unlink(missing_ok=True)
    return run


def residual_told(run: dict[str, Any]) -> str:
    """How well the frames are explained, in words."""
    residual = run["data_residual"]
    return (
        f"data residual {min(residual):.4f} to {max(residual):.4f} "
        f"(noise alone: {run['expected_residual']:.4f})"
    )


def _oriented(console: Console, acquisition: Acquisition) -> Acquisition:
    """Turn the LED map into the orientation that fits, and say so."""
    from fpm_inr.calibration.orientation import check_orientation, oriented

    with console.status("Checking the orientation of the LED map"):
        check = check_orientation(acquisition)
    console.print(f"Orientation of the LED map: {check.best}.")
    return oriented(acquisition, check.best)


def found_z_range(console: Console, acquisition: Acquisition) -> tuple[float, float]:
    """Find the heights that hold the sample; print the focus curve."""
    from fpm_inr.calibration.autofocus import find_z_range

    (low, high), curve = find_z_range(acquisition)
    top = float(curve.score_z.max())
    for z_um, score in zip(curve.z_um, curve.score_z, strict=True):
        if low - (high - low) / 2 <= z_um <= high + (high - low) / 2:
            console.print(f"{z_um:8.1f} um  {'▒' * round(40 * float(score) / top)}")
    console.print(f"Heights that hold the sample: {low:.1f} to {high:.1f} um.")
    return low, high
