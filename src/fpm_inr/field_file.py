"""A solution as one safetensors file: what is stored how, written and read."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from fpm_inr.acquisition import Optics
from fpm_inr.errors import DataError, SettingsError
from fpm_inr.field_header import KEY, FieldHeader, check_header, read_header
from fpm_inr.fields.neural import NeuralField
from fpm_inr.fields.packing import from_runs, pack, to_halves, to_runs, unpack
from fpm_inr.fields.pixel import PixelField
from fpm_inr.fields.spline import SplineField
from fpm_inr.forward import Instrument
from fpm_inr.io.replacing import replacing
from fpm_inr.solution import Solution

_INSTRUMENT = ("na_led_xy", "gain_led", "zernike_rad", "background_led", "defocus_um", "na")


def write_solution(solution: Solution, path: str | Path, precision: str) -> None:
    """Write the field file; see `fpm_inr.solution.Solution.save`."""
    if precision not in ("compact", "half", "full"):
        raise SettingsError(
            f"is {precision!r}", "give 'compact', 'half' or 'full'", field="precision"
        )
    tensors = {}
    for name, value in solution.field.state_dict().items():
        if name == "sample_yx":
            continue  # stored as runs
        stored = value.detach().cpu().contiguous()
        if precision != "full" and name == "plane":
            stored = stored.to(torch.float16)
        tensors[f"field.{name}"] = stored
    if isinstance(solution.field, SplineField):
        tensors |= _stored_spectrum(solution.field, precision)
    for name in _INSTRUMENT:
        value = getattr(solution.instrument, name)
        if value is not None:
            stored = value.detach().cpu().to(torch.float64)
            tensors[f"instrument.{name}"] = stored.contiguous()
    if solution.instrument.pupil_y_x is not None:
        pupil = torch.view_as_real(solution.instrument.pupil_y_x.detach().cpu())
        tensors["instrument.pupil_y_x"] = pupil.to(torch.float32).contiguous()
    header = FieldHeader(
        kind=_kind(solution.field),
        shape_y_x=solution.shape_y_x,
        z_range_um=solution.z_range_um,
        field=solution.field.settings,
        optics=asdict(solution.optics),
        upsampling=solution.upsampling,
        amplitude_scale=solution.amplitude_scale,
        record=solution.record,
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
            _field(header, _named(tensors, "field.")).requires_grad_(False),
            Optics(**header.optics),
            _instrument(_named(tensors, "instrument.")),
            header.upsampling,
            header.amplitude_scale,
            header.record,
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


def _kind(field: SplineField | NeuralField | PixelField) -> Literal["spline", "neural", "pixel"]:
    kinds: dict[str, Literal["spline", "neural"]] = {
        "SplineField": "spline",
        "NeuralField": "neural",
    }
    return kinds.get(type(field).__name__, "pixel")


def _stored_spectrum(field: SplineField, precision: str) -> dict[str, torch.Tensor]:
    """Tensors of a spline field as they are stored; `_spectrum` reads them."""
    spectrum = field.spectrum.detach().cpu().numpy()
    sample_yx = field.state_dict()["sample_yx"].cpu().numpy()
    if precision == "compact":
        arrays = pack(spectrum, sample_yx)
    elif precision == "half":
        halves, scale = to_halves(spectrum)
        arrays = {"spectrum": halves, "spectrum_scale": scale}
    else:
        arrays = {"spectrum": spectrum, "spectrum_scale": np.ones(len(spectrum), np.float32)}
    arrays["sample_runs"] = to_runs(sample_yx)
    return {
        f"field.{name}": torch.from_numpy(np.ascontiguousarray(v)) for name, v in arrays.items()
    }


def _spectrum(state: dict[str, torch.Tensor]) -> torch.Tensor:
    """Spectrum [plane, sample, 2] of a spline field's tensors."""
    if state["spectrum"].dtype == torch.int8:
        return torch.from_numpy(unpack({name: value.numpy() for name, value in state.items()}))
    return state["spectrum"].float() * state["spectrum_scale"][:, None, None]


def _named(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}


def _field(
    header: FieldHeader, state: dict[str, torch.Tensor]
) -> SplineField | NeuralField | PixelField:
    """The field of a header and its tensors, which must fit each other."""
    shape, z_range_um, sizes = header.shape_y_x, header.z_range_um, header.sizes
    if header.kind == "spline":
        if len(state["spectrum"]) != sizes["planes"]:
            raise ValueError(f"{len(state['spectrum'])} planes of {sizes['planes']}")
        sample_yx = torch.from_numpy(
            from_runs(state["sample_runs"].numpy(), state["spectrum"].shape[1])
        )
        spline = SplineField(shape, z_range_um, sample_yx, **sizes)
        spline.load_state_dict({"sample_yx": sample_yx, "spectrum": _spectrum(state)})
        return spline
    if header.kind == "neural":
        with torch.device("meta"):  # its memory is that of the file's tensors, if they fit
            neural = NeuralField(shape, z_range_um, **sizes)
        whole = {name: value.float() for name, value in state.items()}
        neural.load_state_dict(whole, assign=True)
        return neural
    image, z_um = state["image"].float(), state["z_um"].double()
    if image.shape[1:3] != shape or z_um.shape != image.shape[:1] or bool((z_um.diff() <= 0).any()):
        raise ValueError(f"images of shape {tuple(image.shape)} at {tuple(z_um.shape)} heights")
    return PixelField(torch.view_as_complex(image), z_um)


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
