"""A solve that is stopped, at any moment and in any way, goes on to the very same result."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fpm_inr.errors import DataError, OutputError
from fpm_inr.forward import nominal_instrument
from fpm_inr.reconstruction import reconstruct
from fpm_inr.solve import drive, judged
from fpm_inr.solve import start as solve_start
from fpm_inr.solve.progress import StepReport
from tests.solve.journeys import JOURNEYS, content, quick_calibration, run
from tests.tiny import tiny_acquisition

STAGES = {
    "plain": ["placing", "solving", "done"],
    "conventional": ["placing", "solving", "done"],
    "neural": ["placing", "solving", "judging", "again", "done"],
    "accepted": ["placing", "solving", "judging", "done"],
    "refused": ["placing", "solving", "again", "done"],
    "crossed": ["placing", "solving", "judging", "again", "done"],
}


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plane is calibrated in few steps: what it finds is not looked at here."""
    monkeypatch.setattr(solve_start, "find_calibration", quick_calibration)


class Killed(BaseException):
    """The process ends here: nothing catches it."""


class Checkpoints:
    """Counts what is written, and kills after so many of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(drive, "CHECKPOINT_SECONDS", 0.0)
        self._write = drive.write_checkpoint
        self.stages: list[str] = []
        self.last = 10**6
        monkeypatch.setattr(drive, "write_checkpoint", self)

    def __call__(self, path: Path, tensors: dict[str, Any], header: dict[str, Any]) -> None:
        self.stages.append(header["stage"])
        self._write(path, tensors, header)
        if len(self.stages) >= self.last:
            raise Killed

    def kill_after(self, count: int) -> None:
        self.stages, self.last = [], count


@pytest.fixture
def checkpoints(monkeypatch: pytest.MonkeyPatch) -> Checkpoints:
    return Checkpoints(monkeypatch)


@pytest.mark.parametrize("name", JOURNEYS)
def test_killed_after_any_checkpoint_and_resumed_is_the_same(
    name: str, tmp_path: Path, checkpoints: Checkpoints
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    whole = content(run(name, checkpoint=path))
    written = checkpoints.stages
    assert list(dict.fromkeys(written)) == STAGES[name]
    assert not path.exists()
    # every change of state, and some checkpoints between
    turns = {n for n in range(1, len(written)) if written[n] != written[n - 1]}
    between = random.Random(0).sample(range(1, len(written)), min(3, len(written) - 1))
    for count in sorted({*turns, *(n + 1 for n in turns), *between}):
        path.unlink(missing_ok=True)
        checkpoints.kill_after(count)
        with pytest.raises(Killed):
            run(name, checkpoint=path)
        checkpoints.kill_after(10**6)
        torch.manual_seed(99)
        assert content(run(name, checkpoint=path, resume=True)) == whole
        assert not path.exists()


def test_killed_again_and_again_it_arrives(tmp_path: Path, checkpoints: Checkpoints) -> None:
    path = tmp_path / "checkpoint.safetensors"
    whole = content(run("crossed", checkpoint=path))
    for _ in range(100):
        checkpoints.kill_after(7)
        try:
            found = run("crossed", checkpoint=path, resume=path.exists())
        except Killed:
            continue
        break
    assert content(found) == whole


def interrupt_at(monkeypatch: pytest.MonkeyPatch, short_solve: int) -> None:
    """As Ctrl-C during the short solve of this number, after its first step."""
    solve = judged.short_solve_residual
    numbers = iter(range(100))

    def interrupted(*arguments: Any) -> float:
        *rest, listen = arguments
        number = next(numbers)

        def stop(report: StepReport) -> None:
            if number == short_solve:
                raise KeyboardInterrupt
            listen(report)

        return solve(*rest, stop)

    monkeypatch.setattr(judged, "short_solve_residual", interrupted)


@pytest.mark.parametrize("short_solve", [0, 1])
def test_interrupted_while_judging_is_interrupted(
    short_solve: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    whole = run("accepted")
    with monkeypatch.context() as patched:
        interrupt_at(patched, short_solve)
        part = run("accepted", checkpoint=path)
    assert part.record["status"] == "interrupted"
    assert part.record["steps"] == 6
    assert "calibration_residual" not in part.record
    assert np.isfinite(part.render(0.0)).all()
    assert path.is_file()
    assert content(run("accepted", checkpoint=path, resume=True)) == content(whole)


@pytest.mark.parametrize(("name", "step"), [("crossed", 20), ("refused", 2)])
def test_interrupted_while_solving_again_is_interrupted(
    name: str, step: int, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    seen: list[int] = []

    def stop(report: StepReport) -> None:
        seen.append(report.step)
        if seen.count(step) == 2:  # in the second solve
            raise KeyboardInterrupt

    part = run(name, checkpoint=path, listen=stop)
    assert (part.record["status"], part.record["steps"]) == ("interrupted", step)
    assert content(run(name, checkpoint=path, resume=True)) == content(run(name))


def test_a_start_that_was_found_is_not_sought_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other numbers of threads find other LEDs; what was begun goes on from those it has."""
    path = tmp_path / "checkpoint.safetensors"

    def stop(report: StepReport) -> None:
        raise KeyboardInterrupt

    whole = run("accepted")
    run("accepted", checkpoint=path, listen=stop)

    def sought(*_: object, **__: object) -> None:
        raise AssertionError("the LEDs are sought again")

    monkeypatch.setattr(judged, "placed_start", sought)
    assert content(run("accepted", checkpoint=path, resume=True)) == content(whole)


def test_a_checkpoint_stays_for_who_has_yet_to_write(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    whole = run("accepted", checkpoint=path, keep_checkpoint=True)
    assert content(run("accepted", checkpoint=path, resume=True)) == content(whole)
    assert not path.exists()


def test_a_checkpoint_that_cannot_be_written_is_one_sentence_and_keeps_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    monkeypatch.setattr(drive, "CHECKPOINT_SECONDS", 0.0)
    write, count = drive.write_checkpoint, iter(range(100))

    def full(*arguments: Any) -> None:
        if next(count) == 4:
            raise OutputError("cannot be written (No space left on device)", "make room")
        write(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(drive, "write_checkpoint", full)
        with pytest.raises(OutputError, match="No space left"):
            run("plain", checkpoint=path)
    assert content(run("plain", checkpoint=path, resume=True)) == content(run("plain"))


def test_a_checkpoint_without_its_parts_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    write = drive.write_checkpoint

    def damaged(path: Path, tensors: dict[str, Any], header: dict[str, Any]) -> None:
        write(path, {n: v for n, v in tensors.items() if "gain" not in n}, header)

    def stop(report: StepReport) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(drive, "write_checkpoint", damaged)
    run("plain", checkpoint=path, listen=stop)
    with pytest.raises(DataError, match="damaged checkpoint"):
        run("plain", checkpoint=path, resume=True)


def test_killed_by_the_system_and_resumed_is_the_same(tmp_path: Path) -> None:
    name = "crossed"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        whole = run(name).render(0.0)
    finally:
        torch.set_num_threads(threads)
    checkpoint, out = tmp_path / "checkpoint.safetensors", tmp_path / "out.npy"

    def child(kill_at: int) -> int:
        command = [sys.executable, "-m", "tests.solve.journeys", name, checkpoint, kill_at, out]
        repository = Path(__file__).parents[2]
        return subprocess.run(
            list(map(str, command)),
            cwd=repository,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            check=False,
            capture_output=True,
        ).returncode

    assert child(60) == -9  # solving again
    assert child(10**6) == 0
    np.testing.assert_array_equal(np.load(out), whole)


def test_ctrl_c_in_the_second_solve_does_not_hide_a_refusal() -> None:
    listen: Callable[[StepReport], None] = interrupt_second_solve()
    part = run("refused", listen=listen)
    assert part.record["status"] == "interrupted"
    assert "waves RMS" in part.record["calibration_refused"]
    assert "calibrate" not in part.record["settings"]


def interrupt_second_solve() -> Callable[[StepReport], None]:
    firsts: list[int] = []

    def listen(report: StepReport) -> None:
        if report.step == 1:
            firsts.append(1)
        if len(firsts) == 2:
            raise KeyboardInterrupt

    return listen


def test_ctrl_c_waits_for_the_step_and_the_second_one_does_not(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    whole = content(run("plain"))

    def press(times: int) -> Callable[[StepReport], None]:
        def listen(report: StepReport) -> None:
            if report.step == 3:
                for _ in range(times):
                    os.kill(os.getpid(), signal.SIGINT)

        return listen

    with pytest.raises(drive.StoppedAtOnceError):
        run("plain", checkpoint=path, listen=press(2))
    assert content(run("plain", checkpoint=path, resume=True)) == whole
    part = run("plain", checkpoint=path, listen=press(1))
    assert (part.record["status"], part.record["steps"]) == ("interrupted", 3)
    assert content(run("plain", checkpoint=path, resume=True)) == whole
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_two_instruments_are_compared_over_the_same_leds(monkeypatch: pytest.MonkeyPatch) -> None:
    data = tiny_acquisition()
    given = nominal_instrument(data)
    given.na_led_xy[0] *= 0.95  # dark-field in the middle of a corner; straddles as stated only
    asked: list[tuple[int, list[int]]] = []

    def short(frames: Any, start: Any, *_: object) -> float:
        asked.append((frames.led_count, np.flatnonzero(start.left_out_led).tolist()))
        return 1.0 / len(asked)

    monkeypatch.setattr(judged, "short_solve_residual", short)
    reconstruct(data, calibration=given, calibrate="gains", steps=4)
    assert asked == [(24, []), (24, [])]
