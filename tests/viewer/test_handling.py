"""The page under a person's hands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fpm_inr.viewer.sources import Source, field_source, frame_bytes
from tests.tiny import tiny_acquisition
from tests.viewer.fields import random_solution


@pytest.fixture
def page(browser: Any, view: Any, tmp_path: Path) -> Any:
    random_solution().save(tmp_path / "field.safetensors")
    frame = Source("raw frame", frame_bytes(tiny_acquisition(), 2))
    browser.open(view(field_source(tmp_path), frame).address)
    yield browser
    assert browser.complaints() == []


def state(page: Any) -> dict[str, Any]:
    page.settle()
    return dict(
        page.run("const {z, view, divider, camera} = fpmInr; return {z, view, divider, camera}")
    )


def test_slider_keys_wheel_and_click(page: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    overlay = page.driver.find_element(By.ID, "overlay")
    page.run(
        "const z = document.getElementById('z'); z.value = 12.345;"
        "z.dispatchEvent(new Event('input'))"
    )
    assert state(page)["z"] == pytest.approx(12.345, abs=1e-3)
    overlay.send_keys(Keys.ARROW_UP)
    assert state(page)["z"] == pytest.approx(12.345 + 60 / 80, abs=1e-3)
    overlay.send_keys(Keys.END)
    assert state(page)["z"] == 40
    ActionChains(page.driver).scroll_from_origin(
        ScrollOrigin.from_element(overlay), 0, 100
    ).perform()
    assert state(page)["z"] == pytest.approx(40 - 60 / 80)
    for key, name in (("2", "phase"), ("1", "amplitude")):
        overlay.send_keys(key)
        assert state(page)["view"] == name
    ActionChains(page.driver).move_to_element_with_offset(overlay, -60, 20).click().perform()
    after = state(page)
    assert after["z"] == pytest.approx(page.run("return fpmInr.focus.best"))
    assert "Sharpest at" in page.run("return focusText.textContent")
    assert not page.run("return focusPlot.hasAttribute('hidden')")
    ActionChains(page.driver).move_to_element_with_offset(overlay, -90, 40).perform()
    page.wait("readout.textContent.includes('√counts')")
    overlay.send_keys("+")
    assert state(page)["camera"]["scale"] > after["camera"]["scale"]
    before = state(page)["camera"]["centre"]
    ActionChains(page.driver).move_to_element_with_offset(
        overlay, -60, 20
    ).click_and_hold().move_by_offset(-40, 30).release().perform()
    moved = state(page)["camera"]["centre"]
    assert moved[0] > before[0]
    assert moved[1] < before[1]
    overlay.send_keys("f")
    assert state(page)["camera"]["scale"] == pytest.approx(after["camera"]["scale"])


def touch(page: Any, kind: str, *points: tuple[float, float]) -> None:
    """Fingers on the image, in CSS pixels of it."""
    left, top = page.run("const b = overlay.getBoundingClientRect(); return [b.left, b.top]")
    fingers = [{"x": left + x, "y": top + y, "id": n} for n, (x, y) in enumerate(points)]
    page.driver.execute_cdp_cmd(
        "Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": fingers}
    )
    # moves are handed on with the next frame
    page.run("return new Promise((d) => requestAnimationFrame(() => requestAnimationFrame(d)))")


def under(page: Any, x: float, y: float) -> list[float]:
    """Image position under a CSS pixel."""
    return list(page.run(f"return fpmInr.placeAt([{x} * fpmInr.ratio, {y} * fpmInr.ratio])"))


def test_touch(page: Any) -> None:
    cdp = page.driver.execute_cdp_cmd
    cdp("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 5})
    page.run("fpmInr.setDivider(1)")
    scale, middle = state(page)["camera"]["scale"], under(page, 400, 250)

    # two fingers move apart about (400, 250), then both to the left
    touch(page, "Start", (370, 250), (430, 250))
    for half in range(35, 65, 5):
        touch(page, "Move", (400 - half, 250), (400 + half, 250))
    assert state(page)["camera"]["scale"] == pytest.approx(2 * scale, rel=1e-3)
    assert under(page, 400, 250) == pytest.approx(middle, abs=0.1)
    touch(page, "Move", (310, 240), (430, 240))
    assert under(page, 370, 240) == pytest.approx(middle, abs=0.1)
    touch(page, "End")
    assert page.run("return fpmInr.point") is None  # nothing of that was a tap

    held = under(page, 300, 200)
    touch(page, "Start", (300, 200))
    for x in (310, 330, 340):
        touch(page, "Move", (x, 190))
    touch(page, "End")
    assert under(page, 340, 190) == pytest.approx(held, abs=0.1)
    assert state(page)["camera"]["scale"] == pytest.approx(2 * scale, rel=1e-3)

    there = under(page, 380, 230)
    touch(page, "Start", (380, 230))
    touch(page, "End")
    assert state(page)["z"] == pytest.approx(page.run("return fpmInr.focus.best"))
    assert page.run("return fpmInr.point") == pytest.approx(there, abs=0.1)
    cdp("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_divider_profile_and_picture(page: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    overlay = page.driver.find_element(By.ID, "overlay")
    ActionChains(page.driver).move_to_element(overlay).click_and_hold().move_by_offset(
        150, 0
    ).release().perform()
    share = 0.5 + 150 / overlay.size["width"]
    assert state(page)["divider"] == pytest.approx(share, abs=0.01)
    profile = page.run("fpmInr.setLine([[10, 20.5], [110, 20.5]]); return fpmInr.profile")
    row = page.run("return Array.from(fpmInr.read(10, 20, 100, 1))")[::2]
    np.testing.assert_allclose(profile["values"], 10 * np.array(row), rtol=1e-3)
    assert profile["um"][-1] == pytest.approx(99.5 * 0.325)
    page.settle()
    head = page.run(
        "return fpmInr.png().then((b) => b.slice(0, 8).arrayBuffer())"
        ".then((b) => Array.from(new Uint8Array(b)))"
    )
    assert bytes(head) == b"\x89PNG\r\n\x1a\n"


def test_canvas_shows_the_percentiles(page: Any) -> None:
    """Grey of the canvas is amplitude between the ends of the scale."""
    page.settle()
    shown = page.run("""
      const {image, gl} = fpmInr, place = [40.5, 70.5];
      fpmInr.setDivider(1); fpmInr.zoom(1.0001);
      return fpmInr.png().then((blob) => createImageBitmap(blob)).then((bitmap) => {
        const {camera, range} = fpmInr;
        const x = Math.round(image.width / 2 + (place[0] - camera.centre[0]) * camera.scale);
        const y = Math.round(image.height / 2 + (place[1] - camera.centre[1]) * camera.scale);
        const canvas = new OffscreenCanvas(image.width, image.height);
        const context = canvas.getContext('2d');
        context.drawImage(bitmap, 0, 0);
        return [context.getImageData(x, y, 1, 1).data[1], fpmInr.valueAt(place).amplitude, range];
      });
    """)
    grey, amplitude, (low, high) = shown
    assert grey == pytest.approx(255 * np.clip((amplitude - low) / (high - low), 0, 1), abs=2)
