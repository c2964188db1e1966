"""What is left when a worker, a scheduler or a command dies, and what may be gone on with."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from fpm_inr.errors import DataError, OutputError, SettingsError
from fpm_inr.mosaic import cluster, worker
from fpm_inr.mosaic.manifest import MANIFEST, read_manifest
from fpm_inr.mosaic.plan import Plan
from fpm_inr.mosaic.pool import solve_in_processes
from fpm_inr.mosaic.run import Progress, has_calibration, prepare, run
from fpm_inr.mosaic.worker import TILES, Record, solve_tile, work
from fpm_inr.solve.drive import stop_between_steps
from tests.mosaic.small import small_field, small_plan


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return small_plan(tmp_path_factory.mktemp("data"), small_field()[0], steps=2)


@pytest.fixture(scope="module")
def done(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("done") / "out"
    prepare(out, plan, resume=False, overwrite=False)
    for tile in plan.tiles:
        work(plan, out, tile.number)
    return out


@pytest.fixture
def copy(done: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(done, tmp_path / "out"))


@pytest.fixture
def scheduler() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A scheduler of Dask in a process of its own, without workers."""
    if not cluster.is_installed():
        pytest.skip("distributed is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    process = subprocess.Popen([sys.executable, "-m", "dask", *words], stderr=subprocess.DEVNULL)
    yield f"tcp://127.0.0.1:{port}", process
    process.kill()
    process.wait()


def test_a_scheduler_that_dies_ends_a_run_with_a_sentence(
    plan: Plan, tmp_path: Path, scheduler: tuple[str, subprocess.Popen[bytes]]
) -> None:
    """It is killed once it is said that tiles wait for workers."""
    address, process = scheduler
    out, stages = tmp_path / "out", []

    def listen(progress: Progress) -> None:
        stages.append(progress.stage)
        if progress.stage == "idle":
            process.kill()

    known = prepare(out, plan, resume=False, overwrite=False)
    with pytest.raises(OutputError, match=r"^scheduler: is gone .*--resume\.$"):
        run(plan, out, known, workers=1, scheduler=address, listen=listen)
    assert stages == ["tiles", "idle"]


def test_a_worker_that_dies_while_it_is_idle_is_replaced(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / TILES).mkdir()
    with closing(solve_in_processes(plan, tmp_path, [0, 1], workers=1)) as outcomes:
        first = next(outcomes)
        (idle,) = multiprocessing.active_children()
        idle.kill()
        idle.join()
        others = list(outcomes)
    assert isinstance(first, Record)
    assert [one.number for one in others] == [1]
    assert isinstance(others[0], Record)


def test_workers_that_ignore_ctrl_c_finish_their_solve() -> None:
    """Who handed out the tile decides; half a solve must not be kept for a whole one."""
    assert threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stop_between_steps() as between:
            os.kill(os.getpid(), signal.SIGINT)
            between()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with stop_between_steps() as between:
            os.kill(os.getpid(), signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                between()
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_solve_that_was_interrupted_leaves_no_tile(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / TILES).mkdir()
    kind, solution, residual = worker.solved(plan, tmp_path, plan.tiles[0])
    half = replace(solution, record={**solution.record, "status": "interrupted"})
    monkeypatch.setattr(worker, "solved", lambda *_: (kind, half, residual))
    with pytest.raises(KeyboardInterrupt):
        solve_tile(plan, tmp_path, plan.tiles[0])
    assert list((tmp_path / TILES).iterdir()) == []


def test_half_a_file_stays_as_long_as_its_worker_may_live(copy: Path) -> None:
    plan = plan_of(copy)
    half = copy / TILES / ".00001.0a1b2c3d.safetensors"
    half.write_bytes(b"half")
    known = prepare(copy, plan, resume=True, overwrite=False)
    assert None not in known
    assert half.exists()
    run(plan, copy, known, workers=1)
    assert not half.exists()


@pytest.mark.parametrize("left", ["", '{"format": "fpm-inr mosa', '{"format": "fpm-inr mosaic 1"}'])
def test_a_damaged_manifest_is_written_again_and_tiles_are_kept(copy: Path, left: str) -> None:
    plan = plan_of(copy)
    (copy / MANIFEST).write_text(left)
    assert None not in prepare(copy, plan, resume=True, overwrite=False)
    assert plan_of(copy) == plan
    # those of another plan are none of this one's
    (copy / MANIFEST).write_text(left)
    other = plan.model_copy(update={"data_sha256": "1" * 64})
    assert not any(prepare(copy, other, resume=True, overwrite=False))


def test_a_manifest_of_another_program_is_left_alone(copy: Path) -> None:
    plan = plan_of(copy)
    (copy / MANIFEST).write_text('{"name": "an app"}')
    with pytest.raises(DataError, match="no manifest of this program"):
        prepare(copy, plan, resume=True, overwrite=False)
    assert (copy / MANIFEST).read_text() == '{"name": "an app"}'


def test_a_calibration_is_not_changed_under_a_mosaic(copy: Path, tmp_path: Path) -> None:
    kept, given = copy / "calibration.json", tmp_path / "given.json"
    given.write_text("{}")
    with pytest.raises(OutputError, match="holds a mosaic already"):
        has_calibration(kept, given, resume=False, overwrite=False)
    with pytest.raises(SettingsError, match="begun with no calibration"):
        has_calibration(kept, given, resume=True, overwrite=False)
    assert not has_calibration(kept, given, resume=False, overwrite=True)
    prepare(
        copy,
        plan_of(copy).model_copy(update={"calibration": kept.name}),
        resume=False,
        overwrite=True,
    )
    assert not has_calibration(kept, given, resume=True, overwrite=False)
    kept.write_text("{}")
    assert has_calibration(kept, given, resume=True, overwrite=False)
    assert has_calibration(kept, None, resume=True, overwrite=False)
    given.write_text("{ }")
    with pytest.raises(SettingsError, match="the calibration that it holds"):
        has_calibration(kept, given, resume=True, overwrite=False)


def plan_of(folder: Path) -> Plan:
    return read_manifest(folder).plan
