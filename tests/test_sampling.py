"""What an acquisition can resolve follows from circles in Fourier space."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpm_inr import sampling
from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.errors import SettingsError
from fpm_inr.illumination import flat_array, raster_steps

OPTICS = Optics(0.5, 0.25, 0.4)


def grid(pitch_na: float, side: int = 5) -> Illumination:
    return Illumination(raster_steps(side, side) * pitch_na)


def acquire(
    illumination: Illumination, frames: np.ndarray | None = None, optics: Optics = OPTICS
) -> Acquisition:
    """Textured frames, bright inside the objective's NA and dim outside it."""
    if frames is None:
        texture = np.random.default_rng(3).uniform(0.0, 1.0, (illumination.led_count, 64, 64)) ** 3
        level = np.where(illumination.na_led < optics.na, 1000.0, 5.0)
        frames = texture * level[:, None, None]
    return Acquisition(frames, optics, illumination)


def said(acquisition: Acquisition) -> str:
    return " ".join(sampling.warnings(acquisition))


@given(st.floats(0.3, 1.0), st.floats(0.02, 0.9), st.floats(0.05, 1.0), st.floats(0.0, 0.95))
def test_smallest_upsampling_is_the_smallest(
    wavelength: float, na: float, fill: float, na_led: float
) -> None:
    optics = Optics(wavelength, na, max(fill * wavelength / (2 * na), wavelength / 100))
    light = Illumination(np.array([[0.0, 0.0], [0.0, -na_led]]))
    chosen = sampling.smallest_upsampling(optics, light)

    def holds(upsampling: int) -> bool:
        reach = (na + na_led) / wavelength
        return reach <= upsampling / (2 * optics.pixel_um) * (1 + 1e-8)

    assert chosen >= 1
    assert holds(chosen)
    assert chosen == 1 or not holds(chosen - 1)


def test_an_upsampling_that_just_fits_is_accepted_and_one_less_is_not() -> None:
    acquisition = acquire(grid(0.15))
    least = sampling.smallest_upsampling(acquisition.optics, acquisition.illumination)
    sampling.check_upsampling(acquisition, least)
    with pytest.raises(SettingsError, match=f"at least {least}"):
        sampling.check_upsampling(acquisition, least - 1)


@pytest.mark.parametrize("wrong", [0, -3, 2.5, True, None, "3"])
def test_upsampling_is_a_whole_number(wrong: object) -> None:
    with pytest.raises(SettingsError) as caught:
        sampling.check_upsampling(acquire(grid(0.02)), wrong)  # type: ignore[arg-type]
    assert caught.value.field == "upsample"


@given(st.floats(0, 3), st.floats(0.01, 1))
def test_overlap_of_discs_is_the_counted_area(distance: float, radius: float) -> None:
    at = np.linspace(-1, 1, 401) * radius
    x, y = np.meshgrid(at, at)
    inside = x**2 + y**2 < radius**2
    both = inside & ((x - distance * radius) ** 2 + y**2 < radius**2)
    counted = both.sum() / inside.sum()
    assert sampling.disc_overlap(distance * radius, radius) == pytest.approx(counted, abs=0.01)


def test_overlap_takes_the_nearest_neighbour() -> None:
    light = Illumination(np.array([[0.0, 0.0], [0.1, 0.0], [0.4, 0.0]]))
    overlap = sampling.overlap_fraction(OPTICS, light)
    expected = sampling.disc_overlap([0.1, 0.1, 0.3], OPTICS.na)
    np.testing.assert_allclose(overlap, expected)
    assert sampling.overlap_fraction(OPTICS, Illumination(np.zeros((1, 2)))).tolist() == [0]
    assert sampling.overlap_fraction(OPTICS, Illumination(np.zeros((2, 2)))).tolist() == [1, 1]


def test_numbers_of_the_textbook() -> None:
    light = Illumination(np.array([[0.0, 0.25]]))
    assert sampling.synthetic_na(OPTICS, light) == 0.5
    assert sampling.resolution_um(OPTICS, light) == 1.0
    assert sampling.depth_of_field_um(Optics(0.5, 0.25, 0.4, 1.5)) == pytest.approx(12.0)


def test_a_good_acquisition_raises_no_warning() -> None:
    assert sampling.warnings(acquire(grid(0.1))) == ()


def test_coarse_pixels_alias() -> None:
    assert "alias" in said(acquire(grid(0.1), optics=Optics(0.5, 0.25, 0.6)))


def test_sparse_leds_overlap_too_little() -> None:
    assert "overlap by" in said(acquire(grid(0.4, 3)))


def test_no_bright_field() -> None:
    light = Illumination(grid(0.05).na_led_xy + np.array([0.5, 0.0]))
    assert "No LED is bright-field" in said(acquire(light))


def test_leds_on_the_edge_of_the_pupil() -> None:
    light = Illumination(np.vstack([grid(0.1).na_led_xy, [[0.2499, 0.0]]]))
    assert "LED (25, counted from 0)" in said(acquire(light))


def test_the_edge_of_the_pupil_is_as_wide_as_a_fourier_sample_of_the_frame() -> None:
    off_the_edge = 0.015
    light = Illumination(np.vstack([grid(0.1).na_led_xy, [[OPTICS.na - off_the_edge, 0.0]]]))
    for side_px in (64, 128):
        frames = np.ones((light.led_count, side_px, side_px))
        sample_na = OPTICS.wavelength_um / (side_px * OPTICS.pixel_um)
        warned = "LED (25, counted from 0)" in said(acquire(light, frames))
        assert warned == (off_the_edge < sample_na)


def test_a_wide_frame_close_to_the_leds_wants_crops() -> None:
    geometry = flat_array(raster_steps(3, 3) * 0.4, 10.0)
    light = Illumination(geometry.na_at(), geometry)
    frames = np.random.default_rng(0).uniform(0, 9, (9, 8, 2000)) ** 2
    assert "smaller crops" in said(acquire(light, frames))
    assert "smaller crops" not in said(acquire(light, frames).crop(0, 900, 8, 100))


def test_an_led_that_did_not_light() -> None:
    frames = np.array(acquire(grid(0.1)).frames_led_y_x)
    frames[[3, 7]] = 0
    assert "2 frames (3, 7, counted from 0) are all zero" in said(acquire(grid(0.1), frames))


def test_an_array_in_another_order_mixes_bright_and_dark_field() -> None:
    right = acquire(grid(0.1))
    wrong = acquire(grid(0.1), np.roll(right.frames_led_y_x, 2, axis=0))
    assert "swapped" in said(wrong)


def test_saturation() -> None:
    frames = np.minimum(acquire(grid(0.1)).frames_led_y_x, 700)
    assert "saturated" in said(acquire(grid(0.1), frames))


def test_a_dark_level_that_is_left_in() -> None:
    light = grid(0.1, 7)
    assert "dark level" not in said(acquire(light))
    assert "dark level" in said(acquire(light, acquire(light).frames_led_y_x + 20))


def test_every_warning_is_one_sentence() -> None:
    frames = np.array(acquire(grid(0.4, 3), optics=Optics(0.5, 0.25, 0.6)).frames_led_y_x)
    frames[0] = 0
    for warning in sampling.warnings(acquire(grid(0.4, 3), frames, Optics(0.5, 0.25, 0.6))):
        assert warning.endswith(".")
        assert len(warning) < 300
