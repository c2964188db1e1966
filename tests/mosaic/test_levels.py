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


@pytest.mark.parametrize(("level", "first"), [(0, 3.0), (1, 0.5), (1, 7.25), (2, 1.5), (3, 13.25)])
def test_pixels_of_a_level_take_short_transforms(level: int, first: float) -> None:
    """Its even places, wherever they begin, and beyond the end of the period, as any places."""
    solution = spline_solution((64, 48), reach=0.45)
    one = level_of(solution, level)
    spacing = 2**level / solution.upsampling
    y, x = (first + spacing * np.arange(count) for count in ((64 >> level) + 1, 5))
    z_um = np.array([-20.0, 3.3])
    even = one.sampler(y, x)(z_um).numpy()
    away = np.array([5.0])  # no even steps: places are summed one by one
    uneven = one.sampler(np.append(y, away), np.append(x, away))(z_um).numpy()
    np.testing.assert_allclose(even, uneven[:, :-1, :-1], atol=2e-5)
    np.testing.assert_allclose(even[:, -1], even[:, 0], atol=2e-5)
    assert even.std() > 0.01


def test_a_coarse_level_counts_for_its_share() -> None:
    solution = spline_solution((64, 64), reach=0.45)
    shares = [level_of(solution, level).share for level in range(3)]
    assert shares[0] == 1
    # discs of half the radius
    np.testing.assert_allclose(shares[1:], [(0.25 / 0.45) ** 2, (0.125 / 0.45) ** 2], rtol=0.1)
