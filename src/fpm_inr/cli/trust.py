"""``fpm-inr trust``: error bars, resolution and model error of a reconstruction."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpm_inr.cli.options import device_option
from fpm_inr.cli.progress import SolveProgress, progress_bar

if TYPE_CHECKING:
    from rich.console import Console

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
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Of a mosaic: tiles at a time, each on one thread.  [default: one a core; 1 on a GPU]",
)
@device_option()
def command(
    folder: Path,
    data: Path | None,
    z_text: str | None,
    halves: Any,
    seed: int,
    workers: int | None,
    device: str,
) -> None:
    """Say how far to trust OUT, a folder of `fpm-inr reconstruct` or `fpm-inr mosaic`.

    Solves once more, with the frames' noise drawn anew. Writes maps of the noise of amplitude and
    phase, of the resolution and of what noise does not explain to OUT/trust (maps.npz,
    maps.ome.tif, pictures, and field files for `fpm-inr view OUT --beside`), their numbers to
    run.json, and a section to report.html. Of a mosaic tile by tile: maps of the whole field in
    maps.ome.zarr, numbers in manifest.json; begun anew, it goes on from the tiles that are done.
    """
    from rich.console import Console

    from fpm_inr.device import pick_device
    from fpm_inr.errors import SettingsError
    from fpm_inr.heights import parse_heights
    from fpm_inr.io.results import is_mosaic

    console = Console(stderr=True)
    z_um = None if z_text is None else parse_heights(z_text).tolist()
    on = str(pick_device(device))
    if is_mosaic(folder):
        _of_mosaic(console, folder, data, z_um, halves, seed, workers, on)
        return
    if workers is not None:
        raise SettingsError("is of a mosaic", "leave it out", field="workers")
    _of_one(console, folder, data, z_um, halves, seed, on)


def _of_one(
    console: Console,
    folder: Path,
    data: Path | None,
    z_um: list[float] | None,
    halves: Any,
    seed: int,
    on: str,
) -> None:
    """One reconstruction."""
    from fpm_inr.errors import DataError
    from fpm_inr.results import load_results
    from fpm_inr.set_manifest import manifest_of
    from fpm_inr.trust.assess import assess
    from fpm_inr.trust_results import write_trust

    if manifest_of(folder) is not None:
        raise DataError(
            "is a result in colour", "give the folder of one wavelength in it", source=folder
        )
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
    _told(console, written, found.warnings())


def _of_mosaic(
    console: Console,
    folder: Path,
    data: Path | None,
    z_um: list[float] | None,
    halves: Any,
    seed: int,
    workers: int | None,
    on: str,
) -> None:
    """Tile by tile, and the field as a whole."""
    import os
    import sys

    import numpy as np

    from fpm_inr.errors import SettingsError
    from fpm_inr.mosaic.mosaic import load_mosaic
    from fpm_inr.mosaic_trust.field import is_even
    from fpm_inr.mosaic_trust.run import trust_mosaic
    from fpm_inr.mosaic_trust.tile import Asked, check_data, chosen_heights

    mosaic = load_mosaic(folder)
    heights = chosen_heights(mosaic, None if z_um is None else np.array(z_um))
    if not is_even(heights):
        raise SettingsError(
            "is not evenly spaced, which OME-Zarr cannot say", "give START:STOP:STEP", field="z"
        )
    with console.status("Reading the data"):
        lies = check_data(mosaic, data)
    asked = Asked(folder, lies, heights, halves, seed, on)
    usual = (os.cpu_count() or 1) if on == "cpu" else 1
    words = {"tiles": "Assessing tiles", "maps": "Writing maps"}
    with progress_bar(console, transient=False) as bar:
        tasks = {stage: bar.add_task(words[stage], total=None) for stage in words}

        def listen(stage: str, done: int, total: int) -> None:
            bar.update(tasks[stage], completed=done, total=total)

        try:
            numbers, written = trust_mosaic(asked, mosaic, workers=workers or usual, listen=listen)
        except KeyboardInterrupt:
            console.print("[yellow]Interrupted:[/] the same command goes on from the tiles done.")
            sys.exit(130)
    _told(console, written, numbers["warnings"])


def _told(console: Console, written: list[Path], warnings: Iterable[str]) -> None:
    from rich.markup import escape

    for path in written:
        click.echo(path)
    for warning in warnings:
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
