"""Several LEDs a frame and LEDs of a size: the sum of intensities, written out, and its laws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.beams import Runs
from fpm_inr.forward import Instrument, compile_forward, nominal_instrument, residual_by_led
from fpm_inr.lighting import Die, Lighting

OPTICS = Optics(wavelength_um=0.53, na=0.2, pixel_um=0.6, medium_index=1.33)
NA_XY = np.array([[0.0, 0.0], [0.11, -0.05], [-0.21, 0.05], [0.02, 0.19], [0.2, 0.2]])
LIGHTING = Lighting.of([[0], [1, 3], [2, 4, 1], [3]], [[1], [1, 2], [0.5, 1, 1.5], [1]])


def acquisition(shape: tuple[int, int], light: Illumination) -> Acquisition:
    return Acquisition(np.ones((light.frame_count, *shape), np.float32), OPTICS, light)


def some_field(shape: tuple[int, int], seed: int = 0) -> torch.Tensor:
    random = np.random.default_rng(seed)
    size = (2 * shape[0], 2 * shape[1])
    return torch.from_numpy(random.normal(size=size) + 1j * random.normal(size=size))


def predicted(
    seen: Acquisition, field: torch.Tensor, z_um: float, instrument: Instrument | None = None
) -> NDArray[np.float64]:
    instrument = nominal_instrument(seen) if instrument is None else instrument
    model = compile_forward(seen, 2, instrument=instrument)
    frames = torch.arange(model.frame_count)
    z = torch.tensor([z_um], dtype=torch.float64)
    spectrum = model.spectrum(field)[None]
    return np.asarray(model.amplitude(spectrum, z, frames, model.aperture(instrument))[0])


@pytest.mark.parametrize("shape", [(16, 16), (15, 18)])
def test_a_frame_is_the_sum_of_its_leds(shape: tuple[int, int]) -> None:
    # slow and literal: each LED alone, by a model of one LED a frame
    alone = acquisition(shape, Illumination(NA_XY))
    together = acquisition(shape, Illumination(NA_XY, lighting=LIGHTING))
    gain = torch.tensor([1.0, 0.8, 1.1, 1.3, 0.9], dtype=torch.float64)
    instrument = replace(nominal_instrument(alone), gain_led=gain)
    field = some_field(shape)
    single = predicted(alone, field, 7.0, instrument) ** 2
    expected = np.zeros((4, *shape))
    for frame, led, weight in zip(
        LIGHTING.frame_pair, LIGHTING.led_pair, LIGHTING.weight_pair, strict=True
    ):
        expected[frame] += weight * single[led]
    got = predicted(together, field, 7.0, instrument) ** 2
    assert got == pytest.approx(expected, rel=1e-9)


def test_the_background_is_of_a_frame() -> None:
    seen = acquisition((16, 16), Illumination(NA_XY, lighting=LIGHTING))
    background = torch.tensor([0.0, 0.1, 0.2, 0.3], dtype=torch.float64)
    bare = nominal_instrument(seen)
    field = some_field((16, 16))
    added = predicted(seen, field, 0.0, replace(bare, background_led=background)) ** 2
    assert added == pytest.approx(
        predicted(seen, field, 0.0, bare) ** 2 + background.numpy()[:, None, None], rel=1e-6
    )


def test_lists_of_one_led_each_are_no_lists() -> None:
    one_by_one = Illumination(NA_XY, lighting=Lighting.of([[led] for led in range(5)]))
    assert one_by_one.lighting is None
    assert compile_forward(acquisition((16, 16), one_by_one), 2).beams is None


@pytest.mark.parametrize("shape", ["square", "round"])
@pytest.mark.parametrize("na_x", [0.195, 0.203])
def test_a_die_is_the_mean_of_its_points(shape: str, na_x: float) -> None:
    # across the pupil's edge; each point as an LED with a frame of its own
    die = Die(size_na=0.02, shape=shape)  # type: ignore[arg-type]
    wide = acquisition((16, 18), Illumination(np.array([[na_x, 0.0], [0.05, 0.0]]), die=die))
    points = np.array([na_x, 0.0]) + 0.02 * die.places_xy
    field = some_field((16, 18))
    single = predicted(acquisition((16, 18), Illumination(points)), field, 3.0) ** 2
    got = predicted(wide, field, 3.0) ** 2
    assert got[0] == pytest.approx(single.mean(axis=0), rel=1e-9)
    # far from the edge a point is as good
    inner = predicted(acquisition((16, 18), Illumination(np.array([[0.05, 0.0]]))), field, 3.0)
    assert got[1] == pytest.approx(inner[0] ** 2, rel=1e-9)


def test_the_residual_is_by_frame() -> None:
    seen = acquisition((16, 16), Illumination(NA_XY, lighting=LIGHTING))
    instrument = nominal_instrument(seen)
    model = compile_forward(seen, 2)
    field = some_field((16, 16))
    amplitude = torch.from_numpy(predicted(seen, field, 2.0))
    errors, powers = residual_by_led(model, model.aperture(instrument), 1.1 * amplitude, field, 2.0)
    assert len(errors) == 4
    assert (errors / powers).numpy() == pytest.approx((0.1 / 1.1) ** 2)


def test_gradients_flow_to_gains() -> None:
    seen = acquisition((10, 12), Illumination(NA_XY, lighting=LIGHTING, die=Die(size_na=0.02)))
    bare = nominal_instrument(seen)
    model = compile_forward(seen, 2)
    spectrum = model.spectrum(some_field((10, 12)))[None]
    frames, z = torch.tensor([2, 0, 1]), torch.tensor([4.0], dtype=torch.float64)

    def misfit(gain_led: torch.Tensor) -> torch.Tensor:
        aperture = model.aperture(replace(bare, gain_led=gain_led), frames)
        return model.amplitude(spectrum, z, frames, aperture).square().sum()

    gain = torch.rand(5, dtype=torch.float64).add_(0.5).requires_grad_()
    assert torch.autograd.gradcheck(misfit, (gain,))


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_selected_frames_keep_their_light(data: st.DataObject) -> None:
    frames = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=4, unique=True))
    seen = acquisition((12, 12), Illumination(NA_XY, lighting=LIGHTING))
    part = seen.select(np.array(frames))
    field = some_field((12, 12))
    assert predicted(part, field, 1.0) == pytest.approx(predicted(seen, field, 1.0)[frames])
    model = compile_forward(seen, 2)
    some = model.aperture(nominal_instrument(seen)).select(torch.tensor(frames))
    direct = model.aperture(nominal_instrument(seen), torch.tensor(frames))
    assert torch.equal(some.transmission_led_k, direct.transmission_led_k)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.data())
def test_runs_select_as_slices_do(counts: list[int], data: st.DataObject) -> None:
    runs = Runs.of_counts(torch.tensor(counts))
    frames = data.draw(st.lists(st.integers(0, len(counts) - 1), min_size=1, max_size=8))
    first = np.cumsum([0, *counts])
    expected = np.concatenate([np.arange(first[f], first[f + 1]) for f in frames])
    some = runs.choose(torch.tensor(frames))
    assert some.beams.tolist() == expected.tolist()
    assert some.runs.counts.tolist() == [counts[f] for f in frames]
    assert some.runs.frame_beam.tolist() == np.repeat(range(len(frames)), some.runs.counts).tolist()
    assert runs.choose(some) is some
