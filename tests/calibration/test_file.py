"""calibration.json: there and back, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.calibration.file import CalibrationFile, read_calibration, write_calibration
from fpm_inr.errors import DataError

NA = [(0.0, 0.0), (0.05, 0.0), (0.0, 0.05)]


def acquisition(count: int = 3, na: float = 0.1, moved: float = 0.0) -> Acquisition:
    optics = Optics(0.53, na, 1.6)
    na_xy = np.array(NA * 2)[:count] + moved
    return Acquisition(np.full((count, 16, 16), 4.0), optics, Illumination(na_xy))


def content(**changes: Any) -> CalibrationFile:
    values: dict[str, Any] = {
        "status": "accepted",
        "z_um": -5.0,
        "residual_before": 0.02,
        "residual_after": 0.004,
        "na": 0.1,
        "wavelength_um": 0.53,
        "nominal_na_led_xy": NA,
        "na_led_xy": [(x + 0.001, y - 0.002) for x, y in NA],
        "gain_led": [1.0, 1.1, 0.9],
        "zernike_rad": [0.0, 0.0, 0.0, 0.3],
        "background_led": [0.4, 0.0, 0.8],
        "defocus_um": 1.5,
    }
    return CalibrationFile(**{**values, **changes})


def test_written_and_read_it_is_the_same_and_becomes_an_instrument(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    write_calibration(path, content())
    assert read_calibration(path) == content()
    instrument = read_calibration(path).instrument_for(acquisition(moved=0.01))
    np.testing.assert_allclose(
        instrument.na_led_xy.numpy(), np.array(NA) + 0.01 + [0.001, -0.002], atol=1e-12
    )
    assert instrument.background_led is not None
    # counts over the squared amplitude scale, which is 4
    torch.testing.assert_close(
        instrument.background_led, torch.tensor([0.1, 0.0, 0.2], dtype=torch.float64)
    )
    assert instrument.defocus_um is not None
    assert float(instrument.defocus_um) == 1.5


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        (acquisition(4), "is of 3 LEDs"),
        (acquisition(na=0.15), "another objective"),
        (acquisition(moved=0.2), "another objective"),
    ],
)
def test_of_another_microscope_it_is_refused(changed: Acquisition, text: str) -> None:
    with pytest.raises(DataError, match=text):
        content().instrument_for(changed)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"gain_led": [1.0]}, "gain_led has 1 values for 3 LEDs"),
        ({"gain_led": [1.0, 0.0, 1.0]}, "gain_led must be positive"),
        ({"background_led": [1.0, -1.0, 0.0]}, "background_led must hold numbers of 0 or more"),
        ({"colour": 1}, "colour: extra inputs"),
        ({"z_um": "deep"}, "z_um"),
        ({"format": "else"}, "is no calibration"),
    ],
)
def test_impossible_files_end_in_one_sentence(
    tmp_path: Path, change: dict[str, Any], text: str
) -> None:
    path = tmp_path / "calibration.json"
    values = json.loads(content().model_dump_json())
    path.write_text(json.dumps({**values, **change}))
    with pytest.raises(DataError, match=text) as caught:
        read_calibration(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "fpm-inr calibration 1"}', "NaN"])
def test_damaged_files_end_in_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(text)
    with pytest.raises(DataError):
        read_calibration(path)
    with pytest.raises(DataError, match="is not a file"):
        read_calibration(tmp_path / "none.json")
