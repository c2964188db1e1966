"""``fpm-inr export``: a field as one HTML file."""

from __future__ import annotations

from pathlib import Path

import click

from fpm_inr.cli.options import BESIDE, FIELD, RAW, overwrite_option


@click.command("export")
@FIELD
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The file to write; its name ends in .html.",
)
@click.option(
    "--site",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Of a mosaic: write a folder for any web server instead, with the whole field as a map.",
)
@BESIDE
@RAW
@click.option(
    "--exact",
    is_flag=True,
    help="Keep the field as stored; otherwise one byte a value, half as large for the fields of "
    "the recipes neural and paper.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="With --site: processes that make the tiles.  [default: one a core]",
)
@overwrite_option("what is")
def command(
    field: Path,
    output: Path | None,
    site: Path | None,
    beside: Path | None,
    raw: bool,
    exact: bool,
    workers: int | None,
    overwrite: bool,
) -> None:
    """Write FIELD as one HTML file that anyone can open and focus.

    FIELD is a field file, or the folder that `fpm-inr reconstruct` wrote. The page opens with a
    double click, without a network. Of a whole mosaic, one file shows a small version; with --site
    a folder of tiles is written for any web server, in which the page shows all of it as a map. The
    same command goes on with what an interrupted one has left.
    """
    from fpm_inr.errors import SettingsError

    if (output is None) == (site is None):
        raise SettingsError(
            "is given with --site" if site else "is missing",
            "give one of -o FILE.html and --site FOLDER",
            field="--output",
        )
    if site is not None:
        for name, is_given in (("--beside", beside), ("--raw", raw), ("--exact", exact)):
            if is_given:
                raise SettingsError("is given with --site", "leave it out", field=name)
        _write_site(field, site, workers, overwrite)
        return
    if workers is not None:
        raise SettingsError("is given without --site", "leave it out", field="--workers")
    assert output is not None
    _write_page(field, output, beside, raw, exact, overwrite)


def _write_page(
    field: Path, output: Path, beside: Path | None, raw: bool, exact: bool, overwrite: bool
) -> None:
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


def _write_site(field: Path, site: Path, workers: int | None, overwrite: bool) -> None:
    import os

    from fpm_inr.cli.progress import counting
    from fpm_inr.errors import OutputError, SettingsError
    from fpm_inr.viewer.field_map import fingerprint_of, is_whole_field
    from fpm_inr.viewer.site import write_site

    if not is_whole_field(field):
        raise SettingsError(
            f"is given for {str(field)!r}, which is no mosaic",
            "give -o FILE.html: one field fits one file",
            field="--site",
        )
    if site.exists() and not overwrite:
        raise OutputError("exists already", "choose another name or give --overwrite", source=site)
    with counting("tiles") as told:
        size = write_site(
            field,
            site,
            fingerprint=fingerprint_of(field),
            workers=workers or os.cpu_count() or 1,
            on_piece=told,
        )
    click.echo(f"{site}: {size / 1e6:.1f} MB")
