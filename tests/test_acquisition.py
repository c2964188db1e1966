"""Values are refused at the door in one sentence, and kept as they are behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpm_inr.acquisition import Acquisition, Illumination, Optics, offset_from_axis_um
from fpm_inr.errors import DataError
from fpm_inr.illumination import LedGeometry

OPTICS = Optics(wavelength_um=0.5, na=0.25, pixel_um=0.65)
POSITIONS_MM = np.array([[0.0, 0.0, 80.0], [4.0, 0.0, 80.0], [0.0, 8.0, 80.0]])


def flat(*shape: int) -> np.ndarray:
    return np.arange(1, 1 + np.prod(shape), dtype=np.float32).reshape(shape)


def lit(leds: int = 3) -> Illumination:
    return Illumination(np.linspace(0, 0.2, 2 * leds).reshape(leds, 2))


def with_geometry() -> Acquisition:
    geometry = LedGeometry(POSITIONS_MM)
    return Acquisition(flat(3, 20, 30), OPTICS, Illumination(geometry.na_at(), geometry))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"wavelength_um": 500.0}, "looks like nanometres; give micrometres: 0.5"),
        ({"wavelength_um": 5e-7}, "looks like metres; give micrometres: 0.5"),
        ({"wavelength_um": 5e-4}, "looks like millimetres"),
        ({"wavelength_um": 30.0}, "outside 0.1 to 2.5 um"),
        ({"wavelength_um": float("nan")}, "not a positive number"),
        ({"na": 0.0}, "na: is 0.0, not a positive number"),
        ({"na": "0.25"}, "not a positive number"),
        ({"na": np.complex128(0.25)}, "not a positive number"),
        ({"na": 1.0}, "not below the medium index"),
        ({"medium_index": 0.9}, "between 1 and 2.5"),
        ({"pixel_um": 6.5}, "too coarse"),
        ({"pixel_um": 6.5e-7}, "in micrometres"),
        ({"pixel_um": -1.0}, "pixel_um"),
    ],
)
def test_optics_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        Optics(**{"wavelength_um": 0.5, "na": 0.25, "pixel_um": 0.65} | changes)


@pytest.mark.parametrize(
    ("na", "said"),
    [
        (np.zeros((0, 2)), "has shape"),
        (np.zeros((3, 3)), "one \\(x, y\\) pair per LED"),
        ([[0.0, 0.1], [np.nan, 0.0]], "not finite for LED 1"),
        ([[0.8, 0.8]], "below 1"),
        ([[1j, 0]], "real numbers"),
        ([["a", "b"]], "real numbers"),
    ],
)
def test_illumination_refused(na: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        Illumination(na)


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        (flat(20, 30), "as \\[led, y, x\\]"),
        (np.zeros((3, 0, 30)), "have shape"),
        (flat(3, 20, 30) * 1j, "real numbers"),
        (flat(3, 20, 30) > 1, "real numbers"),
        (flat(2, 20, 30), "are 2 for 3 LEDs"),
        (flat(3, 7, 30), "at least 8 x 8"),
        (flat(3, 20, 30) - 5, "negative in frame 0"),
        (np.where(flat(3, 20, 30) == 700, np.inf, 1), "not finite in frame 1"),
        (np.full((3, 20, 30), 1e300), "not finite in frame 0"),
        (np.zeros((3, 20, 30)), "all zero"),
    ],
)
def test_frames_refused(frames: np.ndarray, said: str) -> None:
    with pytest.raises(DataError, match=said):
        Acquisition(frames, OPTICS, lit())


def test_axis_refused() -> None:
    with pytest.raises(DataError, match="axis_y_x_px"):
        Acquisition(flat(3, 20, 30), OPTICS, lit(), (np.nan, 0.0))


def test_geometry_of_another_length_refused() -> None:
    with pytest.raises(DataError, match="holds 3 LEDs for 2 directions"):
        Illumination(np.zeros((2, 2)), LedGeometry(POSITIONS_MM))


def test_values_are_immutable() -> None:
    acquisition = with_geometry()
    for array in (acquisition.frames_led_y_x, acquisition.illumination.na_led_xy):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_bright_field_amplitudes_scale_to_one() -> None:
    acquisition = Acquisition(
        flat(3, 20, 30), OPTICS, Illumination(np.array([[0.0, 0], [0.1, 0], [0.4, 0]]))
    )
    assert acquisition.is_bright_field.tolist() == [True, True, False]
    bright = acquisition.amplitude_led_y_x[:2] / acquisition.amplitude_scale
    assert bright.mean(dtype=np.float64) == pytest.approx(1)


@pytest.mark.parametrize(
    "window", [(-1, 0, 8, 8), (0, 0, 0, 8), (13, 0, 8, 8), (0, 23, 8, 8), (0, 0, 21, 8)]
)
def test_crop_refused(window: tuple[int, int, int, int]) -> None:
    with pytest.raises(DataError, match="crop"):
        with_geometry().crop(*window)


@given(st.data())
def test_crop_of_a_crop_is_one_crop(data: st.DataObject) -> None:
    whole = with_geometry()
    height, width = data.draw(st.integers(10, 20)), data.draw(st.integers(10, 30))
    y, x = data.draw(st.integers(0, 20 - height)), data.draw(st.integers(0, 30 - width))
    dy, dx = data.draw(st.integers(0, height - 8)), data.draw(st.integers(0, width - 8))
    twice = whole.crop(y, x, height, width).crop(dy, dx, 8, 8)
    once = whole.crop(y + dy, x + dx, 8, 8)
    assert np.array_equal(twice.frames_led_y_x, once.frames_led_y_x)
    assert twice.axis_y_x_px == pytest.approx(once.axis_y_x_px)
    np.testing.assert_allclose(
        twice.illumination.na_led_xy, once.illumination.na_led_xy, atol=1e-15
    )


def test_crop_looks_from_its_own_centre() -> None:
    cropped = with_geometry().crop(0, 20, 10, 10)
    assert cropped.axis_y_x_px == (9.5, -5.5)
    x_um, y_um = offset_from_axis_um((9.5, -5.5), (10, 10), OPTICS)
    assert (x_um, y_um) == pytest.approx((10 * 0.65, -5 * 0.65))
    # a point at +x sees every LED further towards -x
    shift = cropped.illumination.na_led_xy - with_geometry().illumination.na_led_xy
    assert (shift[:, 0] < 0).all()
    assert (shift[:, 1] > 0).all()


def test_select_keeps_frames_and_leds_together() -> None:
    chosen = with_geometry().select(np.array([2, 0]))
    assert np.array_equal(chosen.frames_led_y_x, with_geometry().frames_led_y_x[[2, 0]])
    assert chosen.illumination.geometry is not None
    assert np.array_equal(chosen.illumination.geometry.position_led_xyz_mm, POSITIONS_MM[[2, 0]])
