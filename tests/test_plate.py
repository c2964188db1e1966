"""A plate through heights: it keeps slopes, fills gaps, and does not mind outliers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fpm_inr.focus import FocusScores, FocusSettings, depth_map
from fpm_inr.focus.plate import fit_plate

Y, X = np.mgrid[:20, :24].astype(float)


@settings(max_examples=20, deadline=None)
@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(-50, 50), st.floats(0.01, 1e3))
def test_a_plane_is_kept_whatever_the_stiffness(slope_y, slope_x, offset, stiffness):
    plane = offset + slope_y * Y + slope_x * X
    surface, _ = fit_plate(plane, np.ones_like(plane), stiffness, 0.1)
    np.testing.assert_allclose(surface, plane, atol=1e-4)


def test_gaps_and_rims_are_continued_along_the_slope():
    plane = 0.7 * X - 0.2 * Y
    holed, weight = plane.copy(), np.ones_like(plane)
    for lost in (np.s_[:, :4], np.s_[8:13, 10:16]):
        holed[lost], weight[lost] = 0, 0
    surface, _ = fit_plate(holed, weight, 1.0, 0.1)
    np.testing.assert_allclose(surface, plane, atol=0.02)


def test_outliers_count_little():
    random = np.random.default_rng(0)
    plane = 0.3 * X + random.normal(0, 0.1, X.shape)
    plane[random.random(X.shape) < 0.1] += 15
    surface, sigma = fit_plate(plane, np.ones_like(plane), 100.0, 0.05)
    assert np.abs(surface - 0.3 * X).max() < 0.35
    assert sigma == pytest.approx(0.1, rel=0.5)


@pytest.mark.parametrize("steps", [6, 8, 12])
def test_waves_are_kept_as_the_stiffness_says(steps):
    turn = 2 * np.pi / steps
    wave = np.sin(turn * np.mgrid[:48, :48][1])
    surface, _ = fit_plate(wave, np.ones_like(wave), 1.0, 1e3)  # nothing is an outlier
    inner = np.s_[12:-12, 12:-12]
    kept = np.vdot(surface[inner], wave[inner]) / np.vdot(wave[inner], wave[inner])
    of_differences = (2 - 2 * np.cos(turn)) ** 2
    assert kept == pytest.approx(1 / (1 + of_differences), abs=0.03)


def by_the_frames(height: np.ndarray, noise_um: float) -> np.ndarray:
    """Depth map of patches whose curves peak at these heights, give or take."""
    z = np.linspace(-12, 12, 41)
    random = np.random.default_rng(1)
    peak = height + random.normal(0, noise_um, height.shape)
    score = 1 / (0.1 + 0.02 * (z[:, None, None] - peak) ** 2)
    rows, columns = (8.0 * np.arange(count) for count in height.shape)
    shape = (int(rows[-1]) + 1, int(columns[-1]) + 1)
    given = FocusSettings.usual("residual")
    scores = FocusScores(
        score.astype(np.float32), score.mean((1, 2)), z, rows, columns, shape, 0.2, given
    )
    return depth_map(scores).depth_um_y_x


def test_noisy_patches_are_smoothed_and_agreeing_ones_are_not():
    tilted = 0.6 * (X - 12)
    found = by_the_frames(tilted, 1.0)
    assert np.sqrt(np.mean((found - tilted) ** 2)) < 0.4
    wavy = 3 * np.sin(2 * np.pi * X / 24)
    found = by_the_frames(wavy, 0.05)
    assert np.sqrt(np.mean((found - wavy) ** 2)) < 0.2


def test_a_slope_goes_on_to_the_rim():
    z = np.linspace(-12, 12, 41)
    peak = np.linspace(-5, 5, 9)
    score = 1 / (2 + (z[:, None, None] - np.broadcast_to(peak, (9, 9))) ** 2)
    centres = 8.0 * np.arange(9) + 4
    scores = FocusScores(
        score.astype(np.float32),
        score.mean((1, 2)),
        z,
        centres,
        centres,
        (72, 72),
        0.2,
        FocusSettings.usual("residual"),
    )
    pixels = depth_map(scores).depth_of_pixels_um()
    np.testing.assert_allclose(pixels, np.tile((np.arange(72) - 36) * 10 / 64, (72, 1)), atol=0.1)
