"""What a reconstruction gives: a field with its history, and the stacks it renders."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpm_inr.acquisition import Acquisition, Optics
from fpm_inr.errors import DataError, SettingsError
from fpm_inr.heights import check_heights

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from fpm_inr.fields.neural import NeuralField
    from fpm_inr.fields.pixel import PixelField
    from fpm_inr.fields.spline import SplineField
    from fpm_inr.forward import Aperture, ForwardModel, Instrument

FORMAT = "fpm-inr field 1"
_INSTRUMENT = ("na_led_xy", "gain_led", "zernike_rad", "background_led", "defocus_um")


@dataclass(frozen=True, eq=False)
class ImageStack:
    """Complex images at one or more heights.

    Parameters
    ----------
    field_z_y_x : array [z, y, x] of complex64
        Complex transmission, scaled so that the mean bright-field amplitude is 1.
    z_um : array [z]
        Height of each image in um.
    pixel_um : float
        Pixel at the sample in um.
    amplitude_scale : float
        Multiplying amplitudes by it gives the camera's unit, sqrt(counts). Writers do so.

    Raises
    ------
    DataError
        Shapes disagree.
    """

    field_z_y_x: NDArray[np.complex64]
    z_um: NDArray[np.float64]
    pixel_um: float
    amplitude_scale: float = 1.0

    def __post_init__(self) -> None:
        field_z_y_x = np.asarray(self.field_z_y_x, dtype=np.complex64)
        z_um = np.asarray(self.z_um, dtype=np.float64)
        if field_z_y_x.ndim != 3 or z_um.shape != field_z_y_x.shape[:1]:
            raise DataError(
                f"has shape {field_z_y_x.shape} for z of shape {z_um.shape}",
                "give images as [z, y, x] and one z per image",
                field="image stack",
            )
        object.__setattr__(self, "field_z_y_x", field_z_y_x)
        object.__setattr__(self, "z_um", z_um)

    @cached_property
    def amplitude_z_y_x(self) -> NDArray[np.float32]:
        return np.abs(self.field_z_y_x)

    @cached_property
    def phase_z_y_x(self) -> NDArray[np.float32]:
        """Phase in radians, in (-pi, pi]."""
        return np.angle(self.field_z_y_x)

    @property
    def shape_y_x(self) -> tuple[int, int]:
        """Pixels (y, x) of an image."""
        return self.field_z_y_x.shape[1], self.field_z_y_x.shape[2]


@dataclass(frozen=True, eq=False)
class Solution:
    """A solved field with the instrument it was solved for.

    Parameters
    ----------
    field : SplineField, NeuralField or PixelField
    optics : Optics
        Of the acquisition: `pixel_um` is the frames' pixel.
    instrument : Instrument
        LED directions, gains and pupil that were used, calibration included.
    upsampling : int
    amplitude_scale : float
        Camera amplitude, sqrt(counts), of a field of 1.
    record : dict
        How it was made (engine, recipe, settings, seconds, version): plain JSON values.
    history : list of dict
        One row per step; not stored in the field file.
    """

    field: SplineField | NeuralField | PixelField
    optics: Optics
    instrument: Instrument
    upsampling: int
    amplitude_scale: float
    record: dict[str, Any] = field(default_factory=dict)
    history: Sequence[dict[str, float]] = ()

    @property
    def leds_used(self) -> NDArray[np.intp]:
        """Indices of the LEDs that were used: of the instrument's, all that were not left out."""
        every = np.arange(len(self.instrument.gain_led))
        return np.setdiff1d(every, self.record.get("leds_left_out", []))

    def forward(
        self, acquisition: Acquisition, device: torch.device | str = "cpu"
    ) -> tuple[ForwardModel, Aperture, Tensor]:
        """How this solution explains the acquisition that it was solved from.

        Returns
        -------
        model : ForwardModel
            Of the LEDs that were used.
        aperture : Aperture
            The pupil as they see it.
        measured : Tensor [led, y, x]
            Their amplitudes, on the scale of the field.
        """
        import torch

        from fpm_inr.forward import compile_forward

        used = self.leds_used
        seen, instrument = acquisition.select(used), self.instrument.select(torch.from_numpy(used))
        model = compile_forward(seen, self.upsampling, instrument=instrument).to(device)
        measured = torch.from_numpy(seen.amplitude_led_y_x / self.amplitude_scale)
        return model, model.aperture(instrument.to(device)), measured.to(device)

    @property
    def z_range_um(self) -> tuple[float, float]:
        """Solved range of z."""
        return self.field.z_range_um

    @property
    def planes_um(self) -> NDArray[np.float64] | None:
        """Heights of a conventional solution's planes; None where any height can be rendered."""
        from fpm_inr.fields.pixel import PixelField

        if not isinstance(self.field, PixelField):
            return None
        return np.asarray(self.field.state_dict()["z_um"].cpu(), dtype=np.float64)

    @property
    def shape_y_x(self) -> tuple[int, int]:
        """Size of a rendered image."""
        return self.field.shape_y_x

    @property
    def pixel_um(self) -> float:
        """Pixel of a rendered image at the sample."""
        return self.optics.pixel_um / self.upsampling

    def slices(self, z_um: ArrayLike) -> Iterator[ImageStack]:
        """Render one height after the other, so that memory does not grow with their number.

        Raises
        ------
        SettingsError
            A height is not finite or lies outside the solved range.
        """
        heights = check_heights(z_um, self.z_range_um)
        return (self._slice(float(z)) for z in heights)

    def render(self, z_um: ArrayLike) -> ImageStack:
        """Render images at any heights within the solved range.

        Parameters
        ----------
        z_um : float or sequence of float

        Returns
        -------
        ImageStack
            complex64 [z, y, x]. A conventional solution has images at its solved planes only: the
            nearest ones are given, and the stack's `z_um` tells which.

        Raises
        ------
        SettingsError
            A height is not finite or lies outside the solved range.
        """
        parts = list(self.slices(z_um))
        return ImageStack(
            np.concatenate([part.field_z_y_x for part in parts]),
            np.concatenate([part.z_um for part in parts]),
            self.pixel_um,
            self.amplitude_scale,
        )

    def save(self, path: str | Path, *, precision: str = "compact") -> None:
        """Write the field file (safetensors).

        Parameters
        ----------
        path : str or Path
        precision : {"compact", "half", "full"}
            Of the planes, which make up most of the file: 8 bits for those of a spline field (16
            near zero frequency) and 16 for those of a neural field; 16; or 32.

        Raises
        ------
        SettingsError
            Unknown precision.
        OutputError
            The file cannot be written.
        """
        import torch
        from safetensors.torch import save_file

        from fpm_inr.fields.spline import SplineField
        from fpm_inr.io.replacing import replacing

        if precision not in ("compact", "half", "full"):
            raise SettingsError(
                f"is {precision!r}", "give 'compact', 'half' or 'full'", field="precision"
            )
        tensors = {}
        for name, value in self.field.state_dict().items():
            if name == "sample_yx":
                continue  # stored as runs
            stored = value.detach().cpu().contiguous()
            if precision != "full" and name == "plane":
                stored = stored.to(torch.float16)
            tensors[f"field.{name}"] = stored
        if isinstance(self.field, SplineField):
            tensors |= _stored_spectrum(self.field, precision)
        for name in _INSTRUMENT:
            value = getattr(self.instrument, name)
            if value is not None:
                stored = value.detach().cpu().to(torch.float64)
                tensors[f"instrument.{name}"] = stored.contiguous()
        if self.instrument.pupil_y_x is not None:
            pupil = torch.view_as_real(self.instrument.pupil_y_x.detach().cpu())
            tensors["instrument.pupil_y_x"] = pupil.to(torch.float32).contiguous()
        header = {
            "format": FORMAT,
            "kind": _kind(self.field),
            "shape_y_x": list(self.shape_y_x),
            "z_range_um": list(self.z_range_um),
            "field": self.field.settings,
            "optics": asdict(self.optics),
            "upsampling": self.upsampling,
            "amplitude_scale": self.amplitude_scale,
            "record": self.record,
        }
        with replacing(path) as beside:
            save_file(tensors, beside, metadata={"fpm-inr": json.dumps(header)})

    def _slice(self, z_um: float) -> ImageStack:
        import torch

        from fpm_inr.fields.pixel import PixelField

        with torch.no_grad():
            image = self.field(z_um).detach().cpu().numpy()
        if isinstance(self.field, PixelField):
            z_um = self.field.nearest_um(z_um)
        return ImageStack(image[None], np.array([z_um]), self.pixel_um, self.amplitude_scale)


def _kind(field: SplineField | NeuralField | PixelField) -> str:
    return {"SplineField": "spline", "NeuralField": "neural"}.get(type(field).__name__, "pixel")


def _stored_spectrum(field: SplineField, precision: str) -> dict[str, torch.Tensor]:
    """Tensors of a spline field as they are stored; `_spectrum` reads them."""
    import torch

    from fpm_inr.fields.packing import pack, to_halves, to_runs

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
    import torch

    from fpm_inr.fields.packing import unpack

    if state["spectrum"].dtype == torch.int8:
        return torch.from_numpy(unpack({name: value.numpy() for name, value in state.items()}))
    return state["spectrum"].float() * state["spectrum_scale"][:, None, None]


def load_solution(path: str | Path) -> Solution:
    """Read a field file. Nothing in it is executed: it holds tensors and JSON.

    Raises
    ------
    DataError
        The file is missing, damaged, or no field file of this project.
    """
    import torch

    from fpm_inr.fields.neural import NeuralField
    from fpm_inr.fields.packing import from_runs
    from fpm_inr.fields.pixel import PixelField
    from fpm_inr.fields.spline import SplineField
    from fpm_inr.forward import Instrument

    header, tensors = _read(Path(path))
    try:
        shape = (int(header["shape_y_x"][0]), int(header["shape_y_x"][1]))
        low, high = (float(z) for z in header["z_range_um"])
        state = {
            name.removeprefix("field."): value
            for name, value in tensors.items()
            if name.startswith("field.")
        }
        for name, value in (*state.items(), *tensors.items()):
            if not torch.isfinite(value).all():
                raise DataError("is not finite", "restore the file", field=name)
        if max(shape) > 2**16 or shape[0] * shape[1] > 2**30:
            raise ValueError(f"image of {shape[0]} x {shape[1]} pixels")
        solved: SplineField | NeuralField | PixelField
        if header["kind"] == "spline":
            runs = state["sample_runs"].numpy()
            sample_yx = torch.from_numpy(from_runs(runs, state["spectrum"].shape[1]))
            solved = SplineField(shape, (low, high), sample_yx, **header["field"])
            solved.load_state_dict({"sample_yx": sample_yx, "spectrum": _spectrum(state)})
        elif header["kind"] == "neural":
            solved = NeuralField(shape, (low, high), **header["field"])
            solved.load_state_dict({name: value.float() for name, value in state.items()})
        elif header["kind"] == "pixel":
            solved = PixelField(torch.view_as_complex(state["image"].float()), state["z_um"])
        else:
            raise ValueError(f"kind {header['kind']!r}")
        pupil = tensors.get("instrument.pupil_y_x")
        return Solution(
            solved.requires_grad_(False),
            Optics(**header["optics"]),
            Instrument(
                tensors["instrument.na_led_xy"],
                tensors["instrument.gain_led"],
                tensors["instrument.zernike_rad"],
                None if pupil is None else torch.view_as_complex(pupil),
                tensors.get("instrument.background_led"),
                tensors.get("instrument.defocus_um"),
            ),
            int(header["upsampling"]),
            float(header["amplitude_scale"]),
            dict(header["record"]),
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


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise DataError(
            "is not a file", "give the field.safetensors of a reconstruction", source=path
        )
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("fpm-inr")
            if text is None:
                raise DataError(
                    "is not a field of this program",
                    "give the field.safetensors of a reconstruction",
                    source=path,
                )
            header = json.loads(text)
            if not isinstance(header, dict) or header.get("format") != FORMAT:
                raise DataError(
                    "has an unknown format", f"give a file of format {FORMAT!r}", source=path
                )
            return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except DataError:
        raise
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(
            f"cannot be read as safetensors ({' '.join(str(error).split())[:120]})",
            "reconstruct again or restore the file",
            source=path,
        ) from error
