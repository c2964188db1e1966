"""A move of the whole array is told in mm and degrees, and does not count against single LEDs."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fpm_inr import reconstruct
from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.calibration.calibrate import calibrate
from fpm_inr.calibration.file import write_calibration
from fpm_inr.calibration.rigid import fit_rigid
from fpm_inr.calibration.solve import PlaneFit
from fpm_inr.errors import DataError
from fpm_inr.illumination import LedGeometry, flat_array, raster_steps
from fpm_inr.instrument.pose import posed
from tests.calibration.test_recovery import SAMPLE_NA, frames, grid

OPTICS = Optics(wavelength_um=0.63, na=0.1, pixel_um=1.6)
DISTANCE_MM, PITCH_MM = 87.5, 5.0


def seen(geometry: LedGeometry) -> Acquisition:
    """Frames of nothing, under LEDs that stand like this."""
    na_xy = geometry.na_at()
    return Acquisition(
        np.ones((len(na_xy), 32, 32)), OPTICS, Illumination(na_xy, geometry), (15.5, 15.5)
    )


STATED = flat_array(PITCH_MM * raster_steps(9, 9), DISTANCE_MM)


@settings(max_examples=25, deadline=None)
@given(
    shift=st.tuples(st.floats(-6, 6), st.floats(-6, 6)),
    rotation_deg=st.floats(-12, 12),
    factor=st.floats(0.8, 1.25),
)
def test_shift_rotation_and_distance_come_back(
    shift: tuple[float, float], rotation_deg: float, factor: float
) -> None:
    turn = math.radians(rotation_deg)
    places = STATED.position_led_xyz_mm.copy()
    x, y = places[:, 0].copy(), places[:, 1].copy()
    places[:, 0] = factor * (x * math.cos(turn) - y * math.sin(turn)) + shift[0]
    places[:, 1] = factor * (x * math.sin(turn) + y * math.cos(turn)) + shift[1]
    found = fit_rigid(seen(STATED), replace(STATED, position_led_xyz_mm=places).na_at())
    assert found.move.unit == "mm"
    assert (found.move.shift_x, found.move.shift_y) == pytest.approx(shift, abs=0.02)
    assert found.move.rotation_deg == pytest.approx(rotation_deg, abs=0.02)
    assert found.move.scale == pytest.approx(factor, rel=1e-3)
    assert np.abs(found.rest_led_xy).max() < 1e-4


def test_a_leaning_array_is_told_in_degrees() -> None:
    places = STATED.position_led_xyz_mm.copy()
    places[:, 2] += places[:, 0] * math.tan(math.radians(5))
    found = fit_rigid(seen(STATED), replace(STATED, position_led_xyz_mm=places).na_at())
    assert found.move.tilt_x_deg == pytest.approx(5, abs=0.05)
    assert found.move.tilt_y_deg == pytest.approx(0, abs=0.05)
    assert "tilted by (5" in str(found.move)


def test_a_stray_led_stands_out_of_a_moved_array() -> None:
    places = STATED.position_led_xyz_mm + np.array([PITCH_MM, 0.0, 0.0])
    places[7, 1] += 20.0
    found = fit_rigid(seen(STATED), replace(STATED, position_led_xyz_mm=places).na_at())
    assert found.move.shift_x == pytest.approx(PITCH_MM, abs=0.1)
    rest = np.hypot(*found.rest_led_xy.T)
    assert rest.argmax() == 7
    assert rest[7] > 0.1
    assert np.median(rest) < 0.002


def test_without_places_a_shift_is_in_na() -> None:
    stated = seen(STATED)
    bare = replace(stated, illumination=Illumination(stated.illumination.na_led_xy))
    moved = posed(
        torch.tensor(stated.illumination.na_led_xy),
        torch.tensor([1.0, 0, 0, 0, 0, 0], dtype=torch.float64),
        0.01,
    )
    found = fit_rigid(bare, moved.numpy()).move
    assert found.unit == "NA"
    assert found.shift_x == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize(
    ("residual", "stray_na", "text"),
    [
        (0.2, 0.0, ""),
        (0.2, 0.06, "against the rest of the array"),
        (0.95, 0.0, "explains the frames hardly better"),
        (1.1, 0.0, "the residual rose"),
    ],
)
def test_an_array_far_off_is_believed_where_it_explains_the_frames(
    residual: float, stray_na: float, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    acquisition = frames(0.0)
    pose = torch.tensor([9.0, 2.0, 4.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    far = posed(torch.tensor(grid()), pose, SAMPLE_NA)
    far[3, 0] += stray_na
    start = calibrate(acquisition, free="gains", steps=2)
    fits = iter(
        [
            replace(start.before, residual=1.0),
            replace(
                start.after,
                residual=residual,
                instrument=replace(start.after.instrument, na_led_xy=far),
            ),
        ]
    )

    def fit(*args: object, **keys: object) -> PlaneFit:
        return next(fits)

    monkeypatch.setattr("fpm_inr.calibration.calibrate.fit_plane", fit)
    monkeypatch.setattr("fpm_inr.calibration.calibrate._many_at_rim", lambda _: False)
    found = calibrate(acquisition, free="pose", start=start.nominal)
    assert float((far - torch.tensor(grid())).norm(dim=1).max()) > 0.05
    assert found.accepted == (text == "")
    assert text in found.reason
    assert found.array is not None
    assert found.file(acquisition).array == found.array


def test_a_refused_calibration_is_no_calibration(tmp_path: Path) -> None:
    acquisition = frames(0.0)
    found = calibrate(acquisition, free="gains", steps=2)
    refused = replace(found, accepted=False, reason="the residual rose")
    path = tmp_path / "calibration.json"
    write_calibration(path, refused.file(acquisition))
    with pytest.raises(DataError, match=r"calibration\.json.*was refused \(the residual rose\)"):
        reconstruct(acquisition, calibration=path)
