"""docs/versions.md shows the results that are kept, all of them."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_page_is_what_the_kept_results_make() -> None:
    spec = spec_from_file_location("remake", ROOT / "benchmarks" / "remake.py")
    assert spec is not None
    assert spec.loader is not None
    remake = module_from_spec(spec)
    sys.modules["remake"] = remake  # dataclasses look their module up
    spec.loader.exec_module(remake)
    text = remake.PAGE.read_text(encoding="utf-8")
    assert text == remake.page()
    assert len(list(remake.RESULTS.glob("*/*.json"))) == text.count(" before; Python ")
