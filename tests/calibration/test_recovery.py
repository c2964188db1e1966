"""Known errors of a small microscope are found from its frames."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.calibration.autofocus import autofocus, find_z_range, focus_curve
from fpm_inr.calibration.brightfield import fit_brightfield
from fpm_inr.calibration.calibrate import calibrate
from fpm_inr.calibration.orientation import (
    Orientation,
    check_orientation,
    oriented,
)
from fpm_inr.calibration.parallax import pupil_from_parallax
from fpm_inr.calibration.solve import PlaneFit, fit_plane
from fpm_inr.errors import DataError, DivergedError, SettingsError
from fpm_inr.forward import Instrument, compile_forward
from fpm_inr.instrument.pose import posed

OPTICS = Optics(wavelength_um=0.53, na=0.1, pixel_um=1.6)
SIDE = 48
SAMPLE_NA = OPTICS.wavelength_um / (SIDE * OPTICS.pixel_um)


def grid(count: int = 7, reach: float = 0.16) -> np.ndarray:
    side = np.linspace(-reach, reach, count)
    return np.array([(x, y) for y in side for x in side])


def smooth_object(shape: tuple[int, int], seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.fft.fftfreq(shape[0])[:, None], torch.fft.fftfreq(shape[1])[None, :]
    parts = []
    for _ in range(2):
        noise = torch.randn(shape, generator=generator)
        part = torch.fft.ifft2(torch.fft.fft2(noise) * torch.exp(-(y**2 + x**2) / 0.02)).real
        parts.append(part / part.abs().max())
    return torch.polar(1 + 0.6 * parts[0], 0.7 * parts[1])


def frames(
    z_um: float,
    *,
    na_xy: np.ndarray | None = None,
    true_na_xy: np.ndarray | None = None,
    gains: np.ndarray | None = None,
    zernike: list[float] | None = None,
    background: float = 0.0,
) -> Acquisition:
    """What a microscope with these errors records, under its nominal LED directions."""
    stated = grid() if na_xy is None else na_xy
    true = stated if true_na_xy is None else true_na_xy
    empty = np.ones((len(stated), SIDE, SIDE), dtype=np.float32)
    instrument = Instrument(
        torch.tensor(true),
        torch.ones(len(true)) if gains is None else torch.tensor(gains),
        torch.tensor([] if zernike is None else zernike),
        background_led=torch.full((len(true),), background),
    ).to("cpu")
    model = compile_forward(
        Acquisition(empty, OPTICS, Illumination(true)), 3, instrument=instrument
    )
    amplitude = model.amplitude(
        model.spectrum(smooth_object(model.field_shape_y_x))[None],
        torch.tensor([z_um]),
        torch.arange(len(true)),
        model.aperture(instrument),
    )[0]
    return Acquisition(amplitude.square().numpy() * 1000, OPTICS, Illumination(stated))


def test_gains_are_found_and_their_mean_is_pinned() -> None:
    random = np.random.default_rng(1)
    gains = np.exp(random.normal(0, 0.1, 49))
    acquisition = frames(0.0, gains=gains)
    found = calibrate(acquisition, free="gains")
    bright = acquisition.is_bright_field
    log = np.log(found.instrument.gain_led.numpy())
    assert log[bright].mean() == pytest.approx(0, abs=1e-5)
    error = log - np.log(gains)
    assert np.std(error) < 0.01
    assert found.accepted
    assert found.after.residual < 0.01 * found.before.residual


def test_a_strong_aberration_is_found() -> None:
    zernike = [0.0, 0.0, 0.0, 1.0, -1.2, 0.4, -0.5, 0.3, 0.2, -0.3, 0.4]
    acquisition = frames(0.0, zernike=zernike)
    found = calibrate(acquisition, free="pupil", steps=100)
    error = found.instrument.zernike_rad.numpy() - np.array(zernike)
    assert np.linalg.norm(error) / (2 * math.pi) < 0.01
    assert not found.instrument.zernike_rad[:3].any()


def test_parallax_alone_tells_the_pupil_roughly() -> None:
    zernike = torch.tensor([0.0, 0.0, 0.0, 1.0, -0.8, 0.4, -0.3, 0.3])
    acquisition = frames(0.0, zernike=zernike.tolist(), na_xy=grid(9, 0.08))
    found = pupil_from_parallax(acquisition, 0.0, 8)
    assert (found - zernike).norm() < 0.35 * zernike.norm()


def test_a_moved_array_is_found_from_circles_and_then_by_a_solve() -> None:
    stated = grid()
    pose = torch.tensor([1.5, -1.0, 1.5, 2.0, 0.0, 0.0], dtype=torch.float64)
    true = posed(torch.tensor(stated), pose, SAMPLE_NA).numpy()
    acquisition = frames(0.0, true_na_xy=true)

    def miss(instrument: Instrument) -> float:
        off = instrument.na_led_xy.numpy() - true
        return float(np.sqrt((off**2).sum(axis=1).mean())) / SAMPLE_NA

    nominal = float(np.sqrt(((stated - true) ** 2).sum(axis=1).mean())) / SAMPLE_NA
    assert nominal > 2
    assert miss(fit_brightfield(acquisition).instrument) < 0.8 * nominal
    found = calibrate(acquisition, free="pose")
    assert miss(found.instrument) < 0.2 * nominal


def test_shifts_of_single_leds_are_halved() -> None:
    random = np.random.default_rng(2)
    jitter = random.normal(0, 0.3, (49, 2)) * SAMPLE_NA
    jitter -= jitter.mean(axis=0)
    acquisition = frames(0.0, true_na_xy=grid() + jitter)
    found = calibrate(acquisition, free="shifts", steps=100)
    off = found.instrument.na_led_xy.numpy() - grid() - jitter
    # LEDs whose direct light meets the pupil's edge may stay off
    assert np.median(np.abs(off)) < 0.25 * np.median(np.abs(jitter))


def test_background_is_found() -> None:
    acquisition = frames(0.0, background=0.01)
    found = calibrate(acquisition, free="background")
    assert found.accepted
    assert found.instrument.background_led is not None
    scale = acquisition.amplitude_scale**2 / 1000
    assert float(found.instrument.background_led.median()) * scale == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("z_um", [-60.0, 45.0])
def test_height_is_found(z_um: float) -> None:
    acquisition = frames(z_um, na_xy=grid(7, 0.12))
    assert focus_curve(acquisition).best_um == pytest.approx(z_um, abs=12)
    assert autofocus(acquisition).z_um == pytest.approx(z_um, abs=3)
    (low, high), _ = find_z_range(acquisition)
    assert low < z_um < high


def test_height_needs_bright_field_off_the_axis() -> None:
    acquisition = frames(0.0)
    dark = acquisition.select(np.flatnonzero(~acquisition.is_bright_field))
    with pytest.raises(DataError, match="bright-field frames"):
        focus_curve(dark)
    with pytest.raises(DataError, match="bright-field frames"):
        fit_brightfield(dark)


def test_orientation_of_the_led_map_is_found_up_to_its_twin() -> None:
    acquisition = frames(-50.0)
    wrong = Orientation(transpose=True, flip_x=True)
    check = check_orientation(oriented(acquisition, wrong))
    # transpose then flip x is undone by flip x then transpose = transpose then flip y
    mend = Orientation(transpose=True, flip_y=True)
    assert check.best in (mend, mend.twin)
    assert any("--orient auto" in text for text in check.warnings)
    assert check_orientation(acquisition).best == Orientation()


def test_amplitudes_taken_for_intensities_are_noticed() -> None:
    acquisition = frames(0.0)
    rooted = Acquisition(np.sqrt(acquisition.frames_led_y_x), OPTICS, acquisition.illumination)
    assert check_orientation(rooted, z_um=0.0).scale.best == "amplitude"
    assert check_orientation(acquisition, z_um=0.0).scale.best == "intensity"


def test_a_calibration_that_moves_single_leds_too_far_is_refused() -> None:
    jitter = np.random.default_rng(2).normal(0, 0.3, (49, 2)) * SAMPLE_NA
    acquisition = frames(0.0, true_na_xy=grid() + jitter)
    found = calibrate(acquisition, free="shifts", steps=30, most_move=0.01)
    assert not found.accepted
    assert "against the rest of the array" in found.reason
    assert "--max-move" in found.reason
    torch.testing.assert_close(found.instrument.na_led_xy, torch.tensor(grid()))
    assert found.file(acquisition).status == "refused"


def test_a_diverged_calibration_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def diverge(*args: object, **keys: object) -> None:
        raise DivergedError("the fit is not finite at step 1")

    acquisition = frames(0.0)
    before = fit_plane(acquisition, 0.0, steps=3)
    fits = iter([lambda: before, diverge])
    monkeypatch.setattr(
        "fpm_inr.calibration.calibrate.fit_plane", lambda *args, **keys: next(fits)()
    )
    found = calibrate(acquisition, free="gains", steps=3)
    assert not found.accepted
    assert "not finite" in found.reason
    torch.testing.assert_close(found.instrument.na_led_xy, torch.tensor(grid()))


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"free": "gains,colour"}, "names 'colour'"),
        ({"free": ""}, "give one or more of"),
        ({"z_um": float("nan")}, "z: is nan"),
        ({"steps": 0}, "steps: is 0"),
        ({"most_move": -1.0}, "most move"),
    ],
)
def test_settings_out_of_range_are_refused(keys: dict[str, object], text: str) -> None:
    with pytest.raises(SettingsError, match=text):
        calibrate(frames(0.0), **keys)  # type: ignore[arg-type]


@pytest.mark.parametrize(("trusting", "taken"), [(0.8, True), (0.95, False), (1.2, False)])
def test_leds_at_the_rim_move_the_array_only_where_that_fits_clearly_better(
    trusting: float, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    angles = np.arange(8) * math.pi / 4
    ring = 0.098 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    acquisition = frames(0.0, na_xy=np.vstack([grid(3, 0.05), ring]))
    found = calibrate(acquisition, free="gains,pose", steps=5)
    told = []

    def fit(*args: object, **keys: object) -> PlaneFit:
        told.append(keys.get("trust_rim"))
        # the first is that of the stated instrument
        residual = {1: 1.0, 2: 0.5, 3: 0.5 * trusting}[len(told)]
        return replace(found.after, residual=residual)

    monkeypatch.setattr("fpm_inr.calibration.calibrate.fit_plane", fit)
    chosen = calibrate(acquisition, free="gains,pose", start=found.nominal)
    assert told == [False, False, True]
    assert chosen.after.residual == (0.5 * trusting if taken else 0.5)
    told.clear()
    calibrate(acquisition, free="gains", start=found.nominal)
    assert told == [False, False]
