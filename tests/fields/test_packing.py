"""What bytes keep of a spectrum: 16 bits near zero frequency, 8 on the scale of a ring beyond."""

from __future__ import annotations

import numpy as np

from fpm_inr.fields.packing import NEAR_CYCLES, RINGS, pack, to_halves, unpack

# a wide image: half as many rows as columns
PLACES = np.stack(np.meshgrid(np.arange(-20, 21), np.arange(-40, 41), indexing="ij")).reshape(2, -1)


def spectrum() -> np.ndarray:
    """Two planes that fall by ten thousand from the centre outward."""
    fall = 1e-4 ** (np.hypot(PLACES[0] / 20, PLACES[1] / 40) / np.sqrt(2))
    drawn = np.random.default_rng(4).normal(size=(2, PLACES.shape[1], 2))
    return np.asarray(drawn * fall[:, None] * np.array([1.0, 30.0])[:, None, None], np.float32)


def test_error_is_bound_by_the_ring_and_near_zero_frequency_by_sixteen_bits() -> None:
    values = spectrum()
    error = np.abs(unpack(pack(values, PLACES)) - values)
    is_near = np.hypot(*PLACES) <= NEAR_CYCLES
    assert (np.hypot(*PLACES) == NEAR_CYCLES).any()
    assert (error[:, is_near] <= np.abs(values[:, is_near]) * 2.0**-10 + 1e-7).all()
    radius = np.hypot(PLACES[0] / 20, PLACES[1] / 40)
    ring = np.minimum(RINGS * radius / radius.max(), RINGS - 1).astype(int)
    for plane in range(2):
        for one in np.unique(ring[~is_near]):
            there = ring == one
            # half a step of 127 steps to the ring's largest value
            most = np.abs(values[plane, there]).max() / 127 / 2
            assert error[plane, there & ~is_near].max() <= most * 1.001


def test_arrays_are_as_small_as_they_say() -> None:
    arrays = pack(spectrum(), PLACES)
    kinds = {name: array.dtype.name for name, array in arrays.items()}
    assert kinds == {
        "spectrum": "int8",
        "spectrum_ring": "uint8",
        "spectrum_ring_scale": "float32",
        "spectrum_near": "float16",
        "spectrum_scale": "float32",
    }
    assert arrays["spectrum_ring_scale"].shape == (2, RINGS + 1)
    is_near = np.hypot(*PLACES) <= NEAR_CYCLES
    assert not arrays["spectrum"][:, is_near].any()
    assert not arrays["spectrum_ring_scale"][:, 0].any()


def test_an_empty_plane_and_a_weak_one_come_back() -> None:
    values = spectrum()
    values[0] = 0
    values[1] *= 1e-12
    back = unpack(pack(values, PLACES))
    assert not back[0].any()
    assert np.abs(back[1] - values[1]).max() < 0.005 * np.abs(values[1]).max()
    halves, scale = to_halves(values)
    assert halves.dtype == np.float16
    assert scale.dtype == np.float32
    largest = np.abs(values[1]).max()
    np.testing.assert_allclose(halves[1] * scale[1], values[1], rtol=2**-10, atol=1e-6 * largest)
