"""``colours.json``: what says that fields, or mosaics, are wavelengths of one specimen."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fpm_inr.errors import DataError
from fpm_inr.files.replacing import replacing

MANIFEST = "colours.json"
FIELD_FILE = "field.safetensors"
FORMAT: Literal["fpm-inr colours"] = "fpm-inr colours"
MOST_BYTES = 2**20
Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OffsetPart(_Part):
    """How a wavelength lies against the reference."""

    z_um: Finite = 0.0
    y_um: Finite = 0.0
    x_um: Finite = 0.0
    magnification: Finite = 1.0


class ChannelPart(_Part):
    """One wavelength; ``field`` is its field file, or the folder of its mosaic.

    One that was not solved itself names the one whose detail it has (``transferred_from``).
    """

    name: Annotated[str, Field(min_length=1, max_length=60)]
    wavelength_um: Finite
    field: str
    offset: OffsetPart = OffsetPart()
    white: Annotated[Finite, Field(gt=0)]
    transferred_from: str | None = None


class Manifest(_Part):
    """What ``colours.json`` holds."""

    format: Literal["fpm-inr colours"] = FORMAT
    version: Literal[1] = 1
    reference: str
    channels: Annotated[list[ChannelPart], Field(min_length=2, max_length=16)]
    record: dict[str, Any] = {}


def manifest_of(path: Path) -> Path | None:
    """The manifest that a path means; None where it means something else."""
    inside = path / MANIFEST if path.is_dir() else path
    return inside if inside.name == MANIFEST and inside.is_file() else None


def write_manifest(content: Manifest, folder: Path) -> None:
    """Write ``colours.json`` beside the folders of the field files.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    with replacing(folder / MANIFEST) as beside:
        text = json.dumps(content.model_dump(mode="json"), indent=1, allow_nan=False)
        beside.write_text(text + "\n", encoding="utf-8")


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest.

    Raises
    ------
    DataError
        It cannot be read, or says what no manifest says.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataError("is over 1 MiB", "restore the file", source=path)
        manifest = Manifest.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise DataError(
            f"cannot be used ({first['msg']})", "restore the file", field=field, source=path
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            "cannot be read as JSON", "reconstruct again or restore the file", source=path
        ) from error
    names = [channel.name for channel in manifest.channels]
    if len(set(names)) < len(names):
        raise DataError("names one twice", "restore the file", field="channels", source=path)
    for channel in manifest.channels:
        place = PurePosixPath(channel.field)
        if place.is_absolute() or ".." in place.parts or "\\" in channel.field:
            raise DataError(
                f"is {channel.field!r}, outside its folder",
                "restore the file",
                field=f"field of {channel.name}",
                source=path,
            )
    return manifest
