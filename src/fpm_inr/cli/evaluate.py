"""``fpm-inr evaluate``: a result against a reference."""

from __future__ import annotations

from pathlib import Path

import click


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
    compared.
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
    if output is not None:
        from fpm_inr.figures import save_figure
        from fpm_inr.metrics.figures import comparison_figure

        save_figure(comparison_figure(comparison), output)
    if as_json:
        # JSON knows no infinity: what is not finite is null
        numbers = {
            name: value if math.isfinite(value) else None
            for name, value in comparison.numbers.items()
        }
        about = {"result": str(result), "reference": str(reference), "z_um": z_um}
        about["compared"] = comparison.compared
        click.echo(json.dumps(about | numbers, indent=1))
        return
    click.echo(f"Compared: {comparison.compared}, {comparison.aligned.result.shape} pixels (y, x)")
    for name, value in comparison.numbers.items():
        click.echo(f"  {name:<34s} {value:.5g}")
    if output is not None:
        click.echo(f"Wrote {output}")
