"""The spline field against its formula."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import BSpline

from fpm_inr.acquisition import Optics
from fpm_inr.fields.packing import NEAR_CYCLES, from_runs, pack, to_runs, unpack
from fpm_inr.fields.spline import SplineField, signed_frequencies
from fpm_inr.forward import Instrument
from fpm_inr.solution import Solution, load_solution

SAMPLES = torch.tensor([[0, 1, -1, 3, -4, 2], [0, 0, 2, -3, 1, -5]])


def filled(shape: tuple[int, int], z_range_um: tuple[float, float], planes: int) -> SplineField:
    field = SplineField(shape, z_range_um, SAMPLES, planes=planes)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        field.spectrum += 0.1 * torch.randn(field.spectrum.shape, generator=generator)
    return field.requires_grad_(False)


def basis(z_um: float, z_range_um: tuple[float, float], planes: int) -> np.ndarray:
    """Uniform cubic B-splines by SciPy."""
    low, high = z_range_um
    step = (high - low) / (planes - 3)
    knots = low + step * np.arange(-3, planes + 1)
    return np.array([float(BSpline(knots, row, 3)(z_um)) for row in np.eye(planes)])


@pytest.mark.parametrize("shape", [(8, 12), (9, 11), (16, 11)])
@pytest.mark.parametrize("z_um", [-3.0, -1.234, 0.5, 4.9])
def test_image_is_the_sum_of_its_waves(shape: tuple[int, int], z_um: float) -> None:
    field = filled(shape, (-3.0, 5.0), 6)
    planes = torch.view_as_complex(field.spectrum).numpy()
    y, x = np.arange(shape[0])[:, None] / shape[0], np.arange(shape[1])[None] / shape[1]
    expected = np.zeros(shape, complex)
    for plane, weight in zip(planes, basis(z_um, (-3.0, 5.0), 6), strict=True):
        for value, (ky, kx) in zip(plane, SAMPLES.T.numpy(), strict=True):
            expected += weight * value * np.exp(2j * np.pi * (ky * y + kx * x))
    np.testing.assert_allclose(field(z_um).numpy(), expected, atol=2e-6)


@given(st.floats(-3.0, 5.0), st.integers(4, 12))
def test_weights_sum_to_one_and_none_is_negative(z_um: float, planes: int) -> None:
    first, weights = SplineField((16, 16), (-3.0, 5.0), SAMPLES, planes=planes).weights(z_um)
    assert 0 <= first <= planes - 4
    assert float(weights.sum()) == pytest.approx(1, abs=1e-6)
    assert float(weights.min()) >= 0


def test_it_begins_clear_and_a_flat_one_is_the_same_everywhere() -> None:
    for z_range, planes in (((-2.0, 2.0), 5), ((1.0, 1.0), 1)):
        field = SplineField((10, 12), z_range, SAMPLES, planes=planes)
        torch.testing.assert_close(field(1.0), torch.ones(10, 12, dtype=torch.complex64))
    flat = filled((10, 12), (1.0, 1.0), 1)
    assert torch.equal(flat(1.0), flat(7.0))


def test_heights_beyond_the_range_stay_at_its_ends() -> None:
    field = filled((16, 12), (-1.0, 2.0), 6)
    assert torch.equal(field(-5.0), field(-1.0))
    assert torch.equal(field(9.0), field(2.0))


@pytest.mark.parametrize("side", [7, 8])
def test_frequencies_are_held_up_to_the_last_of_the_grid(side: int) -> None:
    last, first = (side - 1) // 2, -(side // 2)
    for held in (last, first):
        SplineField((side, 8), (0.0, 0.0), torch.tensor([[held], [0]]), planes=1)
    for beyond in (last + 1, first - 1):
        with pytest.raises(ValueError, match="frequencies beyond"):
            SplineField((side, 8), (0.0, 0.0), torch.tensor([[beyond], [0]]), planes=1)


def test_a_finer_image_has_the_same_values_at_the_same_places() -> None:
    coarse, fine = filled((16, 12), (-1.0, 1.0), 4), filled((48, 36), (-1.0, 1.0), 4)
    torch.testing.assert_close(fine(0.3)[::3, ::3], coarse(0.3))


@pytest.mark.parametrize(
    ("z_range", "planes", "shape"),
    [((0.0, 1.0), 3, (16, 16)), ((1.0, 1.0), 4, (16, 16)), ((0.0, 1.0), 4, (16, 8))],
)
def test_what_cannot_be_is_refused(
    z_range: tuple[float, float], planes: int, shape: tuple[int, int]
) -> None:
    with pytest.raises(ValueError, match=r"planes for z|frequencies beyond"):
        SplineField(shape, z_range, SAMPLES, planes=planes)


@given(st.integers(1, 9), st.integers(1, 9))
def test_signed_frequencies_are_those_of_numpy(height: int, width: int) -> None:
    y, x = signed_frequencies(torch.arange(height * width), (height, width))
    expected = np.meshgrid(
        np.fft.fftfreq(height, 1 / height), np.fft.fftfreq(width, 1 / width), indexing="ij"
    )
    np.testing.assert_array_equal(y.numpy(), expected[0].ravel())
    np.testing.assert_array_equal(x.numpy(), expected[1].ravel())


@pytest.mark.parametrize(
    ("precision", "tolerance"), [("full", 0.0), ("half", 1e-3), ("compact", 5e-3)]
)
def test_file_gives_it_back(tmp_path: Path, precision: str, tolerance: float) -> None:
    field = filled((12, 16), (-5.0, 5.0), 6)
    instrument = Instrument(torch.zeros(1, 2), torch.ones(1), torch.zeros(0))
    solution = Solution(field, Optics(0.5, 0.25, 1.0), instrument, 2, 7.0)
    solution.save(tmp_path / "field.safetensors", precision=precision)
    again = load_solution(tmp_path / "field.safetensors")
    heights = [-5.0, 0.7, 5.0]
    np.testing.assert_allclose(
        again.render(heights).field_z_y_x, solution.render(heights).field_z_y_x, atol=tolerance
    )
    assert again.field.settings == field.settings
    assert again.z_range_um == (-5.0, 5.0)


def test_bytes_keep_weak_frequencies_beside_strong_ones(tmp_path: Path) -> None:
    side = np.arange(-30, 31)
    y, x = (part.ravel() for part in np.meshgrid(side, side, indexing="ij"))
    radius = np.hypot(y, x)
    kept = radius <= 30
    sample_yx = np.stack([y, x])[:, kept]
    falling = (1 / (1 + radius[kept] ** 3))[None, :, None]
    spectrum = falling * np.random.default_rng(0).normal(size=(5, kept.sum(), 2))
    packed = pack(spectrum.astype(np.float32), sample_yx)
    assert packed["spectrum"].dtype == np.int8
    error = np.abs(unpack(packed) - spectrum)
    # within half a step of the strongest in the ring, which lies within a factor of its radius
    assert float((error / falling).max()) < 0.03
    near = radius[kept] <= NEAR_CYCLES
    assert float((error[:, near] / np.abs(spectrum).max()).max()) < 1e-3


def test_bytes_that_do_not_fit_are_a_damaged_file(tmp_path: Path) -> None:
    packed = pack(np.ones((4, 6, 2), np.float32), SAMPLES.numpy())
    with pytest.raises(ValueError, match="rings do not fit"):
        unpack(packed | {"spectrum_ring": np.full(6, 250, np.uint8)})


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=1, max_size=60))
def test_runs_give_any_frequencies_back(places: list[tuple[int, int]]) -> None:
    sample_yx = np.array(places, np.int32).T
    np.testing.assert_array_equal(from_runs(to_runs(sample_yx), len(places)), sample_yx)


def test_rows_are_stored_as_runs() -> None:
    y, x = (part.ravel() for part in np.mgrid[-3:4, -8:9])
    assert len(to_runs(np.stack([y, x]))) == 7


@pytest.mark.parametrize("run", [[0, 0, 7], [0, 0, -1], [0, 0, 2**31 - 1], [0, 0, 0]])
def test_runs_that_do_not_fit_are_damage(run: list[int]) -> None:
    with pytest.raises(ValueError, match="runs of frequencies"):
        from_runs(np.array([run], np.int32), 6)
