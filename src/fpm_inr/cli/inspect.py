"""``fpm-inr inspect``: what an acquisition holds, before it is solved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpm_inr.cli.options import acquisition_options, load_data

if TYPE_CHECKING:
    from fpm_inr.acquisition import Acquisition
    from fpm_inr.first_aid import Finding
    from fpm_inr.trust.transfer import Transfer

PICTURES = (".png", ".pdf", ".svg")
TRANSFER_PX = 512  # of the frames' middle, whose frequencies are looked at
HEADINGS = {
    "frames": "Frames",
    "optics": "Optics",
    "leds": "LEDs",
    "reconstruction": "A reconstruction",
    "transfer": "What the LEDs tell of an object in focus",
    "orientation": "Orientation of the LED map",
}


@click.command("inspect")
@acquisition_options
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also draw frames, LEDs and Fourier coverage (.png, .pdf, .svg), and beside it what the "
    "LEDs tell of amplitude and phase, and one picture for every mistake that is found.",
)
@click.option(
    "--orientation/--no-orientation",
    default=True,
    show_default=True,
    help="Try the LED map's eight orientations, amplitudes against intensities and the usual "
    "mistakes, on a small crop (seconds).",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def command(
    data: Path, output: Path | None, orientation: bool, as_json: bool, **options: Any
) -> None:
    """Say what the acquisition DATA holds and what can be solved from it.

    \b
    fpm-inr inspect algae_r.mat --color r --medium-index 1.33
    fpm-inr inspect folder-with-acquisition.yaml -o look.png
    """
    import json

    from fpm_inr.errors import OutputError

    if output is not None and output.suffix.lower() not in PICTURES:
        raise OutputError(
            "has a suffix of no known figure", f"give {', '.join(PICTURES)}", source=output
        )
    acquisition = load_data(data, **options)

    from fpm_inr.inspection import acquisition_figure, summarise

    summary = summarise(acquisition)
    _check_na(acquisition, summary)
    told = _check_transfer(acquisition, summary)
    if orientation:
        _check_orientation(acquisition, summary)
    # mistakes show in frames of one LED, each in its place
    one_by_one = acquisition.illumination.lighting is None
    found = _look_over(acquisition, summary) if orientation and one_by_one else []
    pictures = []
    if output is not None:
        from matplotlib.figure import Figure

        from fpm_inr.figures import save_figure
        from fpm_inr.trust.figures import transfer_figure

        save_figure(acquisition_figure(acquisition, data.resolve().name), output)
        pictures.append(output.with_name(f"{output.stem}-transfer{output.suffix}"))
        save_figure(transfer_figure(told), pictures[-1])
        for finding in found:
            figure = Figure(figsize=(9, 4.6), layout="constrained")
            finding.draw(figure)
            pictures.append(output.with_name(f"{output.stem}-{finding.name}{output.suffix}"))
            save_figure(figure, pictures[-1])
    if as_json:
        click.echo(json.dumps(summary, indent=1))
        return
    _print_tables(summary)
    if output is not None:
        for written in (output, *pictures):
            click.echo(f"Wrote {written}")


def _check_na(acquisition: Acquisition, summary: dict[str, Any]) -> None:
    """Add what the circles in the bright-field spectra tell of the objective's NA."""
    from fpm_inr.calibration.brightfield import check_na

    check = check_na(acquisition)
    if check is not None:
        summary["optics"]["na_by_the_frames"] = check.na
        summary["warnings"] += check.warnings


def _check_transfer(acquisition: Acquisition, summary: dict[str, Any]) -> Transfer:
    """Add what the LEDs tell of amplitude and phase, and what they do not."""
    from fpm_inr.sampling import default_upsampling
    from fpm_inr.trust.transfer import transfer

    height, width = (min(side, TRANSFER_PX) for side in acquisition.shape_y_x)
    y, x = (
        (of - side) // 2 for of, side in zip(acquisition.shape_y_x, (height, width), strict=True)
    )
    part = acquisition.crop(y, x, height, width)
    told = transfer(part, default_upsampling(part.optics, part.illumination))
    curves = told.curves()
    periods = told.undetermined_um
    summary["transfer"] = {
        "slowest_period_um": float(1 / curves["per_um"][0]),
        "its_amplitude_in_frames": float(curves["amplitude"][0]),
        "its_phase_in_frames": float(curves["phase"][0]),
        "phase_not_determined_um": None if periods is None else list(periods),
    }
    warning = told.warning()
    summary["warnings"] += [] if warning is None else [warning]
    return told


def _check_orientation(acquisition: Acquisition, summary: dict[str, Any]) -> None:
    """Add what a quick solve of every orientation tells."""
    from rich.console import Console

    from fpm_inr.calibration.orientation import LEAST_LEDS, PAIRS, check_orientation

    light = acquisition.illumination
    if light.lighting is not None and len(light.alone()[0]) < LEAST_LEDS:
        summary["warnings"].append(
            f"Fewer than {LEAST_LEDS} frames are of one LED: the orientation of the LED map is not "
            "tried."
        )
        return
    with Console(stderr=True).status("Trying the orientations of the LED map"):
        check = check_orientation(acquisition)
    summary["orientation"] = {
        **{f"residual {one} or {one.twin}": check.residual[one] for one in PAIRS},
        "fits best": str(check.best),
        "frames hold": check.scale.best,
    }
    summary["warnings"] += check.warnings


def _look_over(acquisition: Acquisition, summary: dict[str, Any]) -> list[Finding]:
    """Add the usual mistakes that are found, with the line to change."""
    from rich.console import Console

    from fpm_inr.first_aid import look_over

    with Console(stderr=True).status("Looking for the usual mistakes"):
        found = look_over(acquisition)
    summary["warnings"] += [finding.sentence for finding in found]
    return found


def _print_tables(summary: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for heading, title in HEADINGS.items():
        if heading not in summary:
            continue
        table.add_row(f"[bold]{title}[/]")
        for name, value in summary[heading].items():
            label, unit = _label(name)
            if value is not None:
                table.add_row(f"  {label}", f"{_text(name, value)}{unit}")
    console.print(table)
    if summary["warnings"]:
        console.print("[bold]Warnings[/]")
    for warning in summary["warnings"]:
        console.print(f"  [yellow]-[/] {escape(warning)}", highlight=False)


def _label(name: str) -> tuple[str, str]:
    """Split a unit off a name: 'size_y_x_um' -> 'size (y, x)', ' um'."""
    unit = ""
    for suffix in ("_um", "_px"):
        if name.endswith(suffix):
            name, unit = name.removesuffix(suffix), f" {suffix[1:]}"
    if name.endswith("_y_x"):
        name = f"{name.removesuffix('_y_x')} (y, x)"
    words = name.replace("_", " ")
    return f"{'NA' + words[2:] if words.startswith('na') else words}".replace(" na", " NA"), unit


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.startswith("overlap"):
        return f"{value:.0%}"
    if isinstance(value, list):
        return ", ".join(f"{one:.5g}" for one in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
