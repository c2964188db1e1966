"""The map in a browser: right pixels, right handling, and no more in memory than is in sight."""

from __future__ import annotations

import functools
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fpm_inr.mosaic.mosaic import Mosaic, load_mosaic
from fpm_inr.viewer.map_server import MapServer
from fpm_inr.viewer.site import write_site
from fpm_inr.viewer.tile_grid import TileGrid
from tests.mosaic.repeated import repeated_mosaic
from tests.viewer.conftest import serving
from tests.viewer.test_handling import touch, under

COUNT_TEXTURES = """
  const gl = fpmInr.gl, counts = window.counts = { alive: 0, most: 0, made: 0 };
  const [make, drop] = [gl.createTexture.bind(gl), gl.deleteTexture.bind(gl)];
  gl.createTexture = () => {
    counts.made++;
    counts.most = Math.max(counts.most, ++counts.alive);
    return make();
  };
  gl.deleteTexture = (texture) => { counts.alive--; drop(texture); };
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mosaic of 5 x 5 tiles, 1024 pixels a side, in two levels."""
    return repeated_mosaic(
        tmp_path_factory.mktemp("map") / "field", 5, tile_px=128, overlap_px=32, planes=7
    )


@pytest.fixture(scope="module")
def mosaic(folder: Path) -> Mosaic:
    return load_mosaic(folder)


def look(page: Any, x: float, y: float, scale: float) -> None:
    """Look at a place of the field, at so many canvas pixels a pixel."""
    page.run(f"fpmInr.look({{ centre: [{x}, {y}], scale: {scale}, turns: 0 }})")
    page.settle()


def field_read(page: Any, x: int, y: int, width: int, height: int) -> np.ndarray:
    pairs = page.run(f"return Array.from(fpmInr.read({x}, {y}, {width}, {height}))")
    amplitude, phase = np.array(pairs).reshape(height, width, 2).transpose(2, 0, 1)
    return np.asarray(amplitude * np.exp(1j * phase))


@pytest.mark.parametrize("z_um", [-10.0, -3.3, 7.25])
def test_pixels_are_those_of_the_mosaic(page: Any, mosaic: Mosaic, z_um: float) -> None:
    """Where tiles of the map meet, and solved tiles do, at the place that shows most."""
    strip = mosaic.render(z_um, window=(200, 440, 600, 120)).field_z_y_x[0]
    row = max(range(0, 500, 10), key=lambda at: float(strip[at : at + 90].std()))
    right = strip[row : row + 90]
    look(page, 512, 200 + row + 45, 1)
    page.run(f"fpmInr.setZ({z_um})")
    page.settle()
    assert page.run("return fpmInr.level") == 0
    error = np.abs(field_read(page, 440, 200 + row, 120, 90) - right)
    assert error.max() < 0.012
    assert np.sqrt((error**2).mean()) < 0.002
    assert right.std() > 0.05


def grey_at(page: Any, places: list[tuple[float, float]]) -> list[float]:
    """Grey of the canvas, 0 to 255, at places of the field."""
    return list(
        page.run(
            """
      return fpmInr.png().then((blob) => createImageBitmap(blob)).then((bitmap) => {
        const { image, camera } = fpmInr;
        const canvas = new OffscreenCanvas(image.width, image.height);
        const context = canvas.getContext("2d", { willReadFrequently: true });
        context.drawImage(bitmap, 0, 0);
        return arguments[0].map(([x, y]) => {
          const at = [image.width / 2 + (x - camera.centre[0]) * camera.scale,
            image.height / 2 + (y - camera.centre[1]) * camera.scale].map(Math.floor);
          return context.getImageData(...at, 1, 1).data[1];
        });
      });
    """,
            places,
        )
    )


def test_the_canvas_shows_the_level_that_suits(page: Any, mosaic: Mosaic) -> None:
    """One canvas pixel for each of the coarse level: grey is amplitude between the scale's ends."""
    page.run("fpmInr.setZ(2)")
    width, height = page.run("return [fpmInr.image.width, fpmInr.image.height]")
    # the middle of a coarse pixel lies in the middle of a canvas pixel
    look(page, 512 + width % 2, 512 + height % 2, 0.5)
    assert page.run("return fpmInr.level") == 1
    right = mosaic.render(2.0, level=1).amplitude_z_y_x[0]
    random = np.random.default_rng(0)
    pixels = random.integers(200, 312, (60, 2))  # in the middle, away from what is drawn above
    low, high = (value / mosaic.amplitude_scale for value in page.run("return fpmInr.range"))
    shown = grey_at(page, [(2 * x + 1, 2 * y + 1) for y, x in pixels.tolist()])
    wanted = 255 * np.clip((right[pixels[:, 0], pixels[:, 1]] - low) / (high - low), 0, 1)
    np.testing.assert_allclose(shown, wanted, atol=2.5)
    assert np.std(wanted) > 10


CANVAS = """
  const gl = fpmInr.gl, { width, height } = fpmInr.image;
  const read = () => {
    const pixels = new Uint8Array(4 * width * height);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    return pixels;
  };
"""


def test_pieces_that_come_make_up_the_picture(page: Any, served: MapServer) -> None:
    """Tiles are drawn as they come, and at last it is what is drawn at once."""
    page.driver.get("about:blank")
    page.open(served.address + "#2,128,128,1.3")
    page.settle()
    found = page.run(
        f"""{CANVAS}
      const before = read();
      fpmInr.draw();
      const after = read();
      const spread = Math.max(...after.slice(0, 40000)) - Math.min(...after.slice(0, 40000));
      return [before.reduce((most, v, n) => Math.max(most, Math.abs(v - after[n])), 0), spread];
    """
    )
    assert found[0] == 0
    assert found[1] > 30


def test_finer_tiles_stand_for_what_is_to_come(page: Any, mosaic: Mosaic) -> None:
    """Zooming out of a sharp picture, nothing is blurred until coarser tiles are there."""
    page.run("fpmInr.setZ(2)")
    look(page, 512, 512, 1)
    page.run("fpmInr.source.tileFor = () => null")  # as if none of these were there
    width, height = page.run("return [fpmInr.image.width, fpmInr.image.height]")
    look(page, 512 + width % 2, 512 + height % 2, 0.5)
    assert page.run("return fpmInr.level") == 1
    right = mosaic.render(2.0, level=1).amplitude_z_y_x[0]
    random = np.random.default_rng(1)
    pixels = random.integers(200, 312, (60, 2))
    low, high = (value / mosaic.amplitude_scale for value in page.run("return fpmInr.range"))
    shown = grey_at(page, [(2 * x + 1, 2 * y + 1) for y, x in pixels.tolist()])
    wanted = 255 * np.clip((right[pixels[:, 0], pixels[:, 1]] - low) / (high - low), 0, 1)
    assert np.abs(np.array(shown) - wanted).mean() < 4
    assert np.corrcoef(shown, wanted)[0, 1] > 0.98


def test_a_slow_card_draws_coarser_while_the_focus_turns(page: Any) -> None:
    """And every pixel as soon as it rests."""
    look(page, 512, 512, 1)
    steps = page.run(
        """
      const { draft } = fpmInr.picture, steps = [], run = draft.run.bind(draft);
      draft.stepFor = () => 3; // as on a slow card
      draft.run = (kind, step, ...rest) => { steps.push(step); run(kind, step, ...rest); };
      fpmInr.setZ(-3);
      return window.steps = steps;
    """
    )
    assert steps == []
    page.settle()
    assert page.run("return window.steps") == [3, 1]
    same = page.run(
        f"""{CANVAS}
      const before = read();
      fpmInr.draw();
      return read().every((value, n) => value === before[n]);
    """
    )
    assert same


def test_hands_and_keys(page: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
    from selenium.webdriver.common.by import By

    overlay = page.driver.find_element(By.ID, "overlay")
    look(page, 512, 512, 1)
    ActionChains(page.driver).move_to_element(overlay).click_and_hold().move_by_offset(
        -70, 40
    ).release().perform()
    page.settle()
    assert page.run("return fpmInr.camera.centre") == pytest.approx([582, 472])
    ActionChains(page.driver).scroll_from_origin(
        ScrollOrigin.from_element(overlay), 0, 100
    ).perform()
    assert page.run("return fpmInr.z") == pytest.approx(-20 / 80)
    under = "return fpmInr.placeAt([fpmInr.image.width / 2, fpmInr.image.height / 2])"
    middle = page.run(under)
    overlay.send_keys("+")
    assert page.run("return fpmInr.camera.scale") == pytest.approx(1.25)
    assert page.run(under) == pytest.approx(middle)
    for key, view in (("2", "phase"), ("3", "focus"), ("4", "depth"), ("1", "amplitude")):
        overlay.send_keys(key)
        page.settle()
        assert page.run("return fpmInr.view") == view
    overlay.send_keys("f")
    page.settle()
    assert page.run("return fpmInr.level") == 1
    ActionChains(page.driver).move_to_element(overlay).perform()
    page.wait("readout.textContent.includes('√counts')")


def test_fingers(page: Any) -> None:
    """Two move apart, and what was between them stays there; one moves the map; a tap focuses."""
    cdp = page.driver.execute_cdp_cmd
    cdp("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 5})
    look(page, 512, 512, 0.7)
    middle = under(page, 400, 200)
    touch(page, "Start", (370, 200), (430, 200))
    for half in range(35, 65, 5):
        touch(page, "Move", (400 - half, 200), (400 + half, 200))
    touch(page, "End")
    assert page.run("return fpmInr.camera.scale") == pytest.approx(1.4, rel=1e-3)
    assert under(page, 400, 200) == pytest.approx(middle, abs=0.1)
    held = under(page, 300, 200)
    touch(page, "Start", (300, 200))
    for x in (310, 330, 340):
        touch(page, "Move", (x, 190))
    touch(page, "End")
    assert under(page, 340, 190) == pytest.approx(held, abs=0.1)
    assert page.run("return fpmInr.point") is None
    there = under(page, 380, 230)
    touch(page, "Start", (380, 230))
    touch(page, "End")
    page.wait("fpmInr.focus")
    assert page.run("return fpmInr.point") == pytest.approx(there, abs=0.1)
    cdp("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_a_click_focuses_there(page: Any, mosaic: Mosaic) -> None:
    """From the whole field as well, of whose finest tiles none is there."""
    from fpm_inr.focus import FocusSettings, autofocus, score_slices

    heights = np.linspace(*mosaic.z_range_um, 41)
    scores = score_slices(
        mosaic.slices(heights, window=(256, 256, 512, 512)), FocusSettings("edges")
    )
    peak = scores.score_z_y_x.max(axis=0)[4:-4, 4:-4]
    row, column = np.unravel_index(peak.argmax(), peak.shape)
    y, x = (int(c[4 + n]) for c, n in ((scores.centre_y_px, row), (scores.centre_x_px, column)))
    right = autofocus(scores, y, x).z_um
    page.run(f"fpmInr.setZ({-right}); fpmInr.focusOn([{256 + x + 0.5}, {256 + y + 0.5}])")
    page.wait("fpmInr.focus")
    assert page.run("return fpmInr.z") == pytest.approx(right, abs=0.15)
    assert page.run("return fpmInr.point") == [256 + x + 0.5, 256 + y + 0.5]


def test_all_in_focus_and_depth(page: Any, mosaic: Mosaic, served: MapServer) -> None:
    """Every pixel at the height that the map's depth says."""
    look(page, 512, 512, 1)
    page.run("fpmInr.setView('focus')")
    page.settle()
    depth_um = served.map.depth.depth_um((0, 0))
    for cell in ((20, 30), (33, 40), (45, 17)):
        y, x = (16 * n + 8 for n in cell)
        value = page.run(f"return fpmInr.valueAt([{x}, {y}])")
        z_um = depth_um[cell[0] + 1, cell[1] + 1]
        assert value["depth"] == pytest.approx(z_um, abs=0.01)
        # a corner of four cells' middles lies half a pixel off the pixel's middle
        near = mosaic.render(z_um, window=(y, x, 1, 1)).amplitude_z_y_x[0, 0, 0]
        assert value["amplitude"] == pytest.approx(near * mosaic.amplitude_scale, rel=0.02)
    page.run("fpmInr.setView('depth')")
    page.settle()
    low, high = page.run("return fpmInr.range")
    assert mosaic.z_range_um[0] <= low < high <= mosaic.z_range_um[1]
    page.run("fpmInr.setZ(1)")
    assert page.run("return fpmInr.view") == "amplitude"


def test_no_more_is_held_than_is_in_sight(page: Any) -> None:
    """However far one goes: textures, and the tiles that are counted as held."""
    before = page.run("return fpmInr.stock.how.most")
    # a small window, so that there is more than fits
    page.run("fpmInr.image.style.width = fpmInr.overlay.canvas.style.width = '200px'")
    page.run("fpmInr.image.style.height = fpmInr.overlay.canvas.style.height = '150px'")
    page.run("fpmInr.resize()")
    most = page.run("return fpmInr.stock.how.most")
    assert most < 20 < before
    page.settle()
    held = page.run(f"{COUNT_TEXTURES} return fpmInr.stock.size")
    for x in range(100, 1000, 180):
        for y in (120, 500, 880):
            look(page, x, y, 1.2)
            assert page.run("return fpmInr.stock.size") <= most
    counts = page.run("return window.counts")
    assert counts["made"] > most  # tiles were dropped and others made
    # one more while it takes another's place, and one that is drawn into
    assert held + counts["most"] <= most + 2


def test_links_lead_to_a_place(page: Any, served: MapServer) -> None:
    look(page, 300, 700, 2)
    page.run("fpmInr.setZ(-4.5); fpmInr.setView('phase')")
    page.wait("location.hash.includes('phase')")
    link = page.run("return location.href")
    assert link.endswith("#-4.500,175.00,75.00,2,phase")
    page.driver.get("about:blank")
    page.open(link)
    page.settle()
    camera = page.run("return fpmInr.camera")
    assert camera["centre"] == pytest.approx([300, 700])
    assert camera["scale"] == pytest.approx(2)
    assert page.run("return [fpmInr.z, fpmInr.view]") == [-4.5, "phase"]
    for nonsense in ("#1,2", "#a,b,c,d", "#1,2,3,-4", "#1,2,3,4,nothing", "#%00"):
        page.run("location.hash = arguments[0]", nonsense)
        page.settle()
    assert page.run("return [fpmInr.z, fpmInr.view]") == [-4.5, "phase"]


def test_a_folder_on_any_server_shows_the_same(
    browser: Any, folder: Path, mosaic: Mosaic, tmp_path: Path
) -> None:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    write_site(folder, tmp_path / "site", fingerprint="a")
    (tmp_path / "site" / "tiles" / "0" / "0-0.tile").write_bytes(b"damaged")
    handler = functools.partial(Quiet, directory=tmp_path)
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        browser.open(f"http://127.0.0.1:{server.server_port}/site/#3,128,128,1")
        browser.settle()
        right = mosaic.render(3.0, window=(500, 500, 20, 30)).field_z_y_x[0]
        error = np.abs(field_read(browser, 500, 500, 30, 20) - right)
        assert error.max() < 0.012
        assert browser.complaints() == []
        look(browser, 100, 100, 1)
        assert "damaged" in browser.message
        # the coarser tile stands for it
        coarse = np.abs(field_read(browser, 100, 100, 20, 20)).mean()
        assert coarse == pytest.approx(
            np.abs(mosaic.render(3.0, window=(100, 100, 20, 20)).field_z_y_x).mean(), rel=0.05
        )


def test_what_is_out_of_sight_is_no_longer_fetched(modules: Any, browser: Any) -> None:
    modules("statistics.js", "wrapped", 0)  # leads the browser to the modules
    result = browser.driver.execute_async_script("""
      const done = arguments[0];
      import("/stock.js").then(async ({ Stock }) => {
        const pending = new Map(), dropped = [], aborted = [];
        const stock = new Stock({
          nameOf: (key) => key, most: 3, atOnce: 2,
          load: (key, signal) => new Promise((resolve, reject) => {
            pending.set(key, () => resolve(`piece ${key}`));
            signal.addEventListener("abort", () => {
              aborted.push(key);
              reject(new Error("aborted"));
            });
          }),
          drop: (piece) => dropped.push(piece), onPiece: () => {}, onTrouble: () => {},
        });
        const turn = () => new Promise((resolve) => setTimeout(resolve, 5));
        const come = async (key) => { pending.get(key)(); await turn(); };
        stock.want(["a", "b", "c"]);
        const begun = [...pending.keys()];
        await come("a");
        const next = [...pending.keys()];
        stock.want(["a", "d", "e", "f", "g"]);
        await turn();
        await come("d");
        await come("e");
        stock.want(["g", "h", "a"]);
        await come("g");
        await come("h");
        done({ begun, next, aborted, dropped, size: stock.size, idle: stock.isIdle,
          held: ["a", "d", "e", "g", "h"].filter((key) => stock.get(key)),
          asked: [...pending.keys()] });
      });
    """)
    assert result["begun"] == ["a", "b"]  # two at a time
    assert result["next"] == ["a", "b", "c"]
    assert result["aborted"] == ["b", "c"]
    assert "f" not in result["asked"]  # beyond what may be held
    assert result["held"] == ["a", "g", "h"]
    assert sorted(result["dropped"]) == ["piece d", "piece e"]
    assert (result["size"], result["idle"]) == (3, True)


def test_where_tiles_lie_is_what_python_says(modules: Any) -> None:
    shapes = ((1300, 700), (650, 350), (325, 175))
    grid = TileGrid(shapes)
    atlas = {"levels": shapes, "tilePx": 256, "apronPx": 1}
    for level in range(3):
        assert tuple(modules("atlas.js", "countOf", atlas, level)) == grid.count(level)
        area = [0, 0, 700, 1300]
        found = modules("atlas.js", "tilesIn", atlas, level, area)
        assert sorted((t["row"], t["column"]) for t in found) == [
            (key.row, key.column) for key in grid.keys(level)
        ]
        boxes = [modules("atlas.js", "boxOf", atlas, tile) for tile in found]
        assert sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in boxes) == 1300 * 700
    key = {"level": 1, "row": 2, "column": 1}
    box = modules("atlas.js", "boxOf", atlas, key)
    assert box == [512, 1024, 700, 1300]
    # 94 x 138 pixels of its own and the apron
    place = modules("atlas.js", "placeIn", atlas, key, box)
    assert place == pytest.approx([1 / 96, 1 / 140, 95 / 96, 139 / 140])
    assert modules("atlas.js", "above", atlas, {"level": 0, "row": 5, "column": 2}) == {
        "level": 1,
        "row": 2,
        "column": 1,
    }
    for scale, level in ((4, 0), (0.8, 0), (0.79, 1), (0.4, 1), (0.1, 2)):
        assert modules("atlas.js", "levelFor", atlas, scale) == level


def test_the_first_view_waits_for_little(browser: Any, served: MapServer) -> None:
    """The coarsest level comes before anything else is asked for."""
    browser.open(served.address + "#0,128,128,3")
    browser.settle()
    asked = browser.run(
        "return performance.getEntriesByType('resource').map((e) => e.name)"
        ".filter((n) => n.includes('tiles/')).map((n) => n.split('tiles/')[1])"
    )
    assert all(name.startswith("1/") for name in asked[:4])
    assert any(name.startswith("0/") for name in asked)
