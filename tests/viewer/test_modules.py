"""The page's arithmetic, module by module, against NumPy and the Python it mirrors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fpm_inr.display import scale_bar_um
from fpm_inr.focus import FocusSettings, depth_map, score_slices
from fpm_inr.solution import ImageStack


def slices(count: int = 9, shape: tuple[int, int] = (150, 131)) -> list[ImageStack]:
    """A blurred noise that is sharpest at a height that changes across the image."""
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(0).standard_normal(shape)
    levels = [gaussian_filter(noise, 1 + abs(k)) for k in range(count)]
    best = np.linspace(2, count - 3, shape[1])
    stacks = []
    for n in range(count):
        away = np.abs(n - best)
        low = away.astype(int)
        image = np.choose(low, levels) * (low + 1 - away) + np.choose(
            np.minimum(low + 1, count - 1), levels
        ) * (away - low)
        image = np.where(np.arange(shape[0])[:, None] > 90, image, 0.01 * noise)  # no focus above
        field = (1 + image) * np.exp(1j * image)
        stacks.append(ImageStack(field[None], np.array([2.0 * n]), 0.3))
    return stacks


def test_patches_scores_and_depth_are_those_of_python(modules: Any) -> None:
    stacks = slices()
    scores = score_slices(stacks, FocusSettings())
    rows, columns = (modules("focus.js", "patchesAlong", n) for n in stacks[0].shape_y_x)
    np.testing.assert_allclose([p["centre"] for p in rows], scores.centre_y_px, atol=1e-4)
    np.testing.assert_allclose([p["centre"] for p in columns], scores.centre_x_px, atol=1e-4)

    height, width = stacks[0].shape_y_x
    amplitude = stacks[4].amplitude_z_y_x[0]
    phase = stacks[4].phase_z_y_x[0]
    pairs = np.stack([amplitude, phase], axis=-1).ravel().tolist()
    frame = {"width": width, "height": height}
    samples = [{"pairs": pairs, "start": n, "stride": width} for n in (0, 1, width)]
    strength = modules("focus.js", "edges", samples, frame, frame)
    found = modules("focus.js", "patchScores", strength, frame, rows, columns)
    expected = scores.score_z_y_x[4].ravel()
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-6)

    depth = depth_map(scores)
    made = modules(
        "focus.js",
        "depthOfPatches",
        scores.z_um.tolist(),
        scores.score_z_y_x.reshape(len(stacks), -1).astype(float).tolist(),
        len(rows),
        len(columns),
    )
    assert made["isTrusted"] == depth.is_trusted_y_x.ravel().tolist()
    trusted = depth.is_trusted_y_x.ravel()
    assert 0.2 < trusted.mean() < 1
    difference = np.abs(np.array(made["depth"]) - depth.depth_um_y_x.ravel())
    assert difference[trusted].max() < 1e-3
    assert difference.max() < 0.5  # filled from neighbours; borders are blurred a little apart


@pytest.mark.parametrize("percents", [[0.5, 99.5], [0, 100], [37, 50]])
def test_percentiles(modules: Any, percents: list[float]) -> None:
    values = np.random.default_rng(1).standard_normal(401).astype(np.float32)
    found = modules("statistics.js", "percentiles", values.tolist(), percents)
    np.testing.assert_allclose(found, np.percentile(values, percents), atol=1e-6)


@pytest.mark.parametrize("width_um", [0.7, 3.99, 4.0, 81.0, 2500.0])
def test_scale_bar_is_that_of_the_other_pictures(modules: Any, width_um: float) -> None:
    found = modules("statistics.js", "roundLength", width_um / 4)
    assert found == pytest.approx(scale_bar_um(width_um))


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_camera(modules: Any, turns: int) -> None:
    canvas, image = {"width": 900, "height": 500}, {"width": 300, "height": 400}
    camera = modules("camera.js", "fitted", 300, 400, canvas, turns)
    visible = modules(
        "camera.js", "visibleArea", modules("camera.js", "toImage", camera, canvas), canvas
    )
    assert visible[0] <= 0
    assert visible[1] <= 0
    assert visible[2] >= 300
    assert visible[3] >= 400
    there = modules("camera.js", "imagePoint", camera, canvas, [420, 111])
    assert modules("camera.js", "canvasPoint", camera, canvas, there) == pytest.approx([420, 111])
    closer = modules("camera.js", "zoomed", camera, canvas, image, 3, [420, 111])
    assert closer["scale"] == pytest.approx(3 * camera["scale"])
    assert modules("camera.js", "imagePoint", closer, canvas, [420, 111]) == pytest.approx(there)
    moved = modules("camera.js", "panned", closer, image, [30, -20])
    assert modules("camera.js", "imagePoint", moved, canvas, [450, 91]) == pytest.approx(there)


@pytest.mark.parametrize(("height", "width"), [(16, 32), (24, 16), (48, 96)])
def test_sparse_fourier_sum(modules: Any, height: int, width: int) -> None:
    random = np.random.default_rng(4)
    inside = [
        part.ravel() for part in np.mgrid[-(height // 2) + 1 : height // 2, -5:6] if part.size
    ]
    kept = random.random(inside[0].size) < 0.4
    y, x = (part[kept] for part in inside)
    samples = random.standard_normal((y.size, 2))
    found = modules("fft.js", "imageOfSamples", *(p.tolist() for p in (y, x, samples.ravel())),
                    height, width)  # fmt: skip
    j, i = np.mgrid[:height, :width]
    waves = np.exp(2j * np.pi * (y * j[..., None] / height + x * i[..., None] / width))
    expected = waves @ (samples[:, 0] + 1j * samples[:, 1])
    image = np.reshape(found, (height, width, 2)) @ [1, 1j]
    np.testing.assert_allclose(image, expected, atol=1e-5 * np.abs(expected).max())


def test_grid_lengths(modules: Any) -> None:
    found = [modules("fft.js", "gridLength", n) for n in (1, 17, 24, 25, 700, 1000, 1321)]
    assert found == [16, 24, 24, 32, 768, 1024, 1536]


def test_spline_weights_are_those_of_the_field(modules: Any) -> None:
    import torch

    from fpm_inr.fields.spline import SplineField

    field = SplineField((4, 4), (-3.0, 9.0), torch.zeros(2, 1, dtype=torch.int32), planes=8)
    for z_um in (-5.0, -3.0, 0.1, 4.44, 9.0):
        first, weights = field.weights(z_um)
        found = modules("spline.js", "planeWeights", {"planes": 8, "zRange": [-3, 9]}, z_um)
        assert found["first"] == first
        np.testing.assert_allclose(found["weights"], weights, atol=1e-6)


def test_halves(modules: Any) -> None:
    bits = np.arange(0, 65536, 7, dtype=np.uint16)
    bits = bits[np.isfinite(bits.view(np.float16))]
    found = modules("spectrum.js", "valuesOfHalves", bits.tolist())
    np.testing.assert_array_equal(found, bits.view(np.float16).astype(np.float32))
