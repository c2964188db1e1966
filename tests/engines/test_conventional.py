"""The conventional engine: laws of one visit, recovery of known objects, resuming."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fpm_inr import memory
from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.engines import planes as planes_module
from fpm_inr.engines.planes import ConventionalSolve
from fpm_inr.engines.recipe import ConventionalRecipe
from fpm_inr.engines.visits import Visits
from fpm_inr.forward import ForwardModel, Instrument, compile_forward, nominal_instrument
from fpm_inr.simulate import Specimen, preset, simulate
from fpm_inr.solve.progress import StepReport
from tests.engines.known_object import driven, problem_of

OPTICS = Optics(wavelength_um=0.53, na=0.25, pixel_um=0.5)
torch.set_num_threads(1)


def smooth_object(shape: tuple[int, int], seed: int = 0) -> Tensor:
    """A band-limited complex object: amplitude about 1, phase up to about 1 rad."""
    noise = torch.randn(2, *shape, generator=torch.Generator().manual_seed(seed))
    y, x = torch.fft.fftfreq(shape[0])[:, None], torch.fft.fftfreq(shape[1])[None, :]
    parts = torch.fft.ifft2(torch.fft.fft2(noise) * torch.exp(-(y**2 + x**2) / 0.005)).real
    amplitude, phase = parts / parts.abs().amax(dim=(1, 2), keepdim=True)
    return torch.polar(1 + 0.3 * amplitude, 0.8 * phase)


def experiment(
    z_um: float, *, na_step: float = 0.1, upsampling: int = 2
) -> tuple[ForwardModel, Instrument, Tensor, Tensor]:
    side = na_step * np.arange(-2, 3)
    na_xy = np.array([(x, y) for y in side for x in side])
    acquisition = Acquisition(np.ones((25, 32, 28), np.float32), OPTICS, Illumination(na_xy))
    model = compile_forward(acquisition, upsampling)
    instrument = nominal_instrument(acquisition).to("cpu")
    truth = smooth_object(model.field_shape_y_x)
    return model, instrument, truth, measure(model, instrument, truth, z_um)


def measure(model: ForwardModel, instrument: Instrument, truth: Tensor, z_um: float) -> Tensor:
    return model.amplitude(
        model.spectrum(truth)[None],
        torch.tensor([z_um]),
        torch.arange(model.led_count),
        model.aperture(instrument),
    )[0]


def relative_error(found: Tensor, truth: Tensor) -> float:
    """Relative L2 distance of complex images, up to one complex factor."""
    factor = torch.vdot(found.flatten(), truth.flatten()) / found.abs().square().sum()
    return float(torch.linalg.norm(factor * found - truth) / torch.linalg.norm(truth))


class Solved:
    """A finished solve, and its history."""

    def __init__(self, solve: ConventionalSolve, history: list[StepReport]) -> None:
        self.solve, self.history = solve, history

    def __getattr__(self, name: str) -> Any:
        return getattr(self.solve, name)


def begun(
    model: ForwardModel,
    instrument: Instrument,
    measured: Tensor,
    z_um: list[float],
    **settings: Any,
) -> ConventionalSolve:
    recipe = ConventionalRecipe(**settings)
    problem = problem_of(model, instrument, measured, (z_um[0], z_um[-1]), recipe)
    return ConventionalSolve(problem, torch.tensor(z_um, dtype=torch.float64))


def run(
    model: ForwardModel,
    instrument: Instrument,
    measured: Tensor,
    z_um: list[float],
    **settings: Any,
) -> Solved:
    solve = begun(model, instrument, measured, z_um, **settings)
    return Solved(solve, driven(solve, solve.problem))


def image(state: Solved, plane: int = 0) -> Tensor:
    found: Tensor = state.image_z_y_x(torch.tensor([plane]))[0]
    return found


@pytest.mark.parametrize("na_step", [0.1, 0.2])
def test_known_object_is_recovered_out_of_focus(na_step: float) -> None:
    """With 0.2, LEDs up to NA 0.57 are dark-field (bright-field ones: 9 of 25)."""
    model, instrument, truth, measured = experiment(6.0, na_step=na_step, upsampling=4)
    state = run(model, instrument, measured, [6.0], passes=60, least_gain=1e-3)
    aperture = model.aperture(instrument)
    seen = torch.zeros(model.field_shape_y_x).flatten()
    for led in range(model.led_count):
        seen[model.field_index(torch.tensor([led]))[0][aperture.transmission_led_k[led] > 0]] = 1
    band_limited = torch.fft.ifft2(torch.fft.fft2(truth) * seen.view(truth.shape))
    assert relative_error(image(state), band_limited) < 0.05
    assert state.history[-1].loss < 1e-3 * state.history[0].loss


def test_a_simulated_specimen_is_recovered() -> None:
    """Multi-slice light, a hard pupil, a third of the LEDs on its edge: not the engine's model."""
    setup = replace(
        preset("blood-smear"),
        specimen=Specimen("smear", "thin", z_um=6.0),
        shape_y_x=(96, 96),
        camera=replace(preset("blood-smear").camera, photons=None, read_noise_e=0, bits=None),
        scan_z_um=(),
        periodic=True,
    )
    simulation = simulate(setup)
    acquisition, truth = simulation.acquisition, torch.from_numpy(simulation.truth.seen_y_x)
    model = compile_forward(acquisition, 2)
    instrument = nominal_instrument(acquisition).to("cpu")
    measured = torch.from_numpy(acquisition.amplitude_led_y_x / acquisition.amplitude_scale)
    right = run(model, instrument, measured, [6.0])
    assert relative_error(image(right), truth) < 0.05
    wrong = run(model, instrument, measured, [-6.0])
    assert relative_error(image(wrong), truth) > 0.1


def test_the_true_object_is_a_fixed_point() -> None:
    model, instrument, truth, measured = experiment(4.0)
    solve = begun(model, instrument, measured, [4.0], passes=1, step=1.0, momentum=0.5)
    solve.spectrum_z_y_x = model.spectrum(truth)[None]
    state = Solved(solve, driven(solve, solve.problem))
    assert (image(state) - truth).abs().max() < 1e-4
    assert state.history[0].loss < 1e-9
    np.testing.assert_allclose(state.gain_z_led.numpy(), 1, atol=1e-4)


def test_one_led_with_an_open_pupil_gets_its_energy_and_its_frame() -> None:
    """Bright or dark, in one visit with a full step the prediction becomes the measured frame."""
    optics = Optics(wavelength_um=0.5, na=0.5, pixel_um=0.5)  # all but the corners pass
    for na_x, first in ((0.0, 1.0), (0.7, 0.3)):
        acquisition = Acquisition(
            np.ones((1, 16, 16), np.float32), optics, Illumination(np.array([[na_x, 0.0]]))
        )
        model = compile_forward(acquisition, 3)
        instrument = nominal_instrument(acquisition).to("cpu")
        truth = smooth_object(model.field_shape_y_x, seed=1)
        measured = measure(model, instrument, truth, 1.0)
        forever = {"passes": 200, "step": 1.0, "least_gain": 0, "least_step": 0}
        solve = begun(model, instrument, measured, [1.0], **forever)
        if na_x:  # light must come from somewhere
            solve.spectrum_z_y_x = model.spectrum(smooth_object(truth.shape, seed=2))[None] * first
        state = Solved(solve, driven(solve, solve.problem))
        predicted = measure(model, instrument, image(state), 1.0)
        assert (predicted**2).sum() == pytest.approx(float((measured**2).sum()), rel=0.05)
        losses = [row.loss for row in state.history]
        assert all(after <= before * (1 + 1e-5) for before, after in pairwise(losses))


def test_frequencies_that_no_led_brings_stay_empty() -> None:
    model, instrument, _, measured = experiment(3.0, na_step=0.05)
    state = run(model, instrument, measured, [3.0], passes=3)
    reached = torch.zeros(model.field_shape_y_x, dtype=torch.bool).flatten()
    reached[model.field_index(torch.arange(25)).flatten()] = True
    assert state.spectrum_z_y_x.flatten()[~reached].abs().max() == 0


def test_planes_do_not_know_of_each_other() -> None:
    model, instrument, _, measured = experiment(3.0)
    heights = [-6.0, -2.0, 0.0, 3.0, 9.0]
    together = run(model, instrument, measured, heights, passes=6)
    for i, z in enumerate(heights):
        alone = run(model, instrument, measured, [z], passes=6)
        assert relative_error(image(together, i), image(alone)) < 1e-4


def test_batches_span_the_range_and_give_what_one_batch_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, instrument, _, measured = experiment(3.0)
    heights = torch.linspace(-6, 6, 7).tolist()
    whole = run(model, instrument, measured, heights, passes=4)
    monkeypatch.setattr(planes_module, "CPU_PLANES", 3)
    parts = run(model, instrument, measured, heights, passes=4)
    assert (whole.batches, parts.batches) == (1, 3)
    assert parts.planes(0).tolist() == [0, 3, 6]
    assert (parts.spectrum_z_y_x - whole.spectrum_z_y_x).abs().max() < 1e-5
    monkeypatch.setattr(memory, "CPU_BYTES", 1)
    assert planes_module.planes_at_once(model, 7) == 1


@pytest.mark.parametrize("momentum", [0.0, 0.4])
def test_resumed_equals_unbroken(monkeypatch: pytest.MonkeyPatch, momentum: float) -> None:
    model, instrument, _, measured = experiment(3.0)
    monkeypatch.setattr(planes_module, "CPU_PLANES", 2)
    how: Any = (model, instrument, measured, [-3.0, 0.0, 3.0])
    settings: Any = {"passes": 4, "least_step": 0, "momentum": momentum}
    whole = run(*how, **settings)
    assert [row.step for row in whole.history] == list(range(1, 9))
    for stop in (2, 4, 6):

        def interrupt(report: StepReport, stop: int = stop) -> None:
            if report.step == stop:
                raise KeyboardInterrupt

        state = begun(*how, **settings)
        with pytest.raises(KeyboardInterrupt):
            driven(state, state.problem, interrupt)
        assert state.solved().tolist() == ([0, 2] if stop <= 4 else [0, 1, 2])
        again = begun(*how, **settings)
        again.step = state.step
        again.load({name: value.clone() for name, value in state.tensors().items()})
        losses = [row.loss for row in driven(again, again.problem)]
        assert torch.equal(again.spectrum_z_y_x, whole.spectrum_z_y_x)
        assert losses == [row.loss for row in whole.history][stop:]


def test_the_step_shrinks_and_ends_the_solve() -> None:
    model, instrument, _, measured = experiment(0.0)
    noisy = measured * (1 + 0.2 * torch.randn(measured.shape, generator=torch.Generator()))
    state = run(model, instrument, noisy.abs(), [0.0], passes=200)
    assert state.step < 60
    losses = [row.loss for row in state.history]
    assert losses[-1] < losses[0]
    assert max(losses[-5:]) < min(losses) * 1.1


def test_pupil_is_recovered() -> None:
    model, instrument, truth, _ = experiment(0.0)
    aberrated = replace(instrument, zernike_rad=torch.tensor([0, 0, 0, 0, 0.5, 0, 0.4]))
    measured = measure(model, aberrated, truth, 0.0)
    known: dict[str, Any] = {"passes": 90, "least_gain": 1e-3, "edge_px": 0}
    blind = run(model, instrument, measured, [0.0], **known)
    state = run(model, instrument, measured, [0.0], pupil_step=1.0, **known)
    assert state.history[-1].loss < 0.1 * blind.history[-1].loss
    used = state.instrument()
    predicted = measure(model, used, image(state), 0.0)
    assert ((predicted - measured) ** 2).sum() / (measured**2).sum() < 2 * state.history[-1].loss


def test_brightness_of_leds_at_the_edge_of_the_pupil_is_free() -> None:
    """Whatever share of their direct light passes, it changes nothing, and it is found."""
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    rim = 0.247 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    side = np.array([(x, y) for y in (-0.1, 0, 0.1) for x in (-0.1, 0, 0.1)])
    leds = np.concatenate([side, rim])
    acquisition = Acquisition(np.ones((21, 48, 48), np.float32), OPTICS, Illumination(leds))
    model = compile_forward(acquisition, 2)
    instrument = nominal_instrument(acquisition).to("cpu")
    truth = smooth_object(model.field_shape_y_x)
    factor = torch.ones(21)
    factor[9:], factor[10::3] = 3.0, 0.4
    measured = measure(model, instrument, truth, 5.0) * factor[:, None, None]
    free = run(model, instrument, measured, [5.0], passes=40)
    taken = run(model, instrument, measured, [5.0], passes=40, rim_width=0)
    assert relative_error(image(free), truth) < 0.03
    bright = float(truth.abs().mean())
    assert float(image(free).abs().mean()) == pytest.approx(bright, rel=0.02)
    assert float(image(taken).abs().mean()) > 1.2 * bright
    np.testing.assert_allclose(free.instrument().gain_led, factor, rtol=0.05)


def test_brightness_counts_where_nothing_else_sets_the_scale() -> None:
    model, instrument, _, _ = experiment(0.0)
    ring = replace(instrument, na_led_xy=torch.tensor([[0.25, 0.0], [0.0, 0.25]]))
    frames = torch.ones(2, *model.shape_y_x)
    ring = replace(ring, gain_led=torch.ones(2))
    prepared = Visits(
        replace(model, window_led_yx=model.window_led_yx[:2]), ring, frames, ConventionalRecipe()
    )
    assert prepared.is_rim == [False, False]


def test_frames_without_light_leave_everything_finite() -> None:
    model, instrument, _, measured = experiment(0.0, na_step=0.124)  # four LEDs on the rim
    dark = measured.clone()
    dark[[2, 10]] = 0
    state = run(model, instrument, dark, [0.0, 4.0], passes=5)
    assert torch.view_as_real(state.spectrum_z_y_x).isfinite().all()
    assert state.gain_z_led.isfinite().all()


def test_the_edge_of_the_frames_counts_little() -> None:
    """Light from outside, in the outermost pixels, hardly reaches the middle of the image."""
    model, instrument, truth, measured = experiment(2.0)
    spoilt = measured.clone()
    spoilt[:, :, 0] *= 3
    found = [
        image(run(model, instrument, spoilt, [2.0], passes=40, edge_px=edge))[12:-12, 12:-12]
        for edge in (4, 0)
    ]
    errors = [relative_error(one, truth[12:-12, 12:-12]) for one in found]
    assert errors[0] < 0.5 * errors[1]


def test_background_is_taken_off() -> None:
    model, instrument, truth, measured = experiment(2.0)
    lit = replace(instrument, background_led=torch.full((25,), 0.05))
    bright = (measured.square() + 0.05).sqrt()
    state = run(model, lit, bright, [2.0], passes=60, least_gain=1e-3)
    assert relative_error(image(state), truth) < 0.05
