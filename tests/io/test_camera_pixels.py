"""Pixels that lie are found and left out; exposures are merged; what was done is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from fpm_inr.acquisition import Acquisition
from fpm_inr.camera_noise import CameraNoise
from fpm_inr.errors import DataError
from fpm_inr.io import load
from fpm_inr.io.native import write_acquisition
from tests.io.camera_frames import GRID, LEDS, ROWS, SIDE, describe, true_frames

TRUE = true_frames()
COUNTS = np.rint(TRUE * 20).astype(np.uint16)


def read(folder: Path, frames: np.ndarray, **how: object) -> Acquisition:
    np.save(folder / "frames.npy", frames)
    return load(describe(folder, file="frames.npy", **how))


def lies(acquisition: Acquisition) -> np.ndarray:
    assert acquisition.weight_led_y_x is not None
    return acquisition.weight_led_y_x == 0


def said(acquisition: Acquisition) -> str:
    return " ".join(acquisition.notes)


def test_right_frames_are_believed_wholly(tmp_path: Path) -> None:
    for frames in (COUNTS, TRUE.astype(np.float32), np.rint(TRUE).astype(np.uint8)):
        acquisition = read(tmp_path, frames)
        assert acquisition.weight_led_y_x is None
        assert acquisition.saturated_led_y_x is None
        assert acquisition.notes == ()


@pytest.mark.parametrize("value", [65535, 30000, 0], ids=["hot", "stuck", "dead"])
def test_single_pixels_that_do_not_answer(tmp_path: Path, value: int) -> None:
    frames = COUNTS.copy()
    wrong = np.zeros((SIDE, SIDE), bool)
    wrong[20:23, 30] = wrong[7, 8] = wrong[0, 47] = True
    frames[:, wrong] = value
    acquisition = read(tmp_path, frames)
    assert (lies(acquisition) == wrong).all()
    assert "5 pixels" in said(acquisition)
    # filled in for the eyes, near the truth
    filled = acquisition.frames_led_y_x[12][wrong]
    np.testing.assert_allclose(filled, COUNTS[12][wrong], atol=0.25 * COUNTS[12].max())


def test_a_warm_pixel_adds_to_the_light(tmp_path: Path) -> None:
    frames = COUNTS.copy()
    frames[:, 33, 12] += 1500
    assert np.argwhere(lies(read(tmp_path, frames))[0]).tolist() == [[33, 12]]


@pytest.mark.parametrize("axis", [0, 1])
def test_dead_rows_and_columns(tmp_path: Path, axis: int) -> None:
    frames = COUNTS.copy()
    frames[(slice(None), *((17,) if axis == 0 else (slice(None), 17)))] = 3
    acquisition = read(tmp_path, frames)
    found = lies(acquisition)[0]
    assert found.sum() == SIDE
    assert found.all(axis=1 - axis)[17]
    assert f"{'row' if axis == 0 else 'column'} 17" in said(acquisition)


def test_numbers_that_are_none_are_left_out_of_their_frame_only(tmp_path: Path) -> None:
    frames = TRUE.astype(np.float32)
    frames[3, 10, 11], frames[9, 40, 2] = np.nan, np.inf
    acquisition = read(tmp_path, frames)
    assert np.argwhere(lies(acquisition)).tolist() == [[3, 10, 11], [9, 40, 2]]
    assert "2 pixels of 2 frames" in said(acquisition)


def test_a_bright_bead_is_no_hot_pixel(tmp_path: Path) -> None:
    """What the objective draws has the width of its point spread."""
    y, x = np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij")
    bead = np.exp(-((y - 24) ** 2 + (x - 20) ** 2) / (2 * 1.1**2))
    frames = np.rint(COUNTS + 3000 * bead).astype(np.uint16)
    assert read(tmp_path, frames).weight_led_y_x is None


@pytest.mark.parametrize("top", [255, 1023, 4095])
def test_the_end_of_the_range_is_found_frame_by_frame(tmp_path: Path, top: int) -> None:
    exposure = np.where(np.arange(LEDS) == 12, 1.0, 4.0)
    light = TRUE * (top / 120) * exposure[:, None, None]
    frames = np.minimum(np.rint(light), top).astype(np.uint16)
    frames[:, 5, 5] = 65535  # a hot pixel does not hide it
    acquisition = read(tmp_path, frames, exposure=exposure.tolist())
    saturated = acquisition.saturated_led_y_x
    assert saturated is not None
    clipped = frames == top
    clipped[:, 5, 5] = False
    assert (saturated == clipped).all()
    assert "at least that bright" in said(acquisition)


def test_the_top_of_frames_that_do_not_reach_the_end_is_no_end(tmp_path: Path) -> None:
    assert read(tmp_path, np.rint(TRUE).astype(np.uint8)).saturated_led_y_x is None


def test_a_mask_file_leaves_out_what_is_0_in_it(tmp_path: Path) -> None:
    mask = np.full((SIDE, SIDE), 255, np.uint8)
    mask[10:14, 20:25] = 0
    tifffile.imwrite(tmp_path / "mask.tif", mask)
    acquisition = read(tmp_path, COUNTS, mask="mask.tif")
    assert (lies(acquisition) == (mask == 0)).all()
    with pytest.raises(DataError, match=r"frames\.mask"):
        read(tmp_path, COUNTS[:, :40, :40], mask="mask.tif")


def test_numbers_below_the_dark_level_count_as_0_and_that_is_said(tmp_path: Path) -> None:
    frames = (TRUE + np.random.default_rng(0).normal(0, 3, TRUE.shape)).astype(np.float32)
    acquisition = read(tmp_path, frames)
    assert acquisition.frames_led_y_x.min() == 0
    assert "lie below the dark level" in said(acquisition)


@pytest.mark.parametrize("where", ["number", "file"])
def test_dark_and_flat_frames_are_taken_off_pixel_by_pixel(tmp_path: Path, where: str) -> None:
    rng = np.random.default_rng(1)
    dark = rng.integers(20, 60, (SIDE, SIDE)).astype(np.uint16)
    flat = rng.uniform(0.7, 1.3, (SIDE, SIDE))
    frames = np.rint(20 * TRUE * flat + dark).astype(np.uint16)
    even = np.rint(2000 * flat + dark).astype(np.uint16)
    if where == "number":
        stack = np.concatenate([dark[None], frames, even[None]])
        acquisition = read(tmp_path, stack, dark_frame=0, flat_field=LEDS + 1)
    else:
        tifffile.imwrite(tmp_path / "dark.tif", dark)
        np.save(tmp_path / "flat.npy", even)
        acquisition = read(tmp_path, frames, dark_frame="dark.tif", flat_field="flat.npy")
    expected = 20 * TRUE * np.median(flat)
    np.testing.assert_allclose(acquisition.frames_led_y_x, expected, rtol=2e-2, atol=2.5)


def test_exposures_of_one_led_are_merged_without_what_is_clipped(tmp_path: Path) -> None:
    times = [1.0] * LEDS + [30.0] * LEDS
    bright = TRUE * (200 / TRUE.max())
    frames = np.concatenate([np.minimum(np.rint(bright * one), 255) for one in (1, 30)])
    steps = np.tile([[i % ROWS - 2, i // ROWS - 2] for i in range(LEDS)], (2, 1)).tolist()
    grid = {"order": "listed", "steps_x_y": steps, "pitch_mm": 4.0, "distance_mm": 80.0}
    acquisition = read(tmp_path, frames.astype(np.uint8), exposure=times, leds={"grid": grid})
    assert acquisition.led_count == LEDS
    assert "merged" in said(acquisition)
    # dark pixels are as fine as the long exposure, bright ones as the short one
    dark = bright < 5
    error = np.abs(acquisition.frames_led_y_x - bright)
    assert error[dark].max() < 0.1
    assert error.max() < 0.55
    assert acquisition.saturated_led_y_x is None


def test_srgb_is_made_linear(tmp_path: Path) -> None:
    share = TRUE / TRUE.max()
    shown = np.where(share <= 0.0031308, 12.92 * share, 1.055 * share ** (1 / 2.4) - 0.055)
    acquisition = read(tmp_path, np.rint(255 * shown).astype(np.uint8), values="srgb")
    np.testing.assert_allclose(acquisition.frames_led_y_x / 255, share, atol=5e-3)
    with pytest.raises(DataError, match="neither whole nor within 0 to 1"):
        read(tmp_path, TRUE.astype(np.float32), values="srgb")


@pytest.mark.parametrize("cell", ["rggb", "bggr", "grbg", "gbrg"])
def test_one_colour_of_a_mosaic(tmp_path: Path, cell: str) -> None:
    mosaic = np.zeros((LEDS, 2 * SIDE, 2 * SIDE), np.uint16)
    for place, letter in enumerate(cell):
        share = {"r": 0.05, "g": 1.0, "b": 0.2}[letter]
        mosaic[:, place // 2 :: 2, place % 2 :: 2] = np.rint(COUNTS * share)
    acquisition = read(tmp_path, mosaic, bayer=cell)  # 0.53 um is green
    assert np.array_equal(acquisition.frames_led_y_x, COUNTS)
    assert acquisition.optics.pixel_um == pytest.approx(2.4)


def test_what_is_believed_survives_crops_selection_and_this_projects_file(tmp_path: Path) -> None:
    frames = np.minimum(COUNTS, 2000)
    frames[:, 7, 8] = 65535
    camera = {"gain_e_per_count": 0.5, "read_noise_e": 2.0}
    whole = read(tmp_path, frames, camera=camera)
    part = whole.crop(4, 5, 30, 32).select(np.array([12, 3]))
    assert part.weight_led_y_x is not None
    assert np.argwhere(part.weight_led_y_x[0] == 0).tolist() == [[3, 3]]
    assert part.saturated_led_y_x is not None
    for one in (whole, part):
        write_acquisition(tmp_path / "a.h5", one)
        again = load(tmp_path / "a.h5")
        assert np.array_equal(again.frames_led_y_x, one.frames_led_y_x)
        assert np.array_equal(again.weight_led_y_x, one.weight_led_y_x)  # type: ignore[arg-type]
        assert np.array_equal(again.saturated_led_y_x, one.saturated_led_y_x)  # type: ignore[arg-type]
        assert again.notes == one.notes
        assert again.noise is not None
        assert again.noise.read_noise_e == 2.0
        crop = load(tmp_path / "a.h5", crop=(2, 3, 20, 20))
        assert np.array_equal(crop.weight_led_y_x, one.crop(2, 3, 20, 20).weight_led_y_x)  # type: ignore[arg-type]


@pytest.mark.parametrize("electrons", [1.0, 2.0, 3.0, 6.0, 10.0])
@pytest.mark.parametrize("read_noise_e", [0.0, 1.0])
def test_few_electrons_leave_gains_right_to_five_percent(
    electrons: float, read_noise_e: float
) -> None:
    rng = np.random.default_rng(5)
    light = electrons * rng.uniform(0.5, 1.5, 200_000)
    counts = rng.poisson(light) + rng.normal(0, read_noise_e, light.shape)
    noise = CameraNoise(np.ones(1), read_noise_e)
    offset = noise.amplitude_offset_led(np.array([electrons]))
    amplitude = np.sqrt(np.maximum(counts + offset, 0))
    gain = (amplitude * np.sqrt(light)).sum() / light.sum()
    # read noise as large as the light itself is the limit of what can be made up for
    assert abs(gain - 1) < (0.05 if read_noise_e**2 < electrons else 0.12)


def test_frames_of_hardly_any_electrons_are_said_to_leave_gains_open(tmp_path: Path) -> None:
    camera = {"gain_e_per_count": 0.01, "read_noise_e": 1.0}
    acquisition = read(tmp_path, COUNTS, camera=camera)
    faint = (COUNTS.mean(axis=(1, 2)) * 0.01 < 1).sum()
    assert 0 < faint < LEDS
    assert f"{faint} frames" in said(acquisition)
    assert "undetermined" in said(acquisition)


def test_memory_while_reading_is_bounded_by_what_is_kept(tmp_path: Path) -> None:
    import tracemalloc

    frames = np.zeros((60, 512, 512), np.uint8)
    frames[:] = np.arange(512, dtype=np.uint8)
    np.save(tmp_path / "frames.npy", frames)
    grid = GRID | {"rows": 6, "columns": 10}
    describe(tmp_path, file="frames.npy", values="amplitude", leds={"grid": grid})
    tracemalloc.start()
    acquisition = load(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.5 * acquisition.frames_led_y_x.nbytes + 100 * 2**20
