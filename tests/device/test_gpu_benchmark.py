"""benchmarks/gpu.py: every part runs, errors are rows, and what is measured is kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import gpu


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("STEPS", 3), ("PAPER_STEPS", 3), ("SKIPPED", 2), ("WIDE_SIDE", 5)):
        monkeypatch.setattr(gpu, name, value)
    monkeypatch.setattr(gpu, "Z_RANGE_UM", (-1.0, 1.0))


@pytest.mark.parametrize("part", gpu.PARTS)
def test_every_part_runs(part: str) -> None:
    row = gpu.measured(part, 48, torch.device("cpu"))
    assert "error" not in row
    assert all(value > 0 for key, value in row.items() if key.endswith(("_s", "_ms", "seconds")))
    assert gpu.table([{"part": part, "side": 48, **row}]).count("\n") == 2


def run(monkeypatch: pytest.MonkeyPatch, path: Path, *, parts: list[str]) -> tuple[int, Any]:
    ended: list[int] = []
    monkeypatch.setattr(gpu.os, "_exit", ended.append)
    monkeypatch.setattr(
        sys,
        "argv",
        ["gpu.py", "--device", "cpu", "--sizes", "16", "-o", str(path), "--parts", *parts],
    )
    gpu.main()
    return ended[0], json.loads(path.read_text())


def test_what_does_not_fit_is_a_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def too_large(side: int, device: torch.device) -> gpu.Row:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setitem(gpu.PARTS, "3d", too_large)
    status, kept = run(monkeypatch, tmp_path / "gpu.json", parts=["3d", "ffts"])
    assert status == 0
    assert kept["is_whole"]
    assert "too little memory" in kept["rows"][0]["error"]
    assert kept["rows"][1]["together_ms"] > 0


def test_an_interruption_keeps_what_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(side: int, device: torch.device) -> gpu.Row:
        raise KeyboardInterrupt

    monkeypatch.setitem(gpu.PARTS, "2d", interrupted)
    status, kept = run(monkeypatch, tmp_path / "gpu.json", parts=["ffts", "2d", "step"])
    assert status == 130
    assert not kept["is_whole"]
    assert [row["part"] for row in kept["rows"]] == ["ffts"]
    assert "| ffts | 16 x 16 |" in capsys.readouterr().out
