"""The map of a mosaic: its tiles, who makes them when, and the folder for a web server."""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fpm_inr.errors import DataError, OutputError
from fpm_inr.fields.spline import SplineField
from fpm_inr.mosaic.kept import Kept
from fpm_inr.mosaic.mosaic import Mosaic, load_mosaic
from fpm_inr.viewer.field_map import FieldMap, map_of
from fpm_inr.viewer.map_depth import filled
from fpm_inr.viewer.map_server import MapServer
from fpm_inr.viewer.map_tiles import MapTiles, Pyramid
from fpm_inr.viewer.shared_cache import SharedCache
from fpm_inr.viewer.site import write_site
from fpm_inr.viewer.tile_codec import STEP, HeightBasis, decode, packed, plain
from fpm_inr.viewer.tile_grid import APRON_PX, TileGrid, TileKey
from tests.mosaic.repeated import repeated_mosaic
from tests.viewer.conftest import serving


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mosaic of 3 x 3 tiles, 640 pixels a side, in two levels."""
    return repeated_mosaic(
        tmp_path_factory.mktemp("map") / "field", 3, tile_px=128, overlap_px=32, planes=7
    )


@pytest.fixture(scope="module")
def field_map(folder: Path) -> FieldMap:
    return map_of(folder)


def mosaic_of(field_map: FieldMap) -> Mosaic:
    source = field_map.channels[0].pyramid.source
    assert isinstance(source, Mosaic)
    return source


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(0, 3))
def test_tiles_cover_a_level_once(height: int, width: int, levels: int) -> None:
    shapes = tuple((max(height >> n, 1), max(width >> n, 1)) for n in range(levels + 1))
    grid = TileGrid(shapes)
    for level, shape in enumerate(shapes):
        seen = np.zeros(shape, np.uint8)
        for key in grid.keys(level):
            assert key in grid
            y, x, tall, wide = grid.window(key)
            seen[y : y + tall, x : x + wide] += 1
            (top, left, rows, columns), (above, below, before, after) = grid.with_apron(key)
            assert (rows + above + below, columns + before + after) == (
                tall + 2 * APRON_PX,
                wide + 2 * APRON_PX,
            )
            assert min(top, left) >= 0
            assert top + rows <= shape[0]
            assert left + columns <= shape[1]
        assert (seen == 1).all()
        rows, columns = grid.count(level)
        assert TileKey(level, rows, 0) not in grid
        assert TileKey(level, 0, columns) not in grid
    assert TileKey(len(shapes), 0, 0) not in grid


@given(
    hnp.arrays(
        np.complex64,
        st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)),
        elements=st.complex_numbers(max_magnitude=100, width=64),
    )
)
def test_a_tile_is_kept_to_half_a_step(planes: np.ndarray) -> None:
    error = decode(packed(planes)) - planes
    assert np.abs([error.real, error.imag]).max() <= STEP / 2 + 1e-5
    # to this machine's own browser, as half floats
    error = decode(plain(planes)) - planes
    most = np.maximum(np.abs(planes.real), np.abs(planes.imag)) * 2**-11 + 1e-7
    assert (np.maximum(np.abs(error.real), np.abs(error.imag)) <= most).all()


@pytest.mark.parametrize("planes", [4, 5, 9])
def test_planes_are_summed_as_the_fields_are(planes: int) -> None:
    basis = HeightBasis((-3.0, 5.0), planes)
    none = torch.zeros(2, 1, dtype=torch.int32)
    field = SplineField((16, 16), (-3.0, 5.0), none, planes=planes)
    heights = np.linspace(-3, 5, 23)
    for z, weights in zip(heights, basis.weights(heights), strict=True):
        first, shares = field.shares(z)
        np.testing.assert_allclose(weights[first : first + 4], shares, atol=1e-6)
        assert weights.sum() == pytest.approx(1)
    assert len(basis.nodes_um) == planes
    known = np.random.default_rng(0).standard_normal((planes, 3, 2)).astype(np.complex64)
    back = np.tensordot(basis.weights(basis.nodes_um), basis.planes_of(known), axes=1)
    np.testing.assert_allclose(back, known, atol=1e-4)


def test_between_planes_the_nearest_is_taken() -> None:
    basis = HeightBasis((0.0, 4.0), 1, np.array([0.0, 1.0, 4.0]))
    np.testing.assert_array_equal(
        basis.weights(np.array([0.4, 1.1, 3.0])), [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    )


@pytest.mark.parametrize("key", [TileKey(0, 0, 0), TileKey(0, 1, 1), TileKey(1, 0, 1)])
def test_tiles_show_what_the_mosaic_renders(field_map: FieldMap, key: TileKey) -> None:
    """At heights between the nodes, and across the places where solved tiles meet."""
    tiles = field_map.tiles
    mosaic = mosaic_of(field_map)
    made = tiles.make(tiles.block_of(key))
    window, (above, _, before, _) = tiles.grid.with_apron(key)
    heights = np.linspace(*mosaic.z_range_um, 8)
    right = mosaic.render(heights, window=window, level=key.level).field_z_y_x
    shown = np.tensordot(tiles.pyramids[0].basis.weights(heights), decode(made[key]), axes=1)
    shown = shown[:, above:, before:][:, : right.shape[1], : right.shape[2]]
    error = np.abs(shown - right)
    assert np.sqrt((error**2).mean()) < 0.0015
    assert error.max() < 3 * STEP
    assert right.std() > 0.05


def test_depth_is_that_of_the_focus_command(field_map: FieldMap) -> None:
    from fpm_inr.focus import FocusSettings, depth_map, score_slices

    mosaic, depth = mosaic_of(field_map), field_map.depth
    assert depth.level == 1
    cells = depth.depth_um((0, 0))
    assert cells.shape == (42, 42)  # 640 pixels in cells of 16, and one more on each side
    heights = np.linspace(*mosaic.z_range_um, 41)
    found = depth_map(score_slices(mosaic.slices(heights), FocusSettings("edges")))
    right = found.depth_of_pixels_um()[8::16, 8::16]
    apart = np.abs(cells[1:-1, 1:-1] - right)
    trusted = found.is_trusted_y_x[:-1, :-1]
    assert trusted.sum() > 20
    assert np.median(apart[trusted]) < 0.3


def test_blocks_of_depth_join_without_a_seam(tmp_path: Path) -> None:
    """What both hold of a border is the same, whatever lies in the rest of either."""
    folder = repeated_mosaic(tmp_path / "field", 6, tile_px=128, overlap_px=32, planes=5)
    depth = map_of(folder).depth
    assert depth.count == (2, 2)
    left, right = depth.depth_um((0, 0)), depth.depth_um((0, 1))
    np.testing.assert_allclose(left[1:-1, -2:], right[1:-1, :2], atol=0.05)
    assert left[1:-1, -2:].std() > 0.5


def test_gaps_of_depth_take_what_is_near() -> None:
    depth, weight = np.full((60, 60), 9.0), np.zeros((60, 60))
    depth[20, 20], weight[20, 20] = 3.0, 1.0
    depth[20, 23], weight[20, 23] = 4.0, 0.5
    found = filled(depth, weight, 1.0)
    assert (found[20, 20], found[20, 23]) == (3.0, 4.0)
    assert 3 < found[20, 22] < 4
    assert found[24, 20] == pytest.approx(3.2, abs=0.3)
    assert found[50, 50] == 1.0  # nothing is near


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 40)), max_size=40))
def test_kept_bytes_have_a_limit(puts: list[tuple[int, int]]) -> None:
    kept = Kept[int, bytes](100, len)
    for key, length in puts:
        kept.put(key, bytes(length))
        assert kept.get(key) == bytes(length)
        assert kept.size <= 100
        assert kept.size == sum(len(kept.get(one) or b"") for one in range(10))


def test_what_was_asked_for_last_is_kept() -> None:
    kept = Kept[str, bytes](3, len)
    for key in "abc":
        kept.put(key, b"x")
    kept.get("a")
    kept.put("d", b"x")
    assert [kept.get(key) is not None for key in "abcd"] == [True, False, True, True]


def test_a_group_is_made_once_for_all_who_ask() -> None:
    made, may_go_on = [], threading.Event()

    def make(group: int) -> dict[int, bytes]:
        made.append(group)
        may_go_on.wait(10)
        return {group: b"first", group + 1: b"second"}

    cache = SharedCache[int](make, lambda key: key // 2 * 2, at_once=1, most_bytes=1000)
    found: dict[int, bytes | None] = {}
    askers = [
        threading.Thread(target=lambda key=key: found.update({key: cache.get(key, lambda: False)}))
        for key in (4, 5)
    ]
    for asker in askers:
        asker.start()
    assert cache.get(8, lambda: True) is None  # who has gone is not waited for
    may_go_on.set()
    for asker in askers:
        asker.join()
    assert (made, found) == ([4], {4: b"first", 5: b"second"})
    assert cache.get(5, lambda: True) == b"second"  # what is there needs no making
    assert made == [4]


def test_an_error_reaches_who_asked_and_is_not_kept() -> None:
    tries = []

    def make(group: int) -> dict[int, bytes]:
        tries.append(group)
        if len(tries) == 1:
            raise DataError("is damaged", "restore it", field="tile")
        return {group: b"whole"}

    cache = SharedCache[int](make, lambda key: key, at_once=1, most_bytes=10)
    with pytest.raises(DataError):
        cache.get(1, lambda: False)
    assert cache.get(1, lambda: False) == b"whole"


@pytest.fixture
def server(field_map: FieldMap) -> Iterator[MapServer]:
    with serving(MapServer(field_map)) as served:
        assert isinstance(served, MapServer)
        yield served


def answer(server: MapServer, path: str, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    connection.request("GET", server.root + path, headers=headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body


def test_the_server_gives_page_tiles_and_depth(server: MapServer, field_map: FieldMap) -> None:
    status, page = answer(server, "")
    assert status == 200
    config = config_of(page)
    assert config["levels"] == [[640, 640], [320, 320]]
    assert config["planes"] == 7
    key = TileKey(1, 0, 1)
    tiles = server.map.tiles
    made = tiles.make(tiles.block_of(key))
    assert answer(server, "tiles/1/0-1.tile") == (200, made[key])
    assert answer(server, "depth/0-0.tile") == (200, field_map.depth.make((0, 0)))
    assert answer(server, "tiles/1/0-1.tile", Host="evil.example")[0] == 403


def config_of(page: bytes) -> dict[str, Any]:
    found = re.search(rb'id="config">(.*?)</script>', page)
    assert found
    config: dict[str, Any] = json.loads(found[1])["map"]
    return config


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("tiles/2/0-0.tile", b"levels are 0 to 1"),
        ("tiles/0/3-0.tile", b"rows are 0 to 2"),
        ("tiles/0/0-999999999.tile", b"columns 0 to 2"),
        ("depth/1-0.tile", b"rows are 0 to 0"),
        ("tiles/-1/0-0.tile", b""),
        ("tiles/0/0-0.tile/..", b""),
        ("tiles/0/../../page.py", b""),
    ],
)
def test_what_is_not_there_is_said(server: MapServer, path: str, part: bytes) -> None:
    status, body = answer(server, path)
    assert status == 404
    assert part in body
    assert body.endswith(b".") or not part


def test_a_damaged_tile_of_the_mosaic_is_said(tmp_path: Path) -> None:
    folder = repeated_mosaic(tmp_path / "field", 2, tile_px=64, overlap_px=16, planes=4)
    opened = map_of(folder)
    pyramid = Pyramid(load_mosaic(folder), opened.tiles.pyramids[0].basis)
    unread = replace(opened, tiles=MapTiles((pyramid,)))
    served = MapServer(unread)
    for file in (folder / "tiles").iterdir():
        file.unlink()
        file.write_bytes(b"damaged")
    with serving(served):
        status, body = answer(served, "tiles/0/0-0.tile")
    assert status == 404
    assert b"--resume" in body


def test_the_site_holds_what_the_server_gives(
    folder: Path, field_map: FieldMap, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    told: list[tuple[int, int]] = []
    size = write_site(
        folder, site, fingerprint="a", on_piece=lambda done, of: told.append((done, of))
    )
    files = sorted(str(file.relative_to(site)) for file in site.rglob("*") if file.is_file())
    tiles = [
        f"tiles/{level}/{key.row}-{key.column}.tile"
        for level in range(2)
        for key in field_map.tiles.grid.keys(level)
    ]
    assert files == sorted([*tiles, "depth/0-0.tile", "index.html"])
    assert size == sum((site / file).stat().st_size for file in files)
    assert told == [(n, told[0][1]) for n in range(told[0][1] + 1)]
    first = field_map.tiles.make(TileKey(0, 0, 0))
    assert (site / "tiles/0/1-1.tile").read_bytes() == first[TileKey(0, 1, 1)]
    page = (site / "index.html").read_bytes()
    assert config_of(page) == json.loads(json.dumps(field_map.description()))
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_an_interrupted_site_goes_on(folder: Path, tmp_path: Path) -> None:
    site, beside = tmp_path / "site", tmp_path / ".site.partial"

    def stop_at(count: int) -> Callable[[int, int], None]:
        def stop(done: int, total: int) -> None:
            if done == count:
                raise KeyboardInterrupt

        return stop

    with pytest.raises(KeyboardInterrupt):
        write_site(folder, site, fingerprint="a", on_piece=stop_at(3))
    assert not site.exists()
    done = {file: file.stat().st_mtime_ns for file in beside.rglob("*.tile")}
    assert len(done) > 2
    with pytest.raises(KeyboardInterrupt):
        write_site(folder, site, fingerprint="a", on_piece=stop_at(4))
    assert all(file.stat().st_mtime_ns == before for file, before in done.items())
    # of another field, nothing of it is used
    with pytest.raises(KeyboardInterrupt):
        write_site(folder, site, fingerprint="b", on_piece=stop_at(0))
    assert not list(beside.rglob("*.tile"))


def test_a_site_needs_its_folder(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="create the folder"):
        write_site(folder, tmp_path / "no" / "site", fingerprint="a")
