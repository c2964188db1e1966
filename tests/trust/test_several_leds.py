"""Frames of several LEDs, and LEDs with a face, are judged as those of one point are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fpm_inr import reconstruct
from fpm_inr.acquisition import Acquisition
from fpm_inr.lighting import Die, Lighting
from fpm_inr.trust.again import change
from fpm_inr.trust.assess import assess
from fpm_inr.trust.figures import model_figure
from fpm_inr.trust.transfer import transfer
from tests.trust.frames import OPTICS, SIDE, UP, exposed, frames_of, grid, specimen, unlit

NA_XY = grid(7, 0.42)
IS_DARK = np.hypot(*NA_XY.T) > OPTICS.na
DARK = np.flatnonzero(IS_DARK)
BY_THREES = Lighting.of(
    [[int(led)] for led in np.flatnonzero(~IS_DARK)]
    + [DARK[start::8].tolist() for start in range(8)]
)


@pytest.mark.parametrize(("y", "x"), [(0, 5), (4, -7), (12, 3)])
@pytest.mark.parametrize("kind", ["amplitude", "phase"])
@pytest.mark.parametrize("light", ["pairs", "a face"])
def test_information_is_the_change_of_the_frames(light: str, kind: str, y: int, x: int) -> None:
    # LEDs that lie point-symmetrically do not mix amplitude and phase
    na_xy = np.array([(0.1, 0.0), (-0.1, 0.0), (0.0, 0.2), (0.0, -0.2)])
    lighting = Lighting.of([[0, 2], [1, 3]]) if light == "pairs" else None
    die = Die(size_na=0.05) if light == "a face" else None
    told = transfer(unlit(na_xy, lighting, die), UP)
    rows, columns = np.mgrid[: UP * SIDE, : UP * SIDE] / (UP * SIDE)
    wave = 1e-3 * np.sqrt(2) * np.cos(2 * np.pi * (y * rows + x * columns))
    changed = (1 + wave) if kind == "amplitude" else np.exp(1j * wave)
    clear = np.ones_like(changed, dtype=complex)
    plain, seen = (
        np.sqrt(frames_of(one.astype(complex), na_xy, lighting=lighting, die=die))
        for one in (clear, changed)
    )
    expected = float(np.square(seen - plain).mean(axis=(1, 2)).sum()) / 1e-6
    information = told.amplitude_y_x if kind == "amplitude" else told.phase_y_x
    assert information[y, x] == pytest.approx(expected, rel=0.02, abs=0.02)


def by_threes(seed: int, photons: float = 2000) -> Acquisition:
    light = frames_of(specimen(), NA_XY, lighting=BY_THREES)
    return exposed(light, NA_XY, photons, seed, BY_THREES)


def test_noise_is_that_of_repeats_and_nothing_is_named() -> None:
    series = [by_threes(seed) for seed in range(6)]
    solved = [reconstruct(one) for one in series]
    images = [one.render(0.0).field_z_y_x[0] for one in solved]
    mean = np.mean(images, axis=0)
    turned = [change(one, mean) * np.exp(-1j * np.angle(mean)) for one in images]
    found = assess(series[0], solved[0])
    for told, seen in (
        (found.noise[0].amplitude_y_x, [one.real for one in turned]),
        (found.noise[0].phase_y_x, [one.imag / np.abs(mean) for one in turned]),
    ):
        spread = np.sqrt(np.mean(np.var(seen, axis=0, ddof=1)))
        assert np.sqrt(np.mean(told**2)) == pytest.approx(spread, rel=0.12)
    assert found.model.source == "frame"
    assert len(found.model.excess_led) == BY_THREES.frame_count
    assert list(found.model.warnings()) == []
    assert "by frame" in model_figure(found, series[0]).axes[2].get_title()


def test_a_clipped_frame_of_several_is_named() -> None:
    series = by_threes(0)
    frames = series.frames_led_y_x.copy()
    last = BY_THREES.frame_count - 1
    frames[last] = np.minimum(frames[last], np.percentile(frames[last], 70))
    clipped = replace(series, frames_led_y_x=frames)
    told = " ".join(assess(clipped, reconstruct(clipped)).warnings())
    assert f"clipped at their brightest: {last} (counted from 0)" in told
