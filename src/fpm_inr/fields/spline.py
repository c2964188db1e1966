"""A field that is linear in its features: complex planes, blended along z by cubic B-splines.

    O_z(k) = sum_p B_p(z) M_p(k)

The features of a place are the planes' values there, the z-line is the spline basis, and the
decoder is the sum: the paper's factorised field (Zhou et al., Optica 10, 1679 (2023), Eq. 4)
without its networks. The planes are kept as spectra, at those frequencies only that some LED brings
into the pupil: nothing else could be measured. Rendering is exact and band-limited.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fpm_inr import transforms
from fpm_inr.fields.base import Field
from fpm_inr.fields.packing import from_runs, pack, to_halves, to_runs, unpack
from fpm_inr.fields.sizes import Sizes, SplineSizes

LEAST_PLANES = 4  # of a cubic spline


class SplineField(Field):
    """A complex image as a smooth function of z, without networks.

    Parameters
    ----------
    shape_y_x : (int, int)
        Size of the rendered image.
    z_range_um : (float, float)
        Range of z; zero width takes one plane.
    sample_yx : Tensor [2, sample]
        Frequencies that the field has, in whole cycles per image side, negative ones included.
    planes : int
        Number of planes: 1 for a single height, else at least 4; the spline's knots lie
        width / (planes - 3) apart.

    Raises
    ------
    ValueError
        A number of planes that does not suit the range, or frequencies beyond the image's.
    """

    kind: ClassVar[str] = "spline"
    sizes: ClassVar[type[Sizes]] = SplineSizes

    def __init__(
        self,
        shape_y_x: tuple[int, int],
        z_range_um: tuple[float, float],
        sample_yx: Tensor,
        *,
        planes: int,
    ) -> None:
        super().__init__()
        self.shape_y_x = (int(shape_y_x[0]), int(shape_y_x[1]))
        self.z_range_um = (float(z_range_um[0]), float(z_range_um[1]))
        is_flat = self.z_range_um[0] == self.z_range_um[1]
        if (planes != 1) if is_flat else (planes < LEAST_PLANES):
            raise ValueError(f"{planes} planes for z from {z_range_um[0]} to {z_range_um[1]} um")
        for samples, side in zip(sample_yx, self.shape_y_x, strict=True):
            if samples.min() < -(side // 2) or samples.max() > (side - 1) // 2:
                raise ValueError(f"frequencies beyond those of {side} pixels")
        self.register_buffer("sample_yx", sample_yx.to(torch.int32))
        # the basis sums to 1: equal planes are a clear field at every z
        start = (sample_yx == 0).all(dim=0).to(torch.float32)
        self.spectrum = nn.Parameter(
            torch.stack([start, torch.zeros_like(start)], dim=-1).repeat(planes, 1, 1)
        )

    @classmethod
    def through(
        cls, image_z_y_x: Tensor, z_range_um: tuple[float, float], sample_yx: Tensor
    ) -> Self:
        """The field that shows these images at even heights from one end of the range to the other.

        Parameters
        ----------
        image_z_y_x : Tensor [z, y, x], complex
            As many as it is to have planes.
        z_range_um : (float, float)
        sample_yx : Tensor [2, sample]
            Frequencies that it has.
        """
        planes, height, width = image_z_y_x.shape
        field = cls((height, width), z_range_um, sample_yx, planes=planes)
        shown = torch.zeros(planes, planes)
        for row, z_um in zip(shown, np.linspace(*z_range_um, planes), strict=True):
            first, weights = field.shares(float(z_um))
            row[first : first + len(weights)] = torch.from_numpy(weights)
        samples = transforms.spectrum(image_z_y_x).flatten(1)[:, field.flat_index()]
        solved = torch.linalg.solve(shown.to(samples.dtype), samples)
        field.spectrum.data = torch.view_as_real(solved).float().contiguous()
        return field

    @property
    def settings(self) -> dict[str, Any]:
        """What is needed, with shape, z range and frequencies, to make an equal field."""
        return {"planes": len(self.spectrum)}

    def shares(self, z_um: float) -> tuple[int, NDArray[np.float32]]:
        """First plane that counts at a height, and the weights of it and those that follow."""
        planes = len(self.spectrum)
        if planes == 1:
            return 0, np.ones(1, np.float32)
        low, high = self.z_range_um
        place = min(max((z_um - low) / (high - low), 0.0), 1.0) * (planes - 3)
        first = min(int(place), planes - 4)
        t = place - first
        cubic = [
            (1 - t) ** 3,
            3 * t**3 - 6 * t**2 + 4,
            -3 * t**3 + 3 * t**2 + 3 * t + 1,
            t**3,
        ]
        return first, np.array(cubic, np.float32) / np.float32(6)

    def weights(self, z_um: float) -> tuple[int, Tensor]:
        """The same, the weights where the field lies: written there, as sending them would wait."""
        first, shares = self.shares(z_um)
        return first, torch.stack([self.spectrum.new_full((), one) for one in shares.tolist()])

    def samples(self, z_um: float) -> Tensor:
        """Spectrum [sample] at a height: complex, at the field's own frequencies."""
        first, weights = self.weights(z_um)
        planes = self.spectrum[first : first + len(weights)]
        return torch.view_as_complex(torch.tensordot(weights, planes, dims=1))

    def spectrum_y_x(self, z_um: float) -> Tensor:
        """Spectrum [y, x] at a height, `fftfreq` order; a field of 1 has a zero frequency of 1."""
        return self.place(self.samples(z_um))

    def place(self, samples: Tensor) -> Tensor:
        """Samples [sample] on the grid [y, x] of a spectrum, zero elsewhere."""
        height, width = self.shape_y_x
        grid = samples.new_zeros(height * width)
        return grid.index_copy(0, self.flat_index(), samples).view(height, width)

    def flat_index(self) -> Tensor:
        """Where each of the field's frequencies lies in a flattened spectrum [y, x]."""
        height, width = self.shape_y_x
        samples = self.sample_yx
        assert isinstance(samples, Tensor)
        y, x = samples.long()
        return (y % height) * width + x % width

    def forward(self, z_um: float) -> Tensor:
        """Complex image [y, x] at a height in um."""
        return transforms.image(self.spectrum_y_x(z_um))

    def to_tensors(self, precision: str) -> dict[str, Tensor]:
        """The spectrum by `fpm_inr.fields.packing`, its frequencies as runs."""
        spectrum = self.spectrum.detach().cpu().numpy()
        sample_yx = self.state_dict()["sample_yx"].cpu().numpy()
        if precision == "compact":
            arrays = pack(spectrum, sample_yx)
        elif precision == "half":
            halves, scale = to_halves(spectrum)
            arrays = {"spectrum": halves, "spectrum_scale": scale}
        else:
            arrays = {"spectrum": spectrum, "spectrum_scale": np.ones(len(spectrum), np.float32)}
        arrays["sample_runs"] = to_runs(sample_yx)
        return {n: torch.from_numpy(np.ascontiguousarray(v)) for n, v in arrays.items()}

    @classmethod
    def from_tensors(
        cls,
        shape_y_x: tuple[int, int],
        z_range_um: tuple[float, float],
        settings: dict[str, Any],
        tensors: dict[str, Tensor],
    ) -> Self:
        """The field of `to_tensors`; see `Field.from_tensors`."""
        if len(tensors["spectrum"]) != settings["planes"]:
            raise ValueError(f"{len(tensors['spectrum'])} planes of {settings['planes']}")
        runs, samples = tensors["sample_runs"].numpy(), tensors["spectrum"].shape[1]
        sample_yx = torch.from_numpy(from_runs(runs, samples))
        field = cls(shape_y_x, z_range_um, sample_yx, **settings)
        field.load_state_dict({"sample_yx": sample_yx, "spectrum": _spectrum(tensors)})
        return field


def _spectrum(tensors: dict[str, Tensor]) -> Tensor:
    """Spectrum [plane, sample, 2] of stored tensors."""
    if tensors["spectrum"].dtype == torch.int8:
        return torch.from_numpy(unpack({name: value.numpy() for name, value in tensors.items()}))
    return tensors["spectrum"].float() * tensors["spectrum_scale"][:, None, None]


def signed_frequencies(flat_index: Tensor, shape_y_x: tuple[int, int]) -> Tensor:
    """Frequencies [2, sample] (y, x) of places in a flattened spectrum of this shape."""
    height, width = shape_y_x
    y, x = flat_index // width, flat_index % width
    return torch.stack(
        [
            torch.where(y > (height - 1) // 2, y - height, y),
            torch.where(x > (width - 1) // 2, x - width, x),
        ]
    )
