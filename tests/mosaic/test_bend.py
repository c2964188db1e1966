"""What LEDs at a finite distance add to a tile: solves begin with it, and the frames have it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.calibration.solve import fit_plane
from fpm_inr.forward import compile_forward, nominal_instrument
from fpm_inr.illumination import LedGeometry
from fpm_inr.mosaic.plan import bend_of
from fpm_inr.reconstruction import reconstruct
from fpm_inr.simulate.rig import Rig
from fpm_inr.simulate.samples import Specimen
from fpm_inr.simulate.whole_field import FieldSetup, _block

OPTICS = Optics(wavelength_um=0.53, na=0.25, pixel_um=0.5)
NA = np.array([(x, y) for y in (-0.1, 0.0, 0.1) for x in (-0.1, 0.0, 0.1)])
SIDE, BEND = 48, 8e-4


def _bent(shape_y_x: tuple[int, int], upsampling: int) -> np.ndarray:
    y, x = ((np.arange(n) - (n - 1) / 2) / upsampling for n in shape_y_x)
    return np.exp(1j * BEND * (y[:, None] ** 2 + x**2))


def _clear_frames() -> Acquisition:
    """Frames of an empty slide whose light bends."""
    empty = Acquisition(np.ones((len(NA), SIDE, SIDE), np.float32), OPTICS, Illumination(NA))
    model = compile_forward(empty, 2)
    field = torch.from_numpy(_bent(model.field_shape_y_x, 2).astype(np.complex64))
    aperture = model.aperture(nominal_instrument(empty).to("cpu"))
    frames = model.amplitude(
        model.spectrum(field)[None], torch.zeros(1), torch.arange(len(NA)), aperture
    )[0]
    return replace(empty, frames_led_y_x=(30 * frames.numpy()) ** 2)


@pytest.mark.parametrize(
    "how", [{"engine": "inr", "steps": 12}, {"engine": "conventional", "passes": 2}]
)
def test_a_solve_that_begins_with_the_bend_has_all_of_it(how: dict[str, object]) -> None:
    seen = _clear_frames()

    def lost_rad(bend_rad_per_px2: float) -> float:
        found = reconstruct(seen, upsample=2, bend_rad_per_px2=bend_rad_per_px2, **how)  # type: ignore[arg-type]
        image = found.render(0.0).field_z_y_x[0]
        left = image * _bent(image.shape, 2).conj()
        return float(np.angle(left * np.exp(-1j * np.angle(left.sum()))).std())

    assert lost_rad(BEND) < 0.02
    # most of it is not in the frames: who begins without does not find it
    assert lost_rad(0.0) > 0.1


def test_a_plane_begins_with_the_bend() -> None:
    seen = _clear_frames()

    def away_rad(bend_rad_per_px2: float) -> float:
        """Phase against the true one after a single step."""
        found = fit_plane(seen, 0.0, upsampling=2, bend_rad_per_px2=bend_rad_per_px2, steps=1)
        image = found.image_y_x.numpy() * _bent(found.image_y_x.shape, 2).conj()
        return float(np.angle(image * np.exp(-1j * np.angle(image.sum()))).std())

    assert away_rad(BEND) < 0.1
    assert away_rad(0.0) > 0.15


def test_the_bend_is_that_of_a_point_at_the_leds_distance() -> None:
    distance_mm = 20.0
    places = np.array([(x, y, distance_mm) for y in (-0.5, 0, 0.5) for x in (-0.5, 0, 0.5)])
    expected = np.pi * OPTICS.pixel_um**2 / (OPTICS.wavelength_um * distance_mm * 1e3)
    light = Illumination(NA, LedGeometry(places))
    assert bend_of(light, OPTICS) == pytest.approx(expected, rel=0.01)
    assert bend_of(Illumination(NA), OPTICS) == 0


def test_simulated_directions_change_from_pixel_to_pixel() -> None:
    """Within one block, an LED at the pupil's edge lights the side on which its angle passes."""
    at_edge = np.array([[2.0 * OPTICS.na / np.sqrt(1 - OPTICS.na**2), 0.0]])
    rig = Rig(OPTICS, at_edge, 2.0)
    setup = FieldSetup(Specimen(opacity=1e-4, phase_rad=0.0), rig, (96, 96))
    frames = np.zeros((1, 96, 96), np.float32)
    objects = np.zeros((1, 192, 192), np.complex64)
    _block(setup, (48, [0, 48, 96]), (48, [0, 48, 96]), frames, objects)
    # seen from +x the LED at +x stands less steep
    assert frames[0, 40:56, 60:75].mean() > 5 * frames[0, 40:56, 21:36].mean()
