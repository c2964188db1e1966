"""The frames on a device: sent once, as whole numbers where they are, and made amplitudes there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fpm_inr.acquisition import Acquisition

# 16 bits without a sign are no type that every device indexes: they are kept less this.
ZERO_OF_16_BITS = 1 << 15


@dataclass(frozen=True, eq=False)
class Stored:
    """Frames as whole numbers; amplitudes [frame, y, x], bright-field mean 1, when indexed.

    Parameters
    ----------
    light_led_y_x : Tensor [frame, y, x] of uint8 or int16
        Intensities; of 16 bits, less `ZERO_OF_16_BITS`.
    offset_led : Tensor [frame], optional
        Added to the intensities (`CameraNoise.amplitude_offset_led`).
    scale : Tensor, scalar
        The amplitude that becomes 1.
    """

    light_led_y_x: Tensor
    offset_led: Tensor | None
    scale: Tensor

    def __getitem__(self, frames: Any) -> Tensor:
        offset = None if self.offset_led is None else self.offset_led[frames]
        return self._amplitude(self.light_led_y_x[frames], offset)

    @property
    def shape(self) -> torch.Size:
        """Frames, rows and columns."""
        return self.light_led_y_x.shape

    @property
    def dtype(self) -> torch.dtype:
        """Of the amplitudes."""
        return self.scale.dtype

    def max(self) -> Tensor:
        """The largest amplitude."""
        brightest = self.light_led_y_x.flatten(1).amax(dim=1)
        offset = self.offset_led
        return self._amplitude(brightest[:, None, None], offset).max()

    def _amplitude(self, light: Tensor, offset_led: Tensor | None) -> Tensor:
        intensity = light.to(self.dtype)
        if light.dtype == torch.int16:
            intensity += ZERO_OF_16_BITS
        if offset_led is not None:
            intensity += offset_led[..., None, None]
        # over a number of the CPU, a card would multiply by the inverse, which rounds otherwise
        return intensity.sqrt_().div_(self.scale)


# As long as an acquisition lives, so do its frames on a card: many short solves are of the same.
_SENT: WeakKeyDictionary[Acquisition, dict[torch.device, Tensor | Stored]] = WeakKeyDictionary()


def measured_on(acquisition: Acquisition, device: torch.device | str) -> Tensor | Stored:
    """Measured amplitudes [frame, y, x], bright-field mean 1; not to be changed in place.

    On a graphics card, frames of whole numbers of 8 or 16 bits are kept as these.
    """
    device = torch.device(device)
    if device.type == "cpu":
        return torch.from_numpy(acquisition.amplitude_led_y_x / acquisition.amplitude_scale)
    sent = _SENT.setdefault(acquisition, {})
    if device not in sent:
        kind = kind_of_whole(acquisition.frames_led_y_x)
        if kind is None:
            sent[device] = _as_amplitudes(acquisition, device)
        else:
            sent[device] = _as_stored(acquisition, device, kind)
    return sent[device]


def kind_of_whole(frames_led_y_x: NDArray[np.float32]) -> type[np.unsignedinteger[Any]] | None:
    """The least of uint8 and uint16 that holds frames [frame, y, x] as they are; None: neither."""
    largest = float(frames_led_y_x.max())
    for kind in (np.uint8, np.uint16):
        if largest <= np.iinfo(kind).max:
            is_whole = all(np.array_equal(one.astype(kind), one) for one in frames_led_y_x)
            return kind if is_whole else None
    return None


def _as_amplitudes(acquisition: Acquisition, device: torch.device) -> Tensor:
    """Frames that are no whole numbers, as amplitudes."""
    amplitude = acquisition.amplitude_led_y_x / acquisition.amplitude_scale
    return _to(torch.from_numpy(amplitude), device)


def _as_stored(acquisition: Acquisition, device: torch.device, kind: Any) -> Stored:
    frames = acquisition.frames_led_y_x
    numbers = np.empty(frames.shape, np.uint8 if kind is np.uint8 else np.int16)
    for place, frame in enumerate(frames):
        numbers[place] = frame if kind is np.uint8 else frame - ZERO_OF_16_BITS
    offset = acquisition.intensity_offset_led
    return Stored(
        _to(torch.from_numpy(numbers), device),
        None if offset is None else torch.from_numpy(offset).to(device),
        torch.full((), acquisition.amplitude_scale, dtype=torch.float32, device=device),
    )


def _to(values: Tensor, device: torch.device) -> Tensor:
    """Send, from memory that a CUDA card reads by itself while the CPU goes on."""
    if device.type == "cuda":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)
