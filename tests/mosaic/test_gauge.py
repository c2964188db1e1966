"""Known factors of tiles come back from their overlaps, whatever the tiles show."""

from __future__ import annotations

import numpy as np
import pytest

from fpm_inr.mosaic.gauge import Gauge, shared, solve_gauge
from fpm_inr.mosaic.overlap import compare, height_offset
from fpm_inr.mosaic.tiles import Tile, cut_side, lay_tiles

UPSAMPLING = 2
EDGE = 4
TILES = lay_tiles(cut_side(90, 40, 20), cut_side(110, 40, 20))


def _field(random: np.random.Generator, heights: int = 1) -> np.ndarray:
    shape = (heights, 90 * UPSAMPLING, 110 * UPSAMPLING)
    noise = random.standard_normal((2, *shape))
    blur = np.exp(-(np.fft.fftfreq(shape[1])[:, None] ** 2 + np.fft.fftfreq(shape[2]) ** 2) / 0.01)
    part = np.fft.ifft2(np.fft.fft2(noise) * blur).real
    part /= part.std(axis=(-2, -1), keepdims=True)
    return np.exp(0.2 * part[0] + 0.5j * part[1])


def _window(image: np.ndarray, window: tuple[int, int, int, int]) -> np.ndarray:
    y, x, h, w = (UPSAMPLING * n for n in window)
    return image[..., y : y + h, x : x + w]


def _places(tile: Tile) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of the whole field, from a tile's centre in pixels of the frames."""
    y, x, h, w = tile.crop
    rows, columns = (
        np.arange(90 * UPSAMPLING) / UPSAMPLING,
        np.arange(110 * UPSAMPLING) / UPSAMPLING,
    )
    return rows - (y + (h - 1) / 2), columns - (x + (w - 1) / 2)


def _agreements(seen: list[np.ndarray]) -> list:
    found = []
    for one in TILES:
        for other in TILES[one.number + 1 :]:
            if abs(one.row - other.row) + abs(one.column - other.column) != 1:
                continue
            window = shared(one, other, EDGE)
            assert window is not None
            parts = [_window(seen[tile.number], window) for tile in (one, other)]
            found.append(compare(one.number, other.number, *parts, window, UPSAMPLING))
    return found


def _stepped(phasor: np.ndarray, axis: int) -> np.ndarray:
    count = phasor.shape[axis]
    return phasor.take(range(1, count), axis) * phasor.take(range(count - 1), axis).conj()


@pytest.mark.parametrize("turns", [0.1, 3.0])
def test_known_factors_of_tiles_are_recovered_exactly(turns: float) -> None:
    random = np.random.default_rng(1)
    image = _field(random)
    count = len(TILES)
    log_amplitude = random.uniform(-0.3, 0.3, count)
    piston = random.uniform(-np.pi, np.pi, count) * turns
    ramp = random.uniform(-0.02, 0.02, (count, 2))
    seen = []
    for tile, a, p, r in zip(TILES, log_amplitude, piston, ramp, strict=True):
        y, x = _places(tile)
        phase = p + r[0] * y[:, None] + r[1] * x
        seen.append(image * np.exp(a + 1j * phase))
    gauge = solve_gauge(TILES, np.zeros(1), _agreements(seen), unlikely=0.0)
    mended = []
    for tile in TILES:
        y, x = _places(tile)
        mended.append(
            _window(seen[tile.number] * gauge.factor(tile.number, 0.0, y, x), tile.crop)
            / _window(image, tile.crop)
        )
    # one amplitude of the whole is no business of the overlaps, nor is a phase that bends all of it
    first = np.log(np.abs(mended[0])).mean()
    assert max(np.abs(np.log(np.abs(part)) - first).max() for part in mended) < 1e-8
    whole = np.zeros((90 * UPSAMPLING, 110 * UPSAMPLING), complex)
    for tile, part in zip(TILES, mended, strict=True):
        y, x, h, w = (UPSAMPLING * n for n in tile.crop)
        whole[y : y + h, x : x + w] = part / np.abs(part)
    for axis in range(2):
        once = _stepped(whole, axis)
        # of a bend all second steps are alike
        twice = _stepped(once, axis)
        assert np.abs(np.angle(twice / twice[0, 0])).max() < 1e-6
    left = _agreements(
        [seen[tile.number] * gauge.factor(tile.number, 0.0, *_places(tile)) for tile in TILES]
    )
    assert max(abs(one.phase_z[0]) for one in left) < 1e-7


def test_gauges_have_no_mean() -> None:
    random = np.random.default_rng(2)
    image = _field(random)
    seen = [image * np.exp(0.1 * n + 0.2j * n) for n in range(len(TILES))]
    gauge = solve_gauge(TILES, np.zeros(1), _agreements(seen))
    assert abs(gauge.log_amplitude.mean()) < 1e-9
    assert abs(gauge.piston_rad.mean()) < 1e-9
    assert np.allclose(np.diff(gauge.log_amplitude[:, 0]), 0.1)


def test_tiles_that_agree_need_nothing() -> None:
    image = _field(np.random.default_rng(3))
    gauge = solve_gauge(TILES, np.zeros(1), _agreements([image] * len(TILES)))
    for values in (gauge.log_amplitude, gauge.piston_rad, gauge.ramp_y_x_rad_per_px):
        assert np.abs(values).max() < 1e-9
    assert isinstance(Gauge.of(gauge.part()), Gauge)


def test_an_offset_of_heights_is_found() -> None:
    """Of a thin object that is carried out of focus by a blur of its own width."""
    image = _field(np.random.default_rng(4))[0]
    frequency = np.hypot(np.fft.fftfreq(image.shape[0])[:, None], np.fft.fftfreq(image.shape[1]))

    def at(z_um: float) -> np.ndarray:
        spectrum = np.fft.fft2(image) * np.exp(2j * np.pi * z_um * 8 * frequency**2)
        return np.fft.ifft2(spectrum)

    z_um = np.linspace(-8, 8, 17)
    offset = 1.3
    before = np.stack([at(z) for z in z_um])
    after = np.stack([at(z - offset) for z in z_um])
    window = (10, 10, 30, 30)
    parts = [_window(one, window) for one in (before, after)]
    found = height_offset(compare(0, 1, *parts, window, UPSAMPLING), *parts, z_um)
    assert found.height_um == pytest.approx(offset, abs=0.2)
    gauge = solve_gauge(TILES[:2], z_um, [found])
    assert np.diff(gauge.height_um)[0] == pytest.approx(found.height_um)
    # of less than what a range of heights hides nothing is made
    near = np.stack([at(z - 0.05) for z in z_um])
    parts[1] = _window(near, window)
    level = height_offset(compare(0, 1, *parts, window, UPSAMPLING), *parts, z_um)
    assert level.height_um == 0
