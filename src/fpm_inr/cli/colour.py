"""``fpm-inr reconstruct`` of several wavelengths: one folder each, and the colour they make."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    from fpm_inr.settings import ReconstructSettings
    from fpm_inr.solution import Solution
    from fpm_inr.solution_set import SolutionSet


def is_colour(data: tuple[Path, ...]) -> bool:
    """Whether several wavelengths are given."""
    if len(data) > 1:
        return True
    from fpm_inr.io.channels import described_channels

    return described_channels(data[0]) is not None


def check_single(settings: ReconstructSettings) -> None:
    """Refuse settings of several wavelengths where there is one.

    Raises
    ------
    SettingsError
        One of them is given.
    """
    from fpm_inr.errors import SettingsError

    for name in ("wavelengths_um", "white", "offsets"):
        if getattr(settings, name) is not None:
            raise SettingsError(
                "is for several wavelengths, and there is one",
                "leave it out, or give one acquisition a wavelength",
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
    from rich.markup import escape

    from fpm_inr.chromatic_offset import Offset
    from fpm_inr.colour.results import PREVIEW, REPORT, write_colour_results
    from fpm_inr.colour.solve import reconstruct_colours
    from fpm_inr.errors import SettingsError
    from fpm_inr.io.channels import load_channels
    from fpm_inr.set_manifest import FIELD_FILE, MANIFEST

    for name in ("wavelength_um", "color", "calibration"):
        if getattr(settings, name) is not None:
            raise SettingsError(
                "is for one wavelength, and there are several",
                "leave it out" + ("; give --wavelengths" if name != "calibration" else ""),
                field=name,
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
    if settings.offsets is not None:
        offsets = {name: Offset(**one.model_dump()) for name, one in settings.offsets.items()}
    else:
        offsets = None
    one_by_one = _OneByOne(console, data, output, settings, resume, full_precision)
    acquisitions = one_by_one.checked(acquisitions)
    solutions = reconstruct_colours(
        acquisitions,
        z_range_um=one_by_one.z_range_um(acquisitions),
        offsets=offsets,
        white_window=settings.white,
        upsample=settings.upsample,
        solve=one_by_one,
    )
    with console.status("Writing the results"):
        warnings = write_colour_results(output, solutions)
    _say(console, solutions)
    for warning in warnings:
        console.print(f"[yellow]Warning:[/] {escape(warning)}", highlight=False)
    for name in ("colours.json", PREVIEW, REPORT):
        click.echo(output / name)


class _OneByOne:
    """Solves one wavelength after the other, each with its results in a folder of its own."""

    def __init__(
        self,
        console: Console,
        data: tuple[Path, ...],
        output: Path,
        settings: ReconstructSettings,
        resume: bool,
        full_precision: bool,
    ) -> None:
        self.console, self.output, self.settings = console, output, settings
        self.data, self.resume, self.full_precision = data, resume, full_precision
        self.names: list[str] = []

    def checked(self, acquisitions: dict[str, Acquisition]) -> dict[str, Acquisition]:
        """Warn of their sampling, turn their LED maps where that is wanted."""
        self.names = list(acquisitions)
        return {
            name: looked_at(self.console, one, self.settings, name)
            for name, one in acquisitions.items()
        }

    def z_range_um(self, acquisitions: dict[str, Acquisition]) -> tuple[float, float]:
        """Heights as the reference sees them."""
        from fpm_inr.colour.solve import reference_of

        if self.settings.z_range_um != "auto":
            return self.settings.z_range_um
        wavelengths = {name: one.optics.wavelength_um for name, one in acquisitions.items()}
        return found_z_range(self.console, acquisitions[reference_of(wavelengths)])

    def __call__(self, name: str, acquisition: Acquisition, **options: Any) -> Solution:
        from fpm_inr.field_file import read_solution
        from fpm_inr.set_manifest import FIELD_FILE

        folder, settings = self.output / name, self.settings
        if self.resume and _is_done(folder):
            self.console.print(f"{name}: solved already.")
            return read_solution(folder / FIELD_FILE)
        folder.mkdir(exist_ok=True)
        self.console.print(f"{name}, {acquisition.optics.wavelength_um:.4g} um")
        began = time.perf_counter()
        resume = self.resume and (folder / CHECKPOINT).is_file()
        solution = solve(self.console, acquisition, settings, folder, resume=resume, **options)
        run = write(
            folder,
            acquisition,
            solution,
            settings,
            data=self.data[self.names.index(name)] if len(self.data) > 1 else self.data[0],
            load_seconds=time.perf_counter() - began - solution.record["solve_seconds"],
            full_precision=self.full_precision,
        )
        if solution.record["status"] == "interrupted":
            self.console.print("[yellow]Interrupted:[/] --resume goes on.")
            sys.exit(130)
        self.console.print(f"  {residual_told(run)}")
        for warning in run["warnings"]:
            self.console.print(f"[yellow]Warning:[/] {name}: {warning}", highlight=False)
        return solution


def _is_done(folder: Path) -> bool:
    """Whether a wavelength was solved to its end."""
    try:
        run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    done = isinstance(run, dict) and run.get("status") == "done"
    return done and (folder / "field.safetensors").is_file()


def _say(console: Console, solutions: SolutionSet) -> None:
    for name, offset in solutions.offsets.items():
        if name == solutions.reference:
            continue
        console.print(
            f"{name} against {solutions.reference}: focus {offset.z_um:+.2f} um, "
            f"{offset.y_um:+.3f} um down, {offset.x_um:+.3f} um right, "
            f"magnification {offset.magnification:.5f}",
            highlight=False,
        )
