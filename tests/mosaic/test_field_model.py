"""The instrument across the field: what is found comes back, and what is kept can be read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.calibration.field_file import LEVEL, FieldCalibration, terms
from fpm_inr.calibration.file import read_calibration, write_calibration
from fpm_inr.errors import DataError
from fpm_inr.forward import nominal_instrument
from fpm_inr.illumination import flat_array, raster_steps
from fpm_inr.instrument import parse_free
from fpm_inr.mosaic import field_model
from fpm_inr.mosaic.array import fit_move, moved_array
from fpm_inr.mosaic.calibrated import Found, How
from fpm_inr.mosaic.field_model import find_field_model
from fpm_inr.mosaic.light import fit_polynomial
from fpm_inr.mosaic.source import Source
from fpm_inr.simulate.rig import Rig, grid_leds
from fpm_inr.simulate.samples import Specimen
from fpm_inr.simulate.whole_field import FieldErrors, FieldSetup, simulate_field

GEOMETRY = flat_array(4.0 * raster_steps(5, 5), 60.0)
OPTICS = Optics(wavelength_um=0.53, na=0.2, pixel_um=0.5)


def _acquisition(side: int = 64) -> Acquisition:
    light = Illumination(GEOMETRY.na_at(), GEOMETRY)
    return Acquisition(np.ones((25, side, side), np.float32), OPTICS, light)


def _content(**changes: object) -> FieldCalibration:
    content = FieldCalibration(
        status="accepted",
        na=0.2,
        wavelength_um=0.53,
        radius_um=16.0,
        nominal_na_led_xy=GEOMETRY.na_at().tolist(),
        position_led_xyz_mm=(GEOMETRY.position_led_xyz_mm + np.array([0.5, 0, 0])).tolist(),
        gain_led=[1.1] * 25,
        zernike_rad=[LEVEL] * 4 + [(0.1, 0.5, 0.0, 0.0, 0.0, 0.2)],
        log_light=(0.0, 0.0, 0.0, -0.1, 0.0, -0.1),
    )
    return content.model_copy(update=changes)


def test_a_calibration_of_a_field_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_calibration(tmp_path / "calibration.json", _content())
    assert read_calibration(tmp_path / "calibration.json") == _content()


def test_crops_have_the_instrument_of_their_place() -> None:
    whole, content = _acquisition(), _content()
    crop = whole.crop(0, 32, 32, 32)
    middle, aside = content.instrument_for(whole), content.instrument_for(crop)
    # its centre lies half a radius along x, and half a radius back along y
    assert float(aside.zernike_rad[4]) == pytest.approx(0.1 + 0.5 * 0.5 + 0.2 * 0.25)
    assert float(middle.zernike_rad[4]) == pytest.approx(0.1)
    assert np.allclose(aside.na_led_xy.numpy(), content.geometry().na_at(8.0, -8.0), atol=1e-12)


def test_light_is_evened() -> None:
    whole, content = _acquisition(), _content()
    y, x = (np.arange(64) - 31.5) * 0.5, (np.arange(64) - 31.5) * 0.5
    light = np.exp(2 * content.at(content.log_light, x, y[:, None])).astype(np.float32)
    shaded = replace(whole, frames_led_y_x=whole.frames_led_y_x * light)
    evened = content.evened(shaded.crop(10, 3, 40, 50))
    assert np.allclose(evened.frames_led_y_x, 1, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"na": 0.3}, "objective"),
        ({"nominal_na_led_xy": (GEOMETRY.na_at() + 0.01).tolist()}, "LED array"),
        ({"position_led_xyz_mm": None, "moved_na_led_xy": [(0.0, 0.0)] * 25}, "directions alone"),
    ],
)
def test_another_microscope_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(DataError, match=said):
        _content(**change).instrument_for(_acquisition())


def test_polynomials_do_not_follow_a_tile_that_tells_nonsense() -> None:
    x, y = np.meshgrid(np.linspace(-1, 1, 5), np.linspace(-1, 1, 5))
    place = np.stack([x.ravel(), y.ravel()], axis=1)
    true = np.array([0.2, -0.1, 0.3, 0.05, 0.0, -0.2])
    values = terms(place[:, 0], place[:, 1]) @ true
    values += 0.001 * np.random.default_rng(0).standard_normal(len(values))
    values[7] += 5
    assert np.allclose(fit_polynomial(place, values), true, atol=0.01)
    few = fit_polynomial(place[:2], values[:2])
    assert few[1:] == (0.0,) * 5


def test_an_array_is_moved_as_one() -> None:
    moved = moved_array(GEOMETRY, np.array([0.3, -0.2, 1.0, 2.0, 0.0, 0.0]))
    place = moved.position_led_xyz_mm
    assert place.mean(axis=0) == pytest.approx(
        GEOMETRY.position_led_xyz_mm.mean(axis=0) + np.array([0.3, -0.2, 0])
    )
    apart = np.linalg.norm(place[1] - place[0])
    assert apart == pytest.approx(1.02 * 4.0, rel=1e-6)


@pytest.mark.parametrize("stretches", [True, False])
def test_the_move_of_an_array_is_told_by_directions_from_several_places(stretches: bool) -> None:
    true = np.array([0.3, -0.2, 1.0, 4.0 if stretches else 0.0, 0.5, -0.5])
    placed = moved_array(GEOMETRY, true)
    places = [(x, y) for x in (-200.0, 0.0, 200.0) for y in (-200.0, 0.0, 200.0)]
    seen = [placed.na_at(*place) for place in places]
    seen[4][3] += 0.05  # an LED at the pupil's edge
    sees = [np.ones(25, dtype=bool) for _ in places]
    seen[2][7], sees[2][7] = np.nan, False  # one that its tile does not tell of
    found = fit_move(GEOMETRY, places, seen, sees, 0.01, stretches=stretches)
    assert found[:4] == pytest.approx(true[:4], abs=0.03)
    # directions tell little of how it leans
    assert found[4:] == pytest.approx(true[4:], abs=0.2)
    assert stretches or found[3] == 0


@pytest.mark.parametrize(("explained", "is_kept"), [(0.020, True), (0.012, False)])
def test_another_distance_must_explain_the_frames_clearly_better(
    monkeypatch: pytest.MonkeyPatch, explained: float, is_kept: bool
) -> None:
    """Tiles that find an array 1.2 times as far away, with and without a lower residual."""
    seen = _acquisition()
    found_na = moved_array(GEOMETRY, np.array([0, 0, 0, 100 / 1.2 - 100, 0, 0])).na_at()
    stated = replace(nominal_instrument(seen), na_led_xy=torch.tensor(found_na))
    tiles = [
        Found(seen, float(x), float(y), 0.0, 0.03, stated, np.ones(25, dtype=bool))
        for x, y in ((0, 0), (8, 0), (0, 8))
    ]

    def again(model: FieldCalibration, one: Found, how: How) -> Found:
        places = np.array(model.position_led_xyz_mm)
        is_near = np.allclose(places, GEOMETRY.position_led_xyz_mm, atol=0.1)
        return replace(one, residual=0.021 if is_near else explained)

    monkeypatch.setattr(field_model, "again_under", again)
    how = How(parse_free("gains,pose"), {"steps": 1, "seed": 0, "device": "cpu"})
    model = field_model._stated(seen, 16.0, LEVEL)
    posed, _ = field_model._posed(model, tiles, how, lambda done, total: None)
    width = np.ptp(np.array(posed.position_led_xyz_mm)[:, 0])
    assert width == pytest.approx(16.0 if is_kept else 16.0 / 1.2, abs=0.1)
    assert len(posed.notes) == is_kept
    assert not is_kept or "1.20 times as far" in posed.notes[0]


def test_gains_are_those_of_the_tiles_that_tell_of_an_led() -> None:
    """Two tiles of three see LED 0; none sees LED 1. Tiles pin the mean of what they see."""
    seen, true = _acquisition(), np.exp(0.1 * np.random.default_rng(0).standard_normal(25))
    true /= np.exp(np.log(true[2:]).mean())
    tiles = []
    for number in range(3):
        sees = np.ones(25, dtype=bool)
        sees[:2] = number > 0, False
        gain = true / np.exp(np.log(true[sees]).mean())
        gain[~sees] = 7.0
        instrument = replace(nominal_instrument(seen), gain_led=torch.tensor(gain))
        tiles.append(Found(seen, 0.0, 0.0, 0.0, 0.01, instrument, sees))
    found = field_model._gains(tiles)
    assert found[1] == pytest.approx(1)
    ratio = found[np.arange(25) != 1] / true[np.arange(25) != 1]
    assert ratio == pytest.approx(ratio[0], rel=1e-6)


def test_directions_that_no_tile_tells_of_move_as_most_do() -> None:
    """An array of which directions alone are known, in two tiles that do not see LEDs 3 and 4."""
    seen, stated = _acquisition(), GEOMETRY.na_at()
    seen = replace(seen, illumination=Illumination(stated))
    tiles = []
    for number in range(2):
        sees = np.ones(25, dtype=bool)
        sees[3 : 4 + number] = False
        na = stated + np.array([0.01, 0.02])
        na[~sees] += 5.0
        instrument = replace(nominal_instrument(seen), na_led_xy=torch.tensor(na))
        tiles.append(Found(seen, 0.0, 0.0, 0.0, 0.01, instrument, sees))
    posed, stretch = field_model._with_pose(field_model._stated(seen, 16.0, LEVEL), tiles)
    assert np.array(posed.moved_na_led_xy) == pytest.approx(np.array([[0.01, 0.02]] * 25))
    assert stretch == 0


def test_the_instrument_of_a_simulated_field_is_found(tmp_path: Path) -> None:
    """A pupil that changes across the field and an array that stands off, from 2 x 2 tiles."""
    rig = Rig(OPTICS, grid_leds(7, 2.2, 2.5), 40.0)
    errors = FieldErrors(
        pupil_waves=((6, (0.05, 0.06, 0.0, 0.0, 0.0, 0.0)),), array_shift_mm=(0.6, 0.0)
    )
    specimen = Specimen(subject="smear")
    simulate_field(FieldSetup(specimen, rig, (112, 112), errors=errors), tmp_path)
    found = find_field_model(
        Source(tmp_path / "frames.h5"),
        (112, 112),
        tile_px=72,
        z_range_um=(0.0, 0.0),
        grid=2,
        steps=100,
    )
    assert all(tile.used for tile in found.tiles)
    shift = np.array(found.position_led_xyz_mm).mean(axis=0) - [0, 0, 40.0]
    assert shift[:2] == pytest.approx((0.6, 0.0), abs=0.2)
    left, right = (found.zernike_at(x, 0.0)[5] / (2 * np.pi) for x in (-14.0, 14.0))
    assert left == pytest.approx(0.05 - 0.03, abs=0.025)
    assert right == pytest.approx(0.05 + 0.03, abs=0.025)
