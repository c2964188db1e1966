"""What the page decodes is what `Solution.render` gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fpm_inr.fields.pixel import PixelField
from fpm_inr.fields.spline import SplineField
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
    "even": ({"shape_y_x": (256, 256), "reach": 0.45}, {}),  # over 2^15 points
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


@pytest.mark.parametrize("exact", [False, True])
def test_export_of_a_spline_field(browser: Any, tmp_path: Path, exact: bool) -> None:
    solution = saved(spline_solution(), tmp_path / "small.safetensors")
    export_page([field_source(tmp_path / "small.safetensors")], tmp_path / "a.html", exact=exact)
    browser.open((tmp_path / "a.html").as_uri())
    close = {} if exact else {"amplitude": 1e-2, "phase": 0.05}
    assert_agrees(browser, solution, [-20, 3.3], **close)
    assert browser.complaints() == []


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
    browser.run("fpmInr.setView('depth')")
    browser.wait("fpmInr.view === 'depth'")
    browser.settle()
    browser.run("fpmInr.setView('focus')")
    browser.settle()
    for y, x in ((0, 0), (77, 31), (149, 130)):
        depth = browser.run(f"return fpmInr.valueAt([{x}, {y}])").get("depth")
        amplitude = browser.run(f"return fpmInr.read({x}, {y}, 1, 1)[0]")
        around = solution.render(np.clip([depth - 0.1, depth, depth + 0.1], -20, 40))
        expected = around.amplitude_z_y_x[:, y, x]
        assert abs(amplitude - expected[1]) < np.ptp(expected) + 2e-3
    assert browser.complaints() == []


AT_DEPTH = """
  const [share, turn, width, height] = arguments, {gl, main, probe} = fpmInr;
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RG16F, 1, 1);
  gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, 1, 1, gl.RG, gl.FLOAT, new Float32Array([share, turn]));
  const all = {origin: [0, 0], stepX: [1, 0], stepY: [0, 1], corner: [0, 0], width, height};
  return Array.from(probe.read(main.source, {depth: texture}, all));
"""


def test_a_spline_field_at_depths_of_a_map(browser: Any, view: Any, tmp_path: Path) -> None:
    solution = saved(spline_solution(), tmp_path / "field.safetensors")
    browser.open(view(field_source(tmp_path)).address)
    (height, width), (low, high) = solution.shape_y_x, solution.z_range_um
    for share in (0.0, 0.40625, 1.0):  # halves hold them
        values = browser.run(AT_DEPTH, share, 0.5, width, height)
        amplitude, phase = np.moveaxis(np.reshape(values, (height, width, 2)), -1, 0)
        expected = solution.render(low + share * (high - low)).field_z_y_x[0]
        found = amplitude * np.exp(1j * (phase + 0.5))
        assert np.abs(found - expected).max() < 2e-3 * np.abs(expected).max()
    for name in ("depth", "focus"):
        browser.run(f"fpmInr.setView('{name}')")
        browser.wait(f"fpmInr.view === '{name}'")
        browser.settle()
    depth = browser.run("return fpmInr.valueAt([60, 70]).depth")
    assert low <= depth <= high
    assert browser.complaints() == []


def focus_in_page(browser: Any, y: int, x: int) -> float:
    return float(browser.run(f"return fpmInr.focusOn([{x} + 0.5, {y} + 0.5]).best"))


@pytest.mark.parametrize("make", [random_solution, spline_solution])
def test_focus_at_a_point_is_that_of_python(
    browser: Any, view: Any, tmp_path: Path, make: Any
) -> None:
    solution = saved(make(), tmp_path / "field.safetensors")
    scores = score_slices(solution.slices(default_heights(solution.z_range_um)), FocusSettings())
    browser.open(view(field_source(tmp_path)).address)
    for y, x in ((0, 0), (70, 33), (149, 130), (91, 64)):
        assert focus_in_page(browser, y, x) == pytest.approx(autofocus(scores, y, x).z_um, abs=0.05)


@pytest.fixture(scope="module")
def algae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A field of real algae."""
    from fpm_inr import load, reconstruct

    if not ALGAE.is_file():
        pytest.skip("needs ../shared/data/algae_r.mat")
    data = load(ALGAE, color="r", medium_index=1.33, crop=(80, 80, 80, 80))
    path: Path = tmp_path_factory.mktemp("algae") / "algae.safetensors"
    reconstruct(data, z_range_um=(-20, 60)).save(path)
    return path


def test_click_on_real_algae_lands_on_the_local_maximum(
    browser: Any, view: Any, algae: Path
) -> None:
    solution = load_solution(algae)
    assert isinstance(solution.field, SplineField)
    scores = score_slices(solution.slices(default_heights(solution.z_range_um)), FocusSettings())
    browser.open(view(field_source(algae)).address)
    for y, x in ((60, 60), (80, 110), (120, 40)):
        curve = scores.curve_at(y, x)
        padded = np.concatenate([[-np.inf], curve, [-np.inf]])
        is_maximum = (curve >= padded[:-2]) & (curve >= padded[2:])
        found = focus_in_page(browser, y, x)
        assert np.abs(scores.z_um[is_maximum] - found).min() < 3
        assert found == pytest.approx(autofocus(scores, y, x).z_um, abs=0.1)


def test_real_algae_in_bytes(browser: Any, algae: Path, tmp_path: Path) -> None:
    export_page([field_source(algae)], tmp_path / "algae.html")
    browser.open((tmp_path / "algae.html").as_uri())
    assert_agrees(browser, load_solution(algae), [-19, 0.0, 21.7, 60], amplitude=5e-3, phase=0.05)
    assert browser.complaints() == []
