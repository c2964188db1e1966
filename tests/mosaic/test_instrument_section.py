"""What a report says in numbers of the instrument across the field."""

from __future__ import annotations

import numpy as np

from fpm_inr.calibration.field_file import LEVEL, FieldCalibration
from fpm_inr.illumination import flat_array, raster_steps
from fpm_inr.mosaic.array import moved_array
from fpm_inr.mosaic.instrument_section import _moved, _numbers

GEOMETRY = flat_array(4.0 * raster_steps(5, 5), 60.0)


def _content(**changes: object) -> FieldCalibration:
    content = FieldCalibration(
        status="accepted",
        na=0.2,
        wavelength_um=0.53,
        radius_um=100.0,
        nominal_na_led_xy=GEOMETRY.na_at().tolist(),
        position_led_xyz_mm=GEOMETRY.position_led_xyz_mm.tolist(),
        gain_led=[1.0] * 24 + [1.25],
    )
    return content.model_copy(update=changes)


def test_the_move_of_the_array_is_told_in_mm_and_as_a_distance() -> None:
    move = np.array([0.3, -0.2, 0.0, 100 / 1.2 - 100, 0.0, 0.0])
    places = moved_array(GEOMETRY, move).position_led_xyz_mm.tolist()
    told = _moved(_content(position_led_xyz_mm=places))
    assert told == "moved by +0.30, -0.20 mm (x, y), 1.20 times as far away, leaning by 0.0°"


def test_a_move_of_directions_is_told_in_na() -> None:
    told = _moved(_content(position_led_xyz_mm=None, moved_na_led_xy=[(0.01, -0.002)] * 25))
    assert told == "directions moved by +0.0100, -0.0020 (x, y) in NA"


def test_a_pupil_is_told_by_its_least_and_most_over_the_field_without_defocus() -> None:
    # defocus counts for nothing; astigmatism is 0.1 waves at the axis, 0 at the left edge
    astigmatism = tuple(2 * np.pi * np.array([0.1, 0.1, 0, 0, 0, 0]))
    zernike = [LEVEL, LEVEL, LEVEL, (5.0, *LEVEL[1:]), astigmatism]
    rows = dict(_numbers(_content(zernike_rad=zernike), (-100.0, 100.0), (-100.0, 100.0)))
    assert rows["pupil, without defocus"] == "0.000 to 0.200 waves RMS"
    assert rows["gains (amplitude)"] == "1.000 to 1.250"
    assert rows["tiles that told"] == "0 of 0"


def test_stated_places_have_not_moved() -> None:
    assert _moved(_content()).endswith("1.00 times as far away, leaning by 0.0°")


def test_an_array_that_leans_is_told_by_its_angle() -> None:
    places = GEOMETRY.position_led_xyz_mm.copy()
    places[:, 2] += np.tan(np.radians(5.0)) * places[:, 1]
    assert "leaning by 5.0°" in _moved(_content(position_led_xyz_mm=places.tolist()))
