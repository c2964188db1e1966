"""The header of a field file: typed, and bounded, for a file may come from anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fpm_inr.errors import DataError, SettingsError
from fpm_inr.fields.sizes import OWN

FORMAT = "fpm-inr field 1"
KEY = "fpm-inr"  # of the metadata that hold it
FIELD_PREFIX = "field."  # of the names of a field's tensors
MOST_PIXELS = 2**30
MOST_CHARACTERS = 2**24
MOST_DEPTH = 32
_AGAIN = "reconstruct again or restore the file"

Side = Annotated[int, Field(ge=1, le=2**16)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FieldHeader(_Part):
    """What a field file says of itself; docs/outputs.md explains it to a person.

    Parameters
    ----------
    kind : str
        "spline", "neural", "pixel", or one that another package has (`fpm_inr.fields`).
    shape_y_x : (int, int)
        Of the field, its band included.
    z_range_um : (float, float)
    field : dict
        Sizes of the field, by its kind.
    optics : dict
        Of `fpm_inr.acquisition.Optics`.
    upsampling : int
    amplitude_scale : float
        Camera amplitude, sqrt(counts), of a field of 1.
    record : dict
        How it was made.
    leds_left_out : tuple of int
        LEDs that were not used.
    guard_px : int
        Width of the band around what is shown, in pixels of the frames.
    """

    # a page's field has keys of its own, and what newer versions add does no harm
    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    format: Literal["fpm-inr field 1"] = "fpm-inr field 1"
    kind: str = Field(max_length=64)
    shape_y_x: tuple[Side, Side]
    z_range_um: tuple[float, float]
    field: dict[str, Any] = Field(default_factory=dict)
    optics: dict[str, float]
    upsampling: int = Field(ge=1, le=64)
    amplitude_scale: float = Field(gt=0)
    record: dict[str, Any] = Field(default_factory=dict)
    leds_left_out: tuple[Annotated[int, Field(ge=0)], ...] = ()
    guard_px: int = Field(0, ge=0, le=2**14)

    @model_validator(mode="before")
    @classmethod
    def _of_old(cls, content: Any) -> Any:
        """Older files have the LEDs that were left out in their record."""
        record = content.get("record") if isinstance(content, dict) else None
        if isinstance(record, dict) and "leds_left_out" in record:
            rest = {key: value for key, value in record.items() if key != "leds_left_out"}
            return {"leds_left_out": record["leds_left_out"], **content, "record": rest}
        return content

    @model_validator(mode="after")
    def _consistent(self) -> FieldHeader:
        if self.shape_y_x[0] * self.shape_y_x[1] > MOST_PIXELS:
            raise ValueError(f"shape_y_x: more than {MOST_PIXELS} pixels")
        if self.z_range_um[0] > self.z_range_um[1]:
            raise ValueError("z_range_um: the lower height comes first")
        if min(self.shape_y_x) <= 2 * self.guard_px * self.upsampling:
            raise ValueError("guard_px: leaves no pixel to show")
        return self

    @property
    def sizes(self) -> dict[str, Any]:
        """The field's sizes, checked: keywords that make it.

        Raises
        ------
        ValidationError
            One is out of range.
        SettingsError
            No installed package has this kind of field.
        """
        return _sizes_of(self.kind).model_validate(self.field).model_dump()

    def text(self) -> str:
        """As it is stored."""
        return json.dumps(self.model_dump(mode="json"))


def _sizes_of(kind: str) -> type[BaseModel]:
    if kind in OWN:
        return OWN[kind]
    from fpm_inr.fields.base import FIELDS

    return FIELDS.get(kind).sizes


def parse_header(text: str | None, source: object) -> dict[str, Any]:
    """The header's JSON, looked at no further than that it is one of this program's.

    Raises
    ------
    DataError
        It is none, or of another format, or too large or too deeply nested to be one.
    """
    if text is None:
        raise DataError(
            "is not a field of this program",
            "give the field.safetensors of a reconstruction",
            source=source,
        )
    try:
        content = json.loads(text) if len(text) <= MOST_CHARACTERS else None
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"has a damaged header ({reason})", _AGAIN, source=source) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError("has an unknown format", f"give a file of format {FORMAT!r}", source=source)
    if _depth_exceeds(content, MOST_DEPTH):
        raise DataError(
            f"has a header that is nested more than {MOST_DEPTH} deep", _AGAIN, source=source
        )
    return content


def check_header(content: dict[str, Any], source: object) -> FieldHeader:
    """The header, every value in its range.

    Raises
    ------
    DataError
        A value is missing, of the wrong kind or out of range.
    """
    try:
        header = FieldHeader.model_validate(content)
        _ = header.sizes
        return header
    except SettingsError as error:
        raise DataError(
            error.problem,
            "install the package that has this kind of field",
            field="kind",
            source=source,
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise DataError(
            f"is damaged: {first['msg'].removeprefix('Value error, ')[:160]}",
            _AGAIN,
            field=".".join(str(part) for part in first["loc"]) or "header",
            source=source,
        ) from error


def read_header(path: Path) -> dict[str, Any]:
    """The header's JSON of a field file; `check_header` looks at its values.

    Raises
    ------
    DataError
        The file is damaged or no field file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(KEY)
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(
            f"cannot be read as a field ({' '.join(str(error).split())[:120]})",
            "give the field.safetensors of a reconstruction",
            source=path,
        ) from error
    return parse_header(text, path)


def _depth_exceeds(content: Any, most: int) -> bool:
    level = [content]
    for _ in range(most):
        inner = [one for one in level if isinstance(one, dict | list)]
        level = [
            child for one in inner for child in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True
