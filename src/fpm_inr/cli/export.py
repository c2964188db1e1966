"""``fpm-inr export``: a field as one HTML file."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("export")
@click.argument("field", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="The file to write; its name ends in .html.",
)
@click.option(
    "--beside",
    type=click.Path(path_type=Path),
    help="A second result, shown on the other side of a divider.",
)
@click.option(
    "--raw", is_flag=True, help="Show the raw frame that the field was made from on the other side."
)
@click.option(
    "--exact",
    is_flag=True,
    help="Keep the field as stored; otherwise one byte a value, half as large for the fields of "
    "the recipes neural and paper.",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that is there already.")
def command(
    field: Path, output: Path, beside: Path | None, raw: bool, exact: bool, overwrite: bool
) -> None:
    """Write FIELD as one HTML file that anyone can open and focus.

    FIELD is a field file, or the folder that `fpm-inr reconstruct` wrote. The page opens with a
    double click, without a network.
    """
    from fpm_inr.errors import OutputError, SettingsError
    from fpm_inr.viewer.export import export_page
    from fpm_inr.viewer.sources import gather

    if output.suffix.lower() not in (".html", ".htm"):
        raise SettingsError(f"is {str(output)!r}", "end the name in .html", field="--output")
    if output.exists() and not overwrite:
        raise OutputError(
            "exists already", "choose another name or give --overwrite", source=output
        )
    size = export_page(gather(field, beside, raw), output, exact=exact)
    click.echo(f"{output}: {size / 1e6:.1f} MB")
