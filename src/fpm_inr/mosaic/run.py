"""From a plan to a mosaic: tiles by workers, then what the overlaps agree on, then the manifest."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from fpm_inr.errors import OutputError, SettingsError
from fpm_inr.mosaic import cluster
from fpm_inr.mosaic.gauge import settle
from fpm_inr.mosaic.manifest import (
    MANIFEST,
    DamagedManifestError,
    Manifest,
    read_manifest,
    write_manifest,
)
from fpm_inr.mosaic.plan import Plan
from fpm_inr.mosaic.pool import solve_in_processes
from fpm_inr.mosaic.worker import TILES, Failure, Record, read_record

PROCESSES = "processes"


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Parameters
    ----------
    stage : {"tiles", "idle", "gauges"}
        Idle: tiles wait, because a cluster has no worker.
    done, total : int
    record : Record, optional
        Of the tile that was done last.
    """

    stage: str
    done: int
    total: int
    record: Record | None = None


def check_free(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse a folder that holds a mosaic which is neither gone on with nor given up.

    Raises
    ------
    OutputError
        It does.
    """
    if (folder / MANIFEST).exists() and not (resume or overwrite):
        raise OutputError(
            "holds a mosaic already",
            "go on with --resume, choose another folder, or give --overwrite",
            source=folder,
        )


def begun_plan(folder: Path) -> Plan | None:
    """The plan that a folder was begun by; None where it has no manifest, or a damaged one.

    Tiles say by their own records which plan they are of.
    """
    if not (folder / MANIFEST).exists():
        return None
    try:
        return read_manifest(folder).plan
    except DamagedManifestError:
        return None


def has_calibration(kept: Path, path: Path | None, *, resume: bool, overwrite: bool) -> bool:
    """Whether a mosaic that is gone on with has its calibration.

    One that a run has left which did not come to its plan may be of other data.

    Parameters
    ----------
    kept : Path
        The calibration in the mosaic's folder.
    path : Path, optional
        The one that is given.
    resume, overwrite : bool

    Raises
    ------
    OutputError
        The folder holds a mosaic that nobody gave up.
    SettingsError
        It was begun without a calibration, or with another than the one that is given.
    """
    check_free(kept.parent, resume=resume, overwrite=overwrite)
    plan = begun_plan(kept.parent) if resume else None
    if plan is None or (plan.calibration is not None and not kept.is_file()):
        return False
    if plan.calibration is None or (path is not None and path.read_bytes() != kept.read_bytes()):
        told = "no calibration" if plan.calibration is None else "the calibration that it holds"
        raise SettingsError(
            f"was begun with {told}",
            "resume with that, or begin anew with --overwrite",
            source=kept.parent,
        )
    return True


def prepare(folder: Path, plan: Plan, *, resume: bool, overwrite: bool) -> list[Record | None]:
    """Make the folder and say which tiles are done already, whole and by this very plan.

    Raises
    ------
    OutputError
        It holds a mosaic that nobody gave up, or cannot be written.
    SettingsError
        What is to be gone on with is of other data or settings.
    """
    check_free(folder, resume=resume, overwrite=overwrite)
    begun = begun_plan(folder) if resume else None
    if begun is not None and begun.fingerprint != plan.fingerprint:
        raise SettingsError(
            f"belongs to other data or settings ({_difference(begun, plan)})",
            "resume with those it was begun with, or begin anew with --overwrite",
            source=folder,
        )
    try:
        (folder / TILES).mkdir(parents=True, exist_ok=True)
        if not resume:
            for old in (folder / TILES).iterdir():
                old.unlink(missing_ok=True)
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

        def idle() -> None:
            listen(Progress("idle", total - records.count(None), total))

        with closing(_solving(plan, folder, left, workers, scheduler, idle)) as outcomes:
            for count, outcome in enumerate(outcomes, start=total - len(left) + 1):
                if isinstance(outcome, Failure):
                    raise outcome.error()
                records[outcome.number] = outcome
                listen(Progress("tiles", count, total, outcome))
    # of workers that were killed; earlier they may be of some that still finish a tile
    for half in (folder / TILES).glob(".*"):
        half.unlink(missing_ok=True)
    whole = [record for record in records if record is not None]
    gauge = settle(plan, folder, whole, lambda done, of: listen(Progress("gauges", done, of)))
    manifest = Manifest(status="done", plan=plan, records=whole, gauge=gauge.part())
    write_manifest(folder, manifest)
    return manifest


def _solving(
    plan: Plan,
    folder: Path,
    numbers: Sequence[int],
    workers: int,
    scheduler: str | None,
    when_idle: Callable[[], None],
) -> Generator[Record | Failure, None, None]:
    if scheduler is None:
        scheduler = cluster.LOCAL if cluster.is_installed() else PROCESSES
    if scheduler == PROCESSES:
        return solve_in_processes(plan, folder, numbers, workers)
    return cluster.solve_on_cluster(plan, folder, numbers, workers, scheduler, when_idle)


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
