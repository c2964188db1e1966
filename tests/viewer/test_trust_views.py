"""Maps of trust beside a result: their own scale and unit, and what they say under the pointer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

from fpm_inr.cli import cli
from fpm_inr.io.native import write_acquisition
from fpm_inr.trust_results import UNITS, VIEWS
from fpm_inr.viewer.sources import gather
from tests.tiny import tiny_acquisition


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("trust")
    write_acquisition(place / "data.h5", tiny_acquisition())
    folder = place / "out"
    for asked in (["reconstruct", str(place / "data.h5"), "-o", str(folder)], ["trust", folder]):
        assert CliRunner().invoke(cli, [str(one) for one in asked]).exit_code == 0
    return folder


@pytest.mark.parametrize("name", VIEWS)
def test_a_map_lies_beside_the_result(browser: Any, view: Any, out: Path, name: str) -> None:
    beside = out / "trust" / f"{name}.safetensors"
    browser.open(view(*gather(out, beside, raw=False)).address)
    browser.settle()
    assert browser.complaints() == []
    label = browser.run("return fpmInr.labels[1]")
    assert label.startswith(f"{name}: ")
    assert label.endswith(UNITS[name])
    # what the page says under the pointer is the map's number there
    row, column = 20, 33
    told = browser.run(f"return fpmInr.valueAt([{column + 0.5}, {row + 0.5}]).maps")
    value = np.abs(np.load(out / "trust" / "maps.npz")[name][0, row, column])
    assert len(told) == 1
    _, number, *unit = told[0].split(" ")
    assert float(number) == pytest.approx(float(np.nan_to_num(value)), rel=0.01, abs=1e-6)
    assert " ".join(unit) == UNITS[name]


def test_channels_of_the_ome_file_are_the_maps(out: Path) -> None:
    maps = np.load(out / "trust" / "maps.npz")
    with tifffile.TiffFile(out / "trust" / "maps.ome.tif") as tiff:
        told = tifffile.xml2dict(tiff.ome_metadata or "")["OME"]["Image"]["Pixels"]
        planes = tiff.series[0].asarray()
    assert [one["Name"] for one in told["Channel"]] == list(UNITS)
    assert told["PhysicalSizeX"] == pytest.approx(float(maps["pixel_um"]))
    planes = planes.reshape(len(maps["z_um"]), len(UNITS), *planes.shape[-2:])
    for number, name in enumerate(UNITS):
        np.testing.assert_array_equal(planes[:, number], maps[name])
