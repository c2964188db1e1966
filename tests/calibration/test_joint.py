"""A calibration learned together with a neural field: gauges, resuming, what is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.calibration.calibrate import calibrate
from fpm_inr.calibration.file import read_calibration, write_calibration
from fpm_inr.edges import straddling
from fpm_inr.engines.recipe import load_recipe, make_recipe
from fpm_inr.errors import SettingsError
from fpm_inr.forward import Instrument, compile_forward, nominal_instrument
from fpm_inr.instrument import Calibration, Free, parse_free
from fpm_inr.instrument.pose import posed
from fpm_inr.optics import zernike
from fpm_inr.reconstruction import data_residual, reconstruct
from fpm_inr.solution import Solution, load_solution
from fpm_inr.solve import judged
from fpm_inr.solve.progress import StepReport
from fpm_inr.solve.start import JointStart, joint_start
from tests.tiny import tiny_acquisition

OPTICS = Optics(wavelength_um=0.53, na=0.1, pixel_um=1.6)
EVERYTHING = "gains,pupil,pose,shifts,background"


def acquisition() -> Acquisition:
    side = np.linspace(-0.09, 0.09, 5)
    na_xy = np.array([(x, y) for y in side for x in side])
    empty = Acquisition(np.ones((25, 32, 32)), OPTICS, Illumination(na_xy))
    model = compile_forward(empty, 2)
    random = np.random.default_rng(0)
    gains = np.exp(random.normal(0, 0.2, 25))
    instrument = Instrument(
        torch.tensor(na_xy), torch.tensor(gains), torch.tensor([0, 0, 0, 0, 0.8, -0.5])
    ).to("cpu")
    generator = torch.Generator().manual_seed(0)
    y, x = torch.fft.fftfreq(64)[:, None], torch.fft.fftfreq(64)[None, :]
    noise = torch.fft.fft2(torch.randn(64, 64, generator=generator))
    part = torch.fft.ifft2(noise * torch.exp(-(y**2 + x**2) / 0.02)).real
    part = part / part.abs().max()
    image = torch.polar(1 + 0.4 * part, 0.5 * part)
    amplitude = model.amplitude(
        model.spectrum(image)[None],
        torch.zeros(1),
        torch.arange(25),
        model.aperture(instrument),
    )[0]
    return Acquisition(amplitude.square().numpy(), OPTICS, Illumination(na_xy))


def make(free: Free, *, height_is_free: bool = False) -> Calibration:
    data = acquisition()
    return Calibration(
        nominal_instrument(data), free, OPTICS, data.shape_y_x, height_is_free=height_is_free
    )


def test_what_is_learned_lowers_the_residual_and_is_kept(tmp_path: Path) -> None:
    data = acquisition()
    plain = reconstruct(data, steps=80)
    learned = reconstruct(data, steps=80, calibrate="gains,pupil")
    assert data_residual(data, learned, [0.0])[0] < 0.5 * data_residual(data, plain, [0.0])[0]
    assert learned.instrument.gain_led.log().std() > 0.1
    before, after = learned.record["calibration_residual"]
    assert after < 0.5 * before
    learned.save(tmp_path / "field.safetensors")
    loaded = load_solution(tmp_path / "field.safetensors")
    torch.testing.assert_close(loaded.instrument.gain_led, learned.instrument.gain_led)
    torch.testing.assert_close(loaded.instrument.zernike_rad, learned.instrument.zernike_rad)


def test_background_and_moved_leds_are_kept(tmp_path: Path) -> None:
    learned = reconstruct(acquisition(), steps=6, calibrate=EVERYTHING)
    learned.save(tmp_path / "field.safetensors")
    loaded = load_solution(tmp_path / "field.safetensors").instrument
    assert loaded.background_led is not None
    torch.testing.assert_close(loaded.background_led, learned.instrument.background_led)
    torch.testing.assert_close(loaded.na_led_xy, learned.instrument.na_led_xy)


@pytest.mark.parametrize(("learned", "last"), [(EVERYTHING, 5), ("gains,pupil,pose", 9)])
def test_a_resumed_joint_solve_equals_an_unbroken_one(
    learned: str, last: int, tmp_path: Path
) -> None:
    data, path = acquisition(), tmp_path / "checkpoint.safetensors"

    def stop(report: StepReport) -> None:
        if report.step == last:
            raise KeyboardInterrupt

    keys = {"z_range_um": (-5.0, 5.0), "steps": 12, "calibrate": learned}
    whole = reconstruct(data, **keys)  # type: ignore[arg-type]
    part = reconstruct(data, **keys, listen=stop, checkpoint=path)  # type: ignore[arg-type]
    assert part.record["status"] == "interrupted"
    with pytest.raises(SettingsError, match="other settings"):
        reconstruct(data, **{**keys, "calibrate": "gains"}, checkpoint=path, resume=True)  # type: ignore[arg-type]
    resumed = reconstruct(data, **keys, checkpoint=path, resume=True)  # type: ignore[arg-type]
    for name in ("na_led_xy", "gain_led", "zernike_rad", "background_led"):
        one, other = getattr(resumed.instrument, name), getattr(whole.instrument, name)
        assert (one is None and other is None) or torch.equal(one, other)
    np.testing.assert_array_equal(resumed.render(0.0).field_z_y_x, whole.render(0.0).field_z_y_x)


def test_gauges_are_pinned() -> None:
    for height_is_free, defocus_is_pupil in ((True, False), (False, True)):
        calibration = make(parse_free("pupil,gains"), height_is_free=height_is_free)
        with torch.no_grad():
            calibration.learned["pupil"].step.fill_(1.0)
            calibration.learned["gains"].log_gain_led += torch.arange(25) / 10 + 3
        found = calibration.instrument()
        assert not found.zernike_rad[:3].any()
        assert bool(found.zernike_rad[3]) == defocus_is_pupil
        assert found.zernike_rad[4:].all()
        bright = found.na_led_xy.norm(dim=1) < OPTICS.na
        assert float(found.gain_led[bright].log().mean().detach()) == pytest.approx(0, abs=1e-5)
    assert not make(parse_free("pupil,defocus")).learned["pupil"].mask[3]


def test_a_pupil_map_holds_neither_gauges_nor_modes() -> None:
    calibration = make(parse_free("pupil,pupil_map"))
    torch.manual_seed(0)
    with torch.no_grad():
        calibration.learned["pupil_map"].values.normal_(0, 0.3)
    amplitude, phase = calibration.learned["pupil_map"].nodes().detach().flatten(1)
    axis = torch.linspace(-1, 1, 17)
    y, x = (one.flatten() for one in torch.meshgrid(axis, axis, indexing="ij"))
    inside = (y**2 + x**2 <= 1).float()
    for mode in range(1, 12):
        share = (zernike(mode, y, x) * inside * phase).sum() / inside.sum()
        assert abs(float(share)) < 1e-5
    assert abs(float((amplitude * inside).sum())) < 1e-3
    found = calibration.instrument().pupil_y_x
    assert found is not None
    assert found.shape == (32, 32)


def test_a_pupil_map_finds_what_modes_leave_and_is_kept(tmp_path: Path) -> None:
    data = acquisition()
    first = calibrate(data, free="gains", steps=60)
    found = calibrate(data, free="gains,pupil_map", steps=60)
    assert found.after.residual < 0.6 * first.after.residual
    path = tmp_path / "calibration.json"
    write_calibration(path, found.file(data))
    kept = read_calibration(path).instrument_for(data).pupil_y_x
    true = found.instrument.pupil_y_x
    assert kept is not None
    assert true is not None
    y, x = torch.fft.fftfreq(32, 1.6)[:, None], torch.fft.fftfreq(32, 1.6)
    inside = (y**2 + x**2).sqrt() < 0.9 * OPTICS.na / OPTICS.wavelength_um
    assert (kept - true)[inside].abs().mean() < 0.05
    solved = reconstruct(data, steps=4, calibration=path, calibrate="pupil_map")
    solved.save(tmp_path / "field.safetensors")
    assert load_solution(tmp_path / "field.safetensors").instrument.pupil_y_x is not None


def test_nothing_moves_at_the_start() -> None:
    data = acquisition()
    found = make(parse_free("gains,pupil,pose,shifts,defocus")).instrument()
    nominal = nominal_instrument(data).to("cpu")
    torch.testing.assert_close(found.na_led_xy, nominal.na_led_xy, rtol=0, atol=1e-7)
    torch.testing.assert_close(found.gain_led, nominal.gain_led)
    assert not found.zernike_rad.any()
    assert float(found.defocus_um.detach()) == 0  # type: ignore[union-attr]


def test_leds_that_are_samples_off_are_found_with_the_field() -> None:
    true = acquisition()
    na_xy, sample_na = true.illumination.na_led_xy, 0.53 / (32 * 1.6)
    move = torch.tensor([0.0, 0.0, 0.9, -0.9, 0.0, 0.0], dtype=torch.float64)
    stated_xy = posed(torch.tensor(na_xy), move, sample_na).numpy()
    stated = replace(true, illumination=Illumination(stated_xy))
    solved = reconstruct(stated, steps=40, calibrate="gains,pupil,pose")
    before, after = solved.record["calibration_of_a_plane"]["residual"]
    assert after < 0.5 * before
    assert "calibration_refused" not in solved.record

    def error(leds: np.ndarray) -> float:
        return float(np.sqrt(np.square(leds - na_xy).mean()))

    assert error(solved.instrument.na_led_xy.detach().numpy()) < 0.3 * error(stated_xy)


def test_leds_whose_places_are_given_are_not_sought_on_a_plane_first() -> None:
    data = acquisition()
    for given in (
        {"calibrate": {"pose": {"init": [0.0] * 6}}},
        {"calibrate": {"pose": {"learning_rate": 0.0}}},
        {"calibrate": "gains,pupil"},
        {"calibrate": "pose", "calibration": nominal_instrument(data)},
    ):
        solved = reconstruct(data, steps=4, **given)  # type: ignore[arg-type]
        assert "calibration_of_a_plane" not in solved.record


def test_a_pose_that_goes_on_from_a_plane_takes_small_steps_unless_told_otherwise() -> None:
    data = acquisition()
    keys = {"calibration": nominal_instrument(data), "z_range_um": (0.0, 0.0)}
    for given, rate, start in ((True, 0.02, 0.1), ({"learning_rate": 0.3}, 0.3, 0.1)):
        calibration = joint_start(data, calibrate={"pose": given}, **keys).calibration  # type: ignore[arg-type]
        assert calibration is not None
        assert calibration.free.pose is not None
        assert calibration.free.pose.learning_rate == rate
        assert calibration.free.pose.start == start


def test_a_parameter_learns_only_between_its_start_and_stop() -> None:
    free = parse_free({"pupil": {"learning_rate": 0.1, "start": 0.25, "stop": 0.5}})
    assert free.pupil is not None
    assert [free.pupil.rate(done, 0.5) for done in (0.0, 0.25, 0.49, 0.5)] == [0, 0.05, 0.05, 0]


def test_only_what_is_learned_now_has_a_gradient() -> None:
    calibration = make(
        parse_free({"pupil": {"stop": 0.5}, "pose": {"start": 0.5}, "shifts": {"learning_rate": 0}})
    )
    for done, pupil, pose in ((0.0, True, False), (0.5, False, True)):
        calibration.hold(done)
        found = calibration.instrument()
        assert found.zernike_rad.requires_grad == pupil
        assert found.na_led_xy.requires_grad == pose
        assert not calibration.learned["shifts"].shift_led_xy.requires_grad


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("colour", "names 'colour'"),
        ("", "give one or more"),
        (3, "give one or more"),
        ({"pupil": {"modes": 3}}, "calibrate.pupil.modes"),
        ({"pupil": {"mode": 3}}, "calibrate.pupil.mode: is no setting"),
        ({"gains": {"start": 0.6, "stop": 0.5}}, "start must lie before stop"),
        ({"pose": {"learning_rate": -1}}, "calibrate.pose.learning_rate"),
    ],
)
def test_unknown_names_and_values_out_of_range_are_refused(content: object, text: str) -> None:
    with pytest.raises(SettingsError, match=text) as caught:
        parse_free(content)
    assert "\n" not in str(caught.value)


def test_a_parameter_may_be_named_as_fixed() -> None:
    assert parse_free({"pupil": True, "pose": False}).names == ["pupil"]


@pytest.mark.parametrize(
    ("calibrate", "text"),
    [
        ({"pose": {"learning_rate": 3.0}}, "Fourier samples, more than 4"),
        ({"pupil": {"learning_rate": 10.0}}, "waves RMS, more than 2"),
    ],
)
def test_a_joint_solve_that_runs_away_is_made_again_as_stated(
    calibrate: dict[str, object], text: str
) -> None:
    data = acquisition()
    solved = reconstruct(data, steps=12, calibrate=calibrate)
    assert text in solved.record["calibration_refused"]
    plain = reconstruct(data, steps=12)
    np.testing.assert_array_equal(solved.render(0.0).field_z_y_x, plain.render(0.0).field_z_y_x)
    assert "calibration_refused" not in plain.record


def test_a_recipe_may_say_what_is_learned() -> None:
    data = acquisition()
    content = load_recipe("default").model_dump()
    recipe = make_recipe({**content, "calibrate": {"gains": True, "pupil": [0, 0, 0, 0, 0.8]}})
    solved = reconstruct(data, steps=6, recipe=recipe)
    assert solved.instrument.gain_led.std() > 0
    assert float(solved.instrument.zernike_rad[4]) == pytest.approx(0.8)
    # what is asked for wins
    assert not reconstruct(
        data, steps=6, recipe=recipe, calibrate="gains"
    ).instrument.zernike_rad.any()
    with pytest.raises(SettingsError, match=r"mine\.yaml: calibrate\.pupil\.mode: is no setting"):
        make_recipe({**content, "calibrate": {"pupil": {"mode": 3}}}, "mine.yaml")


def test_parameters_begin_where_told() -> None:
    found = make(
        parse_free(
            {
                "gains": [1.0] * 24 + [2.0],
                "pose": {"init": [1.0, 0, 0, 0, 0, 0]},
                "background": 0.01,
                "defocus": {"init": -3.0, "learning_rate": 0.1},
            }
        )
    ).instrument()
    assert found.gain_led[24] / found.gain_led[0] == pytest.approx(2.0)
    moved = (found.na_led_xy - nominal_instrument(acquisition()).na_led_xy)[12, 0].detach()
    assert float(moved) > 0.005
    assert found.background_led is not None
    assert float(found.background_led[0].detach()) == pytest.approx(0.01)
    assert float(found.defocus_um.detach()) == -3.0  # type: ignore[union-attr]
    with pytest.raises(SettingsError, match="has 2 values for 25 LEDs"):
        make(parse_free({"gains": [1.0, 1.0]}))


def test_an_instrument_that_explains_nothing_better_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def short_solve(data: Acquisition, start: JointStart, *rest: object) -> float:
        return 0.01 * (1 + float(start.instrument.gain_led.log().std()))

    monkeypatch.setattr(judged, "short_solve_residual", short_solve)
    kept = reconstruct(acquisition(), steps=6, calibrate="gains")
    assert "did not fall" in kept.record["calibration_refused"]
    plain = reconstruct(acquisition(), steps=6)
    assert torch.equal(kept.instrument.gain_led, plain.instrument.gain_led)


@pytest.mark.parametrize("engine", ["inr", "conventional"])
@pytest.mark.parametrize("recipe", ["default", "paper"])
def test_an_led_that_was_moved_to_just_outside_the_pupil_has_no_say(
    engine: Any, recipe: str
) -> None:
    data = tiny_acquisition()
    corner = 0  # a dark-field LED, which does not set the scale of the frames
    assert not data.is_bright_field[corner]
    instrument = nominal_instrument(data)
    assert not straddling(data, instrument).any()
    instrument.na_led_xy[corner] *= 0.95
    assert np.flatnonzero(straddling(data, instrument)).tolist() == [corner]
    frames = data.frames_led_y_x.copy()
    frames[corner] *= 1.5
    keys = {"engine": engine, "recipe": recipe, "calibration": instrument}
    keys |= {"steps": 60} if engine == "inr" else {"passes": 3}
    solutions = [reconstruct(one, **keys) for one in (data, replace(data, frames_led_y_x=frames))]
    first, second = (one.render(0.0).field_z_y_x for one in solutions)
    np.testing.assert_array_equal(first, second)
    assert solutions[0].leds_left_out == (corner,)
    assert solutions[0].leds_used.tolist() == list(range(1, 25))
    residuals = [
        data_residual(one, solution, [0.0])[0]
        for one, solution in zip(
            (data, replace(data, frames_led_y_x=frames)), solutions, strict=True
        )
    ]
    assert residuals[0] == residuals[1]


def test_leds_are_left_out_only_near_the_edge_and_never_all_of_them() -> None:
    data = tiny_acquisition()
    instrument = nominal_instrument(data)
    na_led = instrument.na_led_xy.norm(dim=1, keepdim=True)
    outside = {0.8: 0, 1.01: 24, 1.3: 24, 1.5: 0}
    for factor, count in outside.items():
        # all but the one on the axis go to this share of the NA
        ring = instrument.na_led_xy / na_led.clamp_min(1e-9) * factor * data.optics.na
        assert straddling(data, replace(instrument, na_led_xy=ring)).sum() == count
    without_axis = np.delete(np.arange(25), 12)
    ring = ring * 1.01 / 1.5
    found = replace(instrument, na_led_xy=ring).select(torch.from_numpy(without_axis))
    assert not straddling(data.select(without_axis), found).any()


def test_leds_that_come_to_straddle_the_edge_in_a_joint_solve_leave_no_trace() -> None:
    data = tiny_acquisition()
    corners = np.flatnonzero(data.illumination.na_led > data.optics.na)
    assert corners.tolist() == [0, 4, 20, 24]
    # a little off, from places that are believed, so that no plane comes first
    stated = replace(data, illumination=Illumination(data.illumination.na_led_xy * 0.96))
    pose = {"init": [0.0] * 6, "learning_rate": 0.1}
    solved = reconstruct(stated, steps=60, calibrate={"gains": True, "pose": pose})
    assert "calibration_refused" not in solved.record
    assert solved.leds_left_out == tuple(corners.tolist())
    assert solved.record["settings"]["calibrate"]["pose"]["learning_rate"] == 0.1
    plain = reconstruct(stated, steps=60, calibrate="gains")

    def power_of_corners(solution: Solution) -> float:
        """Share of the power at frequencies that only the corner LEDs bring into the pupil."""
        spectrum = np.fft.fft2(solution.render(0.0).field_z_y_x[0])
        y, x = (np.fft.fftfreq(side, solution.pixel_um) for side in spectrum.shape)
        na = data.optics.wavelength_um * np.hypot(y[:, None], x)
        return float((np.abs(spectrum[na > 0.5]) ** 2).sum() / (np.abs(spectrum) ** 2).sum())

    assert power_of_corners(solved) < 1e-12
    assert power_of_corners(plain) > 1e-9
