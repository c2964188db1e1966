"""The report: whole, self-contained, and deaf to what the data would have it say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from fpm_inr import Acquisition, Solution, reconstruct
from fpm_inr.errors import OutputError
from fpm_inr.forward import nominal_instrument
from fpm_inr.report import write_report
from fpm_inr.results import write_results
from tests.tiny import tiny_acquisition

Case = tuple[Acquisition, Solution, Mapping[str, Any]]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    acquisition = tiny_acquisition()
    solution = reconstruct(acquisition, z_range_um=(-4, 4), steps=3)
    run = write_results(
        tmp_path_factory.mktemp("out"),
        acquisition,
        solution,
        settings={"z_range_um": [-4, 4], "crop": None},
        data=Path("<script>alert(1)</script>.h5"),
        load_seconds=0.1,
    )
    return acquisition, solution, run


def test_holds_everything_and_loads_nothing(case: Case, tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", *case)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    titles = re.findall("<h2>(.+?)</h2>", page)
    assert titles == [
        "What was measured",
        "What was solved",
        "How well it explains the frames",
        "Amplitude and phase",
        "Focus",
        "Calibration",
    ]
    assert page.count('src="data:image/png;base64,') == 8
    assert "default-src 'none'" in page
    assert not re.search(r"<script|https?://|src=\"(?!data:)", page)
    assert "script&gt;.h5" in page
    assert f"{min(case[2]['data_residual']):.4f}" in page
    assert "as stated" in page


def test_calibration_and_interruption_are_told(case: Case, tmp_path: Path) -> None:
    acquisition, solution, run = case
    instrument = replace(
        solution.instrument,
        gain_led=1.1 * solution.instrument.gain_led,
        zernike_rad=torch.tensor([0, 0, 0, 0.5, 0.3], dtype=torch.float64),
    )
    found = replace(solution, instrument=instrument, history=())
    path = tmp_path / "report.html"
    write_report(path, acquisition, found, {**run, "status": "interrupted"})
    page = path.read_text(encoding="utf-8")
    assert "as stated" not in page
    assert "The solve was interrupted after 3 steps." in page
    assert "Convergence" not in page


def test_a_single_height_has_no_focus(tmp_path: Path, case: Case) -> None:
    acquisition, _, run = case
    solution = reconstruct(acquisition, steps=2)
    write_report(
        tmp_path / "report.html",
        acquisition,
        solution,
        {**run, "z_um": [0.0], "data_residual": [0.5]},
    )
    assert "<h2>Focus</h2>" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_unwritable_place(case: Case, tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_report(tmp_path / "none" / "report.html", *case)


def test_what_a_calibration_found_or_why_it_was_refused_is_told(tmp_path: Path) -> None:
    acquisition = tiny_acquisition()
    instrument = nominal_instrument(acquisition)
    instrument.na_led_xy[0] *= 0.95  # now just outside the pupil
    solution = reconstruct(acquisition, steps=3, calibration=instrument)
    found: dict[str, Any] = {
        "calibration_residual": [0.0345, 0.0123],
        "calibration_of_a_plane": {"z_um": 1.5, "residual": [0.0456, 0.0234], "refused": ""},
    }
    keys: dict[str, Any] = {"settings": {}, "data": Path("a.h5"), "load_seconds": 0.1}
    run = write_results(
        tmp_path, acquisition, replace(solution, record=solution.record | found), **keys
    )
    assert run["leds_left_out"] == [0]
    assert {name: run[name] for name in found} == found
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "0.0345 as stated, 0.0123 as found" in page
    assert "a plane at z = 1.5 µm" in page
    assert re.search("left out.*0, at the pupil's edge", page.replace("&#x27;", "'"), re.DOTALL)

    stated = reconstruct(acquisition, steps=3)
    refused = {"calibration_refused": "it moved too far"}
    run = write_results(
        tmp_path, acquisition, replace(stated, record=stated.record | refused), **keys
    )
    assert run["calibration_refused"] == "it moved too far"
    assert "refused: it moved too far" in (tmp_path / "report.html").read_text(encoding="utf-8")
