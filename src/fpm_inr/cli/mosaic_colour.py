"""``fpm-inr mosaic`` of several wavelengths: a mosaic each, and the colour they make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from fpm_inr.cli.colour import check_several, offsets_of, write_and_say
from fpm_inr.cli.mosaic import (
    check_settings,
    foretell,
    kept_calibration,
    plan_of,
    say_plan,
    solve_mosaic,
    source_of,
    workers_of,
)

if TYPE_CHECKING:
    from rich.console import Console

    from fpm_inr.chromatic_offset import Offset
    from fpm_inr.colour.begun import Begun
    from fpm_inr.laid_over import Window
    from fpm_inr.mosaic.mosaic import Mosaic
    from fpm_inr.mosaic.plan import Plan
    from fpm_inr.mosaic.source import Source

# options that decide the solves
DECIDES = ("engine", "recipe", "steps", "passes", "planes", "z_step_um", "guard_px", "seed",
           "tile_px", "overlap_px", "upsample", "calibrate", "medium_index",
           "led_distance_mm")  # fmt: skip


def mosaic_in_colour(console: Console, data: tuple[Path, ...], given: dict[str, Any]) -> None:
    """Solve a mosaic a wavelength, each into a folder of its own, and join them.

    The wavelength nearest to green is solved first. Where its picture has most detail, the others'
    frames are asked for their focus, so that each is solved over heights of its own.
    """
    from fpm_inr.colour.chromatic import check_offsets
    from fpm_inr.colour.solve import reference_of
    from fpm_inr.settings import OffsetSettings

    check_several(given)
    check_settings(given)
    output: Path = given["output"]
    sources, plans = _planned(console, data, given)
    reference = reference_of({name: plan.optics["wavelength_um"] for name, plan in plans.items()})
    told = given["offsets"]
    offsets = offsets_of(
        None if told is None else {name: OffsetSettings(**one) for name, one in told.items()}
    )
    check_offsets(offsets or {}, plans, reference)
    click.echo(f"{', '.join(plans)}: a mosaic each.")
    say_plan(plans[reference])
    upsample = max(plan.settings.upsample for plan in plans.values())
    given = {**given, "upsample": given["upsample"] or upsample}
    if given["plan_only"]:
        foretell(console, plans[reference], output, workers_of(given), len(plans))
        return
    begun = _begun(output, plans, given, offsets)
    runs = _OneByOne(console, output, given, sources, begun)
    mosaics = {reference: runs.solved(reference, 0.0)}
    windows, higher = _heights(runs, mosaics[reference], reference, offsets)
    for name in plans:
        if name != reference:
            mosaics[name] = runs.solved(name, higher[name])
    _join(console, output, mosaics, reference, offsets, windows, runs.begun, given["white"])


def _planned(
    console: Console, data: tuple[Path, ...], given: dict[str, Any]
) -> tuple[dict[str, Source], dict[str, Plan]]:
    """Where each wavelength's frames come from, and what a mosaic of it would be, by name.

    Raises
    ------
    DataError, SettingsError
        Wavelengths do not go together.
    """
    from fpm_inr.errors import DataError, SettingsError
    from fpm_inr.io.channels import described_channels, names_of_channels
    from fpm_inr.solution_set import channel_names

    wavelengths = given["wavelengths_um"]
    description = described_channels(data[0]) if len(data) == 1 else None
    if description is not None:
        if wavelengths is not None:
            raise SettingsError("are given, and the description has its own", "leave one out",
                                field="wavelengths")  # fmt: skip
        named = {"data": description.absolute()}
        names = names_of_channels(description)
        sources = [source_of({**given, **named}, channel=name) for name in names]
    else:
        if wavelengths is not None and len(wavelengths) != len(data):
            raise SettingsError(
                f"are {len(wavelengths)} for {len(data)} acquisitions",
                "give one for each, in their order",
                field="wavelengths",
            )
        sources = [
            source_of({**given, "data": path, "wavelength_um": um})
            for path, um in zip(data, wavelengths or [None] * len(data), strict=True)
        ]
    plans = [plan_of(console, given, source, None) for source in sources]
    told = [plan.optics["wavelength_um"] for plan in plans]
    if len(set(told)) < len(told):
        raise DataError("are alike in two of them", "give --wavelengths, one for each",
                        field="wavelengths")  # fmt: skip
    if description is None:
        names = channel_names(told)
    for name, plan in zip(names, plans, strict=True):
        same = [(one.shape_y_x, one.optics["pixel_um"]) for one in (plans[0], plan)]
        if same[0] != same[1]:
            raise DataError(
                f"has frames of {plan.shape_y_x} pixels of {plan.optics['pixel_um']:g} um, and "
                f"{names[0]} of {plans[0].shape_y_x} pixels of {plans[0].optics['pixel_um']:g} um",
                "give frames of one camera and objective",
                field=name,
            )
    return dict(zip(names, sources, strict=True)), dict(zip(names, plans, strict=True))


def _begun(
    output: Path, plans: dict[str, Plan], given: dict[str, Any], offsets: dict[str, Offset] | None
) -> Begun:
    """What the run in the folder was begun with, if that is the same; else a beginning."""
    from fpm_inr.colour.begun import BEGUN, Begun, read_begun
    from fpm_inr.errors import OutputError
    from fpm_inr.files.replacing import make_folder
    from fpm_inr.set_manifest import MANIFEST

    there = any((output / name).exists() for name in (BEGUN, MANIFEST, "manifest.json"))
    if there and not (given["resume"] or given["overwrite"]):
        raise OutputError(
            "holds results already",
            "go on with --resume, choose another folder, or give --overwrite",
            source=output,
        )
    decides = {name: given[name] for name in DECIDES}
    decides["z_range_um"] = list(given["z_range_um"])
    decides["recipe"] = next(iter(plans.values())).settings.recipe
    decides["offset z"] = None if offsets is None else {n: one.z_um for n, one in offsets.items()}
    data = {name: plan.data_sha256 for name, plan in plans.items()}
    begun = read_begun(output, decides, data) if given["resume"] else None
    if begun is None:
        make_folder(output)
        begun = Begun(settings=decides, data=data, z_range_um=given["z_range_um"])
        begun.begin(output)
    return begun


class _OneByOne:
    """Solves one mosaic after the other, each in a folder of its own."""

    def __init__(
        self,
        console: Console,
        output: Path,
        given: dict[str, Any],
        sources: dict[str, Source],
        begun: Begun,
    ) -> None:
        self.console, self.output, self.given = console, output, given
        self.sources, self.begun = sources, begun

    def solved(self, name: str, higher_um: float) -> Mosaic:
        """The mosaic of a wavelength whose focus lies so much higher than the reference's."""
        from fpm_inr.mosaic.mosaic import load_mosaic

        folder, source = self.output / name, self.sources[name]
        known = self.begun.state.get(name)
        low, high = self.begun.z_range_um
        own = {
            **self.given,
            "output": folder,
            "z_range_um": (low + higher_um, high + higher_um),
            # what an earlier run has left there is none of this one
            "resume": known is not None,
            "overwrite": known is None,
        }
        self.keep(state={**self.begun.state, name: known or "begun"})
        self.console.print(f"{name}", highlight=False)
        plan = plan_of(self.console, own, source, kept_calibration(self.console, own, source))
        solve_mosaic(self.console, plan, own)
        done: Literal["done"] = "done"
        self.keep(state={**self.begun.state, name: done})
        return load_mosaic(folder)

    def keep(self, **changes: Any) -> None:
        """Write down how far it is."""
        self.begun = self.begun.with_(**changes)
        self.begun.write(self.output)


def _heights(
    runs: _OneByOne, mosaic: Mosaic, reference: str, offsets: dict[str, Offset] | None
) -> tuple[list[Window], dict[str, float]]:
    """Windows with much detail, and how much higher each wavelength has its focus."""
    from fpm_inr.chromatic_offset import Offset
    from fpm_inr.colour.chromatic import heights_um
    from fpm_inr.colour.whole_field import frames_of_window, windows_of_detail

    if offsets is not None:
        return [], {name: offsets.get(name, Offset()).z_um for name in runs.sources}
    windows = windows_of_detail(mosaic)
    heights = runs.begun.height_um
    if heights is None:
        with runs.console.status("Finding the focus of each wavelength"):
            heights = heights_um(
                frames_of_window(runs.sources, windows[0], mosaic.upsampling, mosaic.plan.shape_y_x)
            )
        runs.keep(height_um=heights)
    return windows, {name: height - heights[reference] for name, height in heights.items()}


def _join(
    console: Console,
    output: Path,
    mosaics: dict[str, Mosaic],
    reference: str,
    offsets: dict[str, Offset] | None,
    windows: list[Window],
    begun: Begun,
    white: tuple[int, int, int, int] | None,
) -> None:
    """Lay the mosaics over each other, balance white, write what makes one result of them."""
    from fpm_inr.colour.white import balanced
    from fpm_inr.colour.whole_field import registered_fields
    from fpm_inr.solution_set import SolutionSet

    with console.status("Laying the wavelengths over each other"):
        if offsets is None:
            assert begun.height_um is not None
            found = registered_fields(mosaics, reference, begun.height_um, windows)
        else:
            found = SolutionSet(mosaics, reference, offsets, record={"offsets": "given"})
        solutions = balanced(found, white)
    write_and_say(console, output, solutions)
