"""``fpm-inr export``: a field as one HTML file."""

from __future__ import annotations

from pathlib import Path

import click

from fpm_inr.cli.options import BESIDE, FIELD, RAW, output_option, overwrite_option


@click.command("export")
@FIELD
@output_option("The file to write; its name ends in .html.")
@BESIDE
@RAW
@click.option(
    "--exact",
    is_flag=True,
    help="Keep the field as stored; otherwise one byte a value, half as large for the fields of "
    "the recipes neural and paper.",
)
@overwrite_option("a file that is")
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
