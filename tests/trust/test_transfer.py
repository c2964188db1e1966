"""What the LEDs tell is what the forward model's frames change by, and what is blind is named."""

from __future__ import annotations

import numpy as np
import pytest

from fpm_inr.trust.transfer import transfer
from tests.trust.frames import OPTICS, SIDE, UP, frames_of, grid, unlit


@pytest.mark.parametrize(("y", "x"), [(1, 0), (0, 5), (4, -7), (12, 3)])
@pytest.mark.parametrize("kind", ["amplitude", "phase"])
def test_information_is_the_change_of_the_frames(kind: str, y: int, x: int) -> None:
    # LEDs that lie point-symmetrically do not mix amplitude and phase
    na_xy = grid()
    told = transfer(unlit(na_xy), UP)
    rows, columns = np.mgrid[: UP * SIDE, : UP * SIDE] / (UP * SIDE)
    wave = 1e-3 * np.sqrt(2) * np.cos(2 * np.pi * (y * rows + x * columns))
    changed = (1 + wave) if kind == "amplitude" else np.exp(1j * wave)
    plain = np.sqrt(frames_of(np.ones_like(changed, dtype=complex), na_xy))
    change = np.sqrt(frames_of(changed.astype(complex), na_xy)) - plain
    # of a wave of unit mean square the frames' change has the information as its mean square
    seen = float(np.square(change).mean(axis=(1, 2)).sum()) / 1e-6
    information = told.amplitude_y_x if kind == "amplitude" else told.phase_y_x
    assert information[y, x] == pytest.approx(seen, rel=0.02, abs=0.02)


def test_one_led_on_the_axis_is_blind_to_phase_in_focus() -> None:
    on_axis = unlit(np.zeros((1, 2)))
    told = transfer(on_axis, UP)
    assert told.amplitude_y_x[0, 3] == pytest.approx(1, rel=1e-3)
    assert told.phase_y_x[0, 3] < 1e-4
    assert told.undetermined_y_x[0, 3]
    assert "do not determine the phase" in str(told.warning())


def test_an_led_at_the_edge_of_the_pupil_tells_slow_phase() -> None:
    inside = grid(reach_na=0.18)
    edge = 0.245 * np.stack([np.cos(np.arange(8)), np.sin(np.arange(8))], axis=1)
    blind = transfer(unlit(inside), UP)
    seeing = transfer(unlit(np.concatenate([inside, edge, -edge])), UP)
    assert blind.undetermined_y_x[0, 1]
    assert not seeing.undetermined_y_x[0, 1]
    assert seeing.warning() is None
    longest, shortest = blind.undetermined_um or (0.0, 0.0)
    assert longest == pytest.approx(SIDE * OPTICS.pixel_um)
    # a wave that takes light of the outermost LED out of the pupil is seen
    assert shortest == pytest.approx(OPTICS.wavelength_um / (OPTICS.na - 0.18), rel=0.4)


def test_phase_that_hangs_on_blind_frequencies_is_found_and_no_other() -> None:
    told = transfer(unlit(grid(reach_na=0.18)), UP)
    x = np.arange(UP * SIDE) / (UP * SIDE)
    slow = 0.5 * np.cos(2 * np.pi * x)[:, None] * np.ones(UP * SIDE)
    fine = 0.5 * np.cos(2 * np.pi * 20 * x)[:, None] * np.ones(UP * SIDE)
    hanging = told.hanging_phase(np.exp(1j * (slow + fine)))
    np.testing.assert_allclose(hanging, slow, atol=0.02)
