"""Whatever values a file holds, a reader ends in an Acquisition or in one clear sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fpm_inr.acquisition import Acquisition
from fpm_inr.errors import FpmInrError
from fpm_inr.io import load
from tests.io.acquisition_files import (
    matlab_variables,
    ptylab_variables,
    write_hdf5,
    write_matlab,
)

SOUND = {"max_examples": 40, "deadline": None}


def load_or_complain(path: Path) -> None:
    try:
        read = load(path, wavelength_um=0.5)
    except FpmInrError as error:
        assert str(path.parent) in str(error)
        assert str(error).endswith(".")
        assert "\n" not in str(error)
    else:
        assert isinstance(read, Acquisition)


def damaged(value: Any) -> st.SearchStrategy[Any]:
    """Values that a variable may have by mistake; None leaves it out."""
    array = np.asarray(value)
    return st.sampled_from(
        [
            None,
            array.T,
            array[..., None],
            array.ravel(),
            array[:0] if array.ndim else np.zeros(0),
            array.astype(np.float64) * np.nan,
            array.astype(np.float64) * 1e300,
            -array.astype(np.float64),
            array * 0,
            array.astype(np.complex64),
            array > 1,
            np.float64(3),
            "text",
        ]
    )


@given(data=st.data())
@settings(**SOUND)
def test_wrong_variables(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["5", "7.3", "ptylab"]))
    variables = ptylab_variables() if kind == "ptylab" else matlab_variables()
    for name in data.draw(st.sets(st.sampled_from(sorted(variables)), min_size=1, max_size=3)):
        variables[name] = data.draw(damaged(variables[name]), label=name)
    variables = {name: value for name, value in variables.items() if value is not None}
    folder = tmp_path_factory.mktemp("wrong")
    if kind == "ptylab":
        load_or_complain(write_hdf5(folder / "data.h5", variables))
    elif kind == "5":
        load_or_complain(write_matlab(folder / "data.mat", variables, "5"))
    else:
        plain = {k: v for k, v in variables.items() if np.asarray(v).dtype.kind != "U"}
        load_or_complain(write_matlab(folder / "data.mat", plain, "7.3"))


DESCRIPTION = {
    "frames": {"file": "frames.npy", "axes": "lyx", "values": "intensity", "dark_level": 0},
    "optics": {"wavelength_um": 0.5, "na": 0.25, "pixel_um": 0.65, "medium_index": 1},
    "leds": {
        "grid": {"rows": 2, "columns": 2, "pitch_mm": 4, "distance_mm": 80, "order": "raster"},
        "leave_out": [],
    },
}
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(data=st.data())
@settings(**SOUND)
def test_wrong_descriptions(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    content: dict[str, Any] = yaml.safe_load(yaml.safe_dump(DESCRIPTION))
    part = data.draw(
        st.sampled_from(
            [
                content,
                content["frames"],
                content["optics"],
                content["leds"],
                content["leds"]["grid"],
            ]
        )
    )
    key = data.draw(st.sampled_from(sorted(part)) | st.text(max_size=6))
    if data.draw(st.booleans()):
        part[key] = data.draw(VALUES)
    else:
        part.pop(key, None)
    folder = tmp_path_factory.mktemp("described")
    np.save(folder / "frames.npy", np.ones((4, 9, 8)))
    (folder / "acquisition.yaml").write_text(
        yaml.safe_dump(content, allow_unicode=True), encoding="utf-8"
    )
    load_or_complain(folder / "acquisition.yaml")


@given(text=st.text(max_size=60))
@settings(**SOUND)
def test_any_text_as_a_description(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("text") / "acquisition.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    load_or_complain(path)


@given(content=st.binary(max_size=300))
@settings(**SOUND)
def test_any_bytes_as_a_description(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("bytes") / "acquisition.yaml"
    path.write_bytes(content)
    load_or_complain(path)
