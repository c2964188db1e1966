"""``fpm-inr trust``: error bars, resolution and model error of a reconstruction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpm_inr.cli.options import device_option
from fpm_inr.cli.progress import SolveProgress

if TYPE_CHECKING:
    from fpm_inr.acquisition import Acquisition
    from fpm_inr.trust.assess import Trust


@click.command("trust")
@click.argument("folder", metavar="OUT", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="The acquisition that OUT was made from.  [default: where run.json says it was]",
)
@click.option(
    "--z",
    "z_text",
    metavar="START:STOP:STEP|Z,Z,...",
    help="Heights in um.  [default: 5 over the solved range]",
)
@click.option(
    "--halves",
    type=click.Choice(["photons", "leds"]),
    default="photons",
    show_default=True,
    help="What the local resolution compares. leds: one further solve more, and what is wrong with "
    "the model counts too.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the noise that is drawn.")
@device_option()
def command(
    folder: Path, data: Path | None, z_text: str | None, halves: Any, seed: int, device: str
) -> None:
    """Say how far to trust OUT, a folder of `fpm-inr reconstruct`.

    Solves once more, with the frames' noise drawn anew. Writes maps of the noise of amplitude and
    phase, of the resolution and of what noise does not explain to OUT/trust (maps.npz,
    maps.ome.tif, pictures, and field files for `fpm-inr view OUT --beside`), their numbers to
    run.json, and a section to report.html.
    """
    from rich.console import Console
    from rich.markup import escape

    from fpm_inr.device import pick_device
    from fpm_inr.heights import parse_heights
    from fpm_inr.results import load_results
    from fpm_inr.trust.assess import assess
    from fpm_inr.trust_results import write_trust

    console = Console(stderr=True)
    z_um = None if z_text is None else parse_heights(z_text).tolist()
    on = str(pick_device(device))
    run, solution = load_results(folder)
    acquisition = _load(console, folder, run, data)
    with SolveProgress(console) as progress:
        found = assess(
            acquisition,
            solution,
            z_um,
            calibration=_began_with(run),
            halves=halves,
            seed=seed,
            device=on,
            listen=progress,
        )
    with console.status("Writing maps and report"):
        written = write_trust(folder, acquisition, solution, run, found)
    _say(console, found)
    for path in written:
        click.echo(path)
    for warning in found.warnings():
        console.print(f"[yellow]Warning:[/] {escape(warning)}", highlight=False)


def _load(console: Any, folder: Path, run: dict[str, Any], data: Path | None) -> Acquisition:
    """The frames as they were solved: the same window, wavelength and LED map."""
    from fpm_inr.errors import DataError
    from fpm_inr.io import load

    settings = run["settings"]
    try:
        crop = settings.get("crop")
        known = {name: settings.get(name) for name in ("wavelength_um", "color", "medium_index")}
        given = Path(settings["data"]) if data is None else data
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            "does not say which data it was made from",
            "give --data, or reconstruct again",
            source=folder / "run.json",
        ) from error
    with console.status("Reading the acquisition"):
        acquisition = load(given, crop=None if crop is None else tuple(crop), **known)
    if settings.get("orient") == "auto":
        from fpm_inr.calibration.orientation import check_orientation, oriented

        with console.status("Checking the orientation of the LED map"):
            acquisition = oriented(acquisition, check_orientation(acquisition).best)
    return acquisition


def _began_with(run: dict[str, Any]) -> Path | None:
    """The calibration that a solve began with, where it is still there."""
    named = run["settings"].get("calibration")
    return Path(named) if isinstance(named, str) and Path(named).is_file() else None


def _say(console: Any, found: Trust) -> None:
    """The numbers that matter most."""
    import numpy as np

    noise, resolution = found.noise[found.best], found.resolution
    console.print(
        f"At z = {noise.z_um:.2f} um: amplitude ± {np.median(noise.amplitude_y_x):.2g} of the "
        f"bright field, phase ± {np.median(noise.phase_y_x):.2g} rad (medians). "
        f"Resolution (period): {resolution.whole_um:.3g} um; the finest there can be is "
        f"{resolution.cutoff_um:.3g} um.",
        highlight=False,
    )
