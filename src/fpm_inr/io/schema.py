"""The keys of ``acquisition.yaml``; docs/acquisition-yaml.md explains them to a person."""

from __future__ import annotations

import difflib
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
)

from fpm_inr.errors import DataError
from fpm_inr.io.yaml_text import read_yaml

DESCRIPTION = "acquisition.yaml"


def _no_truth_value(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("should be a number (YAML reads yes, no, on and off as true or false)")
    return value


def _as_names(value: Any) -> Any:
    names = value if isinstance(value, list) else [value]
    if value is not None and not all(isinstance(name, str) for name in names):
        raise ValueError("give names in quotes (YAML reads 001 as a number)")
    return names if value is not None else value


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) or value is None else [value]


Number = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(_no_truth_value)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Count = Annotated[PositiveInt, BeforeValidator(_no_truth_value)]
Index = Annotated[NonNegativeInt, BeforeValidator(_no_truth_value)]
Integer = Annotated[int, BeforeValidator(_no_truth_value)]
Indices = list[Index]
Weights = Annotated[list[Positive], Field(min_length=1), BeforeValidator(_as_list)]
Lit = Annotated[Indices, Field(min_length=1), BeforeValidator(_as_list)]
Pair = tuple[Number, Number]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OriginPart(_Part):
    """Numbers in the names of the first row, column and LED."""

    row: Integer | None = None
    column: Integer | None = None
    index: Integer | None = None


class CameraPart(_Part):
    """What is known of the camera's noise."""

    gain_e_per_count: Positive
    read_noise_e: NotNegative = 0.0


class FramesPart(_Part):
    """Where the frames are and what their numbers mean."""

    file: Annotated[list[str], Field(min_length=1), BeforeValidator(_as_names)]
    variable: str | None = None
    axes: str = "lyx"
    values: Literal["intensity", "amplitude", "srgb"] = "intensity"
    channel: Literal["red", "green", "blue", "mean"] | None = None
    bayer: Literal["rggb", "bggr", "grbg", "gbrg"] | None = None
    dark_level: NotNegative = 0.0
    dark_frame: Annotated[list[Index | str] | None, BeforeValidator(_as_list)] = None
    flat_field: Annotated[list[Index | str] | None, BeforeValidator(_as_list)] = None
    mask: str | None = None
    exposure: list[Positive] | None = None
    skip: Indices = []
    origin: OriginPart | None = None
    camera: CameraPart | None = None


class OpticsPart(_Part):
    """The imaging side."""

    na: Positive
    wavelength_um: Positive | None = None
    pixel_um: Positive | None = None
    camera_pixel_um: Positive | None = None
    magnification: Positive | None = None
    medium_index: Positive = 1.0
    axis_y_x_px: Pair | None = None


class SlidePart(_Part):
    """A slide between the LEDs and the specimen."""

    thickness_mm: NotNegative
    index: Positive = 1.52


class _FlatArray(_Part):
    distance_mm: Positive
    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False
    rotation_deg: Number = 0.0
    offset_x_y_mm: Pair = (0.0, 0.0)
    slide: SlidePart | None = None


class GridPart(_FlatArray):
    """LEDs at whole steps of one pitch."""

    pitch_mm: Positive
    order: Literal["raster", "serpentine", "spiral", "listed"] = "raster"
    rows: Count | None = None
    columns: Count | None = None
    steps_x_y: list[Pair] | None = None


class RingsPart(_FlatArray):
    """LEDs on concentric rings."""

    radii_mm: Annotated[list[NotNegative], Field(min_length=1)]
    counts: list[Count]
    starts_deg: list[Number] | None = None


class DirectionsPart(_Part):
    """Directions as NA vectors."""

    values: list[Pair] | None = None
    file: str | None = None
    sign: Literal[1, -1] = 1


class PlacesPart(_FlatArray):
    """LEDs anywhere on a plane; neither values nor a file: the names of the frames tell."""

    values: list[Pair] | None = None
    file: str | None = None


class DiePart(_Part):
    """How large the shining face of an LED is."""

    size_mm: Positive | None = None
    size_na: Positive | None = None
    shape: Literal["square", "round"] = "square"
    points_across: Count = 3


class LedsPart(_Part):
    """One way to say where the light of each frame comes from."""

    places_x_y_mm: PlacesPart | None = None
    grid: GridPart | None = None
    rings: RingsPart | None = None
    na_x_y: DirectionsPart | None = None
    missing: Indices = []
    leave_out: Indices = []
    lit: Annotated[list[Lit] | None, Field(min_length=1)] = None
    weights: list[Weights] | None = None
    die: DiePart | None = None


class Description(_Part):
    """A whole ``acquisition.yaml``."""

    frames: FramesPart
    optics: OpticsPart
    leds: LedsPart


def read_description(path: Path) -> Description:
    """Read and check an ``acquisition.yaml``.

    Raises
    ------
    DataError
        It cannot be read, is no YAML, or a key is unknown, missing or of the wrong kind.
    """
    content = read_yaml(path, DataError)
    if not isinstance(content, dict):
        raise DataError("holds no keys", "start it with `fpm-inr init` and fill it in", source=path)
    if "channels" in content:
        raise DataError(
            "describe several wavelengths, and one is to be read",
            "solve them together with `fpm-inr reconstruct` or `mosaic`, or describe one alone",
            field="channels",
            source=path,
        )
    return checked_description(content, path)


def checked_description(content: dict[str, Any], path: Path) -> Description:
    """The description that the content of a file is.

    Raises
    ------
    DataError
        A key is unknown, missing or of the wrong kind.
    """
    try:
        return Description.model_validate(content)
    except ValidationError as error:
        raise _in_words(error).at(path) from error


def names_file(description: Path, name: str) -> bool:
    """Whether a description is there and one of its values is this name, or a pattern for it."""
    if not description.is_file():
        return False

    def holds(value: object) -> bool:
        if isinstance(value, dict):
            return any(map(holds, value.values()))
        if isinstance(value, list):
            return any(map(holds, value))
        return isinstance(value, str) and (value == name or fnmatch(name, value))

    try:
        return holds(read_yaml(description, DataError))
    except DataError:
        return False


def _in_words(error: ValidationError) -> DataError:
    """The first thing that is wrong: an unknown key before a missing one, which it may explain."""
    problems = error.errors(include_url=False)
    first = next((one for one in problems if one["type"] == "extra_forbidden"), problems[0])
    place, field = first["loc"], ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _keys_at(place[:-1])
        near = difflib.get_close_matches(str(place[-1]), known, n=1, cutoff=0.5)
        question = f"did you mean {near[0]}? The keys here are" if near else "the keys here are"
        return DataError("is no known key", f"{question} {', '.join(known)}", field=field)
    if first["type"] == "missing":
        return DataError("is missing", "add this key", field=field)
    if first["type"] == "model_type" and first["input"] is not None:
        keys = ", ".join(_keys_at(place))
        return DataError(f"is {_short(first['input'])}", f"give it the keys {keys}", field=field)
    if first["input"] is None:
        return DataError("is empty", "fill it in", field=field)
    reason = first["msg"].removeprefix("Value error, ")
    return DataError(f"is {_short(first['input'])}", reason[:1].lower() + reason[1:], field=field)


def _keys_at(place: tuple[int | str, ...]) -> list[str]:
    """Keys that the schema knows under a path of keys."""
    part: Any = Description
    for step in place:
        annotation = part.model_fields[step].annotation
        options = (annotation, *get_args(annotation))
        part = next(one for one in options if isinstance(one, type) and issubclass(one, BaseModel))
    return list(part.model_fields)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
