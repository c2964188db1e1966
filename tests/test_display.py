"""Colours and labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpm_inr.display import (
    height_texts,
    length_text,
    phase_rgb,
    phase_table,
    robust_contrast,
    scale_bar_um,
)


def test_phase_colours_go_round_without_a_step():
    table = phase_table().astype(int)
    steps = np.abs(table - np.roll(table, 1, axis=0)).max(axis=1)
    assert steps.max() <= 8  # also from the last to the first
    assert len(np.unique(table, axis=0)) > 240  # the whole circle, not half of it


@given(phase=st.floats(-20, 20), turns=st.integers(-3, 3))
def test_whole_turns_do_not_change_the_colour(phase, turns):
    one, other = (
        phase_rgb(np.array([[p]])).astype(int) for p in (phase, phase + turns * 2 * np.pi)
    )
    assert np.abs(one - other).max() <= 8


def test_contrast_ignores_outliers_and_is_common():
    rng = np.random.default_rng(0)
    images = [rng.uniform(low, low + 1, (300, 300)).astype(np.float32) for low in (1, 2)]
    images[0][5, 5] = 1e6
    contrast = robust_contrast(images)
    assert contrast.black == pytest.approx(1, abs=0.05)
    assert contrast.white == pytest.approx(3, abs=0.05)
    assert contrast.grey(np.array([0, 2, 9], np.float32)).tolist() == pytest.approx(
        [0, 0.5, 1], abs=0.05
    )


@pytest.mark.parametrize("value", [0.0, 1.0, 1e5])
def test_a_flat_image_is_grey(value):
    contrast = robust_contrast([np.full((9, 9), value, np.float32)])
    assert contrast.grey(np.float32([value])) == pytest.approx([0.5])


@given(st.floats(1e-2, 1e5))
def test_scale_bars_are_round_and_fit(width_um):
    length = scale_bar_um(width_um)
    assert width_um / 10.01 <= length <= width_um / 4 * (1 + 1e-9)
    assert f"{length:.0e}"[0] in "125"


def test_labels():
    assert [length_text(v) for v in (0.5, 50, 2000)] == ["0.5 µm", "50 µm", "2 mm"]
    assert height_texts(np.array([-0.001, 12.5])) == ["+0.00", "+12.50"]
    assert height_texts(np.array([0, 0.001])) == ["+0.000", "+0.001"]
