"""``fpm-inr convert``: an acquisition of any known format -> this project's HDF5 file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fpm_inr.cli.options import acquisition_options, load_data, output_option, overwrite_option


@click.command("convert")
@acquisition_options
@output_option("HDF5 file to write.", file=True)
@click.option(
    "--to",
    "layout",
    type=click.Choice(["fpm-inr", "ptylab"]),
    default="fpm-inr",
    show_default=True,
    help="Layout of the HDF5 file: this project's, or PtyLab's.",
)
@overwrite_option("the file that is")
def command(data: Path, output: Path, layout: str, overwrite: bool, **options: Any) -> None:
    """Write the acquisition DATA as one HDF5 file that needs no options to be read again.

    With `--to ptylab` other programs read it too; what is believed of single pixels is lost there.

    \b
    fpm-inr convert algae_r.mat --color r --medium-index 1.33 -o algae.h5
    fpm-inr convert folder-with-acquisition.yaml --to ptylab -o for-ptylab.hdf5
    fpm-inr convert folder-with-acquisition.yaml -o all.h5 --crop 512 512 256 256
    """
    from fpm_inr.errors import OutputError

    if output.exists() and not overwrite:
        raise OutputError("exists", "choose another name or give --overwrite", source=output)
    acquisition = load_data(data, **options)

    if layout == "ptylab":
        from fpm_inr.io.ptylab import write

        write(output, acquisition)
    else:
        from fpm_inr.io.native import write_acquisition

        write_acquisition(output, acquisition)
    height, width = acquisition.shape_y_x
    click.echo(f"{output}: {acquisition.frame_count} frames of {height} x {width}")
