"""The settings of `fpm-inr reconstruct`, from options and YAML, checked before any work."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from fpm_inr.errors import SettingsError, at
from fpm_inr.io.yaml_text import read_yaml


class OffsetSettings(BaseModel):
    """How a wavelength lies against the one nearest to green (docs/colour.md)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    z_um: float = 0.0
    y_um: float = 0.0
    x_um: float = 0.0
    magnification: float = 1.0


class ReconstructSettings(BaseModel):
    """What a reconstruction can be told; keys are those of the YAML for ``--config``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    wavelength_um: float | None = None
    color: Literal["r", "g", "b"] | None = None
    medium_index: float | None = None
    crop: tuple[int, int, int, int] | None = None
    z_range_um: tuple[float, float] | Literal["auto"] = (0.0, 0.0)
    orient: Literal["stated", "auto"] = "stated"
    upsample: int | None = None
    guard_px: int = 0
    engine: str = "inr"
    recipe: str = "default"
    steps: int | None = None
    passes: int | None = None
    planes: int | None = None
    z_step_um: float | None = None
    device: str = "auto"
    seed: int = 0
    calibration: Path | None = None
    calibrate: str | dict[str, Any] | None = None
    wavelengths_um: list[float] | None = None
    white: tuple[int, int, int, int] | None = None
    offsets: dict[str, OffsetSettings] | None = None
    transfer: bool = False


def gather_settings(config: Path | None, options: dict[str, Any]) -> ReconstructSettings:
    """Merge the options given on the command line over those of a YAML file.

    Raises
    ------
    SettingsError
        The file is missing or no YAML, or a key or value cannot be used.
    """
    content: Any = {}
    if config is not None:
        content = read_yaml(config, SettingsError)
        content = {} if content is None else content
        if not isinstance(content, dict):
            raise SettingsError("holds no mapping", "write one 'key: value' a line", source=config)
    given = {key: value for key, value in options.items() if value is not None}
    try:
        settings = ReconstructSettings.model_validate({**content, **given})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        from_file = bool(first["loc"]) and first["loc"][0] not in given
        if first["type"] == "extra_forbidden":
            keys = ", ".join(ReconstructSettings.model_fields)
            raise SettingsError(
                "is no setting", f"use one of {keys}", field=key, source=config or ""
            ) from error
        raise SettingsError(
            f"is {first['input']!r}: {first['msg'][:1].lower()}{first['msg'][1:]}",
            "correct it or leave it out",
            field=key,
            source=(config or "") if from_file else "",
        ) from error
    if settings.calibrate is not None:
        from fpm_inr.instrument import parse_free

        with nullcontext() if config is None or "calibrate" in given else at(config):
            parse_free(settings.calibrate)
    return settings
