"""No engine, calibration, residual or focus hears what pixels say that lie."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fpm_inr.acquisition import Acquisition
from fpm_inr.calibration.solve import fit_plane
from fpm_inr.checkpoint import fingerprint
from fpm_inr.errors import DataError
from fpm_inr.instrument import parse_free
from fpm_inr.reconstruction import data_residual, reconstruct
from tests.tiny import tiny_acquisition

PLAIN = tiny_acquisition()
RNG = np.random.default_rng(0)
WEIGHT = (RNG.uniform(size=PLAIN.frames_led_y_x.shape) > 0.03).astype(np.uint8)


def lying(value: float) -> Acquisition:
    """Frames with this many times the light where pixels lie."""
    frames = np.where(WEIGHT == 0, PLAIN.frames_led_y_x * np.float32(value), PLAIN.frames_led_y_x)
    return replace(PLAIN, frames_led_y_x=frames, weight_led_y_x=WEIGHT)


def clipped(level: float) -> tuple[Acquisition, np.ndarray]:
    top = np.float32(level * PLAIN.frames_led_y_x.max())
    at_top = PLAIN.frames_led_y_x >= top
    frames = np.minimum(PLAIN.frames_led_y_x, top)
    return replace(PLAIN, frames_led_y_x=frames), at_top


ENGINES = {
    "spline": {"steps": 30},
    "neural": {"recipe": "neural", "steps": 20},
    "conventional": {"engine": "conventional", "passes": 6},
}


@pytest.mark.parametrize("engine", ENGINES)
def test_what_lies_is_without_effect(engine: str) -> None:
    solved = []
    for value in (0.0, 3.0):
        acquisition = lying(value)
        solution = reconstruct(acquisition, **ENGINES[engine])  # type: ignore[arg-type]
        solved.append((solution.render(0.0).field_z_y_x[0], solution))
    (first, one), (second, other) = solved
    np.testing.assert_allclose(first, second, atol=2e-3 * np.abs(first).max())
    residuals = [
        data_residual(lying(value), solution, [0.0])[0]
        for value, solution in ((0.0, one), (3.0, other))
    ]
    assert residuals[0] == pytest.approx(residuals[1], rel=0.05)


def test_pixels_that_lie_spoil_what_believes_them() -> None:
    """So that the test above can fail."""
    believed = reconstruct(lying(3.0), steps=60)
    fooled = reconstruct(replace(lying(3.0), weight_led_y_x=None), steps=60)
    right = data_residual(PLAIN, believed, [0.0])[0]
    assert right < 0.2 * data_residual(PLAIN, fooled, [0.0])[0]


@pytest.mark.parametrize("engine", ["spline", "conventional"])
def test_saturated_pixels_count_as_at_least_that_bright(engine: str) -> None:
    frames, at_top = clipped(0.5)
    marked = replace(frames, saturated_led_y_x=at_top)
    assert at_top.any()
    how = ENGINES[engine] | ({"steps": 120} if engine == "spline" else {"passes": 40})
    errors = [
        data_residual(PLAIN, reconstruct(one, **how), [0.0])[0]  # type: ignore[arg-type]
        for one in (frames, marked)
    ]
    assert errors[1] < 0.3 * errors[0]


def test_a_plane_with_free_gains_does_not_hear_them_either() -> None:
    fits = [fit_plane(lying(value), 0.0, parse_free("gains"), steps=60) for value in (0.0, 3.0)]
    assert fits[0].residual == pytest.approx(fits[1].residual, rel=0.1)
    torch.testing.assert_close(
        fits[0].instrument.gain_led, fits[1].instrument.gain_led, rtol=2e-2, atol=0
    )


def test_weights_decide_a_solve_and_so_its_fingerprint() -> None:
    whole = fingerprint(PLAIN, {})
    weight = np.ones_like(WEIGHT)
    assert fingerprint(replace(PLAIN, weight_led_y_x=weight), {}) != whole
    at_top = np.zeros(weight.shape, bool)
    assert fingerprint(replace(PLAIN, saturated_led_y_x=at_top), {}) != whole


def test_weights_are_checked_at_the_door() -> None:
    with pytest.raises(DataError, match="weight_led_y_x"):
        replace(PLAIN, weight_led_y_x=WEIGHT[1:])
    with pytest.raises(DataError, match="besides 0 and 1"):
        replace(PLAIN, weight_led_y_x=WEIGHT * 2)
    with pytest.raises(DataError, match="without weight"):
        replace(PLAIN, weight_led_y_x=WEIGHT * 0)
    frames = PLAIN.frames_led_y_x.copy()
    frames[WEIGHT == 0] = np.nan
    assert np.isfinite(replace(lying(1.0), frames_led_y_x=frames).frames_led_y_x).all()
    with pytest.raises(DataError, match="not finite"):
        replace(PLAIN, frames_led_y_x=frames)
