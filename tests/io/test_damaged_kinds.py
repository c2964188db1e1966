"""Damage of any kind of file ends in a right acquisition or in one sentence; see also
benchmarks/damaged_files.py, which does the same ten thousand times and watches time and memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.io.damaged_files import KINDS, damaged, fresh, read_or_refused


@pytest.mark.parametrize("kind", KINDS)
def test_damage(tmp_path: Path, kind: str) -> None:
    path, content = fresh(tmp_path / "case", kind)
    assert read_or_refused(path.parent) == "read"
    random = np.random.default_rng(sorted(KINDS).index(kind))
    for _ in range(8):
        path.write_bytes(damaged(content, random))
        read_or_refused(path.parent)
