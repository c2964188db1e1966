"""The map of a whole field in headless Chromium: first view, frames, memory of page and server.

    python benchmarks/map.py [--tiles 20] [--colour] [--site] [--gpu] [--mosaic FOLDER]

The field is made of four solved tiles, repeated (20 x 20 tiles: 71 megapixels; --colour: of three
wavelengths). With --site the tiles are written beforehand and served as files; else `fpm-inr view`
makes them when they are asked for. Without --gpu the page is drawn by SwiftShader, the software
renderer. A drive pans, zooms and turns the focus at three scales. Frames are the intervals at which
the browser asks for the next image; memory is what processes hold (Linux), of the server at most.
Needs chromium and chromedriver. Takes one to two minutes; with --site some more.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from viewer_frames import browser

from fpm_inr.viewer.field_map import map_of

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.mosaic.repeated import repeated_colours, repeated_mosaic

MARK = "return performance.getEntriesByName(`fpm-inr: ${arguments[0]}`)[0]?.startTime"
# intervals between frames over some seconds of a movement, and whether each showed all tiles
MOVE = """
  const [name, ms, done] = arguments, app = window.fpmInr, times = [], began = performance.now();
  const [low, high] = app.zRange, start = { ...app.camera };
  const far = 500 / start.scale; // canvas pixels
  const moves = {
    pan: (t) => app.look({ ...start, centre: [
      start.centre[0] + far * Math.sin(t), start.centre[1] + far * (1 - Math.cos(t))] }),
    zoom: (t) => app.look({ ...start, scale: start.scale * 2 ** (1.5 * Math.sin(2 * t)) }),
    focus: (t) => app.setZ(low + (high - low) * (0.5 + 0.4 * Math.sin(2 * t))),
  };
  let before = began, sharp = 0;
  const frame = (now) => {
    times.push(now - before);
    sharp += app.isSharp;
    before = now;
    if (now - began > ms) {
      app.look(start);
      done([times.slice(1), sharp / times.length]);
      return;
    }
    moves[name]((now - began) / 1000);
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
"""
MOVES = ("focus", "pan", "zoom")


def main() -> None:
    """Print first view, frame times at three scales, and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, default=20, help="solved tiles a side")
    parser.add_argument("--colour", action="store_true", help="three wavelengths")
    parser.add_argument("--mosaic", type=Path, help="a mosaic to show instead")
    parser.add_argument("--site", action="store_true", help="serve files written beforehand")
    parser.add_argument("--gpu", action="store_true", help="draw on the graphics card")
    parser.add_argument("--seconds", type=float, default=4, help="of every movement")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        make = repeated_colours if given.colour else repeated_mosaic
        mosaic = given.mosaic or make(Path(place) / "field", given.tiles)
        height, width = map_of(mosaic).tiles.grid.shape_level[0]
        print(f"{height} x {width} pixels, {height * width / 1e6:.0f} megapixels")
        serving = site(mosaic, Path(place) / "site") if given.site else view(mosaic)
        with serving as (address, server), browser(given.gpu) as driver:
            measure(driver, address, given.seconds)
            chromium = memory_mb(driver.service.process.pid)
            print(*(f"{name} {size:.0f} MB" for name, size in chromium.items()), sep=", ")
            if server is not None:
                print(f"server, at most: {peak_mb(server):.0f} MB")


def measure(driver: Any, address: str, seconds: float) -> None:
    """Open the map, then move over it at its whole, halfway in, and at its finest level."""
    driver.get("about:blank")
    time.sleep(1)  # until the browser itself has started
    driver.get(address)
    for name in ("seen", "sharp"):
        while (at := driver.execute_script(MARK, name)) is None:
            time.sleep(0.02)
        print(f"{name} {at / 1e3:.2f} s after the address was opened", flush=True)
    finest = driver.execute_script("return fpmInr.camera.scale")
    every: list[float] = []
    for scale in (finest, finest**0.5, 1.0):
        began = time.monotonic()
        driver.execute_script("fpmInr.look({ ...fpmInr.camera, scale: arguments[0] })", scale)
        while not driver.execute_script("return fpmInr.isSharp"):
            time.sleep(0.02)
        print(
            f"level {driver.execute_script('return fpmInr.level')}: all in sight sharp after "
            f"{time.monotonic() - began:.1f} s",
            flush=True,
        )
        settle(driver)
        for name in MOVES:
            times, sharp = driver.execute_async_script(MOVE, name, 1000 * seconds)
            every += times
            print(f"  {name:5}  {told(times)}; all tiles there in {sharp:.0%} of them", flush=True)
            settle(driver)
        held = driver.execute_script("return [fpmInr.stock.size, fpmInr.stock.how.most]")
        print(f"  tiles held {held[0]} of at most {held[1]}")
    print(f"the whole drive: {told(every)}")


def told(times: list[float]) -> str:
    """Frame times in words."""
    return (
        f"{len(times):3} frames, median {median(times):.0f} ms, "
        f"95 % {quantiles(times, n=20, method='inclusive')[-1]:.0f} ms, worst {max(times):.0f} ms"
    )


def settle(driver: Any) -> None:
    """Wait until the page asks for nothing more."""
    while not driver.execute_script("return fpmInr.isSettled"):
        time.sleep(0.05)


@contextlib.contextmanager
def view(mosaic: Path) -> Iterator[tuple[str, int | None]]:
    """`fpm-inr view` in a process of its own."""
    command = [sys.executable, "-m", "fpm_inr", "view", str(mosaic), "--no-browser"]
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        print(f"`fpm-inr view` gave its address after {time.monotonic() - began:.1f} s")
        yield address, process.pid
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def site(mosaic: Path, folder: Path) -> Iterator[tuple[str, int | None]]:
    """`fpm-inr export --site`, then a plain server of files."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    began = time.monotonic()
    command = [sys.executable, "-m", "fpm_inr", "export", str(mosaic), "--site", str(folder)]
    subprocess.run(command, check=True)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"site: {size / 1e6:.0f} MB, written in {time.monotonic() - began:.0f} s")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", None
    server.shutdown()


def memory_mb(parent: int) -> dict[str, float]:
    """Memory of Chromium's tab, of its process that draws, and of all; shared parts count once."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
    family = {parent}
    while more := {pid for pid, above in parents.items() if above in family} - family:
        family |= more
    kinds = {"renderer": "tab", "gpu-process": "drawing process"}
    found = dict.fromkeys([*kinds.values(), "all of Chromium"], 0.0)
    for pid in family:
        with contextlib.suppress(OSError):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            size = int(rollup.split("Pss:")[1].split()[0]) / 1024
            command = Path(f"/proc/{pid}/cmdline").read_text()
            found["all of Chromium"] += size
            for kind, name in kinds.items():
                found[name] += size * (f"--type={kind}" in command)
    return found


def peak_mb(pid: int) -> float:
    """The most memory that a process has held."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
