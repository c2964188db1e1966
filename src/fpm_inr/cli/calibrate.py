"""``fpm-inr calibrate``: find pupil, LED positions and gains from the frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpm_inr.cli.options import (
    acquisition_options,
    device_option,
    load_data,
    output_option,
    overwrite_option,
    prepare_folder,
)
from fpm_inr.cli.progress import counting

if TYPE_CHECKING:
    import torch
    from rich.console import Console

    from fpm_inr.acquisition import Acquisition
    from fpm_inr.calibration.calibrate import CalibrationResult


@click.command("calibrate")
@acquisition_options
@output_option(
    "Folder for calibration.json and calibration.png; made where it is missing.", folder=True
)
@click.option(
    "--z",
    "z_um",
    type=float,
    metavar="UM",
    help="Height of the sample.  [default: found by autofocus]",
)
@click.option(
    "--free",
    default="gains,pupil,pose",
    show_default=True,
    metavar="NAMES",
    help="What to find: gains, pupil, pupil_map, pose, shifts, background, defocus, na.",
)
@click.option("--upsample", type=int, metavar="K", help="Sampling over that of the frames.")
@click.option("--steps", type=int, default=150, show_default=True, help="Steps of each solve.")
@click.option(
    "--max-move",
    type=float,
    default=0.5,
    show_default=True,
    metavar="SHARE",
    help="Refuse a calibration that moves an LED against the array (or, where that explains the "
    "frames hardly better, the array) further than this share of the objective's NA.",
)
@device_option()
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the order of LEDs.")
@overwrite_option("a calibration that is")
def command(
    output: Path,
    z_um: float | None,
    free: str,
    upsample: int | None,
    steps: int,
    max_move: float,
    device: str,
    seed: int,
    overwrite: bool,
    **source: Any,
) -> None:
    """Find the instrument of DATA from its frames and write it as calibration.json.

    Solves one plane of the sample, first with the instrument as stated and then with what is free
    of it; `fpm-inr reconstruct --calibration` takes the result. A calibration that diverged, did
    not lower the residual or moved LEDs too far is refused: the file then holds the stated
    instrument.
    """
    from rich.console import Console

    console = Console(stderr=True)
    prepare_folder(output, "calibration.json", "a calibration", replace=overwrite)
    acquisition = load_data(**source)
    from fpm_inr.calibration.calibrate import calibrate
    from fpm_inr.calibration.figures import calibration_figure
    from fpm_inr.calibration.file import write_calibration
    from fpm_inr.device import pick_device
    from fpm_inr.figures import save_figure
    from fpm_inr.instrument import parse_free

    chosen = parse_free(free, field="free")
    on = pick_device(device)
    found_z = z_um is None
    if z_um is None:
        z_um = _find_height(console, acquisition, on, seed)
    with counting("Solving", console=console, transient=False) as tell:
        result = calibrate(
            acquisition,
            z_um=z_um,
            free=chosen,
            upsample=upsample,
            height_is_free=found_z,
            steps=steps,
            most_move=max_move,
            seed=seed,
            device=on,
            listen=lambda step, total, _: tell(step, total),
        )
    write_calibration(output / "calibration.json", result.file(acquisition))
    save_figure(calibration_figure(acquisition, result), output / "calibration.png")
    _say(console, result, z_um, acquisition.optics.na)
    for name in ("calibration.json", "calibration.png"):
        click.echo(output / name)


def _find_height(
    console: Console, acquisition: Acquisition, device: torch.device, seed: int
) -> float:
    """Height of the sample, by autofocus; say it."""
    from fpm_inr.calibration.autofocus import autofocus

    with console.status("Finding the height of the sample"):
        focus = autofocus(acquisition, device=device, seed=seed)
    console.print(f"Autofocus: z = {focus.z_um:.1f} um.")
    return focus.z_um


def _say(console: Console, result: CalibrationResult, z_um: float, na: float) -> None:
    """What was found, and whether it is believed."""
    console.print(
        f"Data residual at z = {z_um:g} um: {result.before.residual:.4f} as stated, "
        f"{result.after.residual:.4f} with {', '.join(result.free.names)} found."
    )
    if result.array is not None:
        console.print(f"LED array: {result.array}.", highlight=False)
    if result.found.na is not None:
        console.print(f"NA of the objective: {float(result.found.na):.4g} (stated {na:g}).")
    if not result.accepted:
        console.print(
            f"[yellow]Warning:[/] refused, {result.reason}; the stated instrument is kept."
        )
