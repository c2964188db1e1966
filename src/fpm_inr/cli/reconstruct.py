"""``fpm-inr reconstruct``: an acquisition -> a solved field and its first pictures."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpm_inr.cli.options import (
    colour_options,
    device_option,
    engine_options,
    load_data,
    output_option,
    overwrite_option,
    prepare_folder,
    several_acquisitions_options,
)
from fpm_inr.cli.solving import found_z_range, looked_at, residual_told, solve, write

if TYPE_CHECKING:
    from rich.console import Console

    from fpm_inr.acquisition import Acquisition
    from fpm_inr.settings import ReconstructSettings
    from fpm_inr.solution import Solution


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
@engine_options
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
@colour_options
@click.option(
    "--transfer",
    is_flag=True,
    default=None,
    help="Several wavelengths: solve the one nearest to green alone; the others take its detail, "
    "and the colour of their own bright-field frames. All outputs say so.",
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
    check_single(dict(settings))
    prepare_folder(output, "field.safetensors", "a field", replace=resume or overwrite)
    acquisition = _load(console, data[0], settings)
    z_range_um = settings.z_range_um
    if z_range_um == "auto":
        z_range_um = found_z_range(console, acquisition)
    load_seconds = time.perf_counter() - began
    solution = solve(
        console,
        acquisition,
        settings,
        output,
        resume=resume,
        z_range_um=z_range_um,
        upsample=settings.upsample,
        calibration=settings.calibration,
    )
    with console.status("Writing the results"):
        run = write(
            output,
            acquisition,
            solution,
            settings,
            data=data[0],
            load_seconds=load_seconds,
            full_precision=full_precision,
        )
    _say(console, run, output)
    _say_of_instrument(console, solution)
    if solution.record["status"] == "interrupted":
        console.print("[yellow]Interrupted:[/] the field so far is usable; --resume goes on.")
        sys.exit(130)


def _load(console: Console, data: Path, settings: ReconstructSettings) -> Acquisition:
    """Read the acquisition, warn of its sampling, turn its LED map where that is wanted."""
    acquisition = load_data(
        data,
        crop=settings.crop,
        wavelength_um=settings.wavelength_um,
        color=settings.color,
        medium_index=settings.medium_index,
    )
    return looked_at(console, acquisition, settings)


def _say(console: Console, run: dict[str, Any], output: Path) -> None:
    """What it took, how well the frames are explained, and where all is."""
    from rich.markup import escape

    console.print(
        f"{run['steps']} steps in {run['seconds']['solve']:.1f} s on {run['device']}; "
        f"{residual_told(run)}; field of {run['field_bytes'] / 1e6:.2f} MB."
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
