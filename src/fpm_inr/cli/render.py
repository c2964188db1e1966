"""``fpm-inr render``: a solution -> images at any z."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpm_inr.cli.progress import progress_bar

if TYPE_CHECKING:
    from fpm_inr.io.rendering import Part


@click.command("render")
@click.argument("field", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="Where to; the suffix is the format: .ome.zarr .ome.tif .npy .mp4 .gif .png "
    "(with {z} in the name for several heights), or a folder of PNG files (no suffix).",
)
@click.option(
    "--z",
    "z_text",
    metavar="START:STOP:STEP|Z,Z,...",
    help="Heights in um, STOP included.  [default: 41 over the solved range; "
    "all planes of a conventional solution]",
)
@click.option(
    "--part",
    type=click.Choice(["amplitude", "phase", "both", "complex"]),
    help="What to write.  [default: complex for .npy, both elsewhere]",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="A mosaic as .ome.zarr: processes that render it.  [default: one a core]",
)
@click.option("--overwrite", is_flag=True, help="Replace what is there already.")
def command(
    field: Path,
    output: Path,
    z_text: str | None,
    part: Part | None,
    workers: int | None,
    overwrite: bool,
) -> None:
    """Render FIELD, a solution of `fpm-inr reconstruct`, into images at any z.

    Slices are made and written one at a time, so a stack may be larger than memory. Numeric formats
    hold amplitude in sqrt(counts) and phase in radians as reconstructed, in (-pi, pi].

    A mosaic is written as .ome.zarr by several processes, shard by shard; the same command goes on
    with what an interrupted one has left.
    """
    from rich.console import Console

    from fpm_inr.heights import parse_heights
    from fpm_inr.io.export import export, format_of
    from fpm_inr.solution import Solution, load_solution

    format = format_of(output)
    z_um = None if z_text is None else parse_heights(z_text)
    solution = load_solution(field)
    with progress_bar(Console(stderr=True)) as progress:
        if format.suffix == ".ome.zarr" and not isinstance(solution, Solution):
            _write_mosaic(field, output, z_um, part or format.default, workers, overwrite, progress)
            click.echo(f"Wrote {output}")
            return
        task = progress.add_task("slices", total=None)
        export(
            solution,
            output,
            z_um=z_um,
            part=part,
            overwrite=overwrite,
            on_slice=lambda done, total: progress.update(task, completed=done, total=total),
        )
    click.echo(f"Wrote {output}")


def _write_mosaic(
    folder: Path,
    output: Path,
    z_um: Any,
    part: Part,
    workers: int | None,
    overwrite: bool,
    progress: Any,
) -> None:
    import os
    from functools import partial

    from fpm_inr.io.export import check_free
    from fpm_inr.io.sharded import write_sharded
    from fpm_inr.mosaic.manifest import MANIFEST
    from fpm_inr.mosaic.mosaic import load_mosaic
    from fpm_inr.mosaic.plan import file_digest

    check_free(output, [output], overwrite)
    task = progress.add_task("shards", total=None)
    write_sharded(
        output,
        partial(load_mosaic, folder),
        fingerprint=file_digest(folder / MANIFEST),
        z_um=z_um,
        part=part,
        workers=workers or os.cpu_count() or 1,
        on_region=lambda done, total: progress.update(task, completed=done, total=total),
    )
