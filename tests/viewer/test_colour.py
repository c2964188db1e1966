"""Several wavelengths in a real browser: what is drawn is the colour that Python renders."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fpm_inr.acquisition import Optics
from fpm_inr.chromatic_offset import Offset
from fpm_inr.errors import SettingsError
from fpm_inr.solution import Solution
from fpm_inr.solution_set import SolutionSet, load_set
from fpm_inr.viewer.export import export_page
from fpm_inr.viewer.sources import gather
from tests.viewer.fields import spline_solution

WAVELENGTH_UM = {"red": 0.632, "green": 0.53, "blue": 0.47}
OFFSETS = {"red": Offset(3.0), "blue": Offset(-2.0)}


def a_set(offsets: dict[str, Offset]) -> SolutionSet:
    solutions = {}
    for number, (name, um) in enumerate(WAVELENGTH_UM.items()):
        torch.manual_seed(number)
        moved = offsets.get(name, Offset()).z_um
        one = spline_solution((120, 150), (-10 + moved, 10 + moved))
        optics = Optics(um, 0.25, 0.65, 1.33)
        solutions[name] = Solution(one.field, optics, one.instrument, 2, 10.0 + number)
        with torch.no_grad():
            one.field.spectrum.mul_(1 + 0.1 * number)
    white = {"red": 13.0, "green": 14.0, "blue": 15.0}
    return SolutionSet(solutions, "green", offsets, white)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("colours")
    a_set(OFFSETS).save(place, precision="full")
    return place


def shown(browser) -> np.ndarray:
    """The image's pixels, one canvas pixel each, without what is drawn over it."""
    browser.settle()
    url = browser.run(
        "fpmInr.camera = {...fpmInr.camera, scale: 2}; fpmInr.zoom(1);"
        "fpmInr.overlay.canvas.hidden = true; return null"
    )
    browser.settle()
    browser.run("fpmInr.png().then(() => {})")
    url = browser.driver.execute_async_script(
        "const done = arguments[0]; fpmInr.png().then((blob) => {"
        " const r = new FileReader(); r.onload = () => done(r.result); r.readAsDataURL(blob); })"
    )
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGB"))
    height, width = picture.shape[:2]
    top, left = (height - 240) // 2, (width - 300) // 2
    return picture[top + 1 : top + 240 : 2, left + 1 : left + 300 : 2].astype(int)


def test_the_page_draws_the_colour(browser, view, folder: Path):
    solutions = load_set(folder)
    browser.open(view(*gather(folder, None, False)).address)
    assert browser.run("return fpmInr.isColour")
    assert browser.run("return fpmInr.zRange") == pytest.approx([-10, 10])
    for z in (0.0, 6.0):
        browser.run("fpmInr.setZ(arguments[0])", z)
        difference = np.abs(shown(browser) - solutions.colour(z).astype(int))[8:-25, 8:-8]
        assert np.percentile(difference, 99) <= 3
    assert browser.complaints() == []


def test_wavelengths_go_in_and_out(browser, view, folder: Path):
    solutions = load_set(folder)
    browser.open(view(*gather(folder, None, False)).address)
    buttons = "document.querySelectorAll('#channels button')"
    names = browser.run(f"return [...{buttons}].map((b) => b.textContent)")
    assert sorted(names) == ["blue", "green", "red"]
    assert names[0] == "green"
    browser.run(f"{buttons}[{names.index('red')}].click()")
    assert browser.run("return fpmInr.isColour")
    without = solutions.with_(white={**solutions.white, "red": 1e9}).colour(0.0).astype(int)
    browser.run("fpmInr.setZ(0)")
    assert np.percentile(np.abs(shown(browser) - without)[8:-25, 8:-8], 99) <= 3
    # one alone is grey, at its own height
    browser.run(f"{buttons}[0].click()")
    browser.settle()
    assert not browser.run("return fpmInr.isColour")
    assert browser.run("return fpmInr.main.name") == "blue"
    (stack,) = solutions.channel("blue").slices(0.0)
    value = browser.run("return fpmInr.valueAt([70.5, 50.5]).amplitude")
    scale = solutions.solutions["blue"].amplitude_scale
    assert value == pytest.approx(scale * abs(stack.field_z_y_x[0, 50, 70]), rel=1e-3)
    # the last one stays
    browser.run(f"{buttons}[{names.index('blue')}].click()")
    assert browser.run("return fpmInr.isOn.filter(Boolean).length") == 1
    assert browser.run(f"return {buttons}[0].getAttribute('aria-pressed')") == "false"


def test_sideways_offsets_are_taken_out(browser, view, tmp_path: Path):
    offsets = {"red": Offset(0.0, 0.65, -0.325), "blue": Offset(0.0, 0.0, 0.0, 1.004)}
    solutions = a_set(offsets)
    solutions.save(tmp_path, precision="full")
    browser.open(view(*gather(tmp_path, None, False)).address)
    browser.run("fpmInr.setZ(0)")
    drawn = shown(browser)
    error = np.abs(drawn - solutions.colour(0.0).astype(int))[8:-25, 8:-8].mean()
    unmoved = np.abs(drawn - solutions.with_(offsets={}).colour(0.0).astype(int))[
        8:-25, 8:-8
    ].mean()
    assert error < 0.35 * unmoved  # the card takes the nearest pixel


def test_an_exported_page_holds_all_wavelengths(browser, folder: Path, tmp_path: Path):
    page = tmp_path / "colour.html"
    export_page(gather(folder, None, False), page, exact=True)
    browser.open(page.as_uri())
    assert browser.message == ""
    assert browser.run("return fpmInr.isColour")
    assert browser.run("return fpmInr.panes.length") == 3


def test_a_result_in_colour_has_one_side(folder: Path):
    with pytest.raises(SettingsError, match="which has one side"):
        gather(folder, folder, False)
