"""``fpm-inr evaluate``: a result against a reference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from fpm_inr.io.results import Picture
    from fpm_inr.metrics import BandErrors, Comparison
    from fpm_inr.metrics.specimen import TargetContrast


@click.command("evaluate")
@click.argument("result", type=click.Path(path_type=Path))
@click.argument("reference", type=click.Path(path_type=Path))
@click.option(
    "--z",
    "z_um",
    type=float,
    metavar="Z",
    help="Height in um to compare; a solution without it is compared all-in-focus.",
)
@click.option(
    "--true-height",
    is_flag=True,
    help="Take every pixel of a solution at the height that the truth has there: for tilted or "
    "wavy specimens.",
)
@click.option(
    "--shift/--no-shift",
    "find_shift",
    default=None,
    help="Look for a sub-pixel shift first, or take both as registered.  [default: look, but not "
    "for a solution against a simulator's truth, which lie on one grid]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Also draw observed, predicted and difference (.png, .pdf, .svg).",
)
def command(
    result: Path,
    reference: Path,
    z_um: float | None,
    true_height: bool,
    find_shift: bool | None,
    as_json: bool,
    output: Path | None,
) -> None:
    """Compare RESULT with REFERENCE.

    Each is a solution (.safetensors), a mosaic's folder, an array (.npy), a grey picture (.png,
    .tif), a stack (.ome.tif, .ome.zarr) or a simulator's truth (.h5). RESULT is first aligned by
    a sub-pixel shift (not for a solution against a truth) and one factor (complex for fields).
    Complex and phase error come first, whole and by band of spatial frequency, in cycles across
    the image. Where one of the two holds no phase, amplitudes are compared. Of a simulated
    Siemens star or USAF target, the contrast is given as well.

    The folder of a reconstruction in colour is compared with a picture in colour (.png, .tif).
    """
    from fpm_inr.errors import OutputError, SettingsError
    from fpm_inr.io.results import is_mosaic, load_picture

    if output is not None and output.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise OutputError(
            "has a suffix of no known figure", "give .png, .pdf or .svg", source=output
        )
    if true_height and z_um is not None:
        raise SettingsError(
            "names one height, and --true-height another for every pixel",
            "leave one of them out",
            field="z",
        )
    from fpm_inr.set_manifest import manifest_of

    if manifest_of(result) is not None:
        for name, told in (("true-height", true_height), ("shift", find_shift), ("o", output)):
            if told:
                raise SettingsError(
                    "is not for pictures in colour", "leave it out", field=f"--{name}"
                )
        _compare_colours(result, reference, z_um, as_json)
        return
    theirs = load_picture(reference, z_um)
    ours = _at_true_height(result, reference) if true_height else load_picture(result, z_um)
    if find_shift is None:
        # a solution and the truth of its own frames lie on one grid
        is_solution = result.suffix.lower() == ".safetensors" or is_mosaic(result)
        is_in_place = is_solution and reference.suffix.lower() == ".h5"
        find_shift = not is_in_place
    comparison = _compare(ours, theirs, result, find_shift)
    contrast = _contrast(reference, comparison, theirs.image_y_x.shape)
    if output is not None:
        from fpm_inr.figures import save_figure
        from fpm_inr.metrics.figures import comparison_figure

        save_figure(comparison_figure(comparison, contrast), output)
    if as_json:
        about = {"result": str(result), "reference": str(reference), "z_um": z_um}
        _print_json(about | {"true_height": true_height}, comparison, contrast)
        return
    _print_tables(comparison, contrast)
    if output is not None:
        click.echo(f"Wrote {output}")


def _compare(ours: Picture, theirs: Picture, result: Path, find_shift: bool) -> Comparison:
    """Compare two pictures on one grid."""
    import math

    from fpm_inr.errors import DataError
    from fpm_inr.metrics import compare

    known = [one.pixel_um for one in (ours, theirs) if one.pixel_um is not None]
    if len(known) == 2 and not math.isclose(known[0], known[1], rel_tol=1e-3):
        raise DataError(
            f"has pixels of {known[0]:g} um and the reference of {known[1]:g} um",
            "bring both to one grid",
            source=result,
        )
    cutoffs = [one.cutoff_per_um for one in (theirs, ours) if one.cutoff_per_um is not None]
    return compare(
        ours.image_y_x,
        theirs.image_y_x,
        known[0] if known else None,
        find_shift=find_shift,
        cutoff_per_um=cutoffs[0] if cutoffs else None,
    )


def _print_json(
    about: dict[str, Any], comparison: Comparison, contrast: TargetContrast | None
) -> None:
    import json
    import math

    # JSON knows no infinity: what is not finite is null
    numbers = {
        name: value if math.isfinite(value) else None for name, value in comparison.numbers.items()
    }
    about |= {"compared": comparison.compared}
    about |= numbers | {"bands": comparison.bands.rows()} | _contrast_numbers(contrast)
    click.echo(json.dumps(about, indent=1))


def _print_tables(comparison: Comparison, contrast: TargetContrast | None) -> None:
    click.echo(f"Compared: {comparison.compared}, {comparison.aligned.result.shape} pixels (y, x)")
    first, rest = _first_numbers(comparison.numbers)
    for name, value in first.items():
        click.echo(f"  {name:<34s} {value:.5g}")
    _print_bands(comparison.bands)
    for name, value in rest.items():
        click.echo(f"  {name:<34s} {value:.5g}")
    _print_contrast(contrast)


def _compare_colours(result: Path, reference: Path, z_um: float | None, as_json: bool) -> None:
    """Print the errors of a result in colour."""
    import json

    import numpy as np

    from fpm_inr.colour.compare import colour_errors, read_rgb
    from fpm_inr.io.sharp import sharp_rendering
    from fpm_inr.solution_set import load_set

    theirs, solutions = read_rgb(reference), load_set(result)
    low, high = solutions.z_range_um
    if z_um is None and low < high:
        (plane,) = sharp_rendering(solutions, "colour").planes()
        ours = np.moveaxis(plane, 0, -1)
    else:
        ours = solutions.colour(low if z_um is None else z_um)
    numbers = colour_errors(ours, theirs)
    if as_json:
        about = {"result": str(result), "reference": str(reference), "z_um": z_um}
        click.echo(json.dumps(about | {"compared": "colour"} | numbers, indent=1))
        return
    click.echo(f"Compared: colour, {ours.shape[:2]} pixels (y, x)")
    for name, value in numbers.items():
        click.echo(f"  {name:<34s} {value:.5g}")


def _at_true_height(result: Path, reference: Path) -> Picture:
    """Solution, with every pixel at the height of a simulator's truth."""
    from fpm_inr.errors import SettingsError, at
    from fpm_inr.focus import field_at_depth
    from fpm_inr.heights import default_heights
    from fpm_inr.io.results import Picture, is_mosaic
    from fpm_inr.simulate import load_truth
    from fpm_inr.solution import load_solution

    is_solution = result.suffix.lower() == ".safetensors" or is_mosaic(result)
    if not is_solution or reference.suffix.lower() != ".h5":
        raise SettingsError(
            "needs a solution (.safetensors) and a simulator's truth (.h5)",
            "give these two, or leave it out",
            field="true height",
        )
    solution, truth = load_solution(result), load_truth(reference)
    z_um = solution.planes_um
    if z_um is None:
        z_um = default_heights(solution.z_range_um)
    with at(reference):
        image = field_at_depth(solution.slices, z_um, truth.depth_y_x_um)
    return Picture(image * solution.amplitude_scale, solution.pixel_um, solution.cutoff_per_um)


def _first_numbers(numbers: dict[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """Whole errors, which stand above their bands, and all other numbers."""
    names = ("relative_l2", "phase_error_rad")
    first = {name: numbers[name] for name in names if name in numbers}
    return first, {name: value for name, value in numbers.items() if name not in first}


def _print_bands(bands: BandErrors) -> None:
    has_phase = bands.phase_error_rad is not None
    title = f"  {'band, cycles across':<22s} {'error':>9s} {'of band':>9s}"
    click.echo(title + (f" {'phase, rad':>11s}" if has_phase else ""))
    for n, name in enumerate(bands.names):
        held = bands.reference[n]
        of_band = f"{bands.error[n] / held:9.4f}" if held > 1e-9 else f"{'':9s}"
        line = f"  {name:<22s} {bands.error[n]:9.4f} {of_band}"
        if bands.phase_error_rad is not None:
            line += f" {bands.phase_error_rad[n]:11.4f}"
        click.echo(line)


def _contrast(
    reference: Path, comparison: Comparison, shape_y_x: tuple[int, ...]
) -> TargetContrast | None:
    """Contrast of the target that a simulator's truth says it drew."""
    from fpm_inr.errors import at
    from fpm_inr.metrics import specimen_contrast
    from fpm_inr.simulate import load_truth

    if reference.suffix.lower() != ".h5" or comparison.pixel_um is None:
        return None
    with at(reference):
        return specimen_contrast(
            comparison.aligned,
            load_truth(reference).settings,
            shape_y_x=(shape_y_x[0], shape_y_x[1]),
            pixel_um=comparison.pixel_um,
        )


def _contrast_numbers(contrast: TargetContrast | None) -> dict[str, Any]:
    """Contrast as JSON holds it."""
    from dataclasses import asdict

    from fpm_inr.metrics import finest_resolved
    from fpm_inr.metrics.targets import SiemensContrast

    if contrast is None:
        return {}
    if isinstance(contrast, SiemensContrast):
        pairs = zip(contrast.period_um.tolist(), contrast.contrast.tolist(), strict=True)
        return {
            "siemens_cutoff_um": contrast.cutoff_um,
            "siemens_contrast": [{"period_um": period, "contrast": one} for period, one in pairs],
        }
    finest = finest_resolved(contrast)
    return {
        "usaf_finest_resolved": None if finest is None else f"{finest.group}.{finest.element}",
        "usaf_contrast": [asdict(one) for one in contrast],
    }


def _print_contrast(contrast: TargetContrast | None) -> None:
    numbers = _contrast_numbers(contrast)
    if "siemens_contrast" in numbers:
        click.echo("Siemens star\n  period (um)  contrast")
        for one in numbers["siemens_contrast"]:
            click.echo(f"  {one['period_um']:11.3f}  {one['contrast']:8.3f}")
        cutoff = numbers["siemens_cutoff_um"]
        click.echo(f"  {'siemens_cutoff_um':<34s} {'none' if cutoff is None else f'{cutoff:.4g}'}")
    if "usaf_contrast" in numbers:
        click.echo("USAF target\n  element  line pairs/mm  upright    level")
        for one in numbers["usaf_contrast"]:
            click.echo(
                f"  {one['group']:5d}.{one['element']}  {one['line_pairs_per_mm']:13.1f}"
                f"  {one['upright']:7.3f}  {one['level']:7.3f}"
            )
        click.echo(f"  {'usaf_finest_resolved':<34s} {numbers['usaf_finest_resolved'] or 'none'}")
