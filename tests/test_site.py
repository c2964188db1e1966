"""The built site works from a disk: pages, pictures, search, and nothing from elsewhere."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.viewer.conftest import Browser
from tests.viewer.conftest import browser as browser  # a fixture

SITE = Path(__file__).parents[1] / "docs" / "_build" / "html"
pytestmark = pytest.mark.skipif(not (SITE / "index.html").is_file(), reason="needs `make docs`")


def test_nothing_is_fetched_from_elsewhere() -> None:
    from_elsewhere = re.compile(
        r'(?:<(?:script|img|iframe)[^>]*\ssrc|<link(?![^>]*rel="canonical")[^>]*\shref)="(?:https?:)?//'
    )
    pages = list(SITE.rglob("*.html"))
    assert len(pages) > 30
    assert not [page for page in pages if from_elsewhere.search(page.read_text(encoding="utf-8"))]


def test_every_example_made_its_pictures() -> None:
    examples = sorted((SITE.parents[2] / "examples" / "gallery").glob("plot_*.py"))
    assert len(examples) >= 8
    for example in examples:
        page = (SITE / "gallery" / f"{example.stem}.html").read_text(encoding="utf-8")
        assert "sphx_glr_" + example.stem in page


def test_pages_open_and_search_finds(browser: Browser) -> None:
    driver = browser.driver
    driver.get((SITE / "index.html").as_uri())
    browser.complaints()
    driver.get((SITE / "concepts.html").as_uri())
    browser.wait("[...document.images].every(one => one.complete && one.naturalWidth)")
    assert driver.title.startswith("Concepts")
    assert not [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    driver.get((SITE / "search.html").as_uri() + "?q=parallax")
    end = time.monotonic() + 30
    found = 0
    # results come one after the other
    while found <= 2 and time.monotonic() < end:
        found = browser.run("return document.querySelectorAll('#search-results li').length")
        time.sleep(0.05)
    assert found > 2
