"""``fpm-inr reconstruct`` of several wavelengths: one folder each, and the colour they make."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from fpm_inr.cli.options import prepare_folder
from fpm_inr.cli.solving import (
    CHECKPOINT,
    found_z_range,
    looked_at,
    residual_told,
    solve,
    write,
)

if TYPE_CHECKING:
    from rich.console import Console

    from fpm_inr.acquisition import Acquisition
    from fpm_inr.chromatic_offset import Offset
    from fpm_inr.colour.begun import Begun
    from fpm_inr.settings import OffsetSettings, ReconstructSettings
    from fpm_inr.solution import Solution
    from fpm_inr.solution_set import SolutionSet

# settings that decide the solves; white and sideways offsets may change when one goes on
DECIDES = {"engine", "steps", "passes", "planes", "z_step_um", "upsample", "seed", "orient",
           "guard_px", "calibrate", "z_range_um", "transfer"}  # fmt: skip


def is_colour(data: tuple[Path, ...]) -> bool:
    """Whether several wavelengths are given."""
    if len(data) > 1:
        return True
    from fpm_inr.io.channels import described_channels

    return described_channels(data[0]) is not None


def check_single(given: Mapping[str, object]) -> None:
    """Refuse options of several wavelengths where there is one.

    Raises
    ------
    SettingsError
        One of them is given.
    """
    from fpm_inr.errors import SettingsError

    for name in ("wavelengths_um", "white", "offsets", "transfer"):
        if given.get(name):
            raise SettingsError(
                "is for several wavelengths, and there is one",
                "leave it out, or give one acquisition a wavelength",
                field=name,
            )


def check_several(given: Mapping[str, object]) -> None:
    """Refuse options of one wavelength where there are several.

    Raises
    ------
    SettingsError
        One of them is given.
    """
    from fpm_inr.errors import SettingsError

    for name in ("wavelength_um", "color", "calibration"):
        if given[name] is not None:
            raise SettingsError(
                "is for one wavelength, and there are several",
                "leave it out" + ("; give --wavelengths" if name != "calibration" else ""),
                field=name,
            )


def reconstruct_in_colour(
    data: tuple[Path, ...],
    output: Path,
    settings: ReconstructSettings,
    *,
    resume: bool,
    full_precision: bool,
    overwrite: bool,
) -> None:
    """Solve each wavelength into a folder of its own, and join them."""
    from rich.console import Console

    from fpm_inr.colour.solve import reconstruct_colours, reconstruct_with_transfer
    from fpm_inr.errors import SettingsError
    from fpm_inr.io.channels import load_channels
    from fpm_inr.set_manifest import FIELD_FILE, MANIFEST

    check_several(dict(settings))
    if settings.transfer and settings.offsets is not None:
        raise SettingsError(
            "is given with --transfer, which finds by itself how frames lie over each other",
            "leave one of them out",
            field="offset",
        )
    console = Console(stderr=True)
    for name in (MANIFEST, FIELD_FILE):
        prepare_folder(output, name, name, replace=resume or overwrite)
    with console.status("Reading the acquisitions"):
        acquisitions = load_channels(
            data,
            wavelengths_um=settings.wavelengths_um,
            crop=settings.crop,
            medium_index=settings.medium_index,
        )
    offsets = offsets_of(settings.offsets)
    acquisitions = {
        name: looked_at(console, one, settings, name) for name, one in acquisitions.items()
    }
    begun = _begun(console, acquisitions, output, settings, resume)
    one_by_one = _OneByOne(console, data, output, settings, begun, full_precision)
    options: dict[str, Any] = {
        "z_range_um": begun.z_range_um,
        "white_window": settings.white,
        "upsample": settings.upsample,
        "solve": one_by_one,
    }
    if settings.transfer:
        solutions = reconstruct_with_transfer(acquisitions, keep=one_by_one.keep, **options)
    else:
        solutions = reconstruct_colours(
            acquisitions, height_um=begun.height_um, offsets=offsets, **options
        )
    write_and_say(console, output, solutions)


def offsets_of(given: dict[str, OffsetSettings] | None) -> dict[str, Offset] | None:
    """Offsets as settings have them; None where they are to be found."""
    from fpm_inr.chromatic_offset import Offset

    if given is None:
        return None
    return {name: Offset(**one.model_dump()) for name, one in given.items()}


def _begun(
    console: Console,
    acquisitions: dict[str, Acquisition],
    output: Path,
    settings: ReconstructSettings,
    resume: bool,
) -> Begun:
    """What a run in the folder was begun with, if that is the same; else a beginning."""
    from fpm_inr.checkpoint import fingerprint
    from fpm_inr.colour.begun import Begun, read_begun
    from fpm_inr.colour.chromatic import check_offsets, heights_um
    from fpm_inr.colour.solve import common_upsampling, reference_of
    from fpm_inr.solve.engine import engine_named

    common_upsampling(acquisitions)
    wavelengths = {name: one.optics.wavelength_um for name, one in acquisitions.items()}
    reference = reference_of(wavelengths)
    check_offsets(offsets_of(settings.offsets) or {}, acquisitions, reference)
    decides = settings.model_dump(mode="json", include=DECIDES)
    recipe = engine_named(settings.engine).recipe(settings.recipe)
    decides["recipe"] = recipe.model_dump(mode="json")
    given = settings.offsets
    decides["offset z"] = None if given is None else {n: one.z_um for n, one in given.items()}
    data = {name: fingerprint(one, {}) for name, one in acquisitions.items()}
    begun = read_begun(output, decides, data) if resume else None
    if begun is not None:
        return begun
    z_range_um = settings.z_range_um
    if z_range_um == "auto":
        z_range_um = found_z_range(console, acquisitions[reference])
    heights = None
    if given is None and not settings.transfer:
        with console.status("Finding the focus of each wavelength"):
            heights = heights_um(acquisitions)
    begun = Begun(settings=decides, data=data, z_range_um=z_range_um, height_um=heights)
    begun.begin(output)
    return begun


class _OneByOne:
    """Solves one wavelength after the other, each with its results in a folder of its own."""

    def __init__(
        self,
        console: Console,
        data: tuple[Path, ...],
        output: Path,
        settings: ReconstructSettings,
        begun: Begun,
        full_precision: bool,
    ) -> None:
        self.console, self.output, self.settings = console, output, settings
        self.begun, self.full_precision = begun, full_precision
        self.data = dict(
            zip(begun.data, data if len(data) > 1 else data * len(begun.data), strict=True)
        )

    def __call__(self, name: str, acquisition: Acquisition, **options: Any) -> Solution:
        from fpm_inr.field_file import read_solution
        from fpm_inr.set_manifest import FIELD_FILE

        folder, settings = self.output / name, self.settings
        state = self.begun.state.get(name)
        if state == "done" and (folder / FIELD_FILE).is_file():
            self.console.print(f"{name}: solved already.")
            return read_solution(folder / FIELD_FILE)
        folder.mkdir(exist_ok=True)
        self._say_state(name, "begun")
        self.console.print(f"{name}, {acquisition.optics.wavelength_um:.4g} um")
        began = time.perf_counter()
        resume = state == "begun" and (folder / CHECKPOINT).is_file()
        solution = solve(self.console, acquisition, settings, folder, resume=resume, **options)
        run = write(
            folder,
            acquisition,
            solution,
            settings,
            data=self.data[name],
            load_seconds=time.perf_counter() - began - solution.record["solve_seconds"],
            full_precision=self.full_precision,
        )
        if solution.record["status"] == "interrupted":
            self.console.print("[yellow]Interrupted:[/] --resume goes on.")
            sys.exit(130)
        self._say_state(name, "done")
        self.console.print(f"  {residual_told(run)}")
        for warning in run["warnings"]:
            self.console.print(f"[yellow]Warning:[/] {name}: {warning}", highlight=False)
        return solution

    def keep(self, name: str, frames: Acquisition, solution: Solution) -> None:
        """Write the results of a wavelength that is not solved."""
        folder = self.output / name
        folder.mkdir(exist_ok=True)
        self.console.print(
            f"{name}, {frames.optics.wavelength_um:.4g} um: transferred from "
            f"{solution.record['transferred_from']}, by {len(frames.frames_led_y_x)} of its frames"
        )
        write(
            folder,
            frames,
            solution,
            self.settings,
            data=self.data[name],
            load_seconds=0.0,
            full_precision=self.full_precision,
        )

    def _say_state(self, name: str, state: Literal["begun", "done"]) -> None:
        self.begun = self.begun.with_(state={**self.begun.state, name: state})
        self.begun.write(self.output)


def write_and_say(console: Console, output: Path, solutions: SolutionSet) -> None:
    """Write what makes one result of the wavelengths; say how they lie, and what may be wrong."""
    from rich.markup import escape

    from fpm_inr.colour.results import PREVIEW, REPORT, write_colour_results
    from fpm_inr.set_manifest import MANIFEST

    with console.status("Writing the results"):
        warnings = write_colour_results(output, solutions)
    _say_offsets(console, solutions)
    for warning in warnings:
        console.print(f"[yellow]Warning:[/] {escape(warning)}", highlight=False)
    for name in (MANIFEST, PREVIEW, REPORT):
        click.echo(output / name)


def _say_offsets(console: Console, solutions: SolutionSet) -> None:
    for name, offset in solutions.offsets.items():
        if name == solutions.reference or name in solutions.transferred:
            continue
        console.print(
            f"{name} against {solutions.reference}: focus {offset.z_um:+.2f} um, "
            f"{offset.y_um:+.3f} um down, {offset.x_um:+.3f} um right, "
            f"magnification {offset.magnification:.5f}",
            highlight=False,
        )
