"""All-in-focus and depth against specimens whose heights are known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from fpm_inr import focus
from fpm_inr.errors import DataError, SettingsError
from fpm_inr.focus import blocks, score_slices
from fpm_inr.focus.depth import peak_um
from fpm_inr.optics import frequencies_per_um, propagate
from fpm_inr.solution import ImageStack

PIXEL_UM, WAVELENGTH_UM, NA = 0.1725, 0.5226, 0.6
Z_UM = np.arange(-7.0, 7.01, 0.5)
N = 256
# "residual" judges by frames: test_focus_residual.py
IMAGE_METHODS = [method for method in focus.METHODS if method != "residual"]
VARIANCE = focus.FocusSettings("normal-variance")


def specimen(phase: float = 0.0) -> np.ndarray:
    """A stained section; phase (radians) makes it refract where it does not absorb.

    Normal variance then has its peak a little off: see docs/focus.md.
    """
    green = data.immunohistochemistry()[100:356, 128:384, 1] / 255.0
    return np.sqrt(np.clip(green, 0.03, 1)) * np.exp(1j * phase * green)


def flat(specimen_y_x: np.ndarray, depth_um: float, z_um: np.ndarray = Z_UM) -> list[ImageStack]:
    """Slices of a thin, level specimen, repeated periodically by mirrors."""
    margin = 64
    padded = torch.from_numpy(np.pad(specimen_y_x.astype(np.complex128), margin, mode="reflect"))
    ky, kx = frequencies_per_um(tuple(padded.shape), PIXEL_UM, dtype=torch.float64)
    band = (ky**2 + kx**2) < (NA / WAVELENGTH_UM) ** 2
    sharp = torch.fft.ifft2(torch.fft.fft2(padded) * band)
    return [
        ImageStack(
            propagate(sharp, float(z - depth_um), pixel_um=PIXEL_UM, wavelength_um=WAVELENGTH_UM)
            .numpy()[margin:-margin, margin:-margin]
            .astype(np.complex64)[None],
            np.array([z]),
            PIXEL_UM,
        )
        for z in z_um
    ]


def tilted_slices(
    specimen_y_x: np.ndarray, depth_x_um: np.ndarray, z_um: np.ndarray, seed: int
) -> Iterator[ImageStack]:
    """Slices of a thin specimen whose height varies along x, by the angular spectrum.

    The specimen is cut into strips that overlap linearly; each starts from its own height.
    """
    margin = 64
    padded = np.pad(specimen_y_x, margin, mode="reflect")
    columns = np.arange(padded.shape[1]) - margin
    knots = np.linspace(0, padded.shape[1] - 1, 17) - margin
    height = np.interp(knots, np.arange(len(depth_x_um)), depth_x_um)
    ky, kx = frequencies_per_um(padded.shape, PIXEL_UM, dtype=torch.float64)
    band = (ky**2 + kx**2) < (NA / WAVELENGTH_UM) ** 2
    strips = []
    for row in np.eye(len(knots)):
        strip = torch.from_numpy(padded * np.interp(columns, knots, row))
        strips.append(torch.fft.ifft2(torch.fft.fft2(strip) * band))
    random = np.random.default_rng(seed)
    for z in z_um:
        seen = sum(
            propagate(strip, float(z - h), pixel_um=PIXEL_UM, wavelength_um=WAVELENGTH_UM)
            for strip, h in zip(strips, height, strict=True)
        ).numpy()[margin:-margin, margin:-margin]
        # noise, and a global phase that no reconstruction can know
        noise = random.normal(size=(2, *seen.shape)) * 0.01
        seen = (seen + noise[0] + 1j * noise[1]) * np.exp(2j * np.pi * random.random())
        yield ImageStack(seen[None], np.array([z]), PIXEL_UM)


@pytest.fixture(scope="module")
def tilted():
    x_um = (np.arange(N) - (N - 1) / 2) * PIXEL_UM
    depth = np.tan(np.radians(8)) * x_um
    stack = list(tilted_slices(specimen(0.1), depth, Z_UM, seed=0))
    return depth, stack


def renderer(stack):
    by_height = {float(s.z_um[0]): s for s in stack}
    return lambda z_um: (by_height[float(z)] for z in z_um)


def aligned_error(found, truth):
    factor = np.vdot(found, truth) / np.vdot(found, found)
    return np.linalg.norm(factor * found - truth) / np.linalg.norm(truth)


@pytest.mark.parametrize("method", IMAGE_METHODS)
def test_a_tilt_is_recovered_and_the_image_is_sharp(tilted, method):
    depth, stack = tilted
    how = focus.FocusSettings(method=method)
    result = focus.all_in_focus(renderer(stack), Z_UM, how)
    slope = np.polyfit(np.arange(N), result.depth_um_y_x.mean(axis=0), 1)[0]
    assert slope == pytest.approx(depth[1] - depth[0], rel=0.10)
    assert np.sqrt(np.mean((result.depth_um_y_x - depth) ** 2)) < 0.5
    truth = specimen(0.1)
    of_best_slice = min(aligned_error(abs(s.field_z_y_x[0]), abs(truth)) for s in stack)
    assert aligned_error(abs(result.field_y_x), abs(truth)) < 0.6 * of_best_slice
    # with its phase: the slices' own global phases, which are random here, must not matter
    assert aligned_error(result.field_y_x, truth) < 0.07
    assert result.field_y_x.dtype == np.complex64
    assert result.depth_um_y_x.shape == truth.shape


@pytest.mark.parametrize("method", IMAGE_METHODS)
def test_flat_specimen_between_two_slices(method):
    stack = flat(specimen(), 1.2)
    scores = focus.score_slices(stack, focus.FocusSettings(method))
    result = focus.depth_map(scores)
    assert np.median(result.depth_um_y_x) == pytest.approx(1.2, abs=0.15)
    found = focus.autofocus(scores, 128, 100)
    assert found.z_um == pytest.approx(1.2, abs=0.3)
    assert 0 < found.confidence <= 1
    assert not found.is_at_end
    assert Z_UM[np.argmax(scores.whole_z)] == pytest.approx(1.2, abs=0.5)


@pytest.mark.parametrize("absorbs", [True, False])
@pytest.mark.parametrize("phase", [0.5, 2.0])
def test_edges_are_in_focus_whether_they_absorb_or_refract(absorbs, phase):
    sheet = specimen(phase)
    if not absorbs:
        sheet /= np.abs(sheet)
    scores = focus.score_slices(flat(sheet, 1.2), focus.FocusSettings("edges"))
    depth = focus.depth_map(scores).depth_um_y_x
    assert np.median(depth) == pytest.approx(1.2, abs=0.15)
    assert np.percentile(np.abs(depth - 1.2), 90) < 0.3


def test_focus_beyond_the_range_is_said():
    stack = flat(specimen(), 4.5, Z_UM[Z_UM < 4])
    scores = focus.score_slices(stack)
    assert focus.autofocus(scores, 60, 128).is_at_end
    assert focus.depth_map(scores).share_at_ends > 0.25
    assert focus.depth_map(focus.score_slices(flat(specimen(), 0.0))).share_at_ends < 0.1


def test_patches_without_contrast_take_their_neighbours_depth():
    sheet = specimen()
    sheet[:, 128:] = 0.9  # nothing there
    random = np.random.default_rng(0)
    stack = [
        ImageStack(
            s.field_z_y_x + 0.003 * random.normal(size=s.field_z_y_x.shape), s.z_um, PIXEL_UM
        )
        for s in flat(sheet, -2.0)
    ]
    scores = focus.score_slices(stack, VARIANCE)
    own = peak_um(Z_UM, scores.score_z_y_x)
    assert np.abs(own[:, -3:] + 2).max() > 3  # noise has its peaks anywhere
    result = focus.depth_map(scores)
    assert not result.is_trusted_y_x[:, -3:].any()
    assert np.abs(result.depth_um_y_x + 2).max() < 1.0
    by_edges = focus.depth_map(focus.score_slices(stack)).depth_um_y_x
    assert np.abs(by_edges + 2).max() < 1.0


def test_scores_are_those_of_the_definition(tilted):
    _, stack = tilted
    scores = focus.score_slices(stack[:3], VARIANCE)
    amplitude = stack[1].amplitude_z_y_x[0].astype(np.float64)
    row, column = 5, 9  # inner patches, centred at 16 times their number
    patch = amplitude[16 * row - 32 : 16 * row + 32, 16 * column - 32 : 16 * column + 32]
    assert scores.score_z_y_x[1, row, column] == pytest.approx(patch.var() / patch.mean(), rel=1e-4)
    assert scores.centre_y_px[row] == pytest.approx(16 * row - 0.5)
    assert scores.whole_z[1] == pytest.approx(amplitude.var() / amplitude.mean(), rel=1e-4)


def test_one_hot_pixel_moves_nothing_elsewhere(tilted):
    _, stack = tilted
    hot = stack[3].field_z_y_x.copy()
    hot[0, 10, 10] = 1000
    spoiled = [*stack[:3], ImageStack(hot, stack[3].z_um, PIXEL_UM), *stack[4:]]
    clean, found = (focus.score_slices(s).score_z_y_x for s in (stack, spoiled))
    far = (slice(None), slice(4, None), slice(4, None))
    np.testing.assert_allclose(found[far], clean[far], rtol=2e-2, atol=1e-4)


def test_background_clip_silences_fringes_only():
    random = np.random.default_rng(0)
    fringes = 1 + np.abs(random.normal(size=(64, 64)))
    dark = 1 - 0.5 * random.random((64, 64))
    for image, kept in ((fringes, 0.0), (dark, 1.0)):
        stack = [ImageStack(image[None], [0.0], 1.0)]
        plain = focus.score_slices(stack, VARIANCE).score_z_y_x
        clipped = focus.score_slices(
            stack, focus.FocusSettings("normal-variance", background_clip=1.0)
        ).score_z_y_x
        np.testing.assert_allclose(clipped, kept * plain, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.floats(-2.9, 2.9), st.floats(0.1, 5), st.floats(0.01, 2))
def test_parabolas_are_met_exactly_on_uneven_heights(at, height, width):
    z_um = np.array([-4.0, -2.7, -1.0, 0.2, 1.0, 3.0, 3.3])
    score = height - width * (z_um - at) ** 2
    assert peak_um(z_um, score) == pytest.approx(at, abs=1e-6)


def test_stacks_with_planes_only_are_judged_once(tilted):
    _, stack = tilted
    twice = [s for s in stack for _ in range(2)]
    np.testing.assert_array_equal(focus.score_slices(twice).z_um, Z_UM)


def test_no_blocks_show(tilted):
    _, stack = tilted
    depth = focus.all_in_focus(renderer(stack), Z_UM).depth_um_y_x
    steps = np.abs(np.diff(depth, axis=1))
    assert steps.max() < 0.5 * np.ptp(depth) / 16


def test_refusals(tilted):
    _, stack = tilted
    with pytest.raises(DataError, match="no slices"):
        focus.score_slices([])
    with pytest.raises(DataError, match="ascending"):
        focus.score_slices([stack[1], stack[0]])
    with pytest.raises(DataError, match="one by one"):
        focus.score_slices([ImageStack(np.ones((2, 64, 64)), [0.0, 1.0], 1.0)])
    with pytest.raises(DataError, match="one shape"):
        focus.score_slices([stack[0], ImageStack(np.ones((1, 64, 64)), [99.0], 1.0)])
    with pytest.raises(DataError, match="not finite"):
        focus.score_slices([ImageStack(np.full((1, 64, 64), np.nan), [0.0], 1.0)])
    with pytest.raises(SettingsError, match="larger than the image"):
        focus.score_slices([ImageStack(np.ones((1, 32, 64)), [0.0], 1.0)])
    with pytest.raises(SettingsError, match="outside the image"):
        focus.autofocus(focus.score_slices(stack[:1]), 300, 0)
    for wrong in (
        {"method": "laplacian"},
        {"patch_px": 2},
        {"stride_px": 0},
        {"stride_px": 65},
        {"method": "normal-variance", "background_clip": -1.0},
        {"method": "normal-variance", "background_clip": float("nan")},
        {"method": "edges", "background_clip": 1.0},
    ):
        with pytest.raises(SettingsError):
            focus.FocusSettings(**wrong)


def test_block_by_block_scores_are_those_of_the_whole(monkeypatch):
    """No patch's score depends on another's."""
    monkeypatch.setattr(blocks, "BLOCK_PATCHES", 3)
    random = np.random.default_rng(3)
    z_um = np.array([-1.0, 0.0, 2.0])
    shape = (150, 203)
    noise = random.normal(size=(2, 3, *shape))
    field = (1 + 0.2 * (noise[0] + 1j * noise[1])).astype(np.complex64)

    def slices(heights, window=(0, 0, *shape)):
        y, x, height, width = window
        for z in heights:
            at = int(np.flatnonzero(z_um == z)[0])
            part = field[at : at + 1, y : y + height, x : x + width]
            yield ImageStack(part, np.array([z]), 0.3)

    seen = []
    found = blocks.score_blocks(slices, shape, 0.3, z_um, lambda *done: seen.append(done))
    whole = score_slices(slices(z_um))
    np.testing.assert_allclose(found.score_z_y_x, whole.score_z_y_x, rtol=1e-4, atol=1e-7)
    np.testing.assert_array_equal(found.centre_x_px, whole.centre_x_px)
    assert seen == [(n + 1, len(seen)) for n in range(len(seen))]
    assert len(seen) > 8
