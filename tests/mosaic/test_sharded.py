"""A mosaic as OME-Zarr: what is written is what is rendered, whatever happened on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from fpm_inr.errors import SettingsError
from fpm_inr.io import sharded
from fpm_inr.io.sharded import write_sharded
from fpm_inr.mosaic.mosaic import Mosaic, load_mosaic
from tests.mosaic.repeated import repeated_mosaic

Z_UM = (-4.0, 0.0, 4.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repeated_mosaic(
        tmp_path_factory.mktemp("mosaic") / "out", 4, tile_px=96, overlap_px=32, planes=7
    )


@pytest.fixture(scope="module")
def mosaic(folder: Path) -> Mosaic:
    return load_mosaic(folder)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharded, "CHUNK", 128)
    monkeypatch.setattr(sharded, "SHARD", 256)


def write(folder: Path, path: Path, **told: object) -> list[tuple[int, int]]:
    seen: list[tuple[int, int]] = []
    write_sharded(
        path,
        partial(load_mosaic, folder),
        fingerprint="a",
        z_um=Z_UM,
        on_region=lambda done, total: seen.append((done, total)),
        **told,  # type: ignore[arg-type]
    )
    return seen


def files_of(path: Path) -> dict[str, bytes]:
    return {str(f.relative_to(path)): f.read_bytes() for f in path.rglob("*") if f.is_file()}


@pytest.fixture(scope="module")
def slide(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slide") / "slide.ome.zarr"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sharded, "CHUNK", 128)
        patch.setattr(sharded, "SHARD", 256)
        seen = write(folder, path)
    assert [done for done, _ in seen] == list(range(seen[-1][1] + 1))
    return path


def test_every_level_holds_what_the_mosaic_renders(slide: Path, mosaic: Mosaic) -> None:
    import zarr

    group = zarr.open_group(str(slide), mode="r")
    assert len(list(group.array_keys())) == mosaic.levels
    for level in range(mosaic.levels):
        stack = mosaic.render(Z_UM, level=level)
        amplitude, phase = np.asarray(group[str(level)][:])
        scaled = stack.field_z_y_x * np.float32(mosaic.amplitude_scale)
        np.testing.assert_allclose(amplitude * np.exp(1j * phase), scaled, atol=2e-4)


def test_other_programs_read_the_same(slide: Path, mosaic: Mosaic) -> None:
    tensorstore = pytest.importorskip("tensorstore", reason="needs tensorstore")
    reader = pytest.importorskip("ome_zarr.reader", reason="needs ome-zarr")
    location = pytest.importorskip("ome_zarr.io").parse_url(str(slide))
    (node,) = list(reader.Reader(location)())
    assert len(node.data) == mosaic.levels
    other = tensorstore.open(
        {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(slide / "0")}}
    ).result()
    ours = np.asarray(node.data[0][0, 1])
    np.testing.assert_array_equal(other[0, 1].read().result(), ours)
    scaled = np.abs(mosaic.render(0.0).field_z_y_x[0]) * mosaic.amplitude_scale
    np.testing.assert_allclose(ours, scaled, rtol=1e-4, atol=1e-4)


def test_what_a_run_left_torn_is_mended_and_the_rest_kept(
    folder: Path, slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "slide.ome.zarr"

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sharded, "_finish", stop)
        with pytest.raises(KeyboardInterrupt):
            write(folder, path)
    beside = tmp_path / ".slide.ome.zarr.partial"
    assert not path.exists()
    shards = sorted(f for f in beside.rglob("c/0/*/*/*") if f.is_file())
    assert len(shards) > 8
    cut, flipped, gone = shards[0], shards[3], shards[5]
    cut.write_bytes(cut.read_bytes()[:-100])
    content = bytearray(flipped.read_bytes())
    content[len(content) // 3] ^= 64
    flipped.write_bytes(content)
    gone.unlink()
    (gone.parent / f"{gone.name}.12ab.partial").write_bytes(b"half")
    kept = {f: f.stat().st_mtime_ns for f in shards if f not in (cut, flipped, gone)}
    write(folder, path)
    assert files_of(path) == files_of(slide)
    for shard, when in kept.items():
        assert (path / shard.relative_to(beside)).stat().st_mtime_ns == when


def test_of_another_mosaic_nothing_is_kept(folder: Path, tmp_path: Path, slide: Path) -> None:
    beside = tmp_path / ".slide.ome.zarr.partial"
    (beside / "0").mkdir(parents=True)
    (beside / "0" / "stray").write_text("of another")
    (beside / "job.json").write_text('{"fingerprint": "b"}')
    write(folder, tmp_path / "slide.ome.zarr")
    assert files_of(tmp_path / "slide.ome.zarr") == files_of(slide)


def test_heights_must_be_even_and_within(folder: Path, tmp_path: Path) -> None:
    for heights in ((0.0, 1.0, 5.0), (0.0, 99.0)):
        with pytest.raises(SettingsError, match="z"):
            write_sharded(
                tmp_path / "x.ome.zarr", partial(load_mosaic, folder), fingerprint="", z_um=heights
            )
    assert list(tmp_path.iterdir()) == []


def test_a_killed_command_goes_on_to_the_same(folder: Path, tmp_path: Path) -> None:
    """With two workers; shards as a user has them."""

    def command(name: str) -> list[str]:
        told = ["-o", str(tmp_path / name), "--z", "-6:6:2", "--workers", "2"]
        return [sys.executable, "-m", "fpm_inr", "render", str(folder), *told]

    beside = tmp_path / ".slide.ome.zarr.partial"
    begun = subprocess.Popen(command("slide.ome.zarr"), stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while not any(beside.rglob("c/0/*/*/*")) and begun.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.01)
    os.kill(begun.pid, signal.SIGKILL)
    begun.wait()
    assert beside.exists()
    assert begun.returncode == -signal.SIGKILL
    subprocess.run(command("slide.ome.zarr"), check=True, capture_output=True)
    subprocess.run(command("other.ome.zarr"), check=True, capture_output=True)
    one, other = (files_of(tmp_path / f"{name}.ome.zarr") for name in ("slide", "other"))
    root = "zarr.json"  # holds the slide's name
    assert one.pop(root).replace(b"slide", b"other") == other.pop(root)
    assert one == other
    assert not beside.exists()
