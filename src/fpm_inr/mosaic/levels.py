"""Levels of a pyramid from a tile's spectrum: a smaller image is a smaller disc of frequencies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from fpm_inr import transforms
from fpm_inr.fields.base import Field
from fpm_inr.fields.spline import SplineField

if TYPE_CHECKING:
    from fpm_inr.solution import Solution

FloatArray = NDArray[np.float64]
Image = NDArray[np.complexfloating[Any, Any]]


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
    """

    field: Field
    shape_y_x: tuple[int, int]
    upsampling: int
    amplitude_scale: float
    level: int

    def sampler(self, y_px: FloatArray, x_px: FloatArray) -> Sampler:
        """What gives the field at these places, in pixels of the frames, at any height."""
        return Sampler(self, y_px * self.upsampling, x_px * self.upsampling)


class Sampler:
    """The field of a level at rows and columns, in pixels of the whole field, at any height.

    At level 0 these are pixels of the field. At others the frequencies that the level can hold are
    summed there.
    """

    def __init__(self, of: LevelField, y_px: FloatArray, x_px: FloatArray) -> None:
        self._of = of
        self._at = (y_px, x_px)
        if of.level == 0:
            return
        waves, radii, self._kept = [], [], []
        for at, whole, count in zip(self._at, of.shape_y_x, of.field.shape_y_x, strict=True):
            cycles = np.rint(np.fft.fftfreq(count, 1 / count)).astype(np.intp)
            kept = np.flatnonzero(np.abs(cycles) <= whole / 2 ** (of.level + 1))
            self._kept.append(kept)
            radii.append(cycles[kept] / whole * 2 ** (of.level + 1))
            wave = np.exp(2j * np.pi * np.outer(at / whole, cycles[kept]))
            waves.append(wave.astype(np.complex64))
        self._inside = np.hypot(radii[0][:, None], radii[1]) <= 1
        self._waves = waves

    def __call__(self, z_um: float) -> Image:
        """Field [y, x] at a height."""
        field = self._of.field
        with torch.no_grad():
            if self._of.level == 0:
                y, x = (round(at[0]) for at in self._at)
                image = field(z_um).cpu().numpy()
                return np.asarray(image[y : y + len(self._at[0]), x : x + len(self._at[1])])
            if isinstance(field, SplineField):
                spectrum = field.spectrum_y_x(z_um).cpu().numpy()
            else:
                spectrum = transforms.spectrum(field(z_um)).cpu().numpy()
        part = spectrum[np.ix_(*self._kept)] * self._inside
        return np.asarray(self._waves[0] @ part @ self._waves[1].T)


def level_of(solution: Solution, level: int) -> LevelField:
    """A solution at a level."""
    field = solution.field
    if level > 0 and isinstance(field, SplineField):
        sample_yx = field.state_dict()["sample_yx"].numpy()
        kept = _inside(sample_yx, field.shape_y_x, level)
        spectrum = field.spectrum.detach().numpy()[:, kept]
        field = _low(spectrum, sample_yx[:, kept], field.shape_y_x, field.z_range_um, level)
    return LevelField(
        field, solution.shape_y_x, solution.upsampling, solution.amplitude_scale, level
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
            part = {
                name: file.get_tensor(FIELD_PREFIX + name)
                for name in ("spectrum_ring", "spectrum_ring_scale", "spectrum_near")
            }
            part["spectrum_scale"] = file.get_tensor(f"{FIELD_PREFIX}spectrum_scale")
            runs = file.get_tensor(f"{FIELD_PREFIX}sample_runs")
            sample_yx = from_runs(runs, stored.get_shape()[1])
            kept = np.flatnonzero(_inside(sample_yx, header.shape_y_x, level))
            # frequencies are stored row by row: those of few rows lie together
            some = slice(int(kept[0]), int(kept[-1]) + 1)
            is_near = np.flatnonzero(part["spectrum_ring"] == 0)
            among = (is_near >= some.start) & (is_near < some.stop)
            part["spectrum_near"] = part["spectrum_near"][:, among]
            part["spectrum_ring"] = part["spectrum_ring"][some]
            part["spectrum"] = stored[:, some]
        spectrum = unpack(part)[:, kept - some.start]
        if not np.isfinite(spectrum).all():
            return None
        field = _low(spectrum, sample_yx[:, kept], header.shape_y_x, header.z_range_um, level)
    except (InputError, SafetensorError, OSError, ValueError, KeyError, IndexError):
        return None
    return LevelField(field, header.shape_y_x, header.upsampling, header.amplitude_scale, level)


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
