"""The frames on a device: sent once, from memory that a card reads by itself."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from fpm_inr.acquisition import Acquisition

# As long as an acquisition lives, so do its frames on a card: many short solves are of the same.
_SENT: WeakKeyDictionary[Acquisition, dict[torch.device, Tensor]] = WeakKeyDictionary()


def measured_on(acquisition: Acquisition, device: torch.device | str) -> Tensor:
    """Measured amplitudes [frame, y, x], bright-field mean 1; not to be changed in place."""
    device = torch.device(device)
    sent = _SENT.setdefault(acquisition, {})
    if device in sent:
        return sent[device]
    amplitude = torch.from_numpy(acquisition.amplitude_led_y_x / acquisition.amplitude_scale)
    if device.type == "cpu":
        return amplitude
    if device.type == "cuda":
        amplitude = amplitude.pin_memory()
    sent[device] = amplitude.to(device)
    return sent[device]
