"""``fpm-inr evaluate``: a result against a reference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from fpm_inr.metrics import Comparison
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
@click.option("--no-shift", is_flag=True, help="Take both as registered: look for no shift.")
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
    no_shift: bool,
    as_json: bool,
    output: Path | None,
) -> None:
    """Compare RESULT with REFERENCE.

    Each is a solution (.safetensors), an array (.npy), a grey picture (.png, .tif), a stack
    (.ome.tif, .ome.zarr) or a simulator's truth (.h5). RESULT is first aligned by a sub-pixel shift
    and one factor (complex for fields). Where one of the two holds no phase, amplitudes are
    compared. Of a simulated Siemens star or USAF target, the contrast is given as well.
    """
    import json
    import math

    from fpm_inr.errors import DataError, OutputError
    from fpm_inr.io.results import load_picture
    from fpm_inr.metrics import compare

    if output is not None and output.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise OutputError(
            "has a suffix of no known figure", "give .png, .pdf or .svg", source=output
        )
    ours, theirs = load_picture(result, z_um), load_picture(reference, z_um)
    known = [one.pixel_um for one in (ours, theirs) if one.pixel_um is not None]
    if len(known) == 2 and not math.isclose(known[0], known[1], rel_tol=1e-3):
        raise DataError(
            f"has pixels of {known[0]:g} um and the reference of {known[1]:g} um",
            "bring both to one grid",
            source=result,
        )
    comparison = compare(
        ours.image_y_x, theirs.image_y_x, known[0] if known else None, find_shift=not no_shift
    )
    contrast = _contrast(reference, comparison, theirs.image_y_x.shape)
    if output is not None:
        from fpm_inr.figures import save_figure
        from fpm_inr.metrics.figures import comparison_figure

        save_figure(comparison_figure(comparison, contrast), output)
    if as_json:
        # JSON knows no infinity: what is not finite is null
        numbers = {
            name: value if math.isfinite(value) else None
            for name, value in comparison.numbers.items()
        }
        about = {"result": str(result), "reference": str(reference), "z_um": z_um}
        about["compared"] = comparison.compared
        click.echo(json.dumps(about | numbers | _contrast_numbers(contrast), indent=1))
        return
    click.echo(f"Compared: {comparison.compared}, {comparison.aligned.result.shape} pixels (y, x)")
    for name, value in comparison.numbers.items():
        click.echo(f"  {name:<34s} {value:.5g}")
    _print_contrast(contrast)
    if output is not None:
        click.echo(f"Wrote {output}")


def _contrast(
    reference: Path, comparison: Comparison, shape_y_x: tuple[int, ...]
) -> TargetContrast | None:
    """Contrast of the target that a simulator's truth says it drew."""
    from fpm_inr.errors import InputError
    from fpm_inr.metrics import specimen_contrast
    from fpm_inr.simulate import load_truth

    if reference.suffix.lower() != ".h5" or comparison.pixel_um is None:
        return None
    try:
        return specimen_contrast(
            comparison.aligned,
            load_truth(reference).settings,
            shape_y_x=(shape_y_x[0], shape_y_x[1]),
            pixel_um=comparison.pixel_um,
        )
    except InputError as error:
        raise (error if error.source else error.at(reference)) from error


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
