"""Tensors and text in one safetensors file, written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fpm_inr.errors import OutputError
from fpm_inr.files.replacing import replacing

if TYPE_CHECKING:
    from torch import Tensor


def write_tensors(path: str | Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a file; one that was there is replaced.

    Raises
    ------
    OutputError
        It cannot be written; what was there is kept.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        with replacing(path) as beside:
            beside.touch()
            mode = beside.stat().st_mode
            save_file(tensors, beside, metadata=metadata)
            # safetensors makes files that only their owner can read
            beside.chmod(mode)
    # what safetensors makes of the system's errors
    except SafetensorError as error:
        reason = str(error).rpartition("I/O error: ")[2]
        raise OutputError(
            f"cannot be written ({reason})",
            "choose a place that is writable and has room",
            source=path,
        ) from error
