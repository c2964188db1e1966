"""What a tile of the map holds: planes whose sum, weighted by height, is the field there.

In a folder for a web server values are whole numbers of `STEP`; each is stored as what it differs
by from what its left and upper neighbours foretell, low and high bytes apart, which packs well. To
this machine's own browser they go as half floats, which takes neither of them any time.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.field_header import KEY

FORMAT = "fpm-inr tile 1"
STEP = 1 / 256  # of the bright-field amplitude, in real and in imaginary part
GZIP = b"\x1f\x8b\x08"  # what gzip files begin with; the other kind has a length there
LEAST_PLANES = 4  # of a cubic spline
END_SHARE = 0.4  # of an interval, from each end: two more nodes keep the ends well-conditioned

FloatArray = NDArray[np.float64]
Planes = NDArray[np.complex64]


@dataclass(frozen=True, eq=False)
class HeightBasis:
    """How planes are summed at a height: by cubic B-splines, or the nearest one alone.

    Parameters
    ----------
    z_range_um : (float, float)
    planes : int
        Of a spline: 1 where the range has no width, else at least 4.
    planes_um : array, optional
        Heights of planes between which nothing is known.
    """

    z_range_um: tuple[float, float]
    planes: int
    planes_um: FloatArray | None = None

    @cached_property
    def nodes_um(self) -> FloatArray:
        """Heights at which the field must be known, ascending."""
        if self.planes_um is not None:
            return self.planes_um
        low, high = self.z_range_um
        intervals = self.planes - 3
        if self.planes == 1:
            return np.array([low])
        if intervals == 1:
            places = np.linspace(0, 1, LEAST_PLANES)
        else:
            inner = np.arange(1, intervals)
            ends = [0, END_SHARE], [intervals - END_SHARE, intervals]
            places = np.concatenate([ends[0], inner, ends[1]])
        # rounding must not leave the range
        return np.asarray(np.clip(low + (high - low) * places / intervals, low, high))

    def weights(self, z_um: FloatArray) -> FloatArray:
        """Weight [z, plane] of every plane at these heights."""
        z_um = np.asarray(z_um, dtype=np.float64)
        if self.planes_um is not None:
            nearest = np.abs(z_um[:, None] - self.planes_um).argmin(axis=1)
            return np.asarray(np.eye(len(self.planes_um))[nearest])
        if self.planes == 1:
            return np.ones((len(z_um), 1))
        low, high = self.z_range_um
        place = np.clip((z_um - low) / (high - low), 0, 1) * (self.planes - 3)
        first = np.minimum(place.astype(np.intp), self.planes - LEAST_PLANES)
        t = place - first
        cubic = [(1 - t) ** 3, (3 * t - 6) * t**2 + 4, ((3 - 3 * t) * t + 3) * t + 1, t**3]
        weights = np.zeros((len(z_um), self.planes))
        for n, part in enumerate(cubic):
            weights[np.arange(len(z_um)), first + n] = part / 6
        return weights

    def planes_of(self, field_node_y_x: Planes) -> Planes:
        """Planes whose weighted sum is this field [node, y, x] at the nodes."""
        if self.planes_um is not None or self.planes == 1:
            return field_node_y_x
        back = np.linalg.inv(self.weights(self.nodes_um))
        flat = field_node_y_x.reshape(self.planes, -1)
        return (back.astype(np.complex64) @ flat).reshape(field_node_y_x.shape)


def plain(planes: Planes) -> bytes:
    """A tile's file of its planes [plane, y, x], apron included; values become half floats."""
    import torch
    from safetensors.torch import save

    parts = torch.view_as_real(torch.from_numpy(np.ascontiguousarray(planes)))
    tensors = {"halves": parts.half(), "mean": parts.mean(dim=(1, 2))}
    return save(tensors, metadata={KEY: json.dumps({"format": FORMAT})})


def packed(planes: Planes) -> bytes:
    """A tile's file of its planes [plane, y, x], apron included; values are rounded to `STEP`."""
    from safetensors.numpy import save

    parts = np.stack([planes.real, planes.imag], axis=1)
    stored = np.clip(np.rint(parts / np.float32(STEP)), -32767, 32767).astype(np.int16)
    none = np.int16(0)
    foretold = np.diff(np.diff(stored, axis=3, prepend=none), axis=2, prepend=none)
    zigzag = ((foretold << 1) ^ (foretold >> 15)).view(np.uint16)
    tensors: dict[str, NDArray[Any]] = {
        "low": (zigzag & 0xFF).astype(np.uint8),
        "high": (zigzag >> 8).astype(np.uint8),
        "mean": parts.mean(axis=(2, 3), dtype=np.float64).astype(np.float32),
    }
    text = json.dumps({"format": FORMAT, "step": STEP})
    return gzip.compress(save(tensors, metadata={KEY: text}), compresslevel=1, mtime=0)


def decode(content: bytes) -> Planes:
    """The planes [plane, y, x] of a tile's file, packed or plain."""
    from safetensors.numpy import load

    tensors = load(gzip.decompress(content) if content.startswith(GZIP) else content)
    if "halves" in tensors:
        return np.asarray(tensors["halves"].astype(np.float32).view(np.complex64)[..., 0])
    zigzag = tensors["low"].astype(np.uint16) | (tensors["high"].astype(np.uint16) << 8)
    foretold = ((zigzag >> 1) ^ (0 - (zigzag & 1)).astype(np.uint16)).view(np.int16)
    stored = foretold.cumsum(axis=2, dtype=np.int16).cumsum(axis=3, dtype=np.int16)
    parts = stored * np.float32(STEP)
    return np.asarray(parts[:, 0] + 1j * parts[:, 1], dtype=np.complex64)
