"""Pupil phase in Zernike modes, on one grid that every LED sees shifted by a little.

Polynomials of a degree stay such polynomials when they are shifted, so the phase that every LED
sees is a product of two small matrices: (coefficients by LED) times (monomials by sample). Exact,
differentiable in the coefficients and in the shifts, and cheap enough for every step of a solve.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fpm_inr.optics import noll_to_nm, zernike


def monomials(modes: int, sample_y_x: tuple[Tensor, Tensor]) -> Tensor:
    """Monomials [monomial, sample] that modes up to this Noll index are made of.

    Parameters
    ----------
    modes : int
    sample_y_x : (Tensor [sample], Tensor [sample])
        Pupil coordinates (1 at the pupil's edge).
    """
    table = _on(modes, sample_y_x[0].device, sample_y_x[0].dtype)
    sample_y, sample_x = (_powers(value, table.degree) for value in sample_y_x)
    of_y, of_x = table.powers
    return (sample_y[:, of_y] * sample_x[:, of_x]).T.contiguous()


def zernike_phase(
    zernike_rad: Tensor, monomial_n_k: Tensor, shift_y_x: tuple[Tensor, Tensor]
) -> Tensor:
    """Phase [led, sample] in rad of an aberration, at pupil coordinates sample + shift.

    Parameters
    ----------
    zernike_rad : Tensor [mode]
        Coefficients in radians RMS, by Noll index from 1.
    monomial_n_k : Tensor [monomial, sample]
        `monomials` of the common grid.
    shift_y_x : (Tensor [led], Tensor [led])
        What each LED adds to its pupil coordinates.
    """
    table = _on(len(zernike_rad), zernike_rad.device, zernike_rad.dtype)
    polynomial = zernike_rad @ table.modes
    shifted_y, shifted_x = (_powers(value, table.degree) for value in shift_y_x)
    # (y + r)^a (x + s)^b = sum over i, j of binomials r^(a-i) s^(b-j) y^i x^j
    terms = shifted_y[:, table.rest[0]] * shifted_x[:, table.rest[1]]
    by_led = torch.einsum("m,mn,lmn->ln", polynomial, table.factors, terms)
    return by_led @ monomial_n_k


@dataclass(frozen=True, eq=False)
class _Table:
    """`_shift_table` as tensors of a device; `degree` is the highest power."""

    degree: int
    modes: Tensor
    powers: tuple[Tensor, Tensor]
    factors: Tensor
    rest: Tensor


@lru_cache
def _on(modes: int, device: torch.device, dtype: torch.dtype) -> _Table:
    table, powers, factors, rest = _shift_table(modes)
    return _Table(
        int(powers.max()),
        torch.from_numpy(table).to(device, dtype),
        (
            torch.from_numpy(powers[:, 0].copy()).to(device),
            torch.from_numpy(powers[:, 1].copy()).to(device),
        ),
        torch.from_numpy(factors).to(device, dtype),
        torch.from_numpy(rest.copy()).to(device),
    )


def _powers(value: Tensor, degree: int) -> Tensor:
    """Powers 0 to `degree` along a last axis."""
    rising = [torch.ones_like(value)]
    for _ in range(degree):
        rising.append(rising[-1] * value)
    return torch.stack(rising, dim=-1)


@lru_cache
def _shift_table(
    modes: int,
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.float64], NDArray[np.intp]]:
    """Modes as monomials, and how monomials shift.

    Returns
    -------
    table : array [mode, monomial]
    powers : array [monomial, 2]
        Powers of y and x of each monomial.
    factors : array [monomial, monomial]
        Product of the binomial coefficients (0 where a power would rise).
    rest : array [2, monomial, monomial]
        Powers of the shift in y and x (0 where the factor is 0).
    """
    degree = max(noll_to_nm(mode)[0] for mode in range(1, modes + 1))
    powers = np.array([(n - b, b) for n in range(degree + 1) for b in range(n + 1)], dtype=np.intp)
    point = np.cos(np.pi * (np.arange(2 * degree + 2) + 0.5) / (2 * degree + 2))
    y, x = (axis.ravel() for axis in np.meshgrid(point, point, indexing="ij"))
    monomials = y[:, None] ** powers[:, 0] * x[:, None] ** powers[:, 1]
    values = [
        zernike(mode, torch.from_numpy(y), torch.from_numpy(x)).numpy()
        for mode in range(1, modes + 1)
    ]
    table = np.linalg.lstsq(monomials, np.stack(values, axis=1), rcond=None)[0].T
    table[np.abs(table) < 1e-9] = 0.0
    before, after = powers[:, None, :], powers[None, :, :]
    falls = np.all(after <= before, axis=-1)
    assert isinstance(falls, np.ndarray)
    binomial = np.array([[math.comb(n, k) for k in range(degree + 1)] for n in range(degree + 1)])
    factors = falls * binomial[before, after].prod(axis=-1).astype(np.float64)
    rest = (before - after) * falls[:, :, None]
    return table, powers, factors, np.moveaxis(rest, -1, 0)
