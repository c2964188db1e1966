"""How far to trust a tile of a mosaic, by its own frames, LEDs and calibration.

A tile is done when its maps and its numbers are on disk, with a fingerprint of what they say: the
tile's field file and what was asked for. The same command goes on from there.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr import __version__
from fpm_inr.errors import DataError, InputError
from fpm_inr.files.replacing import make_folder, replacing
from fpm_inr.mosaic.mosaic import Mosaic, load_mosaic
from fpm_inr.mosaic.plan import Plan, file_digest
from fpm_inr.mosaic.worker import TILES, Failure, posed, tile_acquisition
from fpm_inr.trust.assess import HEIGHTS, Halves, Trust, assess
from fpm_inr.trust_results import FOLDER, trust_maps

FloatArray = NDArray[np.float64]
Maps = dict[str, NDArray[np.float32]]

OVER_HEIGHTS = ("amplitude_noise", "phase_noise", "hanging_phase")
OF_A_PLACE = ("resolution", "excess", "height")


@dataclass(frozen=True)
class Asked:
    """What is asked of every tile.

    Parameters
    ----------
    folder : Path
        Of the mosaic.
    data : str, optional
        Where its data lie now. None: where they lay.
    z_um : tuple of float
        Heights of the mosaic.
    halves, seed, device
        As `fpm_inr.trust.assess.assess`.
    """

    folder: Path
    data: str | None
    z_um: tuple[float, ...]
    halves: Halves = "photons"
    seed: int = 0
    device: str = "cpu"

    def fingerprint(self, mosaic: Mosaic, number: int) -> str:
        """Digest of a tile and of what decides its maps."""
        of_tile = (mosaic.manifest.records[number].sha256, self.tile_heights(mosaic, number))
        told = (*of_tile, self.halves, self.seed, __version__)
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    def tile_heights(self, mosaic: Mosaic, number: int) -> list[float]:
        """Where in a tile these heights of the mosaic lie."""
        offset = float(mosaic.gauge.height_um[number])
        return np.clip(np.array(self.z_um) + offset, *mosaic.z_range_um).tolist()

    def plan(self, mosaic: Mosaic) -> Plan:
        """The mosaic's plan, its data where they lie now."""
        if self.data is None:
            return mosaic.plan
        source = mosaic.plan.source.model_copy(update={"data": self.data})
        return mosaic.plan.model_copy(update={"source": source})


@dataclass(frozen=True)
class Told:
    """What is known of a tile.

    Parameters
    ----------
    number : int
    fingerprint : str
        See `Asked.fingerprint`.
    sha256 : str
        Of its maps' file.
    numbers : dict
        `Trust.numbers`.
    """

    number: int
    fingerprint: str
    sha256: str
    numbers: dict[str, Any]


def chosen_heights(mosaic: Mosaic, z_um: FloatArray | None) -> tuple[float, ...]:
    """Heights that are assessed: those that are named, or about five over the range."""
    from fpm_inr.heights import check_heights

    low, high = mosaic.z_range_um
    planes = mosaic.planes_um
    if z_um is None and planes is not None:
        return tuple(planes[:: max(1, -(-(len(planes) - 1) // (HEIGHTS - 1)))].tolist())
    wanted = np.linspace(low, high, HEIGHTS if low < high else 1) if z_um is None else z_um
    heights = np.unique(check_heights(wanted, (low, high)))
    if planes is not None:
        heights = np.unique(planes[np.abs(heights[:, None] - planes).argmin(axis=1)])
    return tuple(heights.tolist())


def check_data(mosaic: Mosaic, data: Path | None) -> str | None:
    """Where a mosaic's data lie now, if not where they lay.

    Raises
    ------
    DataError
        They are not there, or not what the mosaic was made from.
    """
    asked = Asked(mosaic.folder, None if data is None else str(data.absolute()), ())
    source = asked.plan(mosaic).source.source()
    if not source.data.exists():
        raise DataError("does not exist", "say with --data where it is now", source=source.data)
    if source.digest(mosaic.folder) != mosaic.plan.data_sha256:
        raise DataError(
            "is not what the mosaic was made from (its digest differs)",
            "give the data of the mosaic",
            source=source.data,
        )
    return asked.data


def maps_path(folder: Path, number: int) -> Path:
    """The maps of a tile."""
    return folder / FOLDER / TILES / f"{number:05d}.npz"


def read_told(asked: Asked, mosaic: Mosaic, number: int) -> Told | None:
    """What is known of a tile that is done as asked, its maps whole; else None."""
    path = maps_path(asked.folder, number)
    try:
        told = Told(**json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    if told.number != number or told.fingerprint != asked.fingerprint(mosaic, number):
        return None
    return told if path.is_file() and file_digest(path) == told.sha256 else None


def read_maps(folder: Path, number: int) -> Maps:
    """Maps of a tile: [z, y, x] of `OVER_HEIGHTS`, [y, x] of `OF_A_PLACE`, and `z_um` [z]."""
    with np.load(maps_path(folder, number)) as file:
        return {name: file[name] for name in (*OVER_HEIGHTS, *OF_A_PLACE, "z_um")}


def do_tile(asked: Asked, number: int) -> Told | Failure:
    """Assess a tile and keep it; an error of the data comes back as a value."""
    try:
        return _done(asked, load_mosaic(asked.folder), number)
    except InputError as error:
        kind = type(error).__name__
        return Failure(number, kind, error.problem, error.mend, error.field, error.source)


def _done(asked: Asked, mosaic: Mosaic, number: int) -> Told:
    plan, tile = asked.plan(mosaic), mosaic.tiles[number]
    window = tile_acquisition(plan, mosaic.folder, tile)
    acquisition, calibration = posed(plan, mosaic.folder, window)
    solution = mosaic.tile_solution(number)
    trust = assess(
        acquisition,
        solution,
        asked.tile_heights(mosaic, number),
        calibration=calibration,
        halves=asked.halves,
        seed=asked.seed,
        device=asked.device,
    )
    path = maps_path(asked.folder, number)
    make_folder(path.parent)
    with replacing(path) as beside:
        _write(beside, dict(trust_maps(solution, trust)), trust)
    told = Told(number, asked.fingerprint(mosaic, number), file_digest(path), trust.numbers())
    with replacing(path.with_suffix(".json")) as beside:
        text = json.dumps(asdict(told), indent=1, allow_nan=False)
        beside.write_text(text + "\n", encoding="utf-8")
    return told


def _write(path: Path, maps: dict[str, FloatArray], trust: Trust) -> None:
    kept: dict[str, Any] = {name: maps[name].astype(np.float32) for name in OVER_HEIGHTS}
    kept |= {name: maps[name][0].astype(np.float32) for name in OF_A_PLACE}
    np.savez_compressed(path, z_um=trust.z_um, **kept)
