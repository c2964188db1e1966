"""The shifted phase is the sum of shifted Zernike modes."""

from __future__ import annotations

import pytest
import torch

from fpm_inr.aberration import monomials, zernike_phase
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
