"""Readers of other packages: the worked example is found and read; a broken one is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fpm_inr import load
from fpm_inr.errors import DataError, InputError
from fpm_inr.io.native import write_acquisition
from fpm_inr.io.readers import READERS
from tests.installed import install, install_example
from tests.tiny import tiny_acquisition

LED_NA = [[0.0, 0.0], [0.1, 0.05], [-0.1, 0.02]]


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_example(monkeypatch, tmp_path / "site", "reader")


@pytest.fixture
def scope_file(tmp_path: Path) -> Path:
    head = {
        "wavelength_nm": 530,
        "na": 0.25,
        "pixel_nm": 500,
        "shape": [3, 16, 20],
        "led_na": LED_NA,
    }
    path = tmp_path / "a.scope"
    frames = np.random.default_rng(0).integers(100, 900, (3, 16, 20)).astype("<u2")
    path.write_bytes(b"SCOPE 1\n" + json.dumps(head).encode() + b"\n" + frames.tobytes())
    return path


@pytest.mark.usefixtures("example")
def test_the_example_reads_its_format(scope_file: Path) -> None:
    read = load(scope_file)
    frames = np.random.default_rng(0).integers(100, 900, (3, 16, 20))
    np.testing.assert_array_equal(read.frames_led_y_x, frames)
    assert (read.optics.wavelength_um, read.optics.na, read.optics.pixel_um) == (0.53, 0.25, 0.5)
    np.testing.assert_array_equal(read.illumination.na_led_xy, np.array(LED_NA) * (1, -1))
    asked = load(scope_file, crop=(2, 3, 8, 9), color="r", medium_index=1.33)
    np.testing.assert_array_equal(asked.frames_led_y_x, frames[:, 2:10, 3:12])
    assert (asked.optics.wavelength_um, asked.optics.medium_index) == (0.632, 1.33)


@pytest.mark.usefixtures("example")
@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:-8],
        lambda whole: whole.replace(b'"na"', b'"an"'),
        lambda whole: whole.replace(b'"na": 0.25', b'"na": -1'),
        lambda whole: whole[:20],
    ],
    ids=["cut off", "a key gone", "a wrong number", "no frames"],
)
def test_the_example_names_the_file_that_is_damaged(scope_file: Path, damage: Any) -> None:
    scope_file.write_bytes(damage(scope_file.read_bytes()))
    with pytest.raises(DataError) as raised:
        load(scope_file)
    assert raised.value.source == str(scope_file)


def test_without_the_package_the_format_is_unknown(scope_file: Path) -> None:
    with pytest.raises(DataError, match="known format"):
        load(scope_file)


BROKEN = {
    "raises when imported": ("1 / 0", "cannot be loaded"),
    "has no functions": ("", "fails to look at .*has no attribute 'recognise'"),
    "fails to look": ("read = len\ndef recognise(path): return path.no", "fails to look at"),
    "fails to read": (
        "def recognise(path): return path\ndef read(path, asked): raise KeyError('na')",
        r"fails to read .*a\.scope \(KeyError: 'na'\)",
    ),
    "reads something else": (
        "def recognise(path): return path\ndef read(path, asked): return 3",
        "makes int, no Acquisition",
    ),
}


@pytest.mark.parametrize(("code", "told"), BROKEN.values(), ids=BROKEN)
def test_a_broken_reader_is_named_and_hurts_no_other_file(
    code: str, told: str, scope_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"broken_{abs(hash(code))}"
    project = {
        "name": "acme-readers",
        "version": "0.1",
        "entry-points": {READERS.group: {"acme": module}},
    }
    install(monkeypatch, tmp_path / "site", project)
    (tmp_path / "site" / f"{module}.py").write_text(code)
    with pytest.raises(InputError, match=told) as raised:
        load(scope_file)
    assert "'acme' of the package acme-readers" in str(raised.value)
    write_acquisition(tmp_path / "own.h5", tiny_acquisition())
    assert load(tmp_path / "own.h5").led_count == 25


def test_a_module_that_is_not_there_is_named(
    scope_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = {READERS.group: {"gone": "no_such_module_anywhere"}}
    project = {"name": "acme", "version": "0.1", "entry-points": entries}
    install(monkeypatch, tmp_path / "site", project)
    with pytest.raises(InputError, match=r"'gone' of the package acme .*ModuleNotFoundError"):
        load(scope_file)


@pytest.mark.parametrize("name", READERS.own)
def test_readers_of_the_package_know_only_their_own(name: str, tmp_path: Path) -> None:
    reader = READERS.get(name)
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.bin").write_bytes(bytes(200))
    for other in (tmp_path / "empty", tmp_path / "a.bin"):
        assert reader.recognise(other) is None
