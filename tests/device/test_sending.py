"""Frames on a card: sent once, whole numbers as they are, and the same amplitudes there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fpm_inr.acquisition import Acquisition
from fpm_inr.camera_noise import CameraNoise
from fpm_inr.reconstruction import data_residual, reconstruct
from fpm_inr.sending import Stored, _as_stored, kind_of_whole, measured_on
from tests.pretended import CARD, PretendedCard
from tests.tiny import tiny_acquisition


def of_numbers(largest: int, seed: int, *, noisy: bool) -> Acquisition:
    """Frames of whole numbers up to this one, which occurs."""
    tiny = tiny_acquisition()
    frames = np.random.default_rng(seed).integers(0, largest + 1, tiny.frames_led_y_x.shape)
    frames[3, 4, 5] = largest
    noise = CameraNoise(np.linspace(0.3, 2, 25), 2.0) if noisy else None
    return replace(tiny, frames_led_y_x=frames.astype(np.float32), noise=noise)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 65535), st.integers(0, 99), st.booleans())
def test_whole_numbers_give_the_same_amplitudes(largest: int, seed: int, noisy: bool) -> None:
    acquisition = of_numbers(largest, seed, noisy=noisy)
    kind = kind_of_whole(acquisition.frames_led_y_x)
    assert kind is (np.uint8 if largest < 256 else np.uint16)
    expected = torch.from_numpy(acquisition.amplitude_led_y_x / acquisition.amplitude_scale)
    stored = _as_stored(acquisition, torch.device("cpu"), kind)
    assert stored.light_led_y_x.element_size() == np.dtype(kind).itemsize
    assert stored.shape == expected.shape
    assert stored.dtype == expected.dtype
    for frames in (slice(None), slice(3, 5), torch.tensor([7, 0, 7]), 4):
        # roots of torch are not always those of NumPy in the last bit
        np.testing.assert_array_max_ulp(stored[frames].numpy(), expected[frames].numpy(), 2)
    np.testing.assert_array_max_ulp(stored.max().numpy(), expected.max().numpy(), 2)
    assert torch.equal(stored.max(), stored[:].max())


@pytest.mark.parametrize("value", [0.5, 65536.0, 3.0000002])
def test_other_numbers_are_sent_as_amplitudes(value: float) -> None:
    acquisition = of_numbers(200, 0, noisy=False)
    frames = acquisition.frames_led_y_x.copy()
    frames[-1, -1, -1] = value
    other = replace(acquisition, frames_led_y_x=frames)
    assert kind_of_whole(frames) is None
    with PretendedCard():
        there = measured_on(other, CARD)
        assert isinstance(there, torch.Tensor)
        assert torch.equal(there.cpu(), measured_on(other, "cpu"))


@pytest.mark.parametrize("largest", [200, 60000])
@pytest.mark.parametrize(
    "how",
    [
        {"steps": 8, "calibrate": "gains"},
        {"steps": 4, "recipe": "neural"},
        {"engine": "conventional", "passes": 3},
    ],
)
def test_engines_take_whole_numbers(how: dict[str, Any], largest: int) -> None:
    smooth = tiny_acquisition()
    frames = (smooth.frames_led_y_x / smooth.frames_led_y_x.max() * largest).round()
    acquisition = replace(smooth, frames_led_y_x=frames)
    on_cpu = reconstruct(acquisition, device="cpu", **how)
    with PretendedCard():
        on_card = reconstruct(acquisition, device="meta", **how)
        assert isinstance(measured_on(acquisition, CARD), Stored)
        residual = data_residual(acquisition, on_card, [0.0], device="meta")
    assert residual == pytest.approx(data_residual(acquisition, on_cpu, [0.0]), rel=1e-4)
    one, other = (solution.render(0.0).field_z_y_x for solution in (on_card, on_cpu))
    one *= np.vdot(one, other) / np.vdot(one, one)
    assert np.linalg.norm(one - other) < 1e-4 * np.linalg.norm(other)


@pytest.mark.parametrize("is_whole", [False, True])
def test_frames_are_sent_once(is_whole: bool) -> None:
    acquisition = of_numbers(200, 0, noisy=False) if is_whole else tiny_acquisition()
    with PretendedCard() as card:
        for _ in range(2):
            solution = reconstruct(acquisition, steps=2, device="meta")
            data_residual(acquisition, solution, [0.0], device="meta")
    assert sum(n for place, n in card.sent.items() if place.startswith("sending.py")) == 1
