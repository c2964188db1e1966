"""Targets are drawn to measure; specimens lie where they say; settings are checked."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpm_inr.errors import DataError, SettingsError
from fpm_inr.simulate import (
    PRESETS,
    SHAPES,
    SUBJECTS,
    Camera,
    Specimen,
    load_truth,
    preset,
    simulate,
    write_truth,
)
from fpm_inr.simulate.experiment import lay_scene
from fpm_inr.simulate.samples import height_um, make_sheets
from fpm_inr.simulate.smear import draw_smear
from fpm_inr.simulate.targets import draw_siemens, draw_usaf, usaf_elements

AXIS = (np.arange(300) - 150) * 0.25


def test_usaf_elements_have_their_standard_sizes() -> None:
    elements = {(one.group, one.element): one for one in usaf_elements(210.0, 0.3)}
    assert elements[6, 1].line_pairs_per_mm == 64
    assert math.isclose(elements[6, 1].bar_um, 7.8125)
    assert math.isclose(elements[9, 3].line_pairs_per_mm, 645.08, rel_tol=1e-4)
    assert min(one.bar_um for one in elements.values()) >= 0.3


@given(st.floats(20.0, 3000.0))
def test_usaf_elements_fill_the_field_and_never_touch(field_um: float) -> None:
    elements = usaf_elements(field_um, field_um / 400)
    boxes = np.array(
        [
            (one.x_um, one.y_um, one.x_um + 12 * one.bar_um, one.y_um + 5 * one.bar_um)
            for one in elements
        ]
    )
    assert np.abs(boxes).max() <= field_um / 2
    assert np.ptp(boxes[:, [1, 3]]) >= 0.45 * field_um
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            gap = max(a[0] - b[2], b[0] - a[2], a[1] - b[3], b[1] - a[3])
            assert gap > 0


def test_usaf_bars_cover_exactly_their_area() -> None:
    covered = draw_usaf(AXIS, AXIS, 70.0)
    area = sum(30 * one.bar_um**2 for one in usaf_elements(70.0, 0.25))
    assert covered.max() <= 1 + 1e-9
    assert math.isclose(covered.sum() * 0.25**2, area, rel_tol=1e-9)


def test_a_siemens_star_has_its_spokes_at_every_radius() -> None:
    star = draw_siemens(AXIS, AXIS, 70.0, spokes=24)
    for radius in (10.0, 20.0, 30.0):
        angle = np.arange(1440) * 2 * np.pi / 1440
        rows = np.rint(radius * np.sin(angle) / 0.25).astype(int) + 150
        columns = np.rint(radius * np.cos(angle) / 0.25).astype(int) + 150
        profile = star[rows, columns]
        assert np.abs(np.fft.rfft(profile))[1:100].argmax() + 1 == 24
        assert abs(profile.mean() - 0.5) < 0.02
    assert not star[0].any()


def test_more_field_shows_more_of_the_same_smear() -> None:
    part = draw_smear(AXIS[100:200], AXIS[50:220], seed=3)
    whole = draw_smear(AXIS, AXIS, seed=3)
    for a, b in zip(part, whole, strict=True):
        assert np.allclose(a, b[100:200, 50:220])


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_subject_has_contrast_and_is_transparent(subject: str) -> None:
    axis = AXIS[::2]
    (sheet,) = make_sheets(
        Specimen(subject, opacity=0.7), axis, axis, field_um=60.0, detail_um=0.3, seed=0
    )
    transmission = np.exp(sheet.log_transmission_y_x)
    assert transmission.shape == (150, 150)
    assert 0.29 < np.abs(transmission).min() <= np.abs(transmission).max() <= 1 + 1e-9
    assert transmission.std() > 0.1


@given(tilt=st.floats(-40, 40).filter(lambda t: abs(t) > 0.1), axis=st.floats(-180, 180))
def test_a_tilt_rises_as_its_tangent_and_stays_level_along_its_axis(
    tilt: float, axis: float
) -> None:
    specimen = Specimen("smear", "tilted", z_um=3.0, tilt_deg=tilt, tilt_axis_deg=axis)
    z = height_um(specimen, AXIS, AXIS)
    slope_y, slope_x = (float(np.diff(z, axis=a).mean() / 0.25) for a in (0, 1))
    assert math.isclose(math.hypot(slope_y, slope_x), abs(math.tan(math.radians(tilt))))
    along = slope_x * math.cos(math.radians(axis)) + slope_y * math.sin(math.radians(axis))
    assert abs(along) < 1e-9
    assert math.isclose(z[150, 150], 3.0)


@pytest.mark.parametrize("shape", SHAPES)
def test_heights_are_centred_and_span_the_depth(shape: str) -> None:
    deep = {"depth_um": 10.0} if shape in ("wavy", "two-layer", "thick") else {}
    tilt = {"tilt_deg": 10.0} if shape == "tilted" else {}
    specimen = Specimen("smear", shape, z_um=5.0, **deep, **tilt)
    setup = replace(preset("demo"), specimen=specimen, shape_y_x=(120, 100), scan_z_um=())
    truth = simulate(replace(setup, camera=Camera())).truth
    z = truth.z_sheet_y_x_um
    assert len(z) == specimen.sheet_count == len(truth.object_sheet_y_x)
    assert abs((z.max() + z.min()) / 2 - 5.0) < 0.1
    span = {"thin": 0.0, "tilted": 120 * 0.345 * math.tan(math.radians(10))}.get(shape, 10.0)
    assert abs(np.ptp(z) - span) < 0.1
    if len(z) > 1:
        with pytest.raises(DataError, match="no single depth map"):
            _ = truth.depth_y_x_um
    else:
        assert np.array_equal(truth.depth_y_x_um, z[0])


@pytest.mark.parametrize(
    "wrong",
    [
        {"subject": "elephant"},
        {"shape": "round"},
        {"tilt_deg": 3.0},
        {"depth_um": 3.0},
        {"shape": "tilted"},
        {"shape": "wavy"},
        {"shape": "thick", "depth_um": 5.0, "subject": "usaf"},
        {"z_um": float("nan")},
        {"opacity": 0.0, "phase_rad": 0.0},
        {"opacity": 1.2},
    ],
)
def test_impossible_specimens_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        Specimen(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape_y_x": (8, 128)},
        {"upsampling": 0},
        {"upsampling": 1, "rig": preset("siemens").rig},
        {"seed": -1},
        {"scan_z_um": (float("inf"),)},
    ],
)
def test_impossible_setups_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        replace(preset("demo"), **wrong)


def test_too_large_for_the_machine_is_refused_before_computing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nearly_full = type("memory", (), {"available": 2**20})()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: nearly_full)
    with pytest.raises(SettingsError, match="GiB are free"):
        simulate(preset("blood-smear"))


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(SettingsError, match="blood-smear, thyroid"):
        preset("elephant")


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_the_rigs_they_are_named_for(name: str) -> None:
    setup = preset(name)
    leds, na = {
        "blood-smear": (68, 0.256),
        "thyroid": (145, 0.4),
        "slow-phase": (68, 0.256),
        "lens": (68, 0.256),
        "siemens": (137, 0.1),
        "usaf": (137, 0.1),
        "demo": (37, 0.256),
    }[name]
    assert setup.rig.illumination.led_count == leds
    assert setup.rig.optics.na == na
    scene = lay_scene(setup)
    assert scene.fine % setup.upsampling == 0
    assert scene.pixel_um / scene.fine <= setup.rig.optics.wavelength_um / 2
    if name in ("blood-smear", "thyroid"):
        assert (setup.rig.illumination.na_led < na).all()


def test_truth_survives_the_file(tmp_path) -> None:
    setup = replace(preset("demo"), shape_y_x=(24, 32), scan_z_um=(-2.0, 2.0))
    truth = simulate(setup).truth
    write_truth(tmp_path / "truth.h5", truth)
    read = load_truth(tmp_path / "truth.h5")
    for name, value in vars(truth).items():
        if isinstance(value, np.ndarray):
            assert np.array_equal(getattr(read, name), value)
            assert getattr(read, name).dtype == value.dtype
    assert read.pixel_um == truth.pixel_um
    assert read.settings["specimen"]["tilt_deg"] == 15.0
    assert read.object_y_x.shape == read.seen_y_x.shape == (48, 64)
    assert read.scan_z_y_x.shape == (2, 24, 32)


def test_what_is_no_truth_is_refused(tmp_path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        load_truth(tmp_path / "truth.h5")
    (tmp_path / "truth.h5").write_bytes(b"no HDF5")
    with pytest.raises(DataError, match="cannot be read"):
        load_truth(tmp_path / "truth.h5")


@pytest.mark.parametrize("side", [128, 200])
def test_slow_phase_starts_at_one_cycle_across_the_field_whatever_its_size(side: int) -> None:
    axis = (np.arange(side) - side / 2) * 0.25
    given = Specimen("slow-phase", phase_rad=2.4)
    made = make_sheets(given, axis, axis, field_um=side * 0.25, detail_um=0.25, seed=0)
    phase = made[0].log_transmission_y_x.imag
    power = np.abs(np.fft.fft2(phase)) ** 2
    radius = np.hypot(*np.meshgrid(*[np.fft.fftfreq(side, 1 / side)] * 2))
    all_but_mean = power[radius > 0].sum()
    for low, high, least in ((0.5, 2, 0.2), (2, 4, 0.02), (4, 16, 0.02)):
        assert power[(radius >= low) & (radius < high)].sum() > least * all_but_mean
    assert 1 < np.ptp(phase) <= 2.4


def test_a_lens_is_a_paraboloid_of_the_phase_that_is_asked_for() -> None:
    made = make_sheets(
        Specimen("lens", phase_rad=3.0), AXIS, AXIS, field_um=75.0, detail_um=0.25, seed=0
    )
    phase = made[0].log_transmission_y_x.imag
    assert phase.max() == pytest.approx(3)
    radius = np.hypot(AXIS[:, None], AXIS)
    np.testing.assert_allclose(
        phase, 3 * np.clip(1 - (radius / (0.35 * 75)) ** 2, 0, None), atol=1e-9
    )
