"""An instrument that is not as stated, in the forward model: the formula, term by term."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.forward import (
    EDGE_SAMPLES,
    ForwardModel,
    Instrument,
    compile_forward,
    nominal_instrument,
)
from fpm_inr.optics import frequencies_per_um, propagate, zernike

OPTICS = Optics(wavelength_um=0.53, na=0.2, pixel_um=0.6, medium_index=1.33)
SHAPE = (12, 15)
NA_XY = np.array([[0.0, 0.0], [0.113, -0.047], [-0.21, 0.05]])


def model_of(shape: tuple[int, int] = SHAPE, margin_samples: float = 0.0) -> ForwardModel:
    frames = np.ones((len(NA_XY), *shape), dtype=np.float32)
    acquisition = Acquisition(frames, OPTICS, Illumination(NA_XY))
    return compile_forward(acquisition, 2, margin_samples=margin_samples)


def instrument() -> Instrument:
    random = torch.Generator().manual_seed(5)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=random)

    return Instrument(
        torch.tensor(NA_XY),
        1 + 0.1 * drawn(len(NA_XY)),
        0.2 * drawn(7),
        torch.polar(1 + 0.1 * drawn(*SHAPE), 0.3 * drawn(*SHAPE)),
        0.05 + 0.01 * drawn(len(NA_XY)).abs(),
        torch.tensor(1.7, dtype=torch.float64),
    )


def literal_frame(field: np.ndarray, z_um: float, of: Instrument, led: int) -> np.ndarray:
    """Root of |gain sum over k of P exp(i W + i kz z) O(k + shift) exp(2 pi i k x)|^2 + light."""
    (height, width), (tall, wide) = SHAPE, field.shape
    y, x = np.mgrid[:height, :width]
    step_y, step_x = 1 / (height * OPTICS.pixel_um), 1 / (width * OPTICS.pixel_um)
    edge, cutoff = EDGE_SAMPLES * np.sqrt(step_y * step_x), OPTICS.na / OPTICS.wavelength_um
    shift_x, shift_y = of.na_led_xy[led].numpy() / OPTICS.wavelength_um
    window_y, window_x = round(shift_y / step_y), round(shift_x / step_x)
    spectrum = np.fft.fft2(field, norm="forward")
    assert of.pupil_y_x is not None
    assert of.background_led is not None
    assert of.defocus_um is not None
    image = np.zeros(SHAPE, complex)
    for row in range(-(height // 2), (height + 1) // 2):
        for column in range(-(width // 2), (width + 1) // 2):
            # the sample's place in the pupil, and in the object's spectrum
            ky = (row + window_y) * step_y - shift_y
            kx = (column + window_x) * step_x - shift_x
            radius = np.hypot(ky, kx)
            disc = np.clip((cutoff - radius) / edge + 0.5, 0, 1)
            if disc == 0:
                continue
            place = [torch.tensor(one / cutoff) for one in (ky, kx)]
            waves = sum(
                float(rad) * float(zernike(mode, *place))
                for mode, rad in enumerate(of.zernike_rad, start=1)
            )
            kz = 2 * np.pi * np.sqrt((OPTICS.medium_index / OPTICS.wavelength_um) ** 2 - radius**2)
            light = (
                disc
                * complex(of.pupil_y_x[row % height, column % width])
                * np.exp(1j * (waves + kz * (z_um + float(of.defocus_um))))
                * spectrum[(row + window_y) % tall, (column + window_x) % wide]
            )
            image += light * np.exp(2j * np.pi * (row * y / height + column * x / width))
    seen = abs(float(of.gain_led[led]) * image) ** 2 + float(of.background_led[led])
    return np.asarray(np.sqrt(seen))


@pytest.mark.parametrize("without", [(), ("pupil_y_x", "background_led", "defocus_um")])
def test_every_part_of_the_instrument_acts_as_its_formula_says(without: tuple[str, ...]) -> None:
    whole, model = instrument(), model_of()
    nothing = {
        "pupil_y_x": torch.ones(SHAPE, dtype=torch.complex128),
        "background_led": torch.zeros(len(NA_XY), dtype=torch.float64),
        "defocus_um": torch.tensor(0.0, dtype=torch.float64),
    }
    random = np.random.default_rng(2)
    field = random.normal(size=(24, 30)) + 1j * random.normal(size=(24, 30))
    used = replace(whole, **dict.fromkeys(without))
    got = model.amplitude(
        model.spectrum(torch.from_numpy(field))[None],
        torch.tensor([-3.0], dtype=torch.float64),
        torch.arange(len(NA_XY)),
        model.aperture(used),
    )[0]
    literal = replace(whole, **{name: nothing[name] for name in without})
    for led in range(len(NA_XY)):
        expected = literal_frame(field, -3.0, literal, led)
        np.testing.assert_allclose(got[led].numpy(), expected, rtol=0, atol=1e-10)


def test_some_leds_see_what_they_see_among_all() -> None:
    whole, model, some = instrument(), model_of(), torch.tensor([2, 0])
    z_um = torch.tensor([4.0], dtype=torch.float64)
    among_all = model.aperture(whole).select(some)
    alone = model.aperture(whole, some)
    picked = model.at_windows(model.window_led_yx[some]).aperture(whole.select(some))
    for one in (alone, picked):
        torch.testing.assert_close(one.at(z_um), among_all.at(z_um), rtol=0, atol=1e-12)
        torch.testing.assert_close(one.background_led, among_all.background_led)


def test_an_instrument_moves_to_a_precision_with_its_complex_pupil() -> None:
    moved = instrument().to("cpu")
    assert moved.pupil_y_x is not None
    assert moved.pupil_y_x.dtype == torch.complex64
    assert {moved.na_led_xy.dtype, moved.gain_led.dtype, moved.zernike_rad.dtype} == {torch.float32}
    torch.testing.assert_close(moved.pupil_y_x.to(torch.complex128), instrument().pupil_y_x)


def test_windows_follow_leds_as_far_as_the_margin_goes() -> None:
    model = model_of((32, 32), margin_samples=2.0)
    step_na = OPTICS.wavelength_um / (32 * OPTICS.pixel_um)
    moved = torch.tensor(NA_XY) + step_na * torch.tensor([[1.0, 0.0], [0.0, -2.0], [5.0, -7.0]])
    expected = torch.tensor([[0, 1], [-2, 0], [-2, 2]])  # (y, x)
    assert torch.equal(model.windows_following(moved) - model.window_led_yx, expected)


def test_without_a_margin_the_samples_are_those_of_leds_that_stay() -> None:
    narrow = model_of(margin_samples=3.0).narrowed()
    assert torch.equal(narrow.sample_yx, model_of().sample_yx)
    assert narrow.windows_following(torch.tensor(NA_XY) + 0.2).equal(narrow.window_led_yx)
    moved = narrow.to("cpu")
    torch.testing.assert_close(
        moved.aperture(instrument()).at(torch.zeros(1)),
        model_of().aperture(instrument()).at(torch.zeros(1)),
    )


def test_a_margin_holds_all_light_of_leds_that_move_within_it() -> None:
    step_na = OPTICS.wavelength_um / (np.array(SHAPE[::-1]) * OPTICS.pixel_um)
    wide = model_of(margin_samples=2.0)
    for move in ([1.9, 0.0], [-1.3, 1.3], [0.0, -1.9]):
        moved = torch.tensor(NA_XY + np.array(move) * step_na)
        # the whole grid of the frame, sample by sample
        rest = moved.numpy() / OPTICS.wavelength_um
        y = np.fft.fftfreq(SHAPE[0], OPTICS.pixel_um)[:, None]
        x = np.fft.fftfreq(SHAPE[1], OPTICS.pixel_um)[None, :]
        edge = EDGE_SAMPLES * np.sqrt(y[1, 0] * x[0, 1])
        for led in range(len(NA_XY)):
            window_y, window_x = wide.window_led_yx[led].numpy()
            radius = np.hypot(
                y + window_y * y[1, 0] - rest[led, 1], x + window_x * x[0, 1] - rest[led, 0]
            )
            disc = np.clip((OPTICS.na / OPTICS.wavelength_um - radius) / edge + 0.5, 0, 1)
            held = wide.sight(moved).disc_led_k[led].sum()
            assert float(held) == pytest.approx(disc.sum(), abs=1e-9)
    assert wide.sample_yx.shape[1] > model_of().sample_yx.shape[1]


def test_a_model_is_compiled_around_the_leds_of_its_instrument() -> None:
    step_na = OPTICS.wavelength_um / (32 * OPTICS.pixel_um)
    frames = np.ones((len(NA_XY), 32, 32), dtype=np.float32)
    acquisition = Acquisition(frames, OPTICS, Illumination(NA_XY))
    found = replace(
        nominal_instrument(acquisition),
        na_led_xy=torch.tensor(NA_XY + np.array([2 * step_na, -step_na])),
    )
    moved = compile_forward(acquisition, 2, instrument=found).window_led_yx
    assert torch.equal(
        moved - compile_forward(acquisition, 2).window_led_yx, torch.tensor([[-1, 2]] * 3)
    )


def test_aberrations_do_not_hang_on_what_was_asked_before() -> None:
    whole, used = instrument(), model_of(margin_samples=1.0)
    few = replace(whole, zernike_rad=whole.zernike_rad[:4])
    for model, of in ((used, few), (used, whole), (used.narrowed(), few), (used, few.to("cpu"))):
        fresh = replace(model, _monomials_by_kind={})
        torch.testing.assert_close(model.aperture(of).phase_led_k, fresh.aperture(of).phase_led_k)


def test_what_is_stated_is_kept_in_double_precision() -> None:
    frames = np.ones((len(NA_XY), *SHAPE), dtype=np.float32)
    stated = nominal_instrument(Acquisition(frames, OPTICS, Illumination(NA_XY)))
    assert {stated.na_led_xy.dtype, stated.gain_led.dtype} == {torch.float64}
    assert stated.zernike_rad.shape == (0,)
    ky, kx = frequencies_per_um((5, 8), 0.3, dtype=torch.float64)
    np.testing.assert_array_equal(ky[:, 0], np.fft.fftfreq(5, 0.3))
    np.testing.assert_array_equal(kx[0], np.fft.fftfreq(8, 0.3))


def test_a_stack_propagates_as_its_fields_do() -> None:
    stack = torch.randn(3, 6, 9, dtype=torch.complex128)
    how = {"pixel_um": 0.4, "wavelength_um": 0.5}
    one_by_one = torch.stack([propagate(field, 2.0, **how) for field in stack])
    torch.testing.assert_close(propagate(stack, 2.0, **how), one_by_one)


def test_waves_that_do_not_travel_are_dropped() -> None:
    # 16 pixels of 0.1 um: the seventh wave has 4.4 cycles per um, in air light of 0.5 um only 2
    x = torch.arange(16, dtype=torch.float64)
    for cycles, is_kept in ((1, True), (3, True), (4, False), (7, False)):
        wave = torch.exp(2j * torch.pi * cycles * x / 16).expand(16, 16)
        far = propagate(wave, 0.3, pixel_um=0.1, wavelength_um=0.5)
        expected = wave.abs() if is_kept else torch.zeros(16, 16, dtype=torch.float64)
        torch.testing.assert_close(far.abs(), expected, rtol=0, atol=1e-12)
