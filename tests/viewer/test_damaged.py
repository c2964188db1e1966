"""A damaged or hostile field gives a message in the page, and nothing in it runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fpm_inr.viewer.export import export_page
from fpm_inr.viewer.shrink import in_bytes
from fpm_inr.viewer.sources import Source
from tests.viewer.fields import random_solution, spline_solution

HOSTILE = "</script><img src=x onerror='window.hacked=1'><script>window.hacked=1</script>"


@pytest.fixture(scope="module")
def field_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("fields") / "field.safetensors"
    random_solution((40, 40)).save(path)
    return path.read_bytes()


def parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def joined(header: Any, data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def with_description(content: bytes, **changes: Any) -> bytes:
    header, data = parts(content)
    description = json.loads(header["__metadata__"]["fpm-inr"])
    header["__metadata__"]["fpm-inr"] = json.dumps(description | changes)
    return joined(header, data)


def with_tensor(content: bytes, name: str, **changes: Any) -> bytes:
    header, data = parts(content)
    header[name] |= changes
    return joined(header, data)


def with_nan(content: bytes) -> bytes:
    header, data = parts(content)
    start = header["field.plane"]["data_offsets"][0]
    return joined(header, data[:start] + np.float16(np.nan).tobytes() + data[start + 2 :])


def with_values(content: bytes, name: str, value: float) -> bytes:
    header, data = parts(content)
    start, end = header[name]["data_offsets"]
    values = np.full((end - start) // 4, value, np.float32).tobytes()
    return joined(header, data[:start] + values + data[end:])


DAMAGE = {
    "empty": lambda content: b"",
    "cut": lambda content: content[:4000],
    "not a field": lambda content: b"\x10\0\0\0\0\0\0\0" + b"not json at all!",
    "another kind": lambda content: with_description(content, kind=HOSTILE),
    "another format": lambda content: with_description(content, format=HOSTILE),
    "huge": lambda content: with_description(content, shape_y_x=[10**9, 10**9]),
    "no numbers": lambda content: with_description(content, z_range_um=[HOSTILE, 1]),
    "no optics": lambda content: with_description(content, optics=None),
    "offsets": lambda content: with_tensor(content, "field.plane", data_offsets=[0, 2**52]),
    "type": lambda content: with_tensor(content, "field.plane", dtype="__proto__"),
    "shape": lambda content: with_tensor(content, "field.line", shape=[1, 1, 10**6]),
    "names": lambda content: joined(
        parts(content)[0] | {HOSTILE: {"dtype": "F32", "shape": [-1]}}, parts(content)[1]
    ),
    "not finite": with_nan,
    "cut in the data": lambda content: content[:-100],
    "endless header": lambda content: (2**62).to_bytes(8, "little") + content[8:],
    "deep header": lambda content: (10**5).to_bytes(8, "little") + b"[" * 10**5,
    "infinite pixel": lambda content: with_description(content, upsampling=1e-320),
    "infinite range": lambda content: with_description(content, z_range_um=[-1.5e308, 1.5e308]),
    "overflowing": lambda content: with_values(content, "field.weight_2", 3e38),
    "larger than a page shows": lambda content: with_description(content, shape_y_x=[9000, 9000]),
}


def with_raw(content: bytes, name: str, value: bytes) -> bytes:
    """The first bytes of a tensor replaced."""
    header, data = parts(content)
    start = header[name]["data_offsets"][0]
    return joined(header, data[:start] + value + data[start + len(value) :])


def run(y: int, x: int, count: int) -> bytes:
    return np.array([y, x, count], np.int32).tobytes()


SPECTRUM = "field.spectrum"
SPLINE_DAMAGE = {
    "not finite": lambda content: with_raw(content, SPECTRUM, np.float16(np.inf).tobytes()),
    "overflowing": lambda content: with_values(content, "field.spectrum_scale", 3e38),
    "overflowing on the card": lambda c: with_values(c, "field.spectrum_scale", 1e30),
    "not a scale": lambda content: with_values(content, "field.spectrum_scale", np.nan),
    "frequencies beyond": lambda c: with_raw(c, "field.sample_runs", np.int32(20).tobytes()),
    "endless frequencies": lambda c: with_raw(c, "field.sample_runs", np.int32(-(2**31)).tobytes()),
    "frequencies as numbers": lambda c: with_tensor(c, "field.sample_runs", dtype="F32"),
    "endless runs": lambda c: with_raw(c, "field.sample_runs", run(0, 0, 2**31 - 1)),
    "backward runs": lambda c: with_raw(c, "field.sample_runs", run(0, 0, -5)),
    "too many in runs": lambda c: with_raw(c, "field.sample_runs", run(0, 0, 7)),
    "planes": lambda content: with_description(content, field={"planes": 5}),
    "no planes": lambda content: with_description(content, field=HOSTILE),
    "flat": lambda content: with_description(content, z_range_um=[3, 3]),
    "type": lambda content: with_tensor(content, SPECTRUM, dtype="I16"),
    "unsigned": lambda content: with_tensor(content, SPECTRUM, dtype="U8"),
    "shape": lambda content: with_tensor(content, SPECTRUM, shape=[14, -1, 1]),
    "cut in the data": lambda content: content[:-100],
    "without scale": lambda content: renamed(content, "field.spectrum_scale"),
    "without frequencies": lambda content: renamed(content, "field.sample_runs"),
    "larger than a card takes": lambda content: large(content),
}
BYTES_DAMAGE = {
    "rings": lambda content: with_raw(content, "field.spectrum_ring", b"\xff"),
    "another count near": lambda c: with_tensor(c, "field.spectrum_near", shape=[7, 1, 2]),
    "near": lambda content: with_values(content, "field.spectrum_near", np.inf),
    "scales": lambda content: with_values(content, "field.spectrum_ring_scale", np.nan),
    "no scales": lambda content: renamed(content, "field.spectrum_ring_scale"),
}


def renamed(content: bytes, name: str) -> bytes:
    header, data = parts(content)
    header["other"] = header.pop(name)
    return joined(header, data)


def large(content: bytes) -> bytes:
    """Frequencies of a grid of gigabytes."""
    content = with_description(content, shape_y_x=[8000, 8000])
    return with_raw(content, "field.sample_runs", np.int32(3999).tobytes())


@pytest.fixture(scope="module")
def spline_bytes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    path = tmp_path_factory.mktemp("fields") / "field.safetensors"
    spline_solution((40, 40)).save(path, precision="half")
    return {"halves": path.read_bytes(), "bytes": in_bytes(Source("field", path)).read()}


@pytest.mark.parametrize(
    ("stored", "name"),
    [("halves", name) for name in SPLINE_DAMAGE] + [("bytes", name) for name in BYTES_DAMAGE],
)
def test_message_of_a_spline_field(
    browser: Any, view: Any, spline_bytes: dict[str, bytes], stored: str, name: str
) -> None:
    damage = BYTES_DAMAGE if stored == "bytes" else SPLINE_DAMAGE
    check_message(browser, view, damage[name](spline_bytes[stored]))


@pytest.mark.parametrize("name", DAMAGE)
def test_message(browser: Any, view: Any, field_bytes: bytes, name: str) -> None:
    check_message(browser, view, DAMAGE[name](field_bytes))


def check_message(browser: Any, view: Any, content: bytes) -> None:
    browser.open(view(Source(HOSTILE, content)).address)
    assert browser.message.endswith(".")
    assert len(browser.message) < 200
    assert re.search("damaged|file|at most 8192 pixels|larger than this", browser.message)
    assert browser.run("return window.hacked") is None
    assert browser.complaints() == []


def test_name_is_text(browser: Any, view: Any, field_bytes: bytes) -> None:
    browser.open(view(Source(HOSTILE, field_bytes)).address)
    assert browser.run("return document.getElementById('name').textContent") == HOSTILE
    assert browser.run("return document.title") == HOSTILE
    assert browser.run("return window.hacked") is None


def test_page_runs_no_other_script(browser: Any, view: Any, field_bytes: bytes) -> None:
    browser.open(view(Source("field", field_bytes)).address)
    browser.run(
        "const s = document.createElement('script'); s.textContent = 'window.hacked = 1';"
        "document.body.append(s);"
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"hacked=1\">')"
    )
    browser.run("return new Promise((done) => setTimeout(done, 100))")
    assert browser.run("return window.hacked") is None
    assert any("Content Security Policy" in text for text in browser.complaints())


@pytest.mark.parametrize("exact", [False, True])
def test_damaged_page(browser: Any, field_bytes: bytes, tmp_path: Path, exact: bool) -> None:
    (tmp_path / "field.safetensors").write_bytes(field_bytes)
    page = tmp_path / "field.html"
    export_page([Source(HOSTILE, tmp_path / "field.safetensors")], page, exact=exact)
    start, payload, end = re.split(r"(?<=id=\"field-0\">)([^<]+)", page.read_text())
    page.write_text(start + payload[: len(payload) // 8 * 4] + end)
    browser.open(page.as_uri())
    assert browser.message.startswith("The field ")
    assert "damaged" in browser.message
    page.write_text(start + "~~~~" + payload + end)
    browser.open(page.as_uri())
    assert browser.message == "The field in this page is damaged: it cannot be unpacked."
    assert browser.run("return window.hacked") is None
    assert browser.complaints() == []


def test_missing_file_is_told(browser: Any, view: Any, tmp_path: Path) -> None:
    browser.open(view(Source("gone", tmp_path / "gone.safetensors")).address)
    assert "could not be fetched" in browser.message
