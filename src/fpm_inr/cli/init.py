"""``fpm-inr init``: a commented acquisition.yaml to start from."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace an acquisition.yaml that is there already.")
def command(folder: Path, force: bool) -> None:
    """Write a commented acquisition.yaml into FOLDER, to describe the frames that lie there.

    What the files show (names, number, size) is filled in; optics and LEDs are left to you.
    """
    from fpm_inr.errors import DataError, OutputError
    from fpm_inr.files.replacing import replacing
    from fpm_inr.io.schema import DESCRIPTION
    from fpm_inr.io.starter import find_frames, starter_text

    if not folder.is_dir():
        raise DataError("is no folder", "give the folder that holds the frames", source=folder)
    target = folder / DESCRIPTION
    if target.exists() and not force:
        raise OutputError("exists", "edit it, or give --force to replace it", source=target)
    found = find_frames(folder)
    with replacing(target) as beside:
        beside.write_text(starter_text(found), encoding="utf-8")
    click.echo(f"{target}: {found.note}")
    click.echo("Fill in what is empty, then look at it with `fpm-inr inspect`.")
