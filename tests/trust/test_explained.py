"""A solution says when it does not explain its frames, and says nothing when it does."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from fpm_inr import Acquisition, Solution, load_solution, reconstruct
from fpm_inr.calibration.orientation import Orientation, oriented
from fpm_inr.io import load
from fpm_inr.results import write_results
from fpm_inr.simulate import preset, simulate
from fpm_inr.simulate.camera import Camera, expose
from fpm_inr.trust.explained import Explanation, explain
from tests.tiny import tiny_acquisition

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"real data is not at {DATA}")


@cache
def clean(name: str) -> Acquisition:
    setup = preset(name)
    return simulate(replace(setup, shape_y_x=(64, 64), scan_z_um=(), camera=Camera())).acquisition


def noisy(name: str, photons: float) -> Acquisition:
    camera = Camera(photons=photons, read_noise_e=2)
    frames = expose(clean(name).frames_led_y_x, camera, np.random.default_rng(0))
    return replace(clean(name), frames_led_y_x=frames)


@cache
def usaf() -> Acquisition:
    return load(ROOT / "examples" / "usaf")


def judged(acquisition: Acquisition, z_range_um: tuple[float, float] = (0, 0)) -> Explanation:
    solution = reconstruct(acquisition, z_range_um=z_range_um)
    low, high = z_range_um
    return explain(acquisition, solution, list(np.linspace(low, high, 5 if low < high else 1)))


@pytest.mark.parametrize("photons", [500, 5_000, 50_000])
@pytest.mark.parametrize(("name", "z_range_um"), [("demo", (-9.0, 9.0)), ("siemens", (0.0, 0.0))])
def test_right_frames_are_explained(
    name: str, z_range_um: tuple[float, float], photons: float
) -> None:
    found = judged(noisy(name, photons), z_range_um)
    assert list(found.warnings()) == []
    assert found.residual > 0.8 * found.expected_residual


@needs_data
def test_the_resolution_target_is_explained_nearly_to_its_noise() -> None:
    found = judged(usaf())
    assert list(found.warnings()) == []
    assert found.expected_residual < found.residual < 1.3 * found.expected_residual


def test_a_wrong_height_a_wrong_map_and_a_pattern_of_pixels_are_noticed() -> None:
    frames = noisy("siemens", 50_000)
    turned = oriented(frames, Orientation(transpose=True, flip_x=True))
    scrambled = np.random.default_rng(0).permutation(frames.led_count)
    pattern = np.ones(frames.shape_y_x)
    pattern[1::2, ::2] = pattern[::2, 1::2] = 0.15
    pattern[1::2, 1::2] = 0.03
    for wrong, z_um in (
        (frames, 300.0),
        (turned, 0.0),
        (replace(frames, frames_led_y_x=frames.frames_led_y_x[scrambled]), 0.0),
        (replace(frames, frames_led_y_x=frames.frames_led_y_x * pattern), 0.0),
    ):
        told = list(judged(wrong, (z_um, z_um)).warnings())
        assert "does not explain the frames" in told[0]
        assert "Try:" in told[0]


def test_frames_of_nothing_that_was_solved_are_noticed() -> None:
    frames = noisy("siemens", 5_000)
    solution = reconstruct(frames)
    half = replace(solution, amplitude_scale=1e3 * solution.amplitude_scale)
    found = explain(frames, half, [0.0])
    assert not found.is_explained  # a residual of about a million
    nothing = replace(
        solution, instrument=replace(solution.instrument, gain_led=0 * solution.instrument.gain_led)
    )
    found = explain(frames, nothing, [0.0])
    assert found.residual == pytest.approx(1.0)
    assert not found.is_explained


@pytest.mark.parametrize("name", ["demo", "siemens"])
def test_a_lamp_that_failed_is_named(name: str) -> None:
    frames = noisy(name, 5_000)
    led = int(frames.illumination.na_led.argmin())
    seen = frames.frames_led_y_x.copy()
    seen[led] = np.random.default_rng(0).poisson(1, seen[led].shape)
    found = judged(replace(frames, frames_led_y_x=seen))
    assert found.lost_leds.tolist() == [led]
    told = " ".join(found.warnings())
    assert f"The worst are LED {led} (" in told
    assert f"others are: {led} (counted from 0)" in told


def test_the_place_that_is_not_explained_is_named() -> None:
    frames = noisy("siemens", 50_000)
    moved = frames.frames_led_y_x.copy()
    # something finer than the objective resolves, in one place
    moved[:, 44:64:2, 2:20] *= 20
    told = list(judged(replace(frames, frames_led_y_x=moved)).warnings())
    assert "worst in the lower left of the frame" in told[0]


@needs_data
@pytest.mark.parametrize("fault", ["bayer", "clipped", "slipped", "array"])
def test_faults_of_real_series_are_noticed(fault: str) -> None:
    right = usaf()
    frames = right.frames_led_y_x.astype(np.float64)
    if fault == "bayer":
        pattern = np.ones(right.shape_y_x)
        pattern[1::2, ::2] = pattern[::2, 1::2] = 0.15
        pattern[1::2, 1::2] = 0.03
        wrong = replace(right, frames_led_y_x=frames * pattern)
    elif fault == "clipped":
        # long exposures, clipped at the camera's range and scaled back
        full = np.percentile(frames[60], 99.9)
        long = np.minimum(frames * 50, full) / 50
        wrong = replace(
            right,
            frames_led_y_x=np.concatenate([frames, long]),
            illumination=right.illumination.select(np.tile(np.arange(121), 2)),
        )
    elif fault == "slipped":
        wrong = replace(
            right, frames_led_y_x=np.delete(np.insert(frames, 30, frames[30], 0), -1, 0)
        )
    else:
        geometry = right.illumination.geometry
        assert geometry is not None
        places = geometry.position_led_xyz_mm + np.array([5.0, 0.0, 0.0])
        away = replace(geometry, position_led_xyz_mm=places)
        wrong = replace(
            right, illumination=replace(right.illumination, na_led_xy=away.na_at(), geometry=away)
        )
    assert not judged(wrong).is_explained


def test_it_stands_in_every_file_of_a_reconstruction(tmp_path: Path) -> None:
    frames = tiny_acquisition()
    right = reconstruct(frames)

    def written(solution: Solution, name: str) -> tuple[dict[str, object], list[str], str]:
        folder = tmp_path / name
        folder.mkdir()
        keys = {"settings": {}, "data": Path("a.h5"), "load_seconds": 0.0}
        write_results(folder, frames, solution, **keys)  # type: ignore[arg-type]
        run = json.loads((folder / "run.json").read_text())
        record = load_solution(folder / "field.safetensors").record
        assert record["expected_residual"] == run["expected_residual"]
        page = (folder / "report.html").read_text(encoding="utf-8")
        return run, record["warnings"], page

    run, warned, page = written(right, "right")
    assert run["warnings"] == warned == []
    assert 0 < float(run["expected_residual"]) < 0.01  # type: ignore[arg-type]
    assert "does not explain" not in page
    lost = replace(
        right, instrument=replace(right.instrument, gain_led=0.3 * right.instrument.gain_led)
    )
    run, warned, page = written(lost, "lost")
    assert run["warnings"] == warned
    assert "does not explain the frames" in warned[0]
    assert "does not explain the frames" in page
