"""The noise that one further solve tells is that of repeats."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fpm_inr import reconstruct
from fpm_inr.errors import DataError
from fpm_inr.forward import nominal_instrument
from fpm_inr.solve.progress import StepReport
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
    second = solve_again(series, first, None)
    np.testing.assert_array_equal(first.render(0.0).field_z_y_x, second.render(0.0).field_z_y_x)
    assert second.record["settings"]["recipe"] == first.record["settings"]["recipe"]


def test_other_data_and_a_record_that_tells_nothing_are_refused() -> None:
    series = tiny_acquisition()
    solution = reconstruct(series)
    with pytest.raises(DataError, match="made from 25"):
        solve_again(series.select(np.arange(20)), solution, None)
    with pytest.raises(DataError, match="how the solution was made"):
        noise_draw(series, replace(solution, record={}))
    with pytest.raises(DataError, match="how the solution was made"):
        noise_draw(series, replace(solution, record={**solution.record, "settings": {}}))


def test_half_a_solve_is_no_measure() -> None:
    series = tiny_acquisition()
    first = reconstruct(series)

    def stop(report: StepReport) -> None:
        if report.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        noise_draw(series, first, listen=stop)


def test_a_solution_that_began_at_a_calibration_is_drawn_from_there() -> None:
    series = tiny_acquisition()
    nominal = nominal_instrument(series)
    given = replace(nominal, gain_led=nominal.gain_led * torch.linspace(0.9, 1.1, 25))
    solution = reconstruct(series, calibration=given)
    known, noisy = noise_draw(series, solution, given)
    assert known is solution
    anew, other = noise_draw(series, solution)
    # both begin at the instrument that it ended with: noise is all they differ by
    assert anew is not solution
    drawn = [
        change(b.render(0.0).field_z_y_x[0], a.render(0.0).field_z_y_x[0])
        for a, b in ((known, noisy), (anew, other))
    ]
    assert np.std(drawn[0]) == pytest.approx(np.std(drawn[1]), rel=0.1)


def test_a_draw_is_what_noisier_frames_give() -> None:
    # LEDs at the pupil's edge have a brightness of their own, which a solve finds
    rim = 0.248 * np.concatenate([np.eye(2), -np.eye(2)])
    na_xy = np.concatenate([grid(reach_na=0.2), rim])
    light = frames_of(specimen(), na_xy)
    light[-2:] *= 1.3
    series = exposed(light, na_xy, 1000)
    solution = reconstruct(series)
    assert np.abs(solution.instrument.gain_led.numpy()[-2:] - 1).min() > 0.05
    first, second = noise_draw(series, solution, seed=3)
    assert first is solution
    anew = reconstruct(noisier(series, seed=3))
    np.testing.assert_array_equal(second.render(0.0).field_z_y_x, anew.render(0.0).field_z_y_x)
