"""From a plan to a mosaic: tiles by workers, then what the overlaps agree on, then the manifest."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from fpm_inr.errors import OutputError, SettingsError
from fpm_inr.mosaic import cluster
from fpm_inr.mosaic.gauge import settle
from fpm_inr.mosaic.manifest import MANIFEST, Manifest, read_manifest, write_manifest
from fpm_inr.mosaic.plan import Plan
from fpm_inr.mosaic.pool import solve_in_processes
from fpm_inr.mosaic.worker import TILES, Failure, Record, read_record

PROCESSES = "processes"


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Parameters
    ----------
    stage : {"tiles", "gauges"}
    done, total : int
    record : Record, optional
        Of the tile that was done last.
    """

    stage: str
    done: int
    total: int
    record: Record | None = None


def prepare(folder: Path, plan: Plan, *, resume: bool, overwrite: bool) -> list[Record | None]:
    """Make the folder and say which tiles are done already, whole and by this very plan.

    Raises
    ------
    OutputError
        It holds a mosaic that nobody gave up, or cannot be written.
    SettingsError
        What is to be gone on with is of other data or settings.
    """
    there = (folder / MANIFEST).exists()
    if there and not (resume or overwrite):
        raise OutputError(
            "holds a mosaic already",
            "go on with --resume, choose another folder, or give --overwrite",
            source=folder,
        )
    if there and resume:
        begun = read_manifest(folder).plan
        if begun.fingerprint != plan.fingerprint:
            raise SettingsError(
                f"belongs to other data or settings ({_difference(begun, plan)})",
                "resume with those it was begun with, or begin anew with --overwrite",
                source=folder,
            )
    try:
        (folder / TILES).mkdir(parents=True, exist_ok=True)
        for left in (folder / TILES).glob(".*"):
            left.unlink(missing_ok=True)  # of workers that were killed
        if not resume:
            for old in (folder / TILES).iterdir():
                old.unlink()
    except OSError as error:
        raise OutputError(
            f"cannot be made ({error.strerror})", "choose a folder that is writable", source=folder
        ) from error
    write_manifest(folder, Manifest(plan=plan))
    return [read_record(folder, tile.number, plan.fingerprint) for tile in plan.tiles]


def run(
    plan: Plan,
    folder: Path,
    known: Sequence[Record | None],
    *,
    workers: int,
    scheduler: str | None = None,
    listen: Callable[[Progress], None] = lambda _: None,
) -> Manifest:
    """Do the tiles that are left, settle what the overlaps agree on, and write the manifest.

    Parameters
    ----------
    plan : Plan
    folder : Path
    known : sequence of Record or None
        As `prepare` gives them.
    workers : int
        Tiles at a time, each on one thread.
    scheduler : str, optional
        "processes", "local" (a Dask cluster on this machine), or the address of a Dask scheduler.
        Default: local where Dask's scheduler is installed, else processes.
    listen : callable

    Raises
    ------
    InputError
        An error of the data, the same for every worker; or workers that keep dying.
    """
    if workers < 1:
        raise SettingsError(f"is {workers}", "give at least 1", field="workers")
    records = list(known)
    total = len(records)
    left = [number for number, record in enumerate(records) if record is None]
    listen(Progress("tiles", total - len(left), total))
    if left:
        with closing(_solving(plan, folder, left, workers, scheduler)) as outcomes:
            for count, outcome in enumerate(outcomes, start=total - len(left) + 1):
                if isinstance(outcome, Failure):
                    raise outcome.error()
                records[outcome.number] = outcome
                listen(Progress("tiles", count, total, outcome))
    whole = [record for record in records if record is not None]
    gauge = settle(plan, folder, whole, lambda done, of: listen(Progress("gauges", done, of)))
    manifest = Manifest(status="done", plan=plan, records=whole, gauge=gauge.part())
    write_manifest(folder, manifest)
    return manifest


def _solving(
    plan: Plan, folder: Path, numbers: Sequence[int], workers: int, scheduler: str | None
) -> Generator[Record | Failure, None, None]:
    if scheduler is None:
        scheduler = cluster.LOCAL if cluster.is_installed() else PROCESSES
    if scheduler == PROCESSES:
        return solve_in_processes(plan, folder, numbers, workers)
    return cluster.solve_on_cluster(plan, folder, numbers, workers, scheduler)


def _difference(begun: Plan, asked: Plan) -> str:
    """The first of the plan's values that differ, by name."""
    ours, theirs = begun.model_dump(mode="json"), asked.model_dump(mode="json")
    names = []
    for key in ours:
        if ours[key] != theirs[key]:
            inner = ours[key], theirs[key]
            if all(isinstance(one, dict) for one in inner):
                names += [
                    f"{key}.{name}" for name in inner[0] if inner[0][name] != inner[1].get(name)
                ]
            else:
                names.append(key)
    names = [name for name in names if name != "source.data"]
    return ", ".join(names[:4])
