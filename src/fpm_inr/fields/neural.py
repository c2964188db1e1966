"""The paper's field: a feature plane times a z-line of features, decoded by two small networks.

    features(x, y, z) = plane(x, y) * line(z)           (elementwise over channels)
    amplitude = decoder_a(features),  phase = decoder_p(features)

(Zhou et al., Optica 10, 1679 (2023), Fig. 1 and Eq. 4.) Two identities make it quick, exactly:
the z code folds into the first linear layer, W (f * u) = (W diag(u)) f, and a linear layer commutes
with bilinear upsampling, so that layer runs on the plane's own, smaller grid.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fpm_inr.fields.base import Field
from fpm_inr.fields.sizes import NeuralSizes, Sizes


class NeuralField(Field):
    """A complex image as a continuous function of z.

    Parameters
    ----------
    shape_y_x : (int, int)
        Size of the rendered image.
    z_range_um : (float, float)
        Range of z. A range of zero width needs one z node only.
    channels : int
        Features per plane position and z node (paper: 32).
    hidden : int
        Width of the two hidden layers of each decoder (paper: 32).
    plane_divisor : int
        Rendered size over plane size, per side (paper: 2).
    z_nodes : int
        Nodes of the z line, linearly interpolated (paper: 5).
    layer_norm : bool
        Normalise hidden layers without learned scale, before the ReLU (the paper's option).
    shared_features : bool
        One plane and line for both decoders; otherwise each has its own.
    unit_start : bool
        Start at amplitude 1 and phase 0 (a clear field); otherwise from random layers, as the
        paper does.
    plane_start : float
        Standard deviation of the plane's random start.
    """

    kind: ClassVar[str] = "neural"
    sizes: ClassVar[type[Sizes]] = NeuralSizes

    def __init__(
        self,
        shape_y_x: tuple[int, int],
        z_range_um: tuple[float, float],
        *,
        channels: int = 32,
        hidden: int = 32,
        plane_divisor: int = 2,
        z_nodes: int = 5,
        layer_norm: bool = False,
        shared_features: bool = True,
        unit_start: bool = True,
        plane_start: float = 2e-4,
    ) -> None:
        super().__init__()
        self.shape_y_x = (int(shape_y_x[0]), int(shape_y_x[1]))
        self.z_range_um = (float(z_range_um[0]), float(z_range_um[1]))
        self.layer_norm = layer_norm
        self.shared_features = shared_features
        self._settings = {
            "channels": channels,
            "hidden": hidden,
            "plane_divisor": plane_divisor,
            "z_nodes": z_nodes,
            "layer_norm": layer_norm,
            "shared_features": shared_features,
            "unit_start": unit_start,
            "plane_start": plane_start,
        }
        sets = 1 if shared_features else 2
        height = max(2, math.ceil(self.shape_y_x[0] / plane_divisor))
        width = max(2, math.ceil(self.shape_y_x[1] / plane_divisor))
        self.plane = nn.Parameter(plane_start * torch.randn(sets, height, width, channels))
        self.line = nn.Parameter(torch.randn(sets, z_nodes, channels))
        # leading axis: amplitude, phase
        self.weight_1 = nn.Parameter(_uniform((2, hidden, channels), channels))
        self.bias_1 = nn.Parameter(_uniform((2, hidden), channels))
        self.weight_2 = nn.Parameter(_uniform((2, hidden, hidden), hidden))
        self.bias_2 = nn.Parameter(_uniform((2, hidden), hidden))
        self.weight_3 = nn.Parameter(_uniform((2, hidden), hidden))
        self.bias_3 = nn.Parameter(_uniform((2,), hidden))
        if unit_start:
            with torch.no_grad():
                self.weight_3.mul_(0.1)
                self.bias_3.copy_(torch.tensor([1.0, 0.0]))

    @property
    def settings(self) -> dict[str, Any]:
        """What is needed, with shape and z range, to make an equal field."""
        return dict(self._settings)

    def code(self, z_um: float) -> Tensor:
        """Interpolate the z line at a height: [set, channel]."""
        low, high = self.z_range_um
        last = self.line.shape[1] - 1
        if last == 0 or high == low:
            return self.line[:, 0]
        position = min(max((z_um - low) / (high - low), 0.0), 1.0) * last
        node = min(int(position), last - 1)
        share = position - node
        return torch.lerp(self.line[:, node], self.line[:, node + 1], share)

    def parts(self, z_um: float, divisor: int = 1) -> tuple[Tensor, Tensor]:
        """Amplitude and phase [y, x] at a height."""
        return self.decode(self.code(z_um), divisor)

    def decode(self, code: Tensor, divisor: int = 1) -> tuple[Tensor, Tensor]:
        """Amplitude and phase [y, x] of a z code.

        With `divisor` above 1 the decoders run on a grid that many times coarser and their outputs
        are interpolated (the paper's coarse-to-fine option).
        """
        amplitude, phase = self.hidden(code, divisor)
        return self.outputs((amplitude, phase), divisor)

    def hidden(self, code: Tensor, divisor: int = 1) -> tuple[Tensor, Tensor]:
        """What the last layer of either decoder is given, [place, feature]."""
        height, width = self._rendered(divisor)
        folded = self.weight_1 * code[:, None, :]
        hidden_width = folded.shape[1]
        if self.shared_features:
            flat = self.plane[0].flatten(0, 1)
            first = torch.addmm(self.bias_1.flatten(), flat, folded.flatten(0, 1).T)
        else:
            first = torch.cat(
                [
                    torch.addmm(self.bias_1[i], self.plane[i].flatten(0, 1), folded[i].T)
                    for i in range(2)
                ],
                dim=1,
            )
        small = first.view(1, self.plane.shape[1], self.plane.shape[2], -1).permute(0, 3, 1, 2)
        if small.shape[-2:] != (height, width):
            small = F.interpolate(small, (height, width), mode="bilinear", align_corners=False)
        full = small.permute(0, 2, 3, 1).reshape(height * width, 2, hidden_width)
        found = []
        for i in range(2):
            hidden = self._activate(full[:, i])
            found.append(self._activate(torch.addmm(self.bias_2[i], hidden, self.weight_2[i].T)))
        return found[0], found[1]

    def outputs(self, hidden: tuple[Tensor, Tensor], divisor: int = 1) -> tuple[Tensor, Tensor]:
        """Amplitude and phase [y, x] of what `hidden` gives: the last layers."""
        outputs = []
        for i, one in enumerate(hidden):
            out = torch.addmv(self.bias_3[i], one, self.weight_3[i])
            out = out.view(1, 1, *self._rendered(divisor))
            if out.shape[-2:] != self.shape_y_x:
                out = F.interpolate(out, self.shape_y_x, mode="bilinear", align_corners=False)
            outputs.append(out[0, 0])
        return outputs[0], outputs[1]

    def _rendered(self, divisor: int) -> tuple[int, int]:
        """Pixels (y, x) that the decoders make."""
        height, width = (max(2, math.ceil(n / divisor)) for n in self.shape_y_x)
        return height, width

    def forward(self, z_um: float, divisor: int = 1) -> Tensor:
        """Complex image [y, x] at a height in um."""
        return composed(*self.parts(z_um, divisor))

    def to_tensors(self, precision: str) -> dict[str, Tensor]:
        """All parameters; the plane, which is most of them, in 16 bits unless in full precision."""
        tensors = super().to_tensors(precision)
        if precision != "full":
            tensors["plane"] = tensors["plane"].to(torch.float16)
        return tensors

    @classmethod
    def from_tensors(
        cls,
        shape_y_x: tuple[int, int],
        z_range_um: tuple[float, float],
        settings: dict[str, Any],
        tensors: dict[str, Tensor],
    ) -> Self:
        """The field of `to_tensors`; see `Field.from_tensors`."""
        with torch.device("meta"):  # its memory is that of the file's tensors, if they fit
            field = cls(shape_y_x, z_range_um, **settings)
        field.load_state_dict({n: value.float() for n, value in tensors.items()}, assign=True)
        return field

    def _activate(self, hidden: Tensor) -> Tensor:
        if self.layer_norm:
            hidden = F.layer_norm(hidden, hidden.shape[-1:])
        return F.relu(hidden)


def composed(amplitude: Tensor, phase: Tensor) -> Tensor:
    """The complex image of an amplitude and a phase in rad."""
    return torch.complex(amplitude * torch.cos(phase), amplitude * torch.sin(phase))


def _uniform(shape: tuple[int, ...], fan_in: int) -> Tensor:
    bound = 1 / math.sqrt(fan_in)
    return torch.empty(shape).uniform_(-bound, bound)
