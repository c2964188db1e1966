"""``fpm-inr render``: a solution -> images at any z."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpm_inr.cli.progress import progress_bar

if TYPE_CHECKING:
    from fpm_inr.io.rendering import Part
    from fpm_inr.io.slide import SlideOptions
    from fpm_inr.mosaic.mosaic import Mosaic
    from fpm_inr.solution_set import SolutionSet


@click.command("render")
@click.argument("field", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="Where to; the suffix is the format: .ome.zarr .ome.tif .tif .npy .mp4 .gif .png "
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
    type=click.Choice(["amplitude", "phase", "both", "complex", "colour"]),
    help="What to write.  [default: complex for .npy, both elsewhere; colour where several "
    "wavelengths were solved]",
)
@click.option(
    "--all-in-focus", is_flag=True, help="One image in place of many: each part where it is sharp."
)
@click.option(
    "--bits",
    type=click.Choice(["8", "16", "32"]),
    help=".ome.zarr and .tif: of each number.  [default: 8 for colour, else 32]",
)
@click.option(
    "--compression",
    type=click.Choice(["deflate", "zstd", "jpeg", "none"]),
    help=".ome.zarr and .tif; jpeg for 8 bits.  [default: deflate, in .ome.zarr zstd]",
)
@click.option(
    "--ome-zarr",
    type=click.Choice(["0.4", "0.5"]),
    help="Version of .ome.zarr; 0.4 for programs that do not know 0.5.  [default: 0.5]",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="A mosaic as .ome.zarr: processes that render it.  [default: one a core]",
)
@click.option(
    "--from-focus",
    is_flag=True,
    help="Of a mosaic with --calibrate: measure heights from the surface of focus, so that a "
    "tilted slide is level.",
)
@click.option("--overwrite", is_flag=True, help="Replace what is there already.")
def command(
    field: Path,
    output: Path,
    z_text: str | None,
    part: Part | None,
    workers: int | None,
    all_in_focus: bool,
    bits: str | None,
    compression: str | None,
    ome_zarr: str | None,
    from_focus: bool,
    overwrite: bool,
) -> None:
    """Render FIELD, a solution of `fpm-inr reconstruct`, into images at any z.

    FIELD is a field file, or the folder of a reconstruction. Slices are made and written one at a
    time, so a stack may be larger than memory. Numeric formats hold amplitude in sqrt(counts) and
    phase in radians as reconstructed, in (-pi, pi]. .ome.tif, .tif and .ome.zarr are slides: tiles
    with coarser levels.

    A mosaic, or several in colour, is written as .ome.zarr by several processes, shard by shard;
    the same command goes on with what an interrupted one has left.
    """
    from rich.console import Console

    from fpm_inr.heights import parse_heights
    from fpm_inr.io.export import default_part, export, format_of
    from fpm_inr.solution_set import load_result

    format = format_of(output)
    slide = _slide(bits, compression, ome_zarr, output)
    z_um = None if z_text is None else parse_heights(z_text)
    source = _opened(field, from_focus) if from_focus else load_result(field)
    with progress_bar(Console(stderr=True)) as progress:
        if format.suffix == ".ome.zarr" and _is_mosaic(source) and not all_in_focus:
            wanted = part or default_part(source, format)
            opened = partial(_opened, _folder(field), from_focus)
            _write_mosaic(field, opened, output, z_um, wanted, slide, workers, overwrite, progress)
            click.echo(f"Wrote {output}")
            return
        task = progress.add_task("slices", total=None)
        told: Any = {
            "slide": slide,
            "overwrite": overwrite,
            "on_slice": lambda done, total: progress.update(task, completed=done, total=total),
        }
        if all_in_focus:
            from fpm_inr.io.sharp import sharp_rendering

            wanted = part or default_part(source, format)
            blocks = progress.add_task("looking for focus", total=None)
            sharp = sharp_rendering(
                source,
                wanted,
                z_um,
                lambda done, total: progress.update(blocks, completed=done, total=total),
            )
            export(sharp, output, **told)
        else:
            export(source, output, z_um=z_um, part=part, **told)
    click.echo(f"Wrote {output}")


def _is_mosaic(source: object) -> bool:
    """Whether it is a whole field of view, of one wavelength or of several."""
    from fpm_inr.mosaic.mosaic import Mosaic
    from fpm_inr.solution_set import SolutionSet

    return source.is_mosaic if isinstance(source, SolutionSet) else isinstance(source, Mosaic)


def _folder(field: Path) -> Path:
    return field if field.is_dir() else field.parent


def _opened(folder: Path, from_focus: bool) -> Mosaic | SolutionSet:
    """A mosaic, or several in colour, opened in every process that writes it."""
    from fpm_inr.mosaic import surface
    from fpm_inr.solution import Solution
    from fpm_inr.solution_set import load_result

    source = load_result(folder)
    if from_focus:
        return surface.from_focus(source)
    assert not isinstance(source, Solution)
    return source


def _write_mosaic(
    field: Path,
    opened: partial[Mosaic | SolutionSet],
    output: Path,
    z_um: Any,
    part: Part,
    slide: SlideOptions | None,
    workers: int | None,
    overwrite: bool,
    progress: Any,
) -> None:
    import os

    from fpm_inr.io.export import check_free
    from fpm_inr.io.sharded import write_sharded
    from fpm_inr.mosaic.manifest import MANIFEST
    from fpm_inr.mosaic.plan import file_digest
    from fpm_inr.set_manifest import MANIFEST as COLOURS

    folder = _folder(field)
    manifests = [folder / COLOURS, folder / MANIFEST, *sorted(folder.glob(f"*/{MANIFEST}"))]
    check_free(output, [output], overwrite)
    task = progress.add_task("shards", total=None)
    write_sharded(
        output,
        opened,
        fingerprint=" ".join(
            [*(file_digest(one) for one in manifests if one.is_file()), str(opened.args[1:])]
        ),
        z_um=z_um,
        part=part,
        slide=slide,
        workers=workers or os.cpu_count() or 1,
        on_region=lambda done, total: progress.update(task, completed=done, total=total),
    )


def _slide(bits: str | None, compression: Any, ome_zarr: Any, output: Path) -> SlideOptions | None:
    """How numbers are stored, where anything was said of it."""
    from fpm_inr.errors import SettingsError
    from fpm_inr.io.slide import SlideOptions

    if bits is None and compression is None and ome_zarr is None:
        return None
    if ome_zarr is not None and not output.name.lower().endswith(".ome.zarr"):
        raise SettingsError(
            f"is given for {output.name!r}", "end the name in .ome.zarr", field="--ome-zarr"
        )
    number: Any = None if bits is None else int(bits)
    return SlideOptions(number, compression, ome_zarr or "0.5")
