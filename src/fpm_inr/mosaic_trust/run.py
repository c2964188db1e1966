"""From a mosaic to its maps: tiles by workers, then the field as a whole, then the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fpm_inr.files.replacing import make_folder, replacing
from fpm_inr.io.workers import in_processes
from fpm_inr.mosaic.manifest import write_manifest
from fpm_inr.mosaic.mosaic import Mosaic
from fpm_inr.mosaic.report import write_mosaic_report
from fpm_inr.mosaic.worker import Failure
from fpm_inr.mosaic_trust.field import NAMES, FieldMaps, write_maps
from fpm_inr.mosaic_trust.figures import trust_section
from fpm_inr.mosaic_trust.summary import summary
from fpm_inr.mosaic_trust.tile import Asked, Told, do_tile, read_told
from fpm_inr.trust_results import FOLDER, UNITS, VIEWS

Listen = Callable[[str, int, int], None]

SHOWN_PX = 768  # of the field, as pictures and the page show it


def trust_mosaic(
    asked: Asked,
    mosaic: Mosaic,
    *,
    workers: int = 1,
    listen: Listen = lambda stage, done, total: None,
) -> tuple[dict[str, Any], list[Path]]:
    """Find how far to trust a mosaic, and write it into its folder.

    Tiles that are done as asked are kept. Memory is that of a tile's solve a worker, and of a
    region's maps, however large the field is.

    Parameters
    ----------
    asked : Asked
    mosaic : Mosaic
        That of `asked.folder`.
    workers : int
        Tiles at a time, each on one thread.
    listen : callable
        Told "tiles" or "maps", and how many of how many are done.

    Returns
    -------
    numbers : dict
        As the manifest holds them.
    written : list of Path

    Raises
    ------
    InputError
        An error of the data, the same for every worker.
    OutputError
        The folder cannot be written, or a worker died: the same command goes on.
    """
    into = asked.folder / FOLDER
    make_folder(into)
    told = _tiles(asked, mosaic, workers, listen)
    numbers = summary(asked, mosaic, told)
    maps = FieldMaps(asked, mosaic)
    small = _write_field(into, maps, listen)
    manifest = mosaic.manifest.model_copy(update={"trust": numbers})
    write_manifest(asked.folder, manifest)
    section = trust_section(mosaic, numbers, dict(zip(NAMES, small, strict=True)))
    report = write_mosaic_report(Mosaic(asked.folder, manifest), [section])
    return numbers, [*sorted(into.glob("*.*")), asked.folder / "manifest.json", report]


def _tiles(asked: Asked, mosaic: Mosaic, workers: int, listen: Listen) -> list[Told]:
    """What is known of every tile that was solved."""
    solved = [one.number for one in mosaic.manifest.records if one.kind == "solved"]
    known = {number: read_told(asked, mosaic, number) for number in solved}
    left = [number for number, told in known.items() if told is None]
    listen("tiles", len(solved) - len(left), len(solved))
    for done, outcome in enumerate(_assessed(asked, left, workers), len(solved) - len(left) + 1):
        if isinstance(outcome, Failure):
            raise outcome.error()
        known[outcome.number] = outcome
        listen("tiles", done, len(solved))
    return [one for one in known.values() if one is not None]


def _assessed(asked: Asked, left: list[int], workers: int) -> Iterator[Told | Failure]:
    do = partial(do_tile, asked)
    if workers == 1 or len(left) < 2:
        yield from map(do, left)
    else:
        yield from in_processes(do, left, min(workers, len(left)))


def _write_field(into: Path, maps: FieldMaps, listen: Listen) -> np.ndarray[Any, Any]:
    """Write the maps and their views on the page; give [map, z, y, x] of a small level."""
    import zarr

    from fpm_inr.viewer.planes_file import planes_bytes

    mosaic = maps.mosaic
    path = into / "maps.ome.zarr"
    write_maps(path, maps, partial(listen, "maps"))
    level = mosaic.level_within(SHOWN_PX)
    array: Any = zarr.open_array(str(path / str(level)), mode="r")
    small = np.asarray(array[:])
    pixel_um = mosaic.pixel_um * 2**level
    header = {
        "optics": {**asdict(mosaic.optics), "pixel_um": pixel_um},
        "upsampling": 1,
        "amplitude_scale": 1.0,
    }
    for name in VIEWS:
        values = np.nan_to_num(np.abs(small[NAMES.index(name)]), posinf=0.0)[..., None]
        with replacing(into / f"{name}.safetensors") as beside:
            heights = np.array(maps.asked.z_um)
            beside.write_bytes(planes_bytes(values, heights, {**header, "unit": UNITS[name]}))
    return small
