"""``fpm-inr benchmark`` on the smallest patches."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fpm_inr.acquisition import Acquisition
from fpm_inr.cli import main
from fpm_inr.io.native import write_acquisition
from tests.tiny import tiny_acquisition


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["benchmark", *map(str, arguments)])
    return int(stopped.value.code or 0)


@pytest.fixture
def quick(tmp_path):
    recipe = tmp_path / "quick.yaml"
    recipe.write_text("order: {kind: sweep, steps: 3, leds_per_step: 8, learning_rate: 0.02}")
    return recipe


def test_measured_frames_and_a_second_look(tmp_path, quick, capsys):
    small = tiny_acquisition()
    frames = np.pad(small.frames_led_y_x, ((0, 0), (8, 8), (8, 8)), mode="reflect")
    data = tmp_path / "frames.h5"
    write_acquisition(data, Acquisition(frames, small.optics, small.illumination))
    out = tmp_path / "out"
    asked = ("-o", out, "--data", data, "--z-range", -4, 4, "--sizes", "32", "--slices", 4)
    asked += ("--engines", "inr", "--recipe", quick)
    assert run(*asked) == 0
    said = capsys.readouterr().out
    assert "Measured frames; 4 slices from -4 to 4 um." in said
    assert "| 32 | measured | inr-quick |" in said
    assert "L2" not in said  # no truth, no error
    for name in ("benchmark.md", "benchmark.json", "images-measured.png", "cost.png"):
        assert (out / name).stat().st_size > 0
    solved = out / "measured-32" / "inr-quick.0.json"
    before = solved.stat().st_mtime_ns, json.loads((out / "benchmark.json").read_text())["cases"]
    assert run(*asked) == 0
    after = solved.stat().st_mtime_ns, json.loads((out / "benchmark.json").read_text())["cases"]
    assert before == after


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--sizes", "12,x"), "no list of whole numbers"),
        (("--sizes", "8"), "sizes: is 8"),
        (("--engines", "magic"), "engines: is magic"),
        (("--recipe", "nothing"), "no recipe 'nothing'"),
        (("--slices", 1), "slices: is 1"),
        (("--wavelength", 0.5), "wavelength: is for measured frames"),
        (("--data", "x.h5"), "z range: is not known"),
        (("--data", "x.h5", "--z-range", -1, 1, "--photons", 9), "photons: is for simulated"),
        (("--data", "x.h5", "--z-range", -1, 1), "x.h5"),
    ],
)
def test_mistakes_end_in_one_sentence(tmp_path, capsys, arguments, words):
    assert run("-o", tmp_path / "out", *arguments) == 2
    assert words in capsys.readouterr().err
