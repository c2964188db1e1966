"""The noise that one further solve tells is that of repeats."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fpm_inr import reconstruct
from fpm_inr.errors import DataError
from fpm_inr.trust.again import change, noise_draw, noisier, solve_again
from fpm_inr.trust.noise_map import noise_map
from fpm_inr.trust.transfer import transfer
from tests.tiny import tiny_acquisition
from tests.trust.frames import UP, exposed, frames_of, grid, specimen

NA_XY = grid(reach_na=0.245)


def test_predicted_noise_is_that_of_repeats() -> None:
    light = frames_of(specimen(), NA_XY)
    series = [exposed(light, NA_XY, 1000, seed) for seed in range(10)]
    images = [reconstruct(one).render(0.0).field_z_y_x[0] for one in series]
    mean = np.mean(images, axis=0)
    turned = [change(one, mean) * np.exp(-1j * np.angle(mean)) for one in images]
    first = reconstruct(series[0])
    _, second = noise_draw(series[0], first)
    image = first.render(0.0).field_z_y_x[0]
    draw = change(second.render(0.0).field_z_y_x[0], image)
    found = noise_map(image, draw, transfer(series[0], UP))
    amplitude = np.std([part.real for part in turned], axis=0, ddof=1)
    phase = np.std([part.imag for part in turned], axis=0, ddof=1) / np.abs(mean)
    for told, seen in ((found.amplitude_y_x, amplitude), (found.phase_y_x, phase)):
        assert np.sqrt(np.mean(told**2)) == pytest.approx(np.sqrt(np.mean(seen**2)), rel=0.07)
        # in 16 x 16 places
        places = np.mean((seen / told).reshape(8, 16, 8, 16) ** 2, axis=(1, 3)) ** 0.5
        assert np.mean(np.abs(places - 1) < 0.2) > 0.9
    # slow phase is harder to tell than slow amplitude, by what the LEDs make of it
    assert found.phase_band[2] > 1.5 * found.amplitude_band[2]
    assert np.sum(found.amplitude_band**2) == pytest.approx(np.mean(found.amplitude_y_x**2))


def test_noise_is_laid_over_amplitudes_without_a_drift() -> None:
    series = exposed(frames_of(specimen(), NA_XY), NA_XY, 50)
    twice = noisier(series, seed=1)
    step = twice.amplitude_led_y_x.astype(float) - series.amplitude_led_y_x
    assert step.std() == pytest.approx(0.5, rel=0.1)  # of a Poisson count's root
    assert abs(step.mean()) < 0.01
    np.testing.assert_array_equal(noisier(series, seed=1).frames_led_y_x, twice.frames_led_y_x)


@pytest.mark.parametrize("engine", ["inr", "conventional"])
def test_solving_again_gives_the_same(engine: str) -> None:
    series = tiny_acquisition()
    first = reconstruct(series, engine=engine, z_range_um=(-2.0, 2.0))
    second = solve_again(series, first)
    a, b = first.render(0.0).field_z_y_x, second.render(0.0).field_z_y_x
    assert np.abs(a - b).mean() < 0.02 * np.abs(a).mean()
    assert second.record["settings"]["recipe"] == first.record["settings"]["recipe"]


def test_other_data_and_a_record_that_tells_nothing_are_refused() -> None:
    series = tiny_acquisition()
    solution = reconstruct(series)
    with pytest.raises(DataError, match="made from 25"):
        solve_again(series.select(np.arange(20)), solution)
    with pytest.raises(DataError, match="how the solution was made"):
        solve_again(series, replace(solution, record={**solution.record, "settings": {}}))
