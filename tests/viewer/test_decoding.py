"""What the page decodes is what `Solution.render` gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fpm_inr.fields.pixel import PixelField
from fpm_inr.focus import FocusSettings, autofocus, score_slices
from fpm_inr.heights import default_heights
from fpm_inr.solution import Solution, load_solution
from fpm_inr.viewer.export import export_page
from fpm_inr.viewer.sources import field_source
from tests.viewer.fields import random_solution, solution_of, spline_solution

ALGAE = Path(__file__).parents[3] / "shared/data/algae_r.mat"


def saved(solution: Solution, path: Path, **how: Any) -> Solution:
    """As it is after storing."""
    solution.save(path, **how)
    return load_solution(path)


def assert_agrees(
    browser: Any, solution: Solution, heights: Any, amplitude: float = 1e-3, phase: float = 5e-3
) -> None:
    height, width = solution.shape_y_x
    for z_um in heights:
        browser.run("fpmInr.setZ(arguments[0])", float(z_um))
        values = browser.run(f"return Array.from(fpmInr.read(0, 0, {width}, {height}))")
        amplitudes, phases = np.moveaxis(np.reshape(values, (height, width, 2)), -1, 0)
        stack = solution.render(float(z_um))
        full_scale = stack.amplitude_z_y_x.max()
        assert np.abs(amplitudes - stack.amplitude_z_y_x[0]).max() < amplitude * full_scale
        # the phase of next to nothing is rounding
        seen = amplitudes > 0.05 * full_scale
        error = np.angle(np.exp(1j * (phases - stack.phase_z_y_x[0])))
        assert np.abs(error[seen]).max() < phase


FIELDS = {
    "default": ({}, {}),
    "separate": ({"shared_features": False, "layer_norm": True, "hidden": 10, "channels": 6}, {}),
    "norm": ({"layer_norm": True, "plane_divisor": 3, "z_nodes": 7}, {"precision": "full"}),
    "single": ({"z_nodes": 1, "z_range_um": (5.0, 5.0), "plane_divisor": 1}, {}),
}


@pytest.mark.parametrize("name", FIELDS)
def test_pixels_agree_with_render(browser: Any, view: Any, tmp_path: Path, name: str) -> None:
    field, how = FIELDS[name]
    solution = saved(random_solution(**field), tmp_path / "field.safetensors", **how)
    browser.open(view(field_source(tmp_path)).address)
    assert browser.message == ""
    low, high = solution.z_range_um
    assert_agrees(browser, solution, [low, low + 0.618 * (high - low), high])
    assert browser.complaints() == []


SPLINES = {
    "even": ({"shape_y_x": (128, 128)}, {}),
    "odd": ({"shape_y_x": (75, 101), "reach": 0.5}, {"precision": "full"}),
    "narrow": ({"shape_y_x": (40, 203), "planes": 4}, {}),
    "tall": ({"shape_y_x": (190, 33), "reach": 0.34}, {}),
    "flat": ({"z_range_um": (5.0, 5.0), "planes": 1}, {}),
    "constant": ({"reach": 0.0}, {}),
}


@pytest.mark.parametrize("name", SPLINES)
def test_spline_pixels_agree_with_render(
    browser: Any, view: Any, tmp_path: Path, name: str
) -> None:
    field, how = SPLINES[name]
    solution = saved(spline_solution(**field), tmp_path / "field.safetensors", **how)
    browser.open(view(field_source(tmp_path)).address)
    assert browser.message == ""
    low, high = solution.z_range_um
    assert_agrees(browser, solution, [low, low + 0.618 * (high - low), high])
    assert browser.complaints() == []


def test_exact_export_shows_the_same(browser: Any, tmp_path: Path) -> None:
    solution = saved(random_solution(), tmp_path / "small.safetensors")
    size = export_page(
        [field_source(tmp_path / "small.safetensors")], tmp_path / "small.html", exact=True
    )
    assert size == (tmp_path / "small.html").stat().st_size < 700_000
    browser.open((tmp_path / "small.html").as_uri())
    assert browser.driver.title == "small"
    assert_agrees(browser, solution, [-20, 3.3])
    assert browser.complaints() == []


def test_export_in_bytes_is_half_as_large_and_close(browser: Any, tmp_path: Path) -> None:
    smooth = random_solution(plane_divisor=1)
    with torch.no_grad():
        smooth.field.plane.copy_(smooth.field.plane / 3)
    solution = saved(smooth, tmp_path / "small.safetensors")
    source = field_source(tmp_path / "small.safetensors")
    exact = export_page([source], tmp_path / "exact.html", exact=True)
    size = export_page([source], tmp_path / "small.html")
    assert size < 0.65 * exact
    browser.open((tmp_path / "small.html").as_uri())
    assert_agrees(browser, solution, [-20, 3.3], amplitude=1e-2, phase=0.05)


def test_planes_of_a_conventional_solution(browser: Any, view: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    image = torch.polar(1 + torch.rand(3, 40, 56), 6 * torch.rand(3, 40, 56))
    planes = PixelField(image, torch.tensor([-5.0, 0.0, 5.0]))
    solution = saved(solution_of(planes), tmp_path / "field.safetensors")
    browser.open(view(field_source(tmp_path)).address)
    assert_agrees(browser, solution, [-5, 1.0, 4.9])
    assert browser.complaints() == []


def test_all_in_focus_is_each_pixel_at_its_depth(browser: Any, view: Any, tmp_path: Path) -> None:
    solution = saved(random_solution(), tmp_path / "field.safetensors")
    browser.open(view(field_source(tmp_path)).address)
    browser.run("fpmInr.setView('focus')")
    browser.wait("fpmInr.view === 'focus'")
    for y, x in ((0, 0), (77, 31), (149, 130)):
        depth = browser.run(f"return fpmInr.valueAt([{x}, {y}])").get("depth")
        amplitude = browser.run(f"return fpmInr.read({x}, {y}, 1, 1)[0]")
        around = solution.render(np.clip([depth - 0.1, depth, depth + 0.1], -20, 40))
        expected = around.amplitude_z_y_x[:, y, x]
        assert abs(amplitude - expected[1]) < np.ptp(expected) + 2e-3
    assert browser.complaints() == []


def focus_in_page(browser: Any, y: int, x: int) -> float:
    return float(browser.run(f"return fpmInr.focusOn([{x} + 0.5, {y} + 0.5]).best"))


def test_focus_at_a_point_is_that_of_python(browser: Any, view: Any, tmp_path: Path) -> None:
    solution = saved(random_solution(), tmp_path / "field.safetensors")
    scores = score_slices(solution.slices(default_heights(solution.z_range_um)), FocusSettings())
    browser.open(view(field_source(tmp_path)).address)
    for y, x in ((0, 0), (70, 33), (149, 130), (91, 64)):
        assert focus_in_page(browser, y, x) == pytest.approx(autofocus(scores, y, x).z_um, abs=0.05)


@pytest.mark.skipif(not ALGAE.is_file(), reason="needs ../shared/data/algae_r.mat")
def test_click_on_real_algae_lands_on_the_local_maximum(
    browser: Any, view: Any, tmp_path: Path
) -> None:
    from fpm_inr import load, reconstruct

    data = load(ALGAE, color="r", medium_index=1.33, crop=(80, 80, 80, 80))
    solution = reconstruct(data, z_range_um=(-20, 60), steps=40)
    solution = saved(solution, tmp_path / "field.safetensors")
    scores = score_slices(solution.slices(default_heights(solution.z_range_um)), FocusSettings())
    browser.open(view(field_source(tmp_path)).address)
    for y, x in ((60, 60), (80, 110), (120, 40)):
        curve = scores.curve_at(y, x)
        padded = np.concatenate([[-np.inf], curve, [-np.inf]])
        is_maximum = (curve >= padded[:-2]) & (curve >= padded[2:])
        found = focus_in_page(browser, y, x)
        assert np.abs(scores.z_um[is_maximum] - found).min() < 3
        assert found == pytest.approx(autofocus(scores, y, x).z_um, abs=0.1)
