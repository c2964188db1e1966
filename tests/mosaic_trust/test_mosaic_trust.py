"""A mosaic is judged tile by tile: the field's maps are those of its tiles, blended."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import zarr

from fpm_inr.cli import main
from fpm_inr.mosaic.mosaic import Mosaic, load_mosaic
from fpm_inr.mosaic.run import prepare, run
from fpm_inr.mosaic_trust.field import NAMES, FieldMaps
from fpm_inr.mosaic_trust.run import trust_mosaic
from fpm_inr.mosaic_trust.summary import of_tiles
from fpm_inr.mosaic_trust.tile import Asked, maps_path, posed, read_maps, tile_acquisition
from fpm_inr.trust.assess import assess
from fpm_inr.viewer.sources import gather
from tests.mosaic.small import small_field, small_plan

HEIGHTS = (-2.0, 2.0)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Mosaic:
    """A mosaic of two tiles and a dark one, and what is told of it."""
    folder = tmp_path_factory.mktemp("judged")
    acquisition, _ = small_field((40, 80))
    light = np.random.default_rng(0).poisson(acquisition.frames_led_y_x).astype(np.float32)
    light[:, :, 40:] = 0
    plan = small_plan(folder, replace(acquisition, frames_led_y_x=light), z_range_um=(-2.0, 2.0))
    out = folder / "out"
    known = prepare(out, plan, resume=False, overwrite=True)
    run(plan, out, known, workers=1, scheduler="processes")
    trust_mosaic(Asked(out, None, HEIGHTS), load_mosaic(out))
    return load_mosaic(out)


def test_a_tile_is_judged_by_its_own_frames(judged: Mosaic) -> None:
    plan = judged.plan
    acquisition, given = posed(
        plan, judged.folder, tile_acquisition(plan, judged.folder, judged.tiles[0])
    )
    alone = assess(acquisition, judged.tile_solution(0), HEIGHTS, calibration=given)
    kept = read_maps(judged.folder, 0)
    scale = judged.tile_solution(0).amplitude_scale
    for number, noise in enumerate(alone.noise):
        np.testing.assert_allclose(kept["phase_noise"][number], noise.phase_y_x, rtol=1e-5)
        of_amplitude = kept["amplitude_noise"][number]
        np.testing.assert_allclose(of_amplitude, noise.amplitude_y_x * scale, rtol=1e-5)


def test_the_fields_maps_are_those_of_its_tiles(judged: Mosaic) -> None:
    maps = FieldMaps(Asked(judged.folder, None, HEIGHTS), judged)
    height, width = judged.shape_y_x
    whole = maps.window((0, 0, height, width))
    at = NAMES.index("phase_noise")
    # where the first tile alone counts
    alone = read_maps(judged.folder, 0)["phase_noise"]
    np.testing.assert_allclose(whole[at][:, :, :20], alone[:, :, :20], rtol=1e-6)
    # a window is part of the whole, and nothing is told where there was no light
    np.testing.assert_array_equal(maps.window((10, 30, 40, 50)), whole[:, :, 10:50, 30:80])
    assert judged.manifest.records[-1].kind == "dark"
    assert np.isnan(whole[at][:, :, -20:]).all()
    assert np.isfinite(whole[at][:, :, :70]).all()
    # between tiles: neither below nor above what they say
    tiles = [read_maps(judged.folder, n)["phase_noise"] for n in (0, 1)]
    low, high = min(one.min() for one in tiles), max(one.max() for one in tiles)
    told = whole[at][np.isfinite(whole[at])]
    assert low * 0.999 < told.min()
    assert told.max() < high * 1.001


def test_everything_is_written(judged: Mosaic) -> None:
    into = judged.folder / "trust"
    group = zarr.open_group(str(into / "maps.ome.zarr"), mode="r")
    labels = [one["label"] for one in group.attrs["ome"]["omero"]["channels"]]  # type: ignore
    assert labels == list(NAMES)
    height, width = judged.shape_y_x
    whole = FieldMaps(Asked(judged.folder, None, HEIGHTS), judged).window((0, 0, height, width))
    np.testing.assert_array_equal(group["0"][:], whole)
    numbers = judged.manifest.trust
    assert numbers is not None
    assert numbers["z_um"] == list(HEIGHTS)
    assert numbers["tiles"] == 2
    by_tile = of_tiles(numbers, "phase_noise_rad", judged)
    assert np.isfinite(by_tile).tolist() == [[True, True, False]]
    assert "How far to trust it" in (judged.folder / "report.html").read_text(encoding="utf-8")
    # the page's other side lies on the first
    field, beside = gather(judged.folder, into / "phase_noise.safetensors", raw=False)
    assert _shape(field.read()) == _shape(beside.read())


def test_it_goes_on_from_the_tiles_that_are_whole(judged: Mosaic) -> None:
    asked = Asked(judged.folder, None, HEIGHTS)
    before = [maps_path(judged.folder, n).read_bytes() for n in (0, 1)]
    maps_path(judged.folder, 1).write_bytes(before[1][:-10])
    seen: list[tuple[str, int, int]] = []
    trust_mosaic(asked, judged, listen=lambda *one: seen.append(one))
    assert [one for one in seen if one[0] == "tiles"] == [("tiles", 1, 2), ("tiles", 2, 2)]
    after = read_maps(judged.folder, 1)
    maps_path(judged.folder, 1).write_bytes(before[1])
    for name, values in read_maps(judged.folder, 1).items():
        np.testing.assert_array_equal(values, after[name])
    assert maps_path(judged.folder, 0).read_bytes() == before[0]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["--data", "nowhere.h5"], "nowhere.h5"),
        (["--data", "other.h5"], "not what the mosaic was made from"),
        (["--z", "50"], "outside the solved range"),
        (["--z", "-2,-1,2"], "not evenly spaced"),
    ],
)
def test_bad_requests_are_refused(
    judged: Mosaic,
    asked: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = judged.folder.parent
    monkeypatch.chdir(place)
    (place / "other.h5").write_bytes(b"something else")
    manifest = (judged.folder / "manifest.json").read_text()
    with pytest.raises(SystemExit) as ended:
        main(["trust", str(judged.folder), *asked])
    assert ended.value.code == 2
    assert says in " ".join(capsys.readouterr().err.split())
    assert (judged.folder / "manifest.json").read_text() == manifest


def _shape(content: bytes) -> list[int]:
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    return list(json.loads(header["__metadata__"]["fpm-inr"])["shape_y_x"])
