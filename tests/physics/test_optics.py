"""Laws of the wave-optics functions."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fpm_inr.optics import (
    defocus_rate_rad_per_um,
    frequencies_per_um,
    noll_to_nm,
    propagate,
    pupil_disc,
    zernike,
)


def test_gaussian_beam_spreads_as_fresnel_says() -> None:
    """Paraxial Gaussian: w(z)^2 = w0^2 (1 + (z/zR)^2), on-axis amplitude w0/w, Gouy phase."""
    n, pixel_um, wavelength_um, waist_um, index = 256, 0.5, 0.5, 8.0, 1.33
    x = (torch.arange(n, dtype=torch.float64) - n // 2) * pixel_um
    squared = x[:, None] ** 2 + x[None, :] ** 2
    field = torch.exp(-squared / waist_um**2).to(torch.complex128)
    rayleigh_um = math.pi * waist_um**2 * index / wavelength_um
    z_um = 0.4 * rayleigh_um
    out = propagate(field, z_um, pixel_um=pixel_um, wavelength_um=wavelength_um, medium_index=index)
    ratio = z_um / rayleigh_um
    # exp(+ik r^2/2R), amplitude 1/(1 + i z/zR), for the exp(+i kz z) convention
    q = 1 / (1 + 1j * ratio)
    expected = q * torch.exp(-squared / waist_um**2 * q)
    assert torch.linalg.norm(out - expected) / torch.linalg.norm(expected) < 2e-3


@settings(deadline=None, max_examples=20)
@given(
    st.integers(8, 21),
    st.integers(8, 21),
    st.floats(-50, 50),
    st.floats(1.0, 1.5),
    st.integers(0, 2**31),
)
def test_propagation_keeps_energy_and_reverses(
    height: int, width: int, z_um: float, index: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    field = torch.randn(height, width, dtype=torch.complex128, generator=generator)
    optics = {"pixel_um": 0.6, "wavelength_um": 0.5, "medium_index": index}
    out = propagate(field, z_um, **optics)
    assert torch.isclose(out.abs().square().sum(), field.abs().square().sum())
    torch.testing.assert_close(propagate(out, -z_um, **optics), field)


def test_defocus_rate_is_kz_less_its_axial_value() -> None:
    radius = torch.linspace(0, 1.9, 50, dtype=torch.float64)
    rate = defocus_rate_rad_per_um(radius**2, 0.5, 1.0)
    kz = 2 * math.pi * torch.sqrt(4.0 - radius**2)
    torch.testing.assert_close(rate, kz - kz[0])


def test_frequencies_of_a_non_square_grid() -> None:
    y, x = frequencies_per_um((4, 6), 0.5, dtype=torch.float64)
    assert y.shape == (4, 1)
    assert x.shape == (1, 6)
    assert float(y[1, 0]) == pytest.approx(1 / 2.0)
    assert float(x[0, 1]) == pytest.approx(1 / 3.0)
    assert float(x[0, -1]) == pytest.approx(-1 / 3.0)


def test_soft_pupil_keeps_the_area_of_the_hard_one() -> None:
    y, x = frequencies_per_um((101, 120), 0.5, dtype=torch.float64)
    disc = pupil_disc(torch.hypot(y, x), 0.3, 1 / 55)
    area = float(disc.sum()) / (101 * 0.5 * 120 * 0.5)
    assert area == pytest.approx(math.pi * 0.3**2, rel=2e-3)
    assert float(disc.min()) == 0.0
    assert float(disc.max()) == 1.0


def test_zernikes_are_orthonormal_over_the_disc() -> None:
    n = 300
    g = (torch.arange(n, dtype=torch.float64) + 0.5) / n * 2 - 1
    y, x = g[:, None].expand(n, n), g[None, :].expand(n, n)
    inside = (x**2 + y**2) < 1
    modes = torch.stack([zernike(j, y, x)[inside] for j in range(1, 22)])
    gram = modes @ modes.T / inside.sum()
    torch.testing.assert_close(gram, torch.eye(21, dtype=torch.float64), atol=5e-3, rtol=0)


def test_zernikes_follow_nolls_order() -> None:
    # Noll (1976), Table 1: even indices are cosines
    table = [(0, 0), (1, 1), (1, -1), (2, 0), (2, -2), (2, 2), (3, -1), (3, 1), (3, -3), (3, 3)]
    assert [noll_to_nm(j) for j in range(1, 11)] == table
    y, x = torch.tensor(0.3, dtype=torch.float64), torch.tensor(-0.5, dtype=torch.float64)
    squared = x**2 + y**2
    assert float(zernike(2, y, x)) == pytest.approx(2 * float(x))
    assert float(zernike(3, y, x)) == pytest.approx(2 * float(y))
    assert float(zernike(4, y, x)) == pytest.approx(math.sqrt(3) * float(2 * squared - 1))
    assert float(zernike(5, y, x)) == pytest.approx(2 * math.sqrt(6) * float(x * y))
    assert float(zernike(11, y, x)) == pytest.approx(
        math.sqrt(5) * float(6 * squared**2 - 6 * squared + 1)
    )
    with pytest.raises(ValueError, match="start at 1"):
        noll_to_nm(0)
