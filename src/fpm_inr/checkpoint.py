"""Where a long solve can be picked up: tensors and JSON in one safetensors file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fpm_inr.acquisition import Acquisition
from fpm_inr.errors import DataError, SettingsError
from fpm_inr.files.tensors import write_tensors

if TYPE_CHECKING:
    from torch import Tensor


def fingerprint(acquisition: Acquisition, settings: dict[str, Any]) -> str:
    """Return a digest of what decides a solve: frames, optics, LEDs and settings."""
    digest = hashlib.sha256()
    digest.update(acquisition.frames_led_y_x.tobytes())
    for judged in (acquisition.weight_led_y_x, acquisition.saturated_led_y_x):
        digest.update(b"all" if judged is None else judged.tobytes())
    if acquisition.noise is not None:
        digest.update(acquisition.noise.intensity_per_electron_led.tobytes())
        digest.update(repr(acquisition.noise.read_noise_e).encode())
    light = acquisition.illumination
    digest.update(light.na_led_xy.tobytes())
    if light.lighting is not None:
        for pairs in (light.pairs.frame_pair, light.pairs.led_pair, light.pairs.weight_pair):
            digest.update(pairs.tobytes())
    if light.die is not None:
        digest.update(repr(light.die).encode())
    digest.update(repr(acquisition.optics).encode())
    digest.update(json.dumps(settings, sort_keys=True).encode())
    return digest.hexdigest()


def write_checkpoint(path: Path, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    """Write a checkpoint; one that was there is replaced whole.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    stored = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    write_tensors(path, stored, {"fpm-inr-checkpoint": json.dumps(header)})


def read_checkpoint(path: Path, solve: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the checkpoint of the solve with this fingerprint.

    Raises
    ------
    DataError
        The file is damaged.
    SettingsError
        It belongs to other data or settings.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["fpm-inr-checkpoint"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        belongs = header["fingerprint"] == solve
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            "is a damaged checkpoint", "delete it and start again without --resume", source=path
        ) from error
    if not belongs:
        raise SettingsError(
            "belongs to other data or other settings",
            "resume with the settings it was begun with, or start again without --resume",
            source=path,
        )
    return tensors, header
