"""The manifest of a mosaic: one JSON file, typed, that makes a folder of tiles one object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from fpm_inr.errors import DataError, InputError
from fpm_inr.files.replacing import replacing
from fpm_inr.mosaic.plan import Part, Plan
from fpm_inr.mosaic.worker import Record

FORMAT = "fpm-inr mosaic 1"
MANIFEST = "manifest.json"


class DamagedManifestError(DataError):
    """A manifest has been one of this program's, or was cut off."""


class GaugePart(Part):
    """What the overlaps agree on; see `fpm_inr.mosaic.gauge.Gauge`."""

    z_um: list[float] = Field(min_length=1)
    log_amplitude: list[list[float]]
    piston_rad: list[list[float]]
    ramp_y_rad_per_px: list[list[float]]
    ramp_x_rad_per_px: list[list[float]]
    bend_rad_per_px2: list[list[float]]
    height_um: list[float]


class Manifest(Part):
    """Content of manifest.json.

    Parameters
    ----------
    status : {"begun", "done"}
    plan : Plan
    records : list of Record
        Of every tile, in order; none before all are done.
    gauge : GaugePart, optional
    trust : dict, optional
        Numbers of `fpm-inr trust`, for these tiles.
    """

    format: Literal["fpm-inr mosaic 1"] = "fpm-inr mosaic 1"
    status: Literal["begun", "done"] = "begun"
    plan: Plan
    records: list[Record] = Field(default_factory=list)
    gauge: GaugePart | None = None
    trust: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        tiles = len(self.plan.rows.starts) * len(self.plan.columns.starts)
        if self.status == "begun":
            return self
        if self.gauge is None or [one.number for one in self.records] != list(range(tiles)):
            raise ValueError(f"is done without records and gauges of {tiles} tiles")
        for name, rows in self.gauge.model_dump(exclude={"z_um"}).items():
            if len(rows) != tiles:
                raise ValueError(f"gauge.{name} has {len(rows)} values for {tiles} tiles")
            if name != "height_um" and any(len(row) != len(self.gauge.z_um) for row in rows):
                raise ValueError(f"gauge.{name} has not one value a height")
        return self


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a mosaic's folder.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    with replacing(folder / MANIFEST) as beside:
        beside.write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a mosaic's folder.

    Raises
    ------
    DataError
        There is none, or it is damaged.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise DataError(
            f"holds no {MANIFEST}", "give the folder of `fpm-inr mosaic`", source=folder
        )
    again = "restore the file, or make the mosaic again with --resume, which keeps whole tiles"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DamagedManifestError(
            f"cannot be read as JSON ({reason})", again, source=path
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError("is no manifest of this program", f"give one of {FORMAT!r}", source=path)
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise DamagedManifestError(
            first["msg"].removeprefix("Value error, ")[:160],
            again,
            field=".".join(str(part) for part in first["loc"]) or "manifest",
            source=path,
        ) from error
    except InputError as error:
        raise error.at(path) from error
