"""What lies beside the frames is none of what a page shows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load

from fpm_inr.field_header import FIELD_PREFIX, KEY
from fpm_inr.fields.spline import SplineField
from fpm_inr.solution import Solution, load_solution
from fpm_inr.viewer.sources import field_source
from tests.viewer.fields import random_solution, spline_solution


def read(content: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Description and tensors of what a page is given."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])["__metadata__"][KEY]
    named = load(content).items()
    return json.loads(header), {name.removeprefix(FIELD_PREFIX): one for name, one in named}


def test_a_page_shows_what_is_rendered(tmp_path: Path) -> None:
    """At any height, and with the pixels and the brightness that are rendered."""
    made = replace(spline_solution((90, 70), reach=0.3), guard_px=5)
    made.save(tmp_path / "field.safetensors")
    stored = load_solution(tmp_path / "field.safetensors")
    assert isinstance(stored, Solution)
    content = field_source(tmp_path).content
    assert isinstance(content, bytes)
    told, tensors = read(content)
    assert told["shape_y_x"] == list(stored.shape_y_x) == [70, 50]
    assert told["optics"]["pixel_um"] / told["upsampling"] == stored.pixel_um
    assert told["amplitude_scale"] == stored.amplitude_scale
    field = SplineField.from_tensors((70, 50), stored.z_range_um, told["field"], tensors)
    for z_um in (-20.0, 3.7, 40.0):
        right = stored.render(z_um).field_z_y_x[0]
        shown = field(z_um).detach().numpy()
        assert np.linalg.norm(shown - right) < 0.01 * np.linalg.norm(right)
        assert right.std() > 0.05


def test_a_field_without_a_band_is_sent_as_it_is(tmp_path: Path) -> None:
    spline_solution((30, 40)).save(tmp_path / "field.safetensors")
    assert field_source(tmp_path).content == tmp_path / "field.safetensors"


def test_other_fields_are_shown_at_some_heights(tmp_path: Path) -> None:
    replace(random_solution((40, 50)), guard_px=3).save(tmp_path / "field.safetensors")
    content = field_source(tmp_path).content
    assert isinstance(content, bytes)
    told, tensors = read(content)
    assert (told["kind"], told["shape_y_x"]) == ("pixel", [28, 38])
    assert len(tensors["z_um"]) > 3
