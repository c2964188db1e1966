"""The pupil's phase: modes, as shifted LEDs see them, and as it is drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fpm_inr.aberration import monomials, zernike_phase
from fpm_inr.acquisition import Optics
from fpm_inr.forward import Instrument
from fpm_inr.instrument.pupil_images import pupil_images
from fpm_inr.optics import zernike


@pytest.mark.parametrize("modes", [1, 4, 11, 28])
def test_equals_the_modes_at_shifted_points(modes: int) -> None:
    torch.manual_seed(0)
    rad = torch.randn(modes, dtype=torch.float64)
    y, x = torch.rand(2, 40, dtype=torch.float64) * 2 - 1
    down, right = torch.randn(2, 5, dtype=torch.float64) / 10
    wanted = sum(
        c * zernike(j + 1, y + down[:, None], x + right[:, None]) for j, c in enumerate(rad)
    )
    assert isinstance(wanted, torch.Tensor)
    torch.testing.assert_close(
        zernike_phase(rad, monomials(len(rad), (y, x)), (down, right)), wanted
    )


def test_has_right_gradients_in_coefficients_and_shifts() -> None:
    torch.manual_seed(0)
    rad = torch.randn(6, dtype=torch.float64, requires_grad=True)
    down, right = (torch.randn(2, dtype=torch.float64, requires_grad=True) for _ in range(2))
    y, x = torch.rand(2, 5, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda c, a, b: zernike_phase(c, monomials(len(c), (y, x)), (a, b)), (rad, down, right)
    )


def test_pupil_is_drawn_with_its_modes_and_its_free_map() -> None:
    optics, side = Optics(0.5, 0.1, 1.0), 33
    rad = torch.zeros(5, dtype=torch.float64)
    rad[4] = 0.7
    modes = Instrument(torch.zeros(1, 2), torch.ones(1), rad)
    both = replace(modes, pupil_y_x=0.5 * torch.exp(torch.full((32, 40), 0.2j)))
    amplitude, phase = pupil_images(modes, optics, side)
    with_map = pupil_images(both, optics, side)
    axis = torch.linspace(-1, 1, side, dtype=torch.float64)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    outside = (y**2 + x**2 > 1).numpy()
    wanted = 0.7 * zernike(5, y, x).numpy()
    for drawn in (amplitude, phase, *with_map):
        np.testing.assert_array_equal(np.isnan(drawn), outside)
    np.testing.assert_allclose(phase[~outside], wanted[~outside], atol=1e-12)
    np.testing.assert_allclose(amplitude[~outside], 1)
    np.testing.assert_allclose(with_map[0][~outside], 0.5, atol=1e-6)
    np.testing.assert_allclose(with_map[1][~outside], wanted[~outside] + 0.2, atol=1e-6)
