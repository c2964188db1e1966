"""What a worker does: one tile from its window of the files to its field file and its record.

It is idempotent: done twice, or by two workers at once, the same files are left.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from pydantic import Field, ValidationError

from fpm_inr.errors import DataError, InputError, OutputError
from fpm_inr.mosaic.plan import Part, Plan, file_digest
from fpm_inr.mosaic.tiles import Tile
from fpm_inr.solve.progress import uninterrupted

if TYPE_CHECKING:
    from fpm_inr.acquisition import Acquisition
    from fpm_inr.forward import Instrument
    from fpm_inr.mosaic.plan import SolveSettings
    from fpm_inr.solution import Solution
    from fpm_inr.solve.progress import Listener

TILES = "tiles"
RESIDUAL_HEIGHTS = 5


class Record(Part):
    """What is known of a tile that is done.

    Parameters
    ----------
    number : int
    fingerprint : str
        Of the plan that it was solved by.
    sha256 : str
        Of its field file.
    kind : {"solved", "empty", "dark"}
        Empty: nothing but light; dark: no light. Neither is solved.
    amplitude_scale : float
        Camera amplitude, sqrt(counts), of a field of 1 in its file.
    residual : float
        Lowest data residual of some heights (0 where nothing was solved).
    residual_z_um : float
        That height.
    seconds : float
    led_count : int
        LEDs that were used: those that contradict their angle are left out.
    """

    number: int = Field(ge=0)
    fingerprint: str
    sha256: str
    kind: Literal["solved", "empty", "dark"]
    amplitude_scale: float = Field(gt=0)
    residual: float = Field(0.0, ge=0)
    residual_z_um: float = 0.0
    seconds: float = Field(0.0, ge=0)
    led_count: int = Field(0, ge=0)


@dataclass(frozen=True)
class Failure:
    """Why a tile cannot be solved: an error of the data, which trying again does not mend."""

    number: int
    kind: str
    problem: str
    mend: str
    field: str
    source: str

    def error(self) -> InputError:
        """The error itself, which does not travel between processes."""
        from fpm_inr import errors

        made: type[InputError] = getattr(errors, self.kind, DataError)
        field = f"tile {self.number}" + (f": {self.field}" if self.field else "")
        return made(self.problem, self.mend, field=field, source=self.source)


def field_path(folder: Path, number: int) -> Path:
    """The field file of a tile."""
    return folder / TILES / f"{number:05d}.safetensors"


def record_path(folder: Path, number: int) -> Path:
    """The record of a tile."""
    return folder / TILES / f"{number:05d}.json"


def read_record(folder: Path, number: int, fingerprint: str) -> Record | None:
    """The record of a tile that is done by this plan, its field file whole; else None."""
    try:
        text = record_path(folder, number).read_text(encoding="utf-8")
        record = Record.model_validate(json.loads(text))
    except (OSError, ValueError, ValidationError, RecursionError):
        return None
    field = field_path(folder, number)
    if record.fingerprint != fingerprint or record.number != number or not field.is_file():
        return None
    return record if file_digest(field) == record.sha256 else None


def work(plan: Plan, folder: Path, number: int) -> Record | Failure:
    """Do a tile; an error of the data comes back as a value."""
    import torch

    torch.set_num_threads(1)
    try:
        return solve_tile(plan, folder, plan.tiles[number])
    except InputError as error:
        kind = type(error).__name__
        return Failure(number, kind, error.problem, error.mend, error.field, error.source)


def solve_tile(plan: Plan, folder: Path, tile: Tile) -> Record:
    """Solve a tile, write its field file and then its record.

    Raises
    ------
    InputError
        The data, or a setting, cannot be used.
    KeyboardInterrupt
        The solve was asked to stop: what it has come to is no tile.
    """
    began = time.perf_counter()
    known = read_record(folder, tile.number, plan.fingerprint)
    if known is not None:
        return known
    kind, solution, residual = solved(plan, folder, tile)
    uninterrupted(solution)
    # of a worker that its scheduler gave up too early
    known = read_record(folder, tile.number, plan.fingerprint)
    if known is not None:
        return known
    # a file that is the same whenever it is made
    told = {name: value for name, value in solution.record.items() if name != "solve_seconds"}
    solution = replace(solution, record=told)
    path = field_path(folder, tile.number)
    with _beside(path) as beside:
        solution.save(beside)
        digest = file_digest(beside)
    record = Record(
        number=tile.number,
        fingerprint=plan.fingerprint,
        sha256=digest,
        kind=kind,
        amplitude_scale=solution.amplitude_scale,
        residual=residual[0],
        residual_z_um=residual[1],
        seconds=time.perf_counter() - began,
        led_count=len(solution.leds_used) if kind == "solved" else 0,
    )
    with _beside(record_path(folder, tile.number)) as beside:
        beside.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return record


def solved(
    plan: Plan, folder: Path, tile: Tile, listen: Listener | None = None
) -> tuple[Literal["solved", "empty", "dark"], Solution, tuple[float, float]]:
    """The solution of a tile, and its lowest data residual with its height."""
    import torch

    from fpm_inr.acquisition import DarkError, Optics
    from fpm_inr.forward import Instrument, nominal_instrument
    from fpm_inr.mosaic.empty import is_empty, level_solution

    settings = plan.settings
    height, width = (side * settings.upsample for side in tile.crop[2:])
    level = ((height, width), settings.z_range_um, Optics(**plan.optics))
    try:
        acquisition = tile_acquisition(plan, folder, tile)
    except DarkError:
        nothing = torch.zeros(plan.led_count, dtype=torch.float64)
        instrument = Instrument(nothing[:, None].repeat(1, 2), nothing + 1, nothing[:0])
        none = level_solution(0.0, *level, instrument, settings.upsample, plan.amplitude_scale)
        return "dark", none, (0.0, 0.0)
    if is_empty(acquisition):
        scale = acquisition.amplitude_scale
        instrument = nominal_instrument(acquisition)
        clear = level_solution(1.0, *level, instrument, settings.upsample, scale)
        return "empty", clear, (0.0, 0.0)
    return _fitted(plan, *posed(plan, folder, acquisition), listen)


def posed(
    plan: Plan, folder: Path, acquisition: Acquisition
) -> tuple[Acquisition, Instrument | None]:
    """What of a tile's acquisition is solved, and the calibration it begins with, if any.

    Raises
    ------
    DataError
        The calibration cannot be used.
    """
    import numpy as np
    import torch

    from fpm_inr.forward import nominal_instrument
    from fpm_inr.mosaic.rim import doubtful
    from fpm_inr.solve.start import given_instrument

    given = None
    if plan.calibration is not None:
        given = given_instrument(acquisition, folder / plan.calibration)
    instrument = given or nominal_instrument(acquisition)
    left_out = doubtful(acquisition, instrument, plan.bend_rad_per_px2)
    if left_out.any():
        kept = np.flatnonzero(~left_out)
        acquisition = acquisition.select(kept)
        given = None if given is None else given.select(torch.from_numpy(kept))
    return acquisition, given


def _fitted(
    plan: Plan, acquisition: Acquisition, given: Instrument | None, listen: Listener | None
) -> tuple[Literal["solved"], Solution, tuple[float, float]]:
    import numpy as np

    from fpm_inr.reconstruction import data_residual, reconstruct
    from fpm_inr.solve.progress import ignore

    settings = plan.settings
    solution = reconstruct(
        acquisition,
        z_range_um=settings.z_range_um,
        upsample=settings.upsample,
        engine=settings.engine,
        recipe=recipe_of(settings.engine, settings.recipe),
        device=settings.device,
        calibration=given,
        bend_rad_per_px2=plan.bend_rad_per_px2 if settings.begins_bent else 0.0,
        guard_px=settings.guard_px,
        listen=listen or ignore,
        **_of_engine(settings),
    )
    heights = np.linspace(*settings.z_range_um, RESIDUAL_HEIGHTS)
    residual = data_residual(
        acquisition, solution, np.unique(heights).tolist(), device=settings.device
    )
    best = int(np.argmin(residual))
    return "solved", solution, (residual[best], float(np.unique(heights)[best]))


def tile_acquisition(plan: Plan, folder: Path, tile: Tile) -> Acquisition:
    """The frames of a tile as a solve takes them: evenly lit, where a calibration tells.

    Raises
    ------
    DataError
        The data cannot be read.
    """
    from fpm_inr.calibration.field_file import FieldCalibration
    from fpm_inr.calibration.file import read_calibration

    acquisition = plan.source.source().window(tile.crop, plan.shape_y_x)
    if plan.calibration is None:
        return acquisition
    content = read_calibration(folder / plan.calibration)
    if isinstance(content, FieldCalibration):
        return content.evened(acquisition)
    return acquisition


def recipe_of(engine: str, content: dict[str, Any]) -> Any:
    """The recipe of its plain content."""
    from fpm_inr.solve.engine import engine_named

    return engine_named(engine).settings.model_validate(content)


def _of_engine(settings: SolveSettings) -> dict[str, Any]:
    """Options that mean something to the engine."""
    from fpm_inr.solve.engine import engine_named

    names = ("steps", "passes", "planes", "z_step_um", "seed")
    return {n: getattr(settings, n) for n in names if n in engine_named(settings.engine).options}


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A file to write, which then takes this place.

    Two workers may be at the same tile: each has a file of its own until it is whole.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    beside = path.with_name(f".{path.stem}.{uuid4().hex[:8]}{path.suffix}")
    try:
        yield beside
        beside.replace(path)
    except OSError as error:
        raise OutputError(
            f"cannot be written ({error.strerror or error})",
            "choose a place that is writable and has room",
            source=path,
        ) from error
    finally:
        beside.unlink(missing_ok=True)
