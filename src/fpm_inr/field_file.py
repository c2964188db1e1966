"""A solution as one safetensors file: what is stored how, written and read."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from fpm_inr.acquisition import Optics
from fpm_inr.errors import DataError, SettingsError
from fpm_inr.field_header import FIELD_PREFIX, KEY, FieldHeader, check_header, read_header
from fpm_inr.fields.base import FIELDS, PRECISIONS
from fpm_inr.forward import Instrument
from fpm_inr.io.replacing import replacing
from fpm_inr.solution import Solution

_INSTRUMENT = ("na_led_xy", "gain_led", "zernike_rad", "background_led", "defocus_um", "na")


def write_solution(solution: Solution, path: str | Path, precision: str) -> None:
    """Write the field file; see `fpm_inr.solution.Solution.save`."""
    if precision not in PRECISIONS:
        raise SettingsError(
            f"is {precision!r}", "give 'compact', 'half' or 'full'", field="precision"
        )
    of_field = solution.field.to_tensors(precision)
    tensors = {f"{FIELD_PREFIX}{name}": value for name, value in of_field.items()}
    for name in _INSTRUMENT:
        value = getattr(solution.instrument, name)
        if value is not None:
            stored = value.detach().cpu().to(torch.float64)
            tensors[f"instrument.{name}"] = stored.contiguous()
    if solution.instrument.pupil_y_x is not None:
        pupil = torch.view_as_real(solution.instrument.pupil_y_x.detach().cpu())
        tensors["instrument.pupil_y_x"] = pupil.to(torch.float32).contiguous()
    header = FieldHeader(
        kind=solution.field.kind,
        shape_y_x=solution.shape_y_x,
        z_range_um=solution.z_range_um,
        field=solution.field.settings,
        optics=asdict(solution.optics),
        upsampling=solution.upsampling,
        amplitude_scale=solution.amplitude_scale,
        record=solution.record,
        leds_left_out=solution.leds_left_out,
    )
    with replacing(path) as beside:
        save_file(tensors, beside, metadata={KEY: header.text()})


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
            _instrument(_named(tensors, "instrument.")),
            header.upsampling,
            header.amplitude_scale,
            header.record,
            leds_left_out=header.leds_left_out,
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


def _instrument(tensors: dict[str, torch.Tensor]) -> Instrument:
    leds = len(tensors["gain_led"])
    shapes = {
        "na_led_xy": (leds, 2),
        "gain_led": (leds,),
        "zernike_rad": tensors["zernike_rad"].shape[:1],
        "background_led": (leds,),
        "defocus_um": (),
        "na": (),
    }
    for name, shape in shapes.items():
        if name in tensors and tensors[name].shape != shape:
            raise ValueError(f"{name} of shape {tuple(tensors[name].shape)}")
    pupil = tensors.get("pupil_y_x")
    return Instrument(
        tensors["na_led_xy"],
        tensors["gain_led"],
        tensors["zernike_rad"],
        None if pupil is None else torch.view_as_complex(pupil),
        tensors.get("background_led"),
        tensors.get("defocus_um"),
        tensors.get("na"),
    )


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
