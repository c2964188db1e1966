"""``fpm-inr reconstruct``: an acquisition -> a solved field and its first pictures."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpm_inr.cli.options import (
    device_option,
    load_data,
    output_option,
    overwrite_option,
    prepare_folder,
    several_acquisitions_options,
)
from fpm_inr.cli.progress import SolveProgress

if TYPE_CHECKING:
    from rich.console import Console

    from fpm_inr.acquisition import Acquisition
    from fpm_inr.settings import ReconstructSettings
    from fpm_inr.solution import Solution


CHECKPOINT = "checkpoint.safetensors"  # in the output folder, until the results are there


class _WithAutoRange(click.Command):
    """Lets `auto` alone stand for the two numbers of --z-range."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        told: list[str] = []
        for one in args:
            if one == "--z-range=auto":
                told += ["--z-range", "auto", "auto"]
            elif one == "auto" and told[-1:] == ["--z-range"]:
                told += ["auto", "auto"]
            else:
                told.append(one)
        return super().parse_args(ctx, told)


def _z_range_of(
    _: click.Context, __: click.Parameter, told: tuple[str, str] | None
) -> tuple[float, float] | str | None:
    if told is None:
        return None
    if told == ("auto", "auto"):
        return "auto"
    try:
        return float(told[0]), float(told[1])
    except ValueError:
        raise click.BadParameter(
            f"{' '.join(told)!r} is no range of heights; give MIN MAX in um, or auto."
        ) from None


def _numbers(_: click.Context, __: click.Parameter, told: str | None) -> list[float] | None:
    if told is None:
        return None
    try:
        return [float(one) for one in told.split(",")]
    except ValueError:
        raise click.BadParameter(f"{told!r} is no list of numbers, as 0.63,0.53,0.47.") from None


def _offsets(
    _: click.Context, __: click.Parameter, told: tuple[str, ...]
) -> dict[str, dict[str, float]] | None:
    keys = ("z_um", "y_um", "x_um", "magnification")
    offsets = {}
    for one in told:
        name, _sign, text = one.partition("=")
        try:
            numbers = [float(number) for number in text.split(",")]
        except ValueError:
            numbers = []
        if not name or not 3 <= len(numbers) <= 4:
            raise click.BadParameter(f"{one!r} is not NAME=Z,Y,X or NAME=Z,Y,X,M.")
        offsets[name] = dict(zip(keys, numbers, strict=False))
    return offsets or None


@click.command("reconstruct", cls=_WithAutoRange)
@several_acquisitions_options
@output_option("Folder for the results; made where it is missing.", folder=True)
@click.option(
    "--z-range",
    "z_range_um",
    type=str,
    nargs=2,
    callback=_z_range_of,
    metavar="MIN MAX|auto",
    help="Heights to solve, in um; equal ones solve a single image. auto: those that hold the "
    "sample, from the parallax of the bright field.  [default: 0 0]",
)
@click.option(
    "--orient",
    type=click.Choice(["stated", "auto"]),
    help="auto: turn or mirror the LED map where that clearly fits better.  [default: stated]",
)
@click.option(
    "--upsample",
    type=int,
    metavar="K",
    help="Sampling over that of the frames.  [default: what the synthetic aperture takes, from 2]",
)
@click.option(
    "--engine",
    metavar="NAME",
    help="inr: one field for all z; conventional: planes solved one by one; or one that an "
    "installed package adds.  [default: inr]",
)
@click.option(
    "--recipe",
    metavar="NAME|YAML",
    help="A file, default or paper; inr: neural; conventional: pupil. A spline of complex "
    "planes is solved, with neural and paper a neural field.",
)
@click.option("--steps", type=int, help="inr: number of steps instead of the recipe's.")
@click.option("--passes", type=int, help="conventional: most passes instead of the recipe's.")
@click.option("--planes", type=int, metavar="N", help="conventional: number of planes.")
@click.option(
    "--z-step",
    "z_step_um",
    type=float,
    metavar="UM",
    help="conventional: largest distance of planes.  [default: half the image's depth of field]",
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path, dir_okay=False),
    help="calibration.json of `fpm-inr calibrate` to start from.",
)
@click.option(
    "--calibrate",
    metavar="NAMES",
    help="inr: learn with the field: gains, pupil, pupil_map, pose, shifts, background, defocus, "
    "na (comma-separated).",
)
@click.option(
    "--wavelengths",
    "wavelengths_um",
    metavar="UM,UM,...",
    callback=_numbers,
    help="Several DATA: the wavelength of each (um), in their order.  [default: what they tell]",
)
@click.option(
    "--white",
    type=int,
    nargs=4,
    metavar="Y X HEIGHT WIDTH",
    help="Several wavelengths: clear background, in pixels of the result.  [default: found]",
)
@click.option(
    "--offset",
    "offsets",
    multiple=True,
    metavar="NAME=Z,Y,X[,M]",
    callback=_offsets,
    help="Several wavelengths: how far (um) NAME has its focus higher, lies down and to the right, "
    "and its magnification; may be repeated.  [default: found]",
)
@device_option(None)
@click.option("--seed", type=int, help="Seed of the random start and order.  [default: 0]")
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="YAML of these settings; options given here win.",
)
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in the output folder.")
@click.option(
    "--full-precision", is_flag=True, help="Store the field in 32 bits instead of 8 or 16."
)
@overwrite_option("results that are")
def command(
    data: tuple[Path, ...],
    output: Path,
    config: Path | None,
    resume: bool,
    full_precision: bool,
    overwrite: bool,
    **options: Any,
) -> None:
    """Solve DATA for a focus stack and write it to a folder.

    Writes field.safetensors (render it at any z with `fpm-inr render`), run.json, history.csv,
    preview.png and report.html. Ctrl-C ends early with a usable field; --resume goes on from there.

    Several DATA, one a wavelength, or one acquisition.yaml with channels, are solved for one
    picture in colour: a folder each, and colours.json, which all other verbs take.
    """
    from rich.console import Console

    from fpm_inr.reconstruction import check_options
    from fpm_inr.settings import gather_settings

    began = time.perf_counter()
    console = Console(stderr=True)
    settings = gather_settings(config, options)
    check_options(settings.engine, settings.model_dump(include=settings.model_fields_set))
    from fpm_inr.cli.colour import check_single, is_colour, reconstruct_in_colour

    if is_colour(data):
        how = {"resume": resume, "full_precision": full_precision, "overwrite": overwrite}
        reconstruct_in_colour(data, output, settings, **how)
        return
    check_single(settings)
    prepare_folder(output, "field.safetensors", "a field", replace=resume or overwrite)
    acquisition = _load(console, data[0], settings)
    z_range_um = settings.z_range_um
    if z_range_um == "auto":
        z_range_um = _z_range(console, acquisition)
    load_seconds = time.perf_counter() - began
    solution = _solve(console, acquisition, settings, z_range_um, output / CHECKPOINT, resume)

    with console.status("Writing the results"):
        from fpm_inr.results import write_results

        run = write_results(
            output,
            acquisition,
            solution,
            settings=settings.model_dump(mode="json"),
            data=data[0],
            load_seconds=load_seconds,
            precision="full" if full_precision else "compact",
        )
    if solution.record["status"] == "done":
        (output / CHECKPOINT).unlink(missing_ok=True)
    _say(console, run, output)
    _say_of_instrument(console, solution)
    if solution.record["status"] == "interrupted":
        console.print("[yellow]Interrupted:[/] the field so far is usable; --resume goes on.")
        sys.exit(130)


def _load(console: Console, data: Path, settings: ReconstructSettings) -> Acquisition:
    """Read the acquisition, warn of its sampling, turn its LED map where that is wanted."""
    with console.status("Starting"):
        from fpm_inr.sampling import warnings
    acquisition = load_data(
        data,
        crop=settings.crop,
        wavelength_um=settings.wavelength_um,
        color=settings.color,
        medium_index=settings.medium_index,
    )
    for warning in warnings(acquisition):
        console.print(f"[yellow]Warning:[/] {warning}")
    return _orient(console, acquisition) if settings.orient == "auto" else acquisition


def _solve(
    console: Console,
    acquisition: Acquisition,
    settings: ReconstructSettings,
    z_range_um: tuple[float, float],
    checkpoint: Path,
    resume: bool,
) -> Solution:
    with console.status("Starting"):
        from fpm_inr.device import pick_device
        from fpm_inr.reconstruction import reconstruct
    with SolveProgress(console) as progress:
        solution = reconstruct(
            acquisition,
            z_range_um=z_range_um,
            upsample=settings.upsample,
            engine=settings.engine,
            recipe=settings.recipe,
            steps=settings.steps,
            passes=settings.passes,
            planes=settings.planes,
            z_step_um=settings.z_step_um,
            device=settings.device,
            seed=settings.seed,
            listen=progress,
            listen_calibration=progress.calibrating,
            checkpoint=checkpoint,
            resume=resume,
            keep_checkpoint=True,
            calibration=settings.calibration,
            calibrate=settings.calibrate,
        )
    # residuals and pictures are made where the solve was
    return solution.on(pick_device(settings.device))


def _say(console: Console, run: dict[str, Any], output: Path) -> None:
    """What it took, how well the frames are explained, and where all is."""
    from rich.markup import escape

    residual = run["data_residual"]
    console.print(
        f"{run['steps']} steps in {run['seconds']['solve']:.1f} s on {run['device']}; "
        f"data residual {min(residual):.4f} to {max(residual):.4f} "
        f"(noise alone: {run['expected_residual']:.4f}); "
        f"field of {run['field_bytes'] / 1e6:.2f} MB."
    )
    for name in ("field.safetensors", "run.json", "history.csv", "preview.png", "report.html"):
        click.echo(output / name)
    for warning in run["warnings"]:
        console.print(f"[yellow]Warning:[/] {escape(warning)}", highlight=False)


def _say_of_instrument(console: Console, solution: Solution) -> None:
    """What was found of the instrument, left out or refused."""
    record = solution.record
    if solution.leds_left_out:
        numbers = ", ".join(map(str, solution.leds_left_out))
        console.print(
            f"Left out, as they straddle the edge of the pupil: LEDs {numbers} (counted from 0)."
        )
    if "calibration_of_a_plane" in record:
        plane = record["calibration_of_a_plane"]
        before, after = plane["residual"]
        console.print(
            f"A plane at z = {plane['z_um']:.1f} um, calibrated first: data residual "
            f"{before:.4f} as stated, {after:.4f} as found"
            + (f"; refused, {plane['refused']}." if plane["refused"] else ".")
        )
    if "calibration_residual" in record:
        before, after = record["calibration_residual"]
        console.print(
            f"Data residual of a short solve: {before:.4f} with the instrument as stated, "
            f"{after:.4f} as found."
        )
    if "calibration_refused" in record:
        console.print(
            f"[yellow]Warning:[/] what was learned of the instrument is refused, "
            f"{record['calibration_refused']}; the stated instrument was used."
        )


def _orient(console: Console, acquisition: Acquisition) -> Acquisition:
    """Turn the LED map into the orientation that fits, and say so."""
    from fpm_inr.calibration.orientation import check_orientation, oriented

    with console.status("Checking the orientation of the LED map"):
        check = check_orientation(acquisition)
    console.print(f"Orientation of the LED map: {check.best}.")
    return oriented(acquisition, check.best)


def _z_range(console: Console, acquisition: Acquisition) -> tuple[float, float]:
    """Find the heights that hold the sample; print the focus curve."""
    from fpm_inr.calibration.autofocus import find_z_range

    (low, high), curve = find_z_range(acquisition)
    top = float(curve.score_z.max())
    for z_um, score in zip(curve.z_um, curve.score_z, strict=True):
        if low - (high - low) / 2 <= z_um <= high + (high - low) / 2:
            console.print(f"{z_um:8.1f} um  {'▒' * round(40 * float(score) / top)}")
    console.print(f"Heights that hold the sample: {low:.1f} to {high:.1f} um.")
    return low, high
