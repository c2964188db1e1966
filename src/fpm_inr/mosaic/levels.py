"""Levels of a pyramid from a tile's spectrum: a smaller image is a smaller disc of frequencies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fpm_inr import transforms
from fpm_inr.fields.base import Field
from fpm_inr.fields.spline import SplineField

if TYPE_CHECKING:
    from fpm_inr.solution import Solution

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LevelField:
    """A tile's field as far as a level of the pyramid shows it.

    Parameters
    ----------
    field : Field
        At level 0 the whole field; else a spline field of the level's frequencies alone, or, of
        other kinds, the whole field again.
    shape_y_x : (int, int)
        Of the whole field.
    upsampling : int
    amplitude_scale : float
    level : int
    share : float
        Of the whole field's numbers, those that are held.
    guard_px : int
        Width of the field's band (`fpm_inr.guard`), in pixels of the frames.
    """

    field: Field
    shape_y_x: tuple[int, int]
    upsampling: int
    amplitude_scale: float
    level: int
    share: float = 1.0
    guard_px: int = 0

    def sampler(self, y_px: FloatArray, x_px: FloatArray) -> Sampler:
        """What gives the field at these places, in pixels of the frames, at any heights."""
        y_px, x_px = ((at + self.guard_px) * self.upsampling for at in (y_px, x_px))
        return Sampler(self, y_px, x_px)

    @cached_property
    def reach_y_x(self) -> tuple[int, int]:
        """Highest frequency along each axis, in cycles per side of the whole field."""
        if isinstance(self.field, SplineField):
            y, x = self.field.state_dict()["sample_yx"].abs().amax(dim=1).tolist()
            return int(y), int(x)
        height, width = (side >> (self.level + 1) for side in self.shape_y_x)
        return height, width

    @cached_property
    def _flat(self) -> Tensor:
        """Where a spline field's frequencies lie in a flattened `spectrum_z_x_y`."""
        y, x = self.field.state_dict()["sample_yx"].long()
        reach_y, reach_x = self.reach_y_x
        return (x + reach_x) * (2 * reach_y + 1) + y + reach_y

    @cached_property
    def _disc_x_y(self) -> Tensor:
        """1 at the frequencies of a level, 0 elsewhere."""
        y, x = (
            torch.arange(-reach, reach + 1) / side * 2 ** (self.level + 1)
            for reach, side in zip(self.reach_y_x, self.shape_y_x, strict=True)
        )
        return (torch.hypot(x[:, None], y) <= 1).to(torch.float32)

    def spectrum_z_x_y(self, z_um: FloatArray) -> Tensor:
        """Spectra, from the lowest frequency to the highest along each axis; y last."""
        reach_y, reach_x = self.reach_y_x
        shape = 2 * reach_x + 1, 2 * reach_y + 1
        if not isinstance(self.field, SplineField):
            y, x = torch.arange(-reach_y, reach_y + 1), torch.arange(-reach_x, reach_x + 1)
            whole = (transforms.spectrum(self.field(z)) for z in z_um.tolist())
            return torch.stack([one.cpu()[y][:, x].T * self._disc_x_y for one in whole])
        planes, samples, _ = self.field.spectrum.shape
        weights = torch.zeros(len(z_um), planes)
        for row, z in zip(weights, z_um.tolist(), strict=True):
            first, shares = self.field.shares(z)
            row[first : first + len(shares)] = torch.from_numpy(shares)
        blended = weights @ self.field.spectrum.reshape(planes, 2 * samples)
        grid = torch.zeros(len(z_um), shape[0] * shape[1], dtype=torch.complex64)
        grid[:, self._flat] = torch.view_as_complex(blended.view(len(z_um), samples, 2))
        return grid.view(len(z_um), *shape)


class Sampler:
    """The field of a level at rows and columns, in pixels of the whole field, at any heights.

    The frequencies that the level can hold are summed there.
    """

    def __init__(self, of: LevelField, y_px: FloatArray, x_px: FloatArray) -> None:
        self._of = of
        self._at = (y_px, x_px)
        self._is_stored = of.level == 0 and not isinstance(of.field, SplineField)
        if not self._is_stored:
            self._y, self._x = (
                _Axis(at, reach, side, of.level)
                for at, reach, side in zip(self._at, of.reach_y_x, of.shape_y_x, strict=True)
            )

    def __call__(self, z_um: FloatArray) -> Tensor:
        """Field [z, y, x] at heights: complex64."""
        with torch.no_grad():
            if self._is_stored:
                y, x = (slice(round(at[0]), round(at[0]) + len(at)) for at in self._at)
                return torch.stack([self._of.field(z).cpu()[y, x] for z in z_um.tolist()])
            lines = self._y.summed(self._of.spectrum_z_x_y(z_um))
            return self._x.summed(lines.transpose(1, 2))


class _Axis:
    """Places along an axis at which frequencies are summed.

    Where they are a level's pixels, and a whole number of these make up the period, that is a
    Fourier transform of so many points.
    """

    def __init__(self, at_px: FloatArray, reach: int, side: int, level: int) -> None:
        self._reach, self._count, self._points = reach, len(at_px), side >> level
        cycles = np.arange(-reach, reach + 1)
        is_even = np.allclose(np.diff(at_px), 2**level) and self._points << level == side
        self._wave = None
        if is_even:
            # all windows take the same points, of which each has its part
            self._first = math.floor(at_px[0] / 2**level + 1e-9)
            begin = np.exp(2j * np.pi * cycles * (at_px[0] - self._first * 2**level) / side)
            self._begin = torch.from_numpy(begin.astype(np.complex64))
        else:
            wave = np.exp(2j * np.pi * np.outer(cycles, at_px / side))
            self._wave = torch.from_numpy(wave.astype(np.complex64))

    def summed(self, spectrum: Tensor) -> Tensor:
        """Values [..., place] of spectra [..., frequency]."""
        if self._wave is not None:
            return spectrum @ self._wave
        begun, points, reach = spectrum * self._begin, self._points, self._reach
        lines = begun.new_zeros(*begun.shape[:-1], points)
        lines[..., : reach + 1] = begun[..., reach:]
        # the two highest frequencies are one where the points hold them just so
        lines[..., points - reach :] += begun[..., :reach]
        lines = transforms.lines(lines)
        first = self._first % points
        if first + self._count <= points:
            return lines[..., first : first + self._count]
        return lines[..., torch.arange(first, first + self._count) % points]


def level_of(solution: Solution, level: int) -> LevelField:
    """A solution at a level."""
    field, share = solution.field, 1.0
    if level > 0 and isinstance(field, SplineField):
        sample_yx = field.state_dict()["sample_yx"].numpy()
        kept = _inside(sample_yx, field.shape_y_x, level)
        spectrum = field.spectrum.detach().numpy()[:, kept]
        field = _low(spectrum, sample_yx[:, kept], field.shape_y_x, field.z_range_um, level)
        share = float(kept.mean())
    return LevelField(
        field,
        solution.field.shape_y_x,
        solution.upsampling,
        solution.amplitude_scale,
        level,
        share,
        solution.guard_px,
    )


def read_level(path: Path, level: int) -> LevelField | None:
    """A coarse level of a field file, of which little more than its frequencies is read.

    None where that cannot be: the file is of another kind, or damaged. Read whole, it says so.
    """
    from safetensors import SafetensorError, safe_open

    from fpm_inr.errors import InputError
    from fpm_inr.field_header import FIELD_PREFIX, KEY, check_header, parse_header
    from fpm_inr.fields.packing import from_runs, unpack

    try:
        with safe_open(path, framework="numpy") as file:
            header = check_header(parse_header((file.metadata() or {}).get(KEY), path), path)
            stored = file.get_slice(f"{FIELD_PREFIX}spectrum")
            if header.kind != SplineField.kind or stored.get_dtype() != "I8":
                return None
            runs = file.get_tensor(f"{FIELD_PREFIX}sample_runs")
            sample_yx = from_runs(runs, stored.get_shape()[1])
            kept = np.flatnonzero(_inside(sample_yx, header.shape_y_x, level))
            # frequencies are stored row by row: those of few rows lie together
            some = slice(int(kept[0]), int(kept[-1]) + 1)
            ring = file.get_tensor(f"{FIELD_PREFIX}spectrum_ring")
            near = file.get_tensor(f"{FIELD_PREFIX}spectrum_near")
            part = {
                "spectrum": stored[:, some][:, kept - some.start],
                "spectrum_ring": ring[kept],
                "spectrum_near": near[:, np.isin(np.flatnonzero(ring == 0), kept)],
            }
            for name in ("spectrum_ring_scale", "spectrum_scale"):
                part[name] = file.get_tensor(FIELD_PREFIX + name)
        spectrum = unpack(part)
        if not np.isfinite(spectrum).all():
            return None
        field = _low(spectrum, sample_yx[:, kept], header.shape_y_x, header.z_range_um, level)
    except (InputError, SafetensorError, OSError, ValueError, KeyError, IndexError):
        return None
    return LevelField(
        field,
        header.shape_y_x,
        header.upsampling,
        header.amplitude_scale,
        level,
        len(kept) / sample_yx.shape[1],
        header.guard_px,
    )


def _inside(
    sample_yx: NDArray[np.integer[Any]], shape_y_x: tuple[int, int], level: int
) -> NDArray[np.bool_]:
    """Which frequencies [2, sample] lie in the disc of a level."""
    radius = np.hypot(*(samples / side for samples, side in zip(sample_yx, shape_y_x, strict=True)))
    return np.asarray(radius * 2 ** (level + 1) <= 1)


def _low(
    spectrum: NDArray[np.float32],
    sample_yx: NDArray[np.integer[Any]],
    shape_y_x: tuple[int, int],
    z_range_um: tuple[float, float],
    level: int,
) -> SplineField:
    """A spline field of few frequencies, on the smallest grid that holds them."""
    height, width = (min(side, 2 * (side >> (level + 1)) + 1) for side in shape_y_x)
    low = SplineField(
        (height, width),
        z_range_um,
        torch.from_numpy(np.ascontiguousarray(sample_yx)),
        planes=len(spectrum),
    )
    low.requires_grad_(False)
    low.spectrum.copy_(torch.from_numpy(np.ascontiguousarray(spectrum)))
    return low
