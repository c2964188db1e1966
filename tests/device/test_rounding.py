"""What rounding alone does to an image: devices can agree no better than this."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fpm_inr.reconstruction import reconstruct
from fpm_inr.solution import Solution
from tests.device.test_card import SOLVES
from tests.tiny import leave, tiny_acquisition

# Relative, in the image.
TOLERANCE = 1e-4
# Adam makes as large a step of a gradient that is but rounding as of any other.
TOLERANCE_LEARNED = 5e-3
ROUNDING = 3e-7


def tolerance(how: dict[str, Any]) -> float:
    """How near to each other devices are to end."""
    return TOLERANCE_LEARNED if how.get("calibrate") else TOLERANCE


def apart(one: Solution, other: Solution) -> float:
    """Relative difference of two solutions' images at some heights, up to a complex factor."""
    low, high = one.z_range_um
    heights = np.linspace(low, high, 3 if low < high else 1)
    a, b = (solution.render(heights).field_z_y_x for solution in (one, other))
    a *= np.vdot(a, b) / np.vdot(a, a)
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


@pytest.mark.parametrize("name", [name for name in SOLVES if name.startswith("spline, ")])
def test_rounding_is_worth_less_than_devices_may_differ(name: str) -> None:
    exact = tiny_acquisition()
    noise = np.random.default_rng(0).standard_normal(exact.frames_led_y_x.shape)
    frames = exact.frames_led_y_x * (1 + ROUNDING * noise).astype(np.float32)
    one, other = (
        reconstruct(acquisition, device="cpu", listen=leave, **SOLVES[name])
        for acquisition in (exact, replace(exact, frames_led_y_x=frames))
    )
    assert 0 < apart(one, other) < tolerance(SOLVES[name]) / 5
