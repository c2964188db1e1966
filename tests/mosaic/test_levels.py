"""Coarse levels: only their frequencies are read of a tile's file, and nothing else is shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fpm_inr.mosaic.levels import level_of, read_level
from fpm_inr.solution import load_solution
from tests.viewer.fields import random_solution, spline_solution

PLACES = np.arange(5.0, 40.0, 2.5), np.arange(-3.0, 30.0, 1.7)


def summed(image: np.ndarray, level: int, factor: int) -> np.ndarray:
    """The disc of a level's frequencies of an image [y, x], summed at places of frame pixels."""
    spectrum = np.fft.fft2(image) / image.size
    k_y, k_x = (np.fft.fftfreq(side) for side in image.shape)
    spectrum[np.hypot(k_y[:, None], k_x) * 2 ** (level + 1) > 1] = 0
    y, x = (
        np.exp(2j * np.pi * factor * np.outer(at, k))
        for at, k in zip(PLACES, (k_y, k_x), strict=True)
    )
    return y @ spectrum @ x.T


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("z_um", [-20.0, 3.3, 40.0])
def test_a_level_is_a_disc_of_frequencies(tmp_path: Path, level: int, z_um: float) -> None:
    spline_solution(reach=0.3).save(tmp_path / "tile.safetensors")
    solution = load_solution(tmp_path / "tile.safetensors")
    right = summed(solution.render(z_um).field_z_y_x[0], level, solution.upsampling)
    read = read_level(tmp_path / "tile.safetensors", level)
    assert read is not None
    for one in (read, level_of(solution, level)):
        assert one.amplitude_scale == solution.amplitude_scale
        np.testing.assert_allclose(one.sampler(*PLACES)(np.array([z_um]))[0], right, atol=2e-4)
    assert read.field.shape_y_x[0] <= solution.shape_y_x[0] / 2**level + 2
    assert right.std() > 0.01


@pytest.mark.parametrize("level", [1, 2])
def test_other_fields_have_levels_too(level: int) -> None:
    solution = random_solution((60, 50))
    right = summed(solution.render(7.0).field_z_y_x[0], level, solution.upsampling)
    np.testing.assert_allclose(
        level_of(solution, level).sampler(*PLACES)(np.array([7.0]))[0], right, atol=1e-4
    )


def test_what_cannot_be_read_so_is_left_to_others(tmp_path: Path) -> None:
    field = tmp_path / "field.safetensors"
    random_solution((30, 40)).save(field)
    assert read_level(field, 1) is None
    spline_solution((30, 40)).save(field, precision="half")
    assert read_level(field, 1) is None
    spline_solution((30, 40)).save(field)
    assert read_level(field, 1) is not None
    content = field.read_bytes()
    for damaged in (b"", content[:100], content[:-10], b"x" * 200):
        field.write_bytes(damaged)
        assert read_level(field, 1) is None
    assert read_level(tmp_path / "none", 1) is None
