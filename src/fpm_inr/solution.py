"""What a reconstruction gives: a field with its history, and the stacks it renders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fpm_inr.acquisition import Acquisition, Optics
from fpm_inr.errors import DataError
from fpm_inr.heights import check_heights

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from fpm_inr.fields.base import Field
    from fpm_inr.forward import Aperture, ForwardModel, Instrument
    from fpm_inr.mosaic.mosaic import Mosaic


@dataclass(frozen=True, eq=False)
class ImageStack:
    """Complex images at one or more heights; to NumPy the array [z, y, x] of them.

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

    @property
    def shape(self) -> tuple[int, int, int]:
        """Heights, rows, columns."""
        return (len(self.field_z_y_x), *self.shape_y_x)

    @property
    def ndim(self) -> int:
        """Number of axes: 3."""
        return self.field_z_y_x.ndim

    @property
    def dtype(self) -> np.dtype[np.complex64]:
        """Kind of its numbers."""
        return self.field_z_y_x.dtype

    def __len__(self) -> int:
        """How many heights."""
        return len(self.field_z_y_x)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """The complex images, bright-field amplitude 1: `amplitude_scale` is not in them."""
        wanted = self.dtype if dtype is None else np.dtype(dtype)
        if copy is False and wanted != self.dtype:
            raise ValueError(f"{wanted} takes a copy of {self.dtype} images")
        return self.field_z_y_x.astype(wanted, copy=bool(copy))

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Index the images as an array [z, y, x]."""
        return np.asarray(self.field_z_y_x[index])


@dataclass(frozen=True, eq=False)
class Solution:
    """A solved field with the instrument it was solved for.

    Parameters
    ----------
    field : Field
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
    leds_left_out : tuple of int
        LEDs that were not used, as they straddle the edge of the pupil.
    guard_px : int
        Width of the band that the field has around what it shows, in pixels of the frames (see
        `fpm_inr.guard`). What compares frames with it takes both with the band
        (`fpm_inr.guard.with_band`).
    """

    field: Field
    optics: Optics
    instrument: Instrument
    upsampling: int
    amplitude_scale: float
    record: dict[str, Any] = field(default_factory=dict)
    history: Sequence[dict[str, float]] = ()
    leds_left_out: tuple[int, ...] = ()
    guard_px: int = 0

    @property
    def leds_used(self) -> NDArray[np.intp]:
        """Indices of the LEDs that were used: of the instrument's, all that were not left out."""
        every = np.arange(len(self.instrument.gain_led))
        return np.setdiff1d(every, self.leds_left_out)

    def frames_used(self, acquisition: Acquisition) -> NDArray[np.intp]:
        """Numbers of the frames of its acquisition that were used: those without LEDs left out."""
        left_out = np.array(self.leds_left_out, dtype=np.intp)
        return acquisition.illumination.frames_without(left_out)

    @property
    def device(self) -> torch.device:
        """Where its field lies, and images are rendered."""
        import torch

        return next((value.device for value in self.field.parameters()), torch.device("cpu"))

    def on(self, device: torch.device | str) -> Solution:
        """The same solution on a device, for what renders many heights or compares frames."""
        import torch

        if self.device == torch.device(device):
            return self
        return replace(self, field=deepcopy(self.field).to(device))

    def forward(self, acquisition: Acquisition) -> tuple[ForwardModel, Aperture, Tensor]:
        """How this solution explains the acquisition that it was solved from, on its device.

        Returns
        -------
        model : ForwardModel
            Of the frames that were used.
        aperture : Aperture
            The pupil as their light sees it.
        measured : Tensor [frame, y, x]
            Their amplitudes, on the scale of the field.
        """
        import torch

        from fpm_inr.forward import compile_forward
        from fpm_inr.sending import measured_on

        frames, device = self.frames_used(acquisition), self.device
        leds = acquisition.illumination.leds_of(frames)
        seen = acquisition.select(frames)
        instrument = self.instrument.select(torch.from_numpy(frames), torch.from_numpy(leds))
        model = compile_forward(seen, self.upsampling, instrument=instrument).to(device)
        if device.type == "cpu" or self.amplitude_scale != acquisition.amplitude_scale:
            measured = torch.from_numpy(seen.amplitude_led_y_x / self.amplitude_scale).to(device)
        else:
            # a card has them from the solve
            measured = measured_on(acquisition, device)[torch.from_numpy(frames).to(device)]
        return model, model.aperture(instrument.to(device)), measured

    def images(self, z_um: ArrayLike) -> Iterator[tuple[float, Tensor]]:
        """Height and complex image [y, x] of one height after the other, left on the device.

        Raises
        ------
        SettingsError
            As `slices`.
        """
        heights = check_heights(z_um, self.z_range_um)
        return (self._image(float(z)) for z in heights)

    @property
    def z_range_um(self) -> tuple[float, float]:
        """Solved range of z."""
        return self.field.z_range_um

    @property
    def planes_um(self) -> NDArray[np.float64] | None:
        """Heights of a conventional solution's planes; None where any height can be rendered."""
        return self.field.planes_um

    @property
    def shape_y_x(self) -> tuple[int, int]:
        """Size of a rendered image."""
        height, width = self.field.shape_y_x
        band = 2 * self.guard_px * self.upsampling
        return height - band, width - band

    @property
    def pixel_um(self) -> float:
        """Pixel of a rendered image at the sample."""
        return self.optics.pixel_um / self.upsampling

    @property
    def cutoff_per_um(self) -> float:
        """Cutoff of the synthetic aperture: NA of objective and steepest LED over wavelength."""
        na_xy = self.instrument.na_led_xy.detach().cpu().numpy()[self.leds_used]
        steepest = float(np.hypot(na_xy[:, 0], na_xy[:, 1]).max())
        return (self.optics.na + steepest) / self.optics.wavelength_um

    def slices(self, z_um: ArrayLike) -> Iterator[ImageStack]:
        """Render one height after the other, so that memory does not grow with their number.

        Raises
        ------
        SettingsError
            A height is not finite or lies outside the solved range.
        """
        return (self._stack(z, image) for z, image in self.images(z_um))

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
        from fpm_inr.field_file import write_solution

        write_solution(self, path, precision)

    def _image(self, z_um: float) -> tuple[float, Tensor]:
        import torch

        with torch.no_grad():
            image = self.field(z_um).detach()
        band, (height, width) = self.guard_px * self.upsampling, self.shape_y_x
        return self.field.height_of(z_um), image[band : band + height, band : band + width]

    def _stack(self, z_um: float, image_y_x: Tensor) -> ImageStack:
        image = image_y_x.cpu().numpy()
        return ImageStack(image[None], np.array([z_um]), self.pixel_um, self.amplitude_scale)


def load_solution(path: str | Path) -> Solution | Mosaic:
    """Read a field file, or open the folder of a mosaic.

    Nothing in them is executed: they hold tensors and JSON.

    Raises
    ------
    DataError
        The file is missing, damaged, or no field file of this project.
    """
    from fpm_inr.field_file import read_solution

    path = Path(path)
    if (path / "manifest.json").is_file():
        from fpm_inr.mosaic.mosaic import load_mosaic

        return load_mosaic(path)
    return read_solution(path)
