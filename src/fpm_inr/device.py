"""Where torch computes: chosen by name, checked, described."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fpm_inr.errors import SettingsError

if TYPE_CHECKING:
    import torch


def pick_device(name: str) -> torch.device:
    """Return the device of this name; "auto" prefers a GPU.

    Raises
    ------
    SettingsError
        Unknown name, or no GPU.
    """
    import torch

    if name not in ("auto", "cpu", "cuda"):
        raise SettingsError(f"is {name!r}", "give auto, cpu or cuda", field="device")
    if name == "cuda" and not torch.cuda.is_available():
        raise SettingsError(
            "is cuda, but this machine or this torch has none", "give cpu or auto", field="device"
        )
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def describe_device(device: torch.device) -> str:
    """Return "cpu", or the name of the GPU."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
