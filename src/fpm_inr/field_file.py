"""A solution as one safetensors file: what is stored how, written and read."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from fpm_inr.acquisition import Optics
from fpm_inr.errors import DataError, SettingsError
from fpm_inr.field_header import FIELD_PREFIX, KEY, FieldHeader, check_header, read_header
from fpm_inr.fields.base import FIELDS, PRECISIONS
from fpm_inr.files.tensors import write_tensors
from fpm_inr.instrument.tensors import from_tensors, to_tensors
from fpm_inr.solution import Solution


def write_solution(solution: Solution, path: str | Path, precision: str) -> None:
    """Write the field file; see `fpm_inr.solution.Solution.save`."""
    if precision not in PRECISIONS:
        raise SettingsError(
            f"is {precision!r}", "give 'compact', 'half' or 'full'", field="precision"
        )
    of_field = solution.field.to_tensors(precision)
    tensors = {f"{FIELD_PREFIX}{name}": value for name, value in of_field.items()}
    stored = to_tensors(solution.instrument)
    tensors |= {f"instrument.{name}": value for name, value in stored.items()}
    header = FieldHeader(
        kind=solution.field.kind,
        shape_y_x=solution.field.shape_y_x,
        z_range_um=solution.z_range_um,
        field=solution.field.settings,
        optics=asdict(solution.optics),
        upsampling=solution.upsampling,
        amplitude_scale=solution.amplitude_scale,
        record=solution.record,
        leds_left_out=solution.leds_left_out,
        guard_px=solution.guard_px,
    )
    write_tensors(path, tensors, {KEY: header.text()})


def read_solution(path: Path) -> Solution:
    """Read a field file. Nothing in it is executed: it holds tensors and JSON.

    Raises
    ------
    DataError
        The file is missing, damaged, or no field file of this project.
    """
    header, tensors = _read(path)
    try:
        for name, value in tensors.items():
            if not torch.isfinite(value).all():
                raise DataError("is not finite", "restore the file", field=name)
        return Solution(
            FIELDS.get(header.kind)
            .from_tensors(
                header.shape_y_x, header.z_range_um, header.sizes, _named(tensors, FIELD_PREFIX)
            )
            .requires_grad_(False),
            Optics(**header.optics),
            from_tensors(_named(tensors, "instrument.")),
            header.upsampling,
            header.amplitude_scale,
            header.record,
            leds_left_out=header.leds_left_out,
            guard_px=header.guard_px,
        )
    except DataError as error:
        raise error.at(path) from error
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"is a damaged field file ({type(error).__name__}: {reason})",
            "reconstruct again or restore the file",
            source=path,
        ) from error


def _named(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}


def _read(path: Path) -> tuple[FieldHeader, dict[str, torch.Tensor]]:
    if not path.is_file():
        raise DataError(
            "is not a file", "give the field.safetensors of a reconstruction", source=path
        )
    header = check_header(read_header(path), path)
    try:
        with safe_open(path, framework="pt") as file:
            return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(
            f"cannot be read as a field ({' '.join(str(error).split())[:120]})",
            "reconstruct again or restore the file",
            source=path,
        ) from error
