"""``fpm-inr benchmark``: engines against each other on this machine."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fpm_inr.cli.options import MEDIUM_INDEX, WAVELENGTH, device_option, output_option
from fpm_inr.cli.progress import progress_bar

if TYPE_CHECKING:
    from fpm_inr.benchmark import BenchmarkSettings


def _numbers(ctx: click.Context, param: click.Parameter, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise click.BadParameter(f"{text!r} is no list of whole numbers such as 128,256") from None


def _names(ctx: click.Context, param: click.Parameter, text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


@contextmanager
def _terminated_as_exit() -> Iterator[None]:
    """Let SIGTERM unwind as an exit does, so that the solve under way is ended too."""

    def leave(*_: object) -> None:
        sys.exit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@click.command("benchmark")
@output_option("Folder for everything; finished cases in it are not run again.", folder=True)
@click.option(
    "--sizes",
    default="128,256,512,1024",
    show_default=True,
    callback=_numbers,
    help="Sides of the patches, in frame pixels.",
)
@click.option(
    "--engines", default="inr,conventional", show_default=True, callback=_names, help="Engines."
)
@click.option(
    "--recipe",
    "recipes",
    default="default",
    show_default=True,
    callback=_names,
    metavar="NAME,...",
    help="Recipes, each run with every engine: default, paper or YAML files.",
)
@click.option(
    "--specimens",
    callback=lambda ctx, param, text: None if text is None else _names(ctx, param, text),
    metavar="NAME,...",
    help="Simulated: smear, slow-phase, lens.  [default: all]",
)
@click.option("--slices", default=161, show_default=True, help="Planes of the stack.")
@click.option("--repeats", default=1, show_default=True, help="Solves of every case.")
@click.option(
    "--z-range",
    "z_range_um",
    type=float,
    nargs=2,
    metavar="MIN MAX",
    help="Heights to solve, in um.  [default: -12 12 for simulated frames]",
)
@click.option("--photons", type=float, help="Simulated: at the brightest pixel.  [default: 5000]")
@click.option(
    "--tilt",
    "tilt_deg",
    type=float,
    metavar="DEG",
    help="Simulated: tilt of the specimen.  [default: it spans half of the z range at every size]",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Measured frames instead of simulated ones; patches are cut from their middle.",
)
@WAVELENGTH
@MEDIUM_INDEX
@device_option()
@click.option("--seed", default=0, show_default=True, help="Of the simulation and of the solves.")
@click.option("--yes", is_flag=True, help="Also run what seems too large for this machine.")
def command(
    output: Path,
    sizes: tuple[int, ...],
    engines: tuple[str, ...],
    recipes: tuple[str, ...],
    specimens: tuple[str, ...] | None,
    slices: int,
    repeats: int,
    z_range_um: tuple[float, float] | None,
    photons: float | None,
    tilt_deg: float | None,
    data: Path | None,
    wavelength_um: float | None,
    medium_index: float | None,
    device: str,
    seed: int,
    yes: bool,
) -> None:
    """Compare engines and recipes in time, memory, storage and error.

    Frames of tilted specimens, a blood smear and two of slow phase, are simulated at every patch
    size (or cut from --data). Each solve runs in a process of its own, engines in turn. Complex and
    phase error come first, whole and by band of frequency. Writes benchmark.md, benchmark.json,
    images-SPECIMEN.png, bands.png and cost.png. Ctrl-C keeps finished cases; the same command goes
    on from there.

    \b
    fpm-inr benchmark -o bench --sizes 128,256
    fpm-inr benchmark -o algae --data algae_r.mat --wavelength 0.63 --z-range -60 20 --sizes 128
    """
    _check_given(
        data,
        z_range_um,
        {"photons": photons, "tilt": tilt_deg, "specimens": specimens},
        {"wavelength": wavelength_um, "medium index": medium_index},
    )

    from fpm_inr.benchmark import BenchmarkSettings
    from fpm_inr.benchmark.settings import SPECIMENS

    settings = BenchmarkSettings(
        sizes=sizes,
        engines=engines,
        recipes=recipes,
        specimens=specimens or SPECIMENS,
        slices=slices,
        repeats=repeats,
        z_range_um=z_range_um or (-12.0, 12.0),
        photons=5000.0 if photons is None else photons,
        tilt_deg=tilt_deg,
        data=data,
        wavelength_um=wavelength_um,
        medium_index=medium_index,
        device=device,
        seed=seed,
    )
    click.echo(_run(output, settings, large=yes))
    click.echo(f"Wrote {output}")


def _check_given(
    data: Path | None,
    z_range_um: tuple[float, float] | None,
    simulated: dict[str, object],
    measured: dict[str, object],
) -> None:
    """Refuse options of simulated frames for measured ones, and the other way round."""
    from fpm_inr.errors import SettingsError

    kind, refused = ("simulated", simulated) if data is not None else ("measured", measured)
    for name, value in refused.items():
        if value is not None:
            raise SettingsError(f"is for {kind} frames", "leave it out", field=name)
    if data is not None and z_range_um is None:
        raise SettingsError("is not known for --data", "give --z-range MIN MAX", field="z range")


def _run(output: Path, settings: BenchmarkSettings, *, large: bool) -> str:
    """Run all cases under a bar, write tables and figures; return the table."""
    from rich.console import Console

    from fpm_inr.benchmark import run_benchmark
    from fpm_inr.benchmark.figures import write_figures
    from fpm_inr.benchmark.table import table
    from fpm_inr.files.replacing import replacing

    console = Console(stderr=True)
    with _terminated_as_exit(), progress_bar(console, transient=False) as progress:
        task = progress.add_task("", total=None)
        said = ""

        def listen(what: str, step: int = 0, total: int | None = None) -> None:
            nonlocal said
            if what != said:
                said = what
                progress.console.print(what, highlight=False)
                progress.reset(task, description=what, total=None)
            progress.update(task, completed=step, total=total)

        outcome = run_benchmark(output, settings, large=large, listen=listen)
        listen("figures")
        text = table(outcome)
        with replacing(output / "benchmark.md") as beside:
            beside.write_text(text, encoding="utf-8")
        write_figures(output, outcome, settings)
    return text
