"""``fpm-inr view``: look at a field in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fpm_inr.cli.options import BESIDE, FIELD, RAW

if TYPE_CHECKING:
    from fpm_inr.viewer.server import PageServer


@click.command("view")
@FIELD
@BESIDE
@RAW
@click.option("--no-browser", is_flag=True, help="Only print the address.")
def command(field: Path, beside: Path | None, raw: bool, no_browser: bool) -> None:
    """Look at FIELD at any height, in the browser.

    FIELD is a field file, or the folder that `fpm-inr reconstruct` wrote. The page is served to
    this machine only, until Ctrl-C; the browser's graphics card decodes the field. The folder of
    `fpm-inr mosaic` is seen as a map, of which the tiles in sight are made as they are asked for.
    """
    import webbrowser

    with _server(field, beside, raw) as server:
        click.echo(f"{server.address}\nCtrl-C ends.")
        if not no_browser:
            webbrowser.open(server.address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("Ended.", err=True)


def _server(field: Path, beside: Path | None, raw: bool) -> PageServer:
    """A map of a whole mosaic, or the page of a field and what is beside it."""
    from fpm_inr.viewer.field_map import is_whole_field, map_of

    if beside is None and not raw and is_whole_field(field):
        from fpm_inr.viewer.map_server import MapServer

        return MapServer(map_of(field))
    from fpm_inr.viewer.server import ViewServer
    from fpm_inr.viewer.sources import gather

    return ViewServer(gather(field, beside, raw))
