"""The map of several wavelengths: colours are those of `fpm-inr render`, wherever one looks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fpm_inr.errors import DataError
from fpm_inr.solution_set import SolutionSet, load_set
from fpm_inr.viewer.field_map import FieldMap, fingerprint_of, is_whole_field, map_of
from fpm_inr.viewer.site import write_site
from fpm_inr.viewer.tile_codec import STEP, decode
from fpm_inr.viewer.tile_grid import TileKey
from tests.mosaic.repeated import COLOURS, repeated_colours
from tests.viewer.test_map import config_of
from tests.viewer.test_map_page import look

NAMES = ["green", "red", "blue"]  # the reference first


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Mosaics of 3 x 3 tiles, 640 pixels a side, in two levels."""
    return repeated_colours(
        tmp_path_factory.mktemp("map") / "field", 3, tile_px=128, overlap_px=32, planes=6
    )


@pytest.fixture(scope="module")
def solutions(folder: Path) -> SolutionSet:
    return load_set(folder)


@pytest.fixture(scope="module")
def field_map(folder: Path) -> FieldMap:
    return map_of(folder)


@pytest.mark.parametrize("key", [TileKey(0, 1, 0), TileKey(1, 0, 1)])
def test_a_tile_holds_the_planes_of_all(
    field_map: FieldMap, solutions: SolutionSet, key: TileKey
) -> None:
    """Each at its own heights, and laid over the reference."""
    tiles = field_map.tiles
    planes = decode(tiles.make(tiles.block_of(key))[key])
    window, (above, _, before, _) = tiles.grid.with_apron(key)
    heights = np.linspace(*solutions.z_range_um, 5)
    right = list(solutions.fields(heights, window=window, level=key.level))
    assert [channel.name for channel in field_map.channels] == NAMES
    for n, channel in enumerate(field_map.channels):
        weights = channel.pyramid.basis.weights(heights)
        shown = np.tensordot(weights, planes[6 * n : 6 * n + 6], axes=1)
        shown = shown[:, above:, before:][:, : window[2], : window[3]]
        wanted = np.stack([one[solutions.names.index(channel.name)] for one in right])
        wanted /= channel.pyramid.source.amplitude_scale
        error = np.abs(shown - wanted)
        assert np.sqrt((error**2).mean()) < 0.0015
        assert error.max() < 3 * STEP
        assert wanted.std() > 0.03


def test_the_page_is_told_of_all(field_map: FieldMap, solutions: SolutionSet) -> None:
    told = json.loads(json.dumps(field_map.description()))
    assert told["zRange"] == list(solutions.z_range_um)
    assert [one["first"] for one in told["channels"]] == [0, 6, 12]
    assert told["planes"] == 18
    z_um = [COLOURS[name][2].z_um for name in NAMES]
    lowest = [one["zRange"][0] for one in told["channels"]]
    np.testing.assert_allclose(lowest, [-10 - z for z in z_um])
    # clear light of all is white
    np.testing.assert_allclose(np.sum([one["rgb"] for one in told["channels"]], axis=0), 1)


def test_what_a_whole_field_is(folder: Path, tmp_path: Path) -> None:
    assert is_whole_field(folder)
    assert is_whole_field(folder / "colours.json")
    assert is_whole_field(folder / "red")
    assert not is_whole_field(tmp_path)
    assert fingerprint_of(folder) == fingerprint_of(folder / "colours.json")
    assert fingerprint_of(folder) != fingerprint_of(folder / "red")
    with pytest.raises(DataError, match="make it readable"):
        fingerprint_of(tmp_path)


def test_a_site_in_colour(folder: Path, field_map: FieldMap, tmp_path: Path) -> None:
    write_site(folder, tmp_path / "site", fingerprint="a")
    page = (tmp_path / "site" / "index.html").read_bytes()
    assert config_of(page) == json.loads(json.dumps(field_map.description()))
    made = field_map.tiles.make(TileKey(1, 0, 0))[TileKey(1, 0, 0)]
    assert (tmp_path / "site" / "tiles" / "1" / "0-0.tile").read_bytes() == made
    depth = field_map.depth.make((0, 0))
    assert (tmp_path / "site" / "depth" / "0-0.tile").read_bytes() == depth


def shown_at(page: Any, places: list[tuple[float, float]]) -> np.ndarray:
    """Colours of the canvas [place, rgb] at places of the field."""
    found = page.run(
        """
      return fpmInr.png().then((blob) => createImageBitmap(blob)).then((bitmap) => {
        const { image, camera } = fpmInr;
        const canvas = new OffscreenCanvas(image.width, image.height);
        const context = canvas.getContext("2d", { willReadFrequently: true });
        context.drawImage(bitmap, 0, 0);
        return arguments[0].map(([x, y]) => {
          const at = [image.width / 2 + (x - camera.centre[0]) * camera.scale,
            image.height / 2 + (y - camera.centre[1]) * camera.scale].map(Math.floor);
          return [...context.getImageData(...at, 1, 1).data].slice(0, 3);
        });
      });
    """,
        places,
    )
    return np.array(found)


@pytest.mark.parametrize("level", [0, 1])
def test_colours_are_those_that_render_writes(
    page: Any, solutions: SolutionSet, level: int
) -> None:
    """Pixel by pixel, where solved tiles and tiles of the map meet as well."""
    page.run("fpmInr.setZ(2.5)")
    width, height = page.run("return [fpmInr.image.width, fpmInr.image.height]")
    size = 2**level
    # the middle of a pixel of the level lies in the middle of a canvas pixel
    look(page, 256 + size * (width % 2) / 2, 256 + size * (height % 2) / 2, 1 / size)
    assert page.run("return fpmInr.level") == level
    assert page.run("return fpmInr.isColour")
    right = solutions.colour(2.5, level=level)
    random = np.random.default_rng(0)
    middle = 256 // size
    # away from what is drawn over the picture
    pixels = random.integers(middle - 100, middle + 100, (200, 2))
    places = [(size * (x + 0.5), size * (y + 0.5)) for y, x in pixels.tolist()]
    wanted = right[pixels[:, 0], pixels[:, 1]].astype(int)
    error = np.abs(shown_at(page, places) - wanted)
    assert np.percentile(error, 99) <= 3
    assert error.max() <= 8
    assert wanted.std(axis=0).min() > 5


def test_wavelengths_in_and_out(page: Any, solutions: SolutionSet) -> None:
    """One alone is grey, at its own numbers; two make a colour without the third."""
    look(page, 256, 256, 1)
    page.run("fpmInr.setZ(1)")
    red = solutions.channel("red")
    (stack,) = red.slices([1.0], window=(250, 300, 1, 1))
    page.run("fpmInr.setChannels([false, true, false])")
    page.settle()
    value = page.run("return fpmInr.valueAt([300.5, 250.5])")
    scale = solutions.solutions["red"].amplitude_scale
    assert value["amplitude"] == pytest.approx(abs(stack.field_z_y_x[0, 0, 0]) * scale, rel=0.01)
    assert not page.run("return fpmInr.isColour")
    grey = shown_at(page, [(300.5, 250.5), (220.5, 200.5)])
    assert (np.ptp(grey, axis=1) == 0).all()
    page.run("fpmInr.setChannels([true, true, false])")
    page.settle()
    assert page.run("return fpmInr.isColour")
    (blue,) = shown_at(page, [(300.5, 250.5)])
    assert blue[2] < 60  # next to none without blue light
    page.run("fpmInr.setChannels([false, false, false])")
    assert page.run("return fpmInr.isOn") == [True, True, False]


def test_all_in_focus_in_colour(page: Any, field_map: FieldMap, solutions: SolutionSet) -> None:
    """Every pixel at the height where the reference is sharpest."""
    look(page, 256, 256, 1)
    page.run("fpmInr.setView('focus')")
    page.settle()
    assert page.run("return fpmInr.isColour")
    depth_um = field_map.depth.depth_um((0, 0))
    cells = [(12, 14), (16, 19), (20, 13)]
    places = [(16 * x + 8.5, 16 * y + 8.5) for y, x in cells]
    shown = shown_at(page, places)
    for (y, x), colour in zip(cells, shown, strict=True):
        z_um = depth_um[y + 1, x + 1]
        right = solutions.colour(z_um, window=(16 * y + 8, 16 * x + 8, 1, 1))[0, 0]
        np.testing.assert_allclose(colour, right.astype(int), atol=8)
    page.run("fpmInr.setView('depth')")
    page.settle()
    low, high = page.run("return fpmInr.range")
    assert solutions.z_range_um[0] <= low < high <= solutions.z_range_um[1]
