"""The forward model against a slow, literal transcription of its formula, and its laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fpm_inr import aperture
from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.forward import (
    EDGE_SAMPLES,
    ForwardModel,
    Instrument,
    compile_forward,
    nominal_instrument,
    residual_by_led,
)
from fpm_inr.optics import propagate

OPTICS = Optics(wavelength_um=0.53, na=0.2, pixel_um=0.6, medium_index=1.33)


def make(
    shape: tuple[int, int], na_xy: NDArray[np.float64], upsampling: int, optics: Optics = OPTICS
) -> tuple[ForwardModel, Instrument]:
    frames = np.ones((len(na_xy), *shape), dtype=np.float32)
    acquisition = Acquisition(frames, optics, Illumination(na_xy))
    return compile_forward(acquisition, upsampling), nominal_instrument(acquisition)


def literal_amplitude(
    field: NDArray[np.complex128],
    z_um: float,
    na_xy: NDArray[np.float64],
    shape: tuple[int, int],
    optics: Optics,
) -> NDArray[np.float64]:
    """| sum over pupil samples of P exp(i kz z) O(k + shift) exp(2 pi i k x) |, term by term."""
    height, width = shape
    tall, wide = field.shape
    spectrum = np.fft.fft2(field) / field.size
    step_y, step_x = 1 / (height * optics.pixel_um), 1 / (width * optics.pixel_um)
    shift_y, shift_x = na_xy[1] / optics.wavelength_um, na_xy[0] / optics.wavelength_um
    image = np.zeros(shape, dtype=np.complex128)
    y, x = np.mgrid[:height, :width]
    for row in range(tall):
        for column in range(wide):
            # frequency of the object's sample, then of the pupil's
            fy = (row if row < (tall + 1) // 2 else row - tall) * step_y
            fx = (column if column < (wide + 1) // 2 else column - wide) * step_x
            ky, kx = fy - shift_y, fx - shift_x
            k = math.hypot(ky, kx)
            edge = EDGE_SAMPLES * math.sqrt(step_y * step_x)
            inside = min(max((optics.na / optics.wavelength_um - k) / edge + 0.5, 0.0), 1.0)
            if inside == 0.0:
                continue
            kz = 2 * math.pi * math.sqrt((optics.medium_index / optics.wavelength_um) ** 2 - k * k)
            wave = np.exp(2j * np.pi * (row * y / height + column * x / width))
            image += inside * np.exp(1j * kz * z_um) * spectrum[row, column] * wave
    return np.abs(image)


@pytest.mark.parametrize("shape", [(16, 16), (15, 17), (18, 13)])
@pytest.mark.parametrize("z_um", [0.0, -14.0])
def test_matches_the_literal_formula(shape: tuple[int, int], z_um: float) -> None:
    random = np.random.default_rng(1)
    na_xy = np.array([[0.0, 0.0], [0.113, -0.047], [-0.21, 0.05], [0.02, 0.187]])
    tall, wide = 2 * shape[0], 2 * shape[1]
    field = random.normal(size=(tall, wide)) + 1j * random.normal(size=(tall, wide))
    model, instrument = make(shape, na_xy, 2)
    leds = torch.arange(len(na_xy))
    got = model.amplitude(
        model.spectrum(torch.from_numpy(field))[None],
        torch.tensor([z_um], dtype=torch.float64),
        leds,
        model.aperture(instrument),
    )[0]
    for led, na in enumerate(na_xy):
        expected = literal_amplitude(field, z_um, na, shape, OPTICS)
        np.testing.assert_allclose(got[led].numpy(), expected, rtol=0, atol=1e-10)


def test_single_precision_agrees_with_double() -> None:
    na_xy = np.array([[0.05, 0.1], [-0.2, 0.1]])
    model, instrument = make((32, 32), na_xy, 2)
    field = torch.randn(64, 64, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
    leds = torch.arange(2)
    exact = model.amplitude(
        model.spectrum(field)[None],
        torch.tensor([20.0], dtype=torch.float64),
        leds,
        model.aperture(instrument),
    )
    single = instrument.to("cpu")
    quick = model.amplitude(
        model.spectrum(field.to(torch.complex64))[None],
        torch.tensor([20.0]),
        leds,
        model.aperture(single),
    )
    assert (quick - exact).abs().max() < 2e-5 * exact.abs().max()


def test_on_axis_light_refocuses_as_free_space_does() -> None:
    """On the axis the frame is the propagated field, which is known for a Gaussian spot."""
    n = 48
    optics = Optics(0.5, 0.4, 0.3, 1.0)
    model, instrument = make((n, n), np.zeros((1, 2)), 1, optics)
    x = (torch.arange(n, dtype=torch.float64) - n // 2) * optics.pixel_um
    waist_um = 1.8
    squared = x[:, None] ** 2 + x[None, :] ** 2
    field = torch.exp(-squared / waist_um**2).to(torch.complex128)
    z_um = 6.0
    got = model.amplitude(
        model.spectrum(field)[None],
        torch.tensor([z_um], dtype=torch.float64),
        torch.tensor([0]),
        model.aperture(instrument),
    )[0, 0]
    free = propagate(field, z_um, pixel_um=optics.pixel_um, wavelength_um=0.5).abs()
    torch.testing.assert_close(got, free, atol=1e-3, rtol=0)
    ratio = z_um / (math.pi * waist_um**2 / 0.5)
    fresnel = torch.exp(-squared / (waist_um**2 * (1 + ratio**2))) / math.sqrt(1 + ratio**2)
    torch.testing.assert_close(got, fresnel, atol=1e-2, rtol=0)


def test_clear_field_has_amplitude_one_in_bright_field_and_none_in_dark_field() -> None:
    na_xy = np.array([[0.0, 0.0], [0.1, 0.05], [0.3, 0.0]])
    model, instrument = make((24, 20), na_xy, 2)
    amplitude = model.amplitude(
        model.spectrum(torch.ones(48, 40, dtype=torch.complex128))[None],
        torch.tensor([7.0], dtype=torch.float64),
        torch.arange(3),
        model.aperture(instrument),
    )[0]
    torch.testing.assert_close(amplitude[:2], torch.ones(2, 24, 20, dtype=torch.float64))
    assert amplitude[2].abs().max() < 1e-12


@settings(deadline=None, max_examples=15)
@given(st.integers(9, 20), st.integers(9, 20), st.integers(1, 3), st.integers(0, 2**31))
def test_gather_and_scatter_are_adjoint(height: int, width: int, k: int, seed: int) -> None:
    """<A o, u> = <o, A* u> for the linear part (field -> exit field)."""
    generator = torch.Generator().manual_seed(seed)
    limit = OPTICS.wavelength_um * k / (2 * OPTICS.pixel_um) - OPTICS.na
    reach = max(0.0, min(0.25, limit)) / math.sqrt(2)
    na_xy = (torch.rand(3, 2, generator=generator, dtype=torch.float64) * 2 - 1).numpy() * reach
    model, instrument = make((height, width), na_xy, k)
    leds = torch.tensor([2, 0])
    aperture = model.aperture(instrument, leds)
    z_um = torch.tensor([-9.0], dtype=torch.float64)
    shape = model.field_shape_y_x
    field = torch.randn(shape, dtype=torch.complex128, generator=generator, requires_grad=True)
    other = torch.randn(1, 2, height, width, dtype=torch.complex128, generator=generator)
    exit_field = model.exit_field(model.spectrum(field)[None], z_um, leds, aperture)
    inner = torch.vdot(other.flatten(), exit_field.flatten())
    # the backward pass of Re<u, A o> is A* u
    inner.real.backward()
    assert field.grad is not None
    adjoint = torch.vdot(field.grad.flatten(), field.detach().flatten())
    torch.testing.assert_close(adjoint, inner.detach())


def test_gradients_in_field_pupil_leds_and_gains() -> None:
    na_xy = np.array([[0.03, 0.02], [-0.12, 0.08]])
    model, nominal = make((10, 12), na_xy, 2)
    generator = torch.Generator().manual_seed(3)
    field = 1 + 0.3 * torch.randn(20, 24, dtype=torch.complex128, generator=generator)
    zernike_rad = 0.1 * torch.randn(8, dtype=torch.float64, generator=generator)
    pupil = torch.ones(10, 12, dtype=torch.complex128) + 0.1j
    leds = torch.tensor([0, 1])
    z_um = torch.tensor([3.0, -4.0], dtype=torch.float64)

    def frames(*values: torch.Tensor) -> torch.Tensor:
        field, na, gain, coefficients, free, heights = values
        aperture = model.aperture(Instrument(na, gain, coefficients, free), leds)
        spectrum = model.spectrum(torch.stack([field, field * 0.7]))
        return model.amplitude(spectrum, heights, leds, aperture)

    inputs = [field, nominal.na_led_xy, nominal.gain_led, zernike_rad, pupil, z_um]
    inputs = [value.detach().clone().requires_grad_() for value in inputs]
    assert torch.autograd.gradcheck(frames, inputs, eps=1e-7, atol=1e-4, rtol=1e-3)


def test_twin_fits_as_well() -> None:
    """(shift, z) -> (-shift, -z) with the conjugate object gives the same frames."""
    na_xy = np.array([[0.1, 0.03], [-0.05, 0.14]])
    field = torch.randn(32, 40, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
    leds = torch.arange(2)
    both = []
    for sign in (1, -1):
        model, instrument = make((16, 20), sign * na_xy, 2)
        image = field if sign == 1 else field.conj()
        both.append(
            model.amplitude(
                model.spectrum(image)[None],
                torch.tensor([sign * 11.0], dtype=torch.float64),
                leds,
                model.aperture(instrument),
            )
        )
    torch.testing.assert_close(both[0], both[1])


def test_only_samples_inside_the_pupil_are_gathered() -> None:
    model, instrument = make((64, 64), np.zeros((1, 2)), 2)
    aperture = model.aperture(instrument)
    radius_samples = OPTICS.na / OPTICS.wavelength_um * 64 * OPTICS.pixel_um
    assert model.sample_yx.shape[1] < 1.25 * math.pi * (radius_samples + 1) ** 2
    assert float(aperture.transmission_led_k.max()) == 1.0


def test_residual_of_the_truth_is_zero_and_of_nothing_is_one() -> None:
    na_xy = np.array([[0.0, 0.0], [0.1, 0.1], [0.2, 0.0]])
    model, instrument = make((16, 16), na_xy, 2)
    field = torch.randn(32, 32, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
    aperture = model.aperture(instrument)
    z_um = torch.tensor([5.0], dtype=torch.float64)
    measured = model.amplitude(model.spectrum(field)[None], z_um, torch.arange(3), aperture)[0]
    error, power = residual_by_led(model, aperture, measured, field, 5.0)
    assert float(error.sum()) < 1e-20
    torch.testing.assert_close(power, measured.square().sum(dim=(1, 2)))
    nothing, _ = residual_by_led(model, aperture, measured, torch.zeros_like(field), 5.0)
    torch.testing.assert_close(nothing, power)


def test_gradient_of_where_light_crosses_the_pupil() -> None:
    optics, edge = OPTICS, 0.02
    random = torch.Generator().manual_seed(0)
    cutoff = optics.na / optics.wavelength_um
    # near the pupil's edge, where the disc is a ramp, and well inside it
    angle = 2 * math.pi * torch.rand(40, generator=random, dtype=torch.float64)
    radius = cutoff * (0.3 + 0.8 * torch.rand(40, generator=random, dtype=torch.float64))
    y, x = radius * angle.sin(), radius * angle.cos()
    rest = 0.001 * torch.randn(2, 3, generator=random, dtype=torch.float64)

    def crossing(
        down: torch.Tensor, right: torch.Tensor, cut: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return aperture._Crossing.apply(down, right, cut, y, x, optics, edge)  # type: ignore[no-untyped-call,no-any-return]

    radius_cut = torch.tensor(cutoff, dtype=torch.float64, requires_grad=True)
    down, right = rest.requires_grad_().unbind()
    assert torch.autograd.gradcheck(crossing, (down, right, radius_cut), eps=1e-8, atol=1e-4)
