"""LEDs that leave the field's grid are refused: windows that go round it mix frequencies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.calibration.solve import fit_plane
from fpm_inr.errors import DivergedError, SettingsError
from fpm_inr.forward import (
    Instrument,
    compile_forward,
    nominal_instrument,
)
from fpm_inr.reach import least_upsampling
from fpm_inr.reconstruction import data_residual, reconstruct
from tests.tiny import tiny_acquisition


@settings(max_examples=60, deadline=None)
@given(
    na_xy=st.tuples(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6)),
    shape=st.tuples(st.integers(12, 40), st.integers(12, 40)),
    margin=st.sampled_from([0.0, 1.0, 4.0]),
)
def test_an_accepted_grid_holds_all_that_passes_the_pupil(
    na_xy: tuple[float, float], shape: tuple[int, int], margin: float
) -> None:
    optics = Optics(wavelength_um=0.53, na=0.25, pixel_um=0.5)
    data = Acquisition(np.ones((1, *shape), np.float32), optics, Illumination(np.array([na_xy])))
    na_led_xy = torch.tensor([na_xy], dtype=torch.float64)
    least = least_upsampling(data, na_led_xy, margin_samples=margin)
    model = compile_forward(data, least, margin_samples=margin)
    sight = model.sight(na_led_xy)
    passes = sight.disc_led_k[0] > 0.5
    for axis, side in enumerate(model.field_shape_y_x):
        reached = (model.sample_yx[axis] + model.window_led_yx[0, axis])[passes]
        # a window is whole samples: half a sample of rounding
        assert reached.min() - margin >= -(side / 2) - 0.5
        assert reached.max() + margin <= side / 2 + 0.5
    if least > 1:
        with pytest.raises(SettingsError, match=f"give at least {least}"):
            compile_forward(data, least - 1, margin_samples=margin)


def moved(factor: float) -> tuple[Acquisition, Instrument]:
    data = tiny_acquisition()
    nominal = nominal_instrument(data)
    na_led_xy = nominal.na_led_xy.clone()
    na_led_xy[7] *= factor
    return data, replace(nominal, na_led_xy=na_led_xy)


def test_a_calibrated_led_that_left_the_grid_is_named() -> None:
    data, instrument = moved(9.0)
    with pytest.raises(SettingsError, match=r"upsample: is 2, too coarse .* LED 7 .*at least 3"):
        compile_forward(data, 2, instrument=instrument)
    for engine in ("inr", "conventional"):
        with pytest.raises(SettingsError, match="LED 7"):
            reconstruct(data, upsample=2, calibration=instrument, engine=engine)  # type: ignore[arg-type]


def test_the_usual_upsampling_holds_the_calibrated_leds() -> None:
    data, instrument = moved(9.0)
    solution = reconstruct(data, calibration=instrument, steps=3)
    assert solution.upsampling == 3
    assert solution.record["settings"]["upsampling"] == 3
    assert np.isfinite(data_residual(data, solution, [0.0])[0])
    assert reconstruct(data, steps=3).upsampling == 2


def test_leds_that_may_move_need_room_to() -> None:
    data = tiny_acquisition().select(np.array([12, 14]))
    # the light of one just reaches the edge of a grid of twice the frames' sampling
    na_led_xy = data.illumination.na_led_xy * (0.53 / 0.5 - 0.25) / 0.2
    wide = replace(data, illumination=Illumination(na_led_xy))
    assert least_upsampling(wide, torch.tensor(na_led_xy)) == 2
    compile_forward(wide, 2)
    with pytest.raises(SettingsError, match="room to move by 4 Fourier samples"):
        compile_forward(wide, 2, margin_samples=4.0)
    assert least_upsampling(wide, torch.tensor(na_led_xy), margin_samples=4.0) == 3


def test_a_plane_whose_leds_leave_the_grid_has_diverged() -> None:
    from fpm_inr.instrument import parse_free

    free = parse_free({"shifts": {"learning_rate": 100.0, "start": 0}})
    with pytest.raises(DivergedError, match="an LED left the grid"):
        fit_plane(tiny_acquisition(), 0.0, free, steps=25)


def test_planes_that_are_compared_share_a_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    from fpm_inr.calibration import calibrate

    asked: list[int | None] = []
    fit = calibrate.fit_plane

    def noted(*arguments: object, **keys: object) -> object:
        asked.append(keys["upsampling"])  # type: ignore[arg-type]
        return fit(*arguments, **keys)  # type: ignore[arg-type]

    monkeypatch.setattr(calibrate, "fit_plane", noted)
    data, instrument = moved(9.0)
    calibrate.calibrate(data, free="gains,pose", start=instrument, steps=2)
    assert len(asked) >= 2
    assert set(asked) == {3}
