"""Every operation that is made on a card is one that torch has for cards, by its own table."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from fpm_inr.calibration.solve import fit_plane
from fpm_inr.focus import FocusSettings, all_in_focus
from fpm_inr.focus.residual import score_against_frames
from fpm_inr.instrument import parse_free
from fpm_inr.reconstruction import data_residual, reconstruct
from fpm_inr.trust.explained import explain
from tests.device.test_card import SOLVES
from tests.pretended import CARD, PretendedCard
from tests.tiny import leave, masked, of_a_size, several_leds, tiny_acquisition

pytestmark = pytest.mark.skipif(find_spec("torchgen") is None, reason="this torch has no table")


@cache
def table() -> dict[str, dict[str, Any]]:
    """What torch is built from, by the name of the operation."""
    spec = find_spec("torchgen")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "packaged/ATen/native/native_functions.yaml"
    rows = yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return {"aten::" + row["func"].split("(")[0]: row for row in rows}


def kernels(name: str) -> set[str]:
    """Kinds of device that an operation has a kernel for; all: it is made of others."""
    row = table()[name]
    kinds = {one.strip() for names in row.get("dispatch", {}) for one in names.split(",")}
    if "structured_delegate" in row:
        kinds |= kernels("aten::" + row["structured_delegate"])
    if "ufunc_inner_loop" in row:
        kinds |= {"CPU", "CUDA"}
    is_composite = not kinds or any(one.startswith("Composite") for one in kinds)
    return kinds | ({"all"} if is_composite else set())


def without(names: set[str], kind: str) -> set[str]:
    """Those that a kind of device has no kernel for."""
    return {name for name in names if not kernels(name) & {kind, "all"}}


def made() -> set[str]:
    """All that solves, calibration and comparisons make on a card."""
    with PretendedCard() as card:
        for acquisition in (masked(tiny_acquisition()), of_a_size(several_leds())):
            for how in SOLVES.values():
                few = {key: min(how[key], 5) for key in ("steps", "passes") if key in how}
                solution = reconstruct(acquisition, device="meta", listen=leave, **(how | few))
        data_residual(acquisition, solution, [0.0], device="meta")
        there = solution.on(CARD)
        explain(acquisition, there, [0.0])
        judge = score_against_frames(acquisition, there)
        settings = FocusSettings("residual", 8, 8)
        all_in_focus(there.slices, np.zeros(1), settings, judge=judge)
        free = parse_free("gains,pupil,pose,shifts,na,background")
        fit_plane(acquisition, 0.0, free, steps=3, device=CARD)
    return card.made


def test_the_table_is_understood() -> None:
    assert kernels("aten::take") >= {"CPU", "CUDA"}
    assert kernels("aten::add.Tensor") >= {"CPU", "CUDA", "MPS"}
    assert "all" in kernels("aten::zeros")
    assert without({"aten::geqrf"}, "MPS")


def test_torch_has_all_that_is_made_for_cuda_and_for_apple() -> None:
    names = made()
    assert {"aten::_fft_c2c", "aten::index_select"} < names
    assert without(names, "CUDA") == set()
    assert without(names, "MPS") == set()
