"""``fpm-inr mosaic``: a whole field of view -> a folder of solved tiles that is seen as one."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpm_inr.cli.options import (
    COLOR,
    MEDIUM_INDEX,
    SEVERAL_DATA,
    WAVELENGTH,
    colour_options,
    device_option,
    engine_options,
    output_option,
)
from fpm_inr.cli.progress import progress_bar

if TYPE_CHECKING:
    from rich.console import Console

    from fpm_inr.mosaic.plan import Plan
    from fpm_inr.mosaic.run import Progress
    from fpm_inr.mosaic.source import Source


@click.command("mosaic")
@SEVERAL_DATA
@output_option("Folder to write.", folder=True)
@click.option(
    "--z-range",
    "z_range_um",
    type=(float, float),
    metavar="MIN MAX",
    default=(0.0, 0.0),
    help="Heights to solve (um); equal ones solve a single image.  [default: 0 0]",
)
@click.option(
    "--tile",
    "tile_px",
    type=int,
    metavar="PX",
    default=256,
    show_default=True,
    help="Side of a tile, in pixels of the frames.",
)
@click.option(
    "--overlap",
    "overlap_px",
    type=int,
    metavar="PX",
    help="What neighbouring tiles share.  [default: what the heights take, from 48]",
)
@WAVELENGTH
@COLOR
@MEDIUM_INDEX
@click.option(
    "--led-distance",
    "led_distance_mm",
    type=float,
    metavar="MM",
    help="From sample to LEDs, for data that hold only their directions: tiles then see their own.",
)
@engine_options
@click.option(
    "--calibration",
    type=click.Path(path_type=Path, dir_okay=False),
    help="calibration.json that every tile starts from.",
)
@click.option(
    "--calibrate",
    metavar="NAMES",
    help="Find the instrument across the field first, from a few tiles: gains, pupil, pose.",
)
@colour_options
@device_option()
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the order.")
@click.option(
    "--workers",
    type=int,
    metavar="N",
    help="Tiles at a time, each on one thread.  [default: one a core; 1 on a GPU]",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Address of a Dask scheduler, local (a Dask cluster here) or processes.  "
    "[default: local where Dask's scheduler is installed, else processes]",
)
@click.option(
    "--plan",
    "plan_only",
    is_flag=True,
    help="Say which tiles, how much memory and how long, and stop.",
)
@click.option("--resume", is_flag=True, help="Go on: tiles that are whole are kept.")
@click.option("--overwrite", is_flag=True, help="Begin anew in a folder that holds a mosaic.")
def command(data: tuple[Path, ...], **given: Any) -> None:
    """Solve the whole field of view of DATA, tile by tile, for a focus stack.

    Writes a folder that render, focus, evaluate and view take like a solution, with a report.html.
    Every tile has the LED directions that its own centre sees. Ctrl-C, or a machine that goes down,
    loses at most the tiles under way; --resume goes on.

    Several DATA, one a wavelength, or one acquisition.yaml with channels, are solved for one
    picture in colour: a mosaic each, and colours.json, which all other verbs take.
    """
    from rich.console import Console

    from fpm_inr.cli.colour import check_single, is_colour

    console = Console(stderr=True)
    given["engine"], given["recipe"] = given["engine"] or "inr", given["recipe"] or "default"
    if given["resume"] and given["overwrite"]:
        raise _both("resume", "overwrite")
    if is_colour(data):
        from fpm_inr.cli.mosaic_colour import mosaic_in_colour

        mosaic_in_colour(console, data, given)
        return
    check_single(given)
    given["data"], output = data[0], given["output"]
    source = source_of(given)
    check_settings(given)
    plan = plan_of(console, given, source, kept_calibration(console, given, source))
    say_plan(plan)
    if given["plan_only"]:
        foretell(console, plan, output, workers_of(given))
        return
    report = solve_mosaic(console, plan, given)
    click.echo(output)
    click.echo(report)


def solve_mosaic(console: Console, plan: Plan, given: dict[str, Any]) -> Path:
    """Solve the tiles that are left into the output folder; give the report."""
    from fpm_inr.mosaic.run import prepare, run

    output = given["output"]
    known = prepare(output, plan, resume=given["resume"], overwrite=given["overwrite"])
    try:
        with _Bar(console) as bar:
            manifest = run(
                plan,
                output,
                known,
                workers=workers_of(given),
                scheduler=given["scheduler"],
                listen=bar,
            )
    except KeyboardInterrupt:
        console.print("[yellow]Interrupted:[/] tiles that are done are kept; --resume goes on.")
        sys.exit(130)
    with console.status("Writing the report"):
        from fpm_inr.mosaic.mosaic import Mosaic
        from fpm_inr.mosaic.report import write_mosaic_report

        report = write_mosaic_report(Mosaic(output, manifest))
    residual = [one.residual for one in manifest.records if one.kind == "solved"]
    kinds = [one.kind for one in manifest.records]
    told = f"{len(residual)} tiles solved"
    told += "".join(f", {kinds.count(kind)} {kind}" for kind in ("empty", "dark") if kind in kinds)
    if residual:
        told += f"; data residual {min(residual):.4f} to {max(residual):.4f}"
    console.print(f"{told}.", highlight=False)
    return report


def source_of(given: dict[str, Any], **changes: Any) -> Source:
    """Where the frames of the options come from."""
    from fpm_inr.mosaic.source import Source

    told = {name: given[name] for name in ("wavelength_um", "color", "medium_index",
                                           "led_distance_mm")}  # fmt: skip
    return Source(**{"data": given["data"].absolute(), **told, **changes})


def plan_of(
    console: Console, given: dict[str, Any], source: Source, calibration: Path | None
) -> Plan:
    """The plan that the options ask for."""
    from fpm_inr.mosaic.plan import make_plan

    engine = given["engine"]
    with console.status("Reading the data and planning"):
        return make_plan(
            source,
            given["output"],
            z_range_um=given["z_range_um"],
            recipe=_recipe(engine, given["recipe"]),
            recipe_name=given["recipe"],
            settings={
                name: given[name]
                for name in ("engine", "steps", "passes", "planes", "z_step_um", "seed", "device")
            }
            | {"guard_px": given["guard_px"] or 0},
            tile_px=given["tile_px"],
            overlap_px=given["overlap_px"],
            upsample=given["upsample"],
            calibration=calibration,
            calibrate=given["calibrate"],
        )


def check_settings(given: dict[str, Any]) -> None:
    """Refuse settings that no tile could be solved with, before any work."""
    from fpm_inr.errors import SettingsError
    from fpm_inr.reconstruction import check_options, check_z_range, pick_device

    names = ("steps", "passes", "planes", "z_step_um")
    check_options(given["engine"], {name: given[name] for name in names})
    check_z_range(given["z_range_um"])
    pick_device(given["device"])
    for name in ("steps", "passes", "workers"):
        if given[name] is not None and given[name] < 1:
            raise SettingsError(f"is {given[name]}", "give at least 1", field=name)


def _recipe(engine: str, name: str) -> Any:
    from fpm_inr.errors import SettingsError
    from fpm_inr.solve.engine import engine_named

    recipe = engine_named(engine).recipe(name)
    if getattr(recipe, "calibrate", None) is not None:
        raise SettingsError(
            "learns the instrument in every tile by itself",
            "leave calibrate out of it, and give the mosaic a --calibration",
            field="recipe",
        )
    return recipe


def workers_of(given: dict[str, Any]) -> int:
    """Tiles at a time."""
    import os

    from fpm_inr.device import card_count, pick_device

    if given["workers"] is not None:
        return int(given["workers"])
    if pick_device(given["device"]).type != "cpu":
        return card_count(given["device"])
    # those that this process may use
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def kept_calibration(console: Console, given: dict[str, Any], source: Source) -> Path | None:
    """The calibration, kept in the mosaic's folder, where every worker finds it.

    Errors are those of `has_calibration`, and OutputError where it cannot be written.
    """
    import shutil

    from fpm_inr.calibration.file import read_calibration
    from fpm_inr.errors import OutputError
    from fpm_inr.files.replacing import replacing
    from fpm_inr.mosaic.run import has_calibration

    path: Path | None = given["calibration"]
    kept: Path = given["output"] / "calibration.json"
    if path is None and given["calibrate"] is None:
        return None
    if path is not None and given["calibrate"] is not None:
        raise _both("calibration", "calibrate")
    if path is not None:
        read_calibration(path)
        if given["plan_only"]:
            return path
    told = {name: given[name] for name in ("calibrate", "resume", "overwrite")}
    stays = kept.is_file() if given["plan_only"] else has_calibration(kept, path, **told)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        if path is not None and path.resolve() != kept.resolve():
            with replacing(kept) as beside:
                shutil.copyfile(path, beside)
    except OSError as error:
        raise OutputError(
            f"cannot be written ({error.strerror})", "choose a folder that is writable", source=kept
        ) from error
    if path is None and not stays:
        _find(console, given, source, kept)
    return kept


def _find(console: Console, given: dict[str, Any], source: Source, kept: Path) -> None:
    """Find the instrument across the field, and say what was found."""
    from fpm_inr.calibration.file import write_calibration
    from fpm_inr.device import pick_device
    from fpm_inr.mosaic.field_model import find_field_model

    with progress_bar(console) as bar:
        task = bar.add_task("Finding the instrument across the field", total=None)
        found = find_field_model(
            source,
            source.shape_y_x(),
            tile_px=given["tile_px"],
            z_range_um=given["z_range_um"],
            free=given["calibrate"],
            seed=given["seed"],
            device=str(pick_device(given["device"])),
            listen=lambda done, total: bar.update(task, completed=done, total=total),
        )
    write_calibration(kept, found)
    used = [tile for tile in found.tiles if tile.used]
    residual = [tile.residual for tile in used]
    told = f"The instrument was found from {len(used)} of {len(found.tiles)} tiles"
    for reason, count in Counter(tile.reason for tile in found.tiles if not tile.used).items():
        told += f" ({count} told nothing: {reason})"
    told += f"; data residual of a plane {min(residual):.4f} to {max(residual):.4f}."
    console.print(told, highlight=False)
    for note in found.notes:
        console.print(f"[yellow]{note}[/]", highlight=False)


def say_plan(plan: Plan) -> None:
    """Say what the plan is."""
    height, width = plan.shape_y_x
    sides = plan.sides
    click.echo(
        f"{sides[0].count} x {sides[1].count} tiles of {sides[0].length} x {sides[1].length} "
        f"pixels (y x x) for frames of {height} x {width}, of {plan.led_count} LEDs; neighbours "
        f"share {max(side.overlap for side in sides)}, of which {plan.edge_px} at each edge are "
        "the neighbour's."
    )
    if plan.angles == "tile":
        click.echo("Every tile has the LED directions of its own centre.")
    else:
        click.echo(
            "The data hold LED directions only: all tiles have the same ones. --led-distance MM "
            "gives every tile its own."
        )


def foretell(
    console: Console, plan: Plan, output: Path, workers: int, wavelengths: int = 1
) -> None:
    """Say what memory and time it takes, by a few steps of one tile."""
    from fpm_inr.mosaic.cost import probe

    with console.status("Measuring a few steps of the middle tile"):
        cost = probe(plan, output)
    tiles = len(plan.tiles) * wavelengths
    click.echo(
        f"Memory: {cost.memory_mb / 1000:.1f} GB a worker "
        f"({cost.memory_mb * workers / 1000:.1f} GB for {workers}), "
        "measured on the tile in the middle."
    )
    click.echo(
        f"Time: {cost.tile_seconds:.0f} s a tile by {cost.steps} of its {cost.total} steps; "
        f"{tiles} tiles take about {_duration(cost.tile_seconds * tiles / workers)} with {workers} "
        "workers, less where tiles are empty."
    )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _both(one: str, other: str) -> Exception:
    from fpm_inr.errors import SettingsError

    return SettingsError(f"is given with --{other}", "give one of them", field=one)


class _Bar:
    """Tiles done, the residual of the last, and the time left."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = progress_bar(console, "{task.fields[last]}", transient=False)
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        if progress.stage == "idle":
            self._console.print("[yellow]The scheduler has no workers:[/] tiles wait for some.")
            return
        words = {"tiles": "Solving tiles", "gauges": "Settling overlaps"}
        if progress.stage not in self._tasks:
            self._tasks[progress.stage] = self._bar.add_task(
                words[progress.stage], total=progress.total, last=""
            )
        record = progress.record
        last = "" if record is None else f"tile {record.number}: {record.kind}"
        if record is not None and record.kind == "solved":
            last += f", residual {record.residual:.4f}"
        self._bar.update(self._tasks[progress.stage], completed=progress.done, last=last)
