"""Mosaics from plan to object: killed, resumed, damaged, changed, empty and dark."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fpm_inr as fpm
from fpm_inr.acquisition import Acquisition, Illumination
from fpm_inr.cli import main
from fpm_inr.errors import DataError, SettingsError
from fpm_inr.io.native import write_acquisition
from fpm_inr.lighting import Lighting
from fpm_inr.mosaic import cluster
from fpm_inr.mosaic.field_model import find_field_model
from fpm_inr.mosaic.manifest import read_manifest
from fpm_inr.mosaic.mosaic import Mosaic, load_mosaic
from fpm_inr.mosaic.plan import make_plan
from fpm_inr.mosaic.run import prepare, run
from fpm_inr.mosaic.source import Source
from fpm_inr.mosaic.worker import field_path, work
from fpm_inr.solve.engine import engine_named
from tests.mosaic.small import small_field, small_plan

ACQUISITION, TRUTH = small_field()


def _digests(folder: Path) -> list[str]:
    return [record.sha256 for record in read_manifest(folder).records]


def _make(folder: Path, scheduler: str = "processes", **changes: object) -> Mosaic:
    plan = small_plan(folder, ACQUISITION, **changes)
    out = folder / "out"
    run(plan, out, prepare(out, plan, resume=False, overwrite=True), workers=2, scheduler=scheduler)
    return load_mosaic(out)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Mosaic:
    return _make(tmp_path_factory.mktemp("whole"))


def test_a_mosaic_is_the_specimen_without_seams(whole: Mosaic) -> None:
    """Compared with one solve of the periodic whole, which has no edges at all."""
    image = whole.render(0.0).field_z_y_x[0]
    assert image.shape == TRUTH.shape
    near = np.zeros(image.shape, bool)
    for axis, side in enumerate(whole.plan.sides):
        for bound in side.bounds[1:-1]:
            part = [slice(None), slice(None)]
            part[axis] = slice(2 * bound - 8, 2 * bound + 8)
            near[tuple(part)] = True
    steps = [np.abs(np.diff(np.abs(image), axis=axis)) for axis in range(2)]
    usual = [np.abs(np.diff(np.abs(TRUTH), axis=axis)) for axis in range(2)]
    for axis, (step, true) in enumerate(zip(steps, usual, strict=True)):
        seam = near.take(range(step.shape[axis]), axis)
        assert step[seam].max() < 2 * true.max()
    amplitude = np.corrcoef(np.abs(image).ravel(), np.abs(TRUTH).ravel())[0, 1]
    assert amplitude > 0.9


def test_frames_of_several_leds_make_the_same_specimen(whole: Mosaic, tmp_path: Path) -> None:
    """The LEDs one by one but for four of them, which light two frames in pairs."""
    one_by_one = ACQUISITION.frames_led_y_x
    lit: list[list[int]] = [[led] for led in range(len(one_by_one) - 4)]
    lit += [[len(one_by_one) - 4, len(one_by_one) - 1], [len(one_by_one) - 3, len(one_by_one) - 2]]
    frames = np.stack([one_by_one[leds].sum(axis=0) for leds in lit])
    light = Illumination(ACQUISITION.illumination.na_led_xy, lighting=Lighting.of(lit))
    plan = small_plan(tmp_path, Acquisition(frames, ACQUISITION.optics, light))
    out = tmp_path / "out"
    run(plan, out, prepare(out, plan, resume=False, overwrite=False),
        workers=2, scheduler="processes")  # fmt: skip
    image = load_mosaic(out).render(0.0).field_z_y_x[0]
    usual = whole.render(0.0).field_z_y_x[0]
    likeness = np.abs(np.vdot(image, usual)) / np.linalg.norm(image) / np.linalg.norm(usual)
    assert likeness > 0.99
    with pytest.raises(DataError, match="several LEDs"):
        find_field_model(Source(tmp_path / "data.h5"), (64, 90), tile_px=40, z_range_um=(0, 0))


def test_windows_and_levels_are_parts_of_the_whole(whole: Mosaic) -> None:
    image = whole.render(0.0).field_z_y_x[0]
    part = whole.render(0.0, window=(21, 30, 50, 61)).field_z_y_x[0]
    assert np.array_equal(part, image[21:71, 30:91])
    half = whole.render(0.0, level=1)
    height, width = whole.level_shape_y_x(1)
    assert half.shape_y_x == (height, width)
    assert half.pixel_um == 2 * whole.pixel_um
    means = image[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean(axis=(1, 3))
    assert np.abs(half.field_z_y_x[0] - means).mean() < 0.01
    some = whole.render(0.0, window=(5, 9, 20, 18), level=1).field_z_y_x[0]
    assert np.allclose(some, half.field_z_y_x[0][5:25, 9:27], atol=1e-6)


def test_it_opens_as_a_solution(whole: Mosaic, tmp_path: Path) -> None:
    opened = fpm.load_solution(whole.folder)
    assert isinstance(opened, Mosaic)
    assert main_status(["render", str(whole.folder), "-o", str(tmp_path / "a.npy")]) == 0
    written = np.load(tmp_path / "a.npy")
    assert np.allclose(
        np.squeeze(written), opened.render(0.0).field_z_y_x[0] * opened.amplitude_scale
    )


def test_wrong_windows_heights_and_folders_are_refused(whole: Mosaic, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="window"):
        whole.render(0.0, window=(0, 0, 4000, 5))
    with pytest.raises(SettingsError, match="z"):
        whole.render(3.0)
    with pytest.raises(DataError):
        load_mosaic(tmp_path)


def test_dask_gives_the_same_bits(whole: Mosaic, tmp_path: Path) -> None:
    if not cluster.is_installed():
        pytest.skip("distributed is not installed")
    assert _digests(_make(tmp_path, "local").folder) == _digests(whole.folder)


def test_an_unreachable_scheduler_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not cluster.is_installed():
        pytest.skip("distributed is not installed")
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    with pytest.raises(SettingsError, match="scheduler"):
        _make(tmp_path, "tcp://127.0.0.1:9")


def test_killed_commands_and_workers_leave_the_same_bits(whole: Mosaic, tmp_path: Path) -> None:
    """The command is killed after some tiles, a worker of the next one too."""
    small_plan(tmp_path, ACQUISITION)
    out = tmp_path / "out"
    again = [
        sys.executable, "-m", "fpm_inr", "mosaic", str(tmp_path / "data.h5"), "-o", str(out),
        "--tile", "40", "--overlap", "20", "--steps", "12", "--device", "cpu",
        "--workers", "2", "--scheduler", "processes", "--resume",
    ]  # fmt: skip

    def done() -> int:
        return len(list((out / "tiles").glob("[0-9]*.json"))) if out.exists() else 0

    begun = subprocess.Popen(again, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _until(lambda: done() >= 2)
    begun.kill()
    begun.wait()
    kept = done()
    assert read_manifest(out).status == "begun"
    second = subprocess.Popen(again, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _until(lambda: done() > kept)
    for worker in _children(second.pid)[:1]:
        os.kill(worker, signal.SIGKILL)
    assert second.wait(timeout=120) == 0
    assert _digests(out) == _digests(whole.folder)


def test_damaged_tiles_are_found_and_solved_again(whole: Mosaic, tmp_path: Path) -> None:
    mosaic = _copied(whole, tmp_path)
    path = field_path(mosaic.folder, 3)
    content = bytearray(path.read_bytes())
    content[-5] ^= 255
    path.write_bytes(content)
    with pytest.raises(DataError, match="digest"):
        load_mosaic(mosaic.folder).render(0.0)
    known = prepare(mosaic.folder, mosaic.plan, resume=True, overwrite=False)
    assert [record is None for record in known].count(True) == 1
    assert known[3] is None
    run(mosaic.plan, mosaic.folder, known, workers=1, scheduler="processes")
    assert _digests(mosaic.folder) == _digests(whole.folder)


def test_changed_settings_and_data_are_refused(whole: Mosaic, tmp_path: Path) -> None:
    mosaic = _copied(whole, tmp_path)
    other = small_plan(whole.folder.parent, ACQUISITION, steps=13)
    with pytest.raises(SettingsError, match="steps"):
        prepare(mosaic.folder, other, resume=True, overwrite=False)
    brighter = replace(ACQUISITION, frames_led_y_x=ACQUISITION.frames_led_y_x * 1.1)
    changed = small_plan(tmp_path, brighter)
    with pytest.raises(SettingsError, match="data_sha256"):
        prepare(mosaic.folder, changed, resume=True, overwrite=False)
    # none of the old tiles is taken for one of the new plan
    assert not any(prepare(mosaic.folder, changed, resume=False, overwrite=True))


def test_empty_and_dark_tiles_stay_quiet(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    frames = ACQUISITION.frames_led_y_x.copy()
    frames = np.concatenate([frames, np.full_like(frames, 900.0), np.zeros_like(frames)], axis=2)
    # the specimen fades into a clear slide; then comes no light at all
    frames[:, :, 90:180] = 900 * (ACQUISITION.is_bright_field[:, None, None])
    noisy = random.poisson(frames).astype(np.float32)
    seen = Acquisition(noisy, ACQUISITION.optics, Illumination(ACQUISITION.illumination.na_led_xy))
    plan = small_plan(tmp_path, seen)
    out = tmp_path / "out"
    manifest = run(
        plan, out, prepare(out, plan, resume=False, overwrite=True), workers=2,
        scheduler="processes",
    )  # fmt: skip
    kinds = {tile.crop[1]: manifest.records[tile.number].kind for tile in plan.tiles}
    assert kinds[0] == "solved"
    assert kinds[plan.columns.starts[-1]] == "dark"
    assert "empty" in kinds.values()
    image = load_mosaic(out).render(0.0).field_z_y_x[0]
    assert np.isfinite(image).all()
    clear = np.abs(image[:, 2 * 130 : 2 * 150])
    assert clear.std() < 0.01 * clear.mean()
    assert not image[:, -20:].any()


def test_errors_of_the_data_stop_with_their_sentence(tmp_path: Path) -> None:
    plan = small_plan(tmp_path, ACQUISITION)
    out = tmp_path / "out"
    known = prepare(out, plan, resume=False, overwrite=True)
    (tmp_path / "data.h5").unlink()
    with pytest.raises(DataError, match=r"tile \d+: .*does not exist|data.h5"):
        run(plan, out, known, workers=1, scheduler="processes")


def test_formats_with_directions_only_keep_them_or_take_a_distance(tmp_path: Path) -> None:
    write_acquisition(tmp_path / "data.h5", ACQUISITION)

    def plan(distance_mm: float | None) -> object:
        return make_plan(
            Source(tmp_path / "data.h5", led_distance_mm=distance_mm),
            tmp_path / "out",
            z_range_um=(0.0, 0.0),
            recipe=engine_named("inr").recipe("default"),
            recipe_name="default",
            settings={},
            tile_px=40,
            overlap_px=20,
        )

    assert plan(None).angles == "same"  # type: ignore[attr-defined]
    placed = plan(20.0)
    assert placed.angles == "tile"  # type: ignore[attr-defined]
    source = Source(tmp_path / "data.h5", led_distance_mm=20.0)
    middle, corner = (
        source.window(crop, ACQUISITION.shape_y_x).illumination.na_led_xy
        for crop in ((12, 25, 40, 40), (0, 0, 40, 40))
    )
    assert np.allclose(middle, ACQUISITION.illumination.na_led_xy, atol=1e-9)
    # a corner at -x and -y sees LEDs further towards +x and +y: by 12.5 um and 6 um over 20 mm
    moved = (corner - middle).mean(axis=0)
    assert moved == pytest.approx((12.5e-3 / 20, 6e-3 / 20), rel=0.1)


def test_the_plan_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_acquisition(tmp_path / "data.h5", ACQUISITION)
    status = main_status(
        ["mosaic", str(tmp_path / "data.h5"), "-o", str(tmp_path / "out"), "--plan",
         "--tile", "40", "--overlap", "20", "--workers", "2"]
    )  # fmt: skip
    told = capsys.readouterr().out
    assert status == 0
    assert "3 x 5 tiles of 40 x 40" in " ".join(told.split()) or "tiles of 40 x 40" in told
    assert "directions only" in told
    assert "GB a worker" in told
    assert not (tmp_path / "out").exists()


def test_a_worker_may_do_a_tile_twice(whole: Mosaic) -> None:
    before = field_path(whole.folder, 0).stat().st_mtime_ns
    again = work(whole.plan, whole.folder, 0)
    assert again == whole.manifest.records[0]
    assert field_path(whole.folder, 0).stat().st_mtime_ns == before


def test_a_damaged_manifest_is_named(whole: Mosaic, tmp_path: Path) -> None:
    content = json.loads((whole.folder / "manifest.json").read_text())
    content["gauge"]["piston_rad"].pop()
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="piston_rad"):
        load_mosaic(tmp_path)


def main_status(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


def _copied(whole: Mosaic, folder: Path) -> Mosaic:
    shutil.copytree(whole.folder, folder / "out")
    return load_mosaic(folder / "out")


def _until(is_so: object, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not is_so():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)


def _children(pid: int) -> list[int]:
    import psutil

    found = psutil.Process(pid).children(recursive=True)
    workers = []
    for one in found:
        with suppress(psutil.Error):  # it has ended meanwhile
            workers += [one.pid] if "resource_tracker" not in " ".join(one.cmdline()) else []
    return workers
