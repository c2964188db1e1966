"""Where memory runs out, half as many are worked on, the result stays, and it is told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fpm_inr import memory
from fpm_inr.calibration.solve import fit_plane
from fpm_inr.cli import main
from fpm_inr.engines.spline_frames import Frames
from fpm_inr.engines.visits import Visits
from fpm_inr.errors import SettingsError
from fpm_inr.focus import FocusSettings
from fpm_inr.focus.residual import score_against_frames
from fpm_inr.forward import ForwardModel
from fpm_inr.instrument import parse_free
from fpm_inr.io.native import write_acquisition
from fpm_inr.memory import Portion
from fpm_inr.mosaic.worker import Failure, Record, solved, work
from fpm_inr.reconstruction import data_residual, reconstruct
from fpm_inr.trust.explained import explain
from tests.mosaic.small import small_field, small_plan
from tests.pretended import PretendedCard
from tests.tiny import leave, tiny_acquisition

STACK = {"z_range_um": (-3.0, 3.0)}
# CUDA's own, Apple's, that of CUDA's libraries, the CPU's
OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("MPS backend out of memory (MPS allocated: 5.50 GB, max allowed: 20.40 GB)."),
    RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"),
]


@pytest.fixture
def runs_out(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let a method run out of memory where an argument of it is longer than so many items."""
    monkeypatch.setattr(memory, "_KNOWN", {})

    def limit(
        kind: type, name: str, argument: int, most: int, words: Exception = OUT_OF_MEMORY[0]
    ) -> None:
        method = getattr(kind, name)

        def limited(self: Any, *args: Any, **kwargs: Any) -> Any:
            if len(args[argument]) > most:
                raise words
            return method(self, *args, **kwargs)

        monkeypatch.setattr(kind, name, limited)

    return limit


@pytest.mark.parametrize(
    ("how", "limits"),
    [
        ({**STACK, "steps": 12}, (Frames, "back", 0, 2)),
        (
            {
                "steps": 12,
                "calibrate": {"gains": True, "pupil": True, "pose": {"init": [0.0] * 6}},
            },
            (Frames, "back", 0, 1),
        ),
        (
            {**STACK, "steps": 6, "recipe": "neural", "calibrate": "gains,pupil,background"},
            (ForwardModel, "exit_field", 2, 7),
        ),
        (
            {**STACK, "engine": "conventional", "planes": 5, "passes": 3},
            (Visits, "one_pass", 0, 2),
        ),
    ],
    ids=["spline", "spline, joint", "neural", "conventional"],
)
def test_a_solve_goes_on_with_half(
    how: dict[str, Any], limits: tuple[Any, ...], runs_out: Callable[..., None]
) -> None:
    # LEDs of unequal brightness: their gains have a way to go
    even = tiny_acquisition()
    bright = np.random.default_rng(0).uniform(0.5, 1.5, (25, 1, 1))
    acquisition = replace(even, frames_led_y_x=even.frames_led_y_x * bright)
    with PretendedCard():
        expected = reconstruct(acquisition, device="meta", listen=leave, **how)
        runs_out(*limits)
        found = reconstruct(acquisition, device="meta", listen=leave, **how)
    assert "memory" not in expected.record
    assert all("ran out" in said for said in found.record["memory"])
    low, high = expected.z_range_um
    heights = [low, (low + 2 * high) / 3, high]
    one, other = (solution.render(heights).field_z_y_x for solution in (found, expected))
    # Adam makes something of the rounding of a gradient that is 0, as the phase of all is
    one *= np.vdot(one, other) / np.vdot(one, one)
    assert np.linalg.norm(one - other) < 1e-4 * np.linalg.norm(other)
    np.testing.assert_allclose(found.instrument.gain_led, expected.instrument.gain_led, rtol=1e-4)


def test_a_plane_is_fitted_with_half(
    runs_out: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    free = parse_free("gains,pupil,shifts")
    acquisition = tiny_acquisition()
    expected = fit_plane(acquisition, 0.0, free, steps=12)
    runs_out(ForwardModel, "exit_field", 2, 7)
    found = fit_plane(acquisition, 0.0, free, steps=12)
    assert found.residual == pytest.approx(expected.residual, rel=1e-3)
    assert "frames at once" in caplog.text


def test_comparisons_with_frames_go_on_with_half(runs_out: Callable[..., None]) -> None:
    acquisition = tiny_acquisition()
    solution = reconstruct(acquisition, device="cpu", steps=8, **STACK)

    def compared() -> list[Any]:
        judge = score_against_frames(acquisition, solution)
        told = explain(acquisition, solution, [0.0, 1.0])
        scores = judge(
            solution.slices([0.0, 1.0, 2.0]), FocusSettings("residual", 8, 8), lambda: None
        )
        return [
            data_residual(acquisition, solution, [0.0, 1.0]),
            told.error_led,
            told.error_y_x,
            scores.whole_z,
        ]

    expected = compared()
    runs_out(ForwardModel, "exit_field", 2, 3)
    for one, other in zip(compared(), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.parametrize("words", OUT_OF_MEMORY, ids=str)
def test_all_that_a_device_says_of_it_is_understood(
    words: Exception, runs_out: Callable[..., None]
) -> None:
    acquisition = tiny_acquisition()
    expected = reconstruct(acquisition, device="cpu", steps=4, **STACK)
    runs_out(Frames, "back", 0, 3, words)
    found = reconstruct(acquisition, device="cpu", steps=4, **STACK)
    assert found.record["memory"]
    one, other = (solution.render(1.0).field_z_y_x for solution in (found, expected))
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_another_error_is_none_of_it(runs_out: Callable[..., None]) -> None:
    runs_out(Frames, "back", 0, 0, RuntimeError("something else"))
    with pytest.raises(RuntimeError, match="something else"):
        reconstruct(tiny_acquisition(), device="cpu", steps=2)


def test_it_is_said_and_tried_once(
    runs_out: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    acquisition = tiny_acquisition()
    runs_out(ForwardModel, "exit_field", 2, 3)
    solution = reconstruct(acquisition, device="cpu", steps=4, **STACK)
    residuals = [data_residual(acquisition, solution, [z_um]) for z_um in (-1.0, 0.0, 1.0)]
    assert len(residuals) == 3
    # 16, 8 and 4 frames did not fit; the other heights began with 2
    assert caplog.text.count("ran out") == 3
    how = {"steps": 2, "recipe": "neural"}
    first, second = (reconstruct(acquisition, device="cpu", **how) for _ in range(2))
    assert caplog.text.count("ran out") == 3 + 3  # 25, 12 and 6 LEDs
    assert first.record["memory"][-1:] == second.record["memory"]


def test_a_tile_of_a_mosaic_goes_on_with_half(
    tmp_path: Path, runs_out: Callable[..., None]
) -> None:
    acquisition, _ = small_field()
    plan = small_plan(tmp_path, acquisition)
    _, expected, of_all = solved(plan, tmp_path / "out", plan.tiles[0])
    runs_out(Frames, "back", 0, 3)
    (tmp_path / "out" / "tiles").mkdir(parents=True)
    for tile in plan.tiles[:2]:
        assert isinstance(work(plan, tmp_path / "out", tile.number), Record)
    _, found, of_half = solved(plan, tmp_path / "out", plan.tiles[0])
    assert found.record["memory"]
    assert of_half == pytest.approx(of_all, rel=1e-4)
    one, other = (solution.render(0.0).field_z_y_x for solution in (found, expected))
    assert np.linalg.norm(one - other) < 1e-4 * np.linalg.norm(other)


def test_a_tile_that_does_not_fit_is_told_in_a_sentence(
    tmp_path: Path, runs_out: Callable[..., None]
) -> None:
    acquisition, _ = small_field()
    plan = small_plan(tmp_path, acquisition)
    runs_out(Frames, "back", 0, 0)
    failed = work(plan, tmp_path / "out", 0)
    assert isinstance(failed, Failure)
    assert "too little memory for even one of the frames" in str(failed.error())


@pytest.mark.parametrize("words", OUT_OF_MEMORY, ids=str)
def test_what_comes_in_no_parts_ends_in_a_sentence(
    words: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(*_: Any) -> None:
        raise words

    monkeypatch.setattr("fpm_inr.sending.measured_on", too_large)
    with pytest.raises(SettingsError, match=r"device: has too little memory.*smaller crop"):
        reconstruct(tiny_acquisition(), device="cpu", steps=2)


@pytest.mark.parametrize("verb", ["calibrate", "reconstruct"])
def test_a_command_ends_in_a_sentence(
    verb: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def too_large(*_: Any) -> None:
        raise OUT_OF_MEMORY[1]

    for place in ("fpm_inr.sending", "fpm_inr.calibration.solve"):
        monkeypatch.setattr(f"{place}.measured_on", too_large)
    data, out = tmp_path / "data.h5", tmp_path / "out"
    write_acquisition(data, tiny_acquisition())
    with pytest.raises(SystemExit) as left:
        main([verb, str(data), "-o", str(out), "--device", "cpu"])
    assert left.value.code == 2
    assert "device: has too little memory (MPS backend out of memory" in capsys.readouterr().err
    # what `--resume` takes, at most
    assert {one.name for one in tmp_path.glob("out/*")} <= {"checkpoint.safetensors"}


def test_a_single_item_that_does_not_fit_ends_in_a_sentence(
    runs_out: Callable[..., None],
) -> None:
    runs_out(Frames, "back", 0, 0)
    with (
        PretendedCard(),
        pytest.raises(SettingsError, match=r"even one.*smaller crop"),
    ):
        reconstruct(tiny_acquisition(), device="meta", steps=2)


def test_a_portion_fits_the_room_and_works_on_all(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(memory, "_KNOWN", {})
    monkeypatch.setattr(memory, "room_bytes", lambda device: 100)
    card = torch.device("cuda")
    assert Portion("frames", card, bytes_each=30, most=50).at_once == 3
    assert Portion("frames", card, bytes_each=1000, most=50).at_once == 1
    assert Portion("frames", card, bytes_each=1, most=50).at_once == 50
    on_cpu = Portion("frames", torch.device("cpu"), bytes_each=30, most=50, most_on_cpu=16)
    assert on_cpu.at_once == 16
    done: list[int] = []

    def work(part: slice) -> int:
        if part.stop - part.start > 5:
            raise torch.OutOfMemoryError
        done.extend(range(part.start, part.stop))
        return part.stop - part.start

    with caplog.at_level(logging.WARNING):
        assert list(on_cpu.over(11, work)) == [5, 5, 1]
    assert done == list(range(11))
    assert len(on_cpu.told) == 1
    assert on_cpu.told[0] in caplog.text
