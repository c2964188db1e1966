"""Times of the exported page in headless Chromium: opening from disk, moving z, then still.

python benchmarks/viewer_frames.py [--kind spline] [--sides 256 1024 2048] [--planes 13]
    [--reach 0.17] [--gpu] [--repeats 3]

The field is random: its size decides the times, not what it shows. Without --gpu, pages are drawn
by SwiftShader, the software renderer. Needs chromium and chromedriver.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch
from selenium import webdriver

from fpm_inr.acquisition import Optics
from fpm_inr.fields.neural import NeuralField
from fpm_inr.fields.spline import SplineField
from fpm_inr.forward import Instrument
from fpm_inr.solution import Solution
from fpm_inr.viewer.export import export_page
from fpm_inr.viewer.sources import field_source

WINDOW = (1280, 800)
SOFTWARE = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
HARDWARE = ("--use-gl=angle", "--ignore-gpu-blocklist", "--enable-gpu")
OPENED = """
  const at = (name) => performance.getEntriesByName(`fpm-inr: ${name}`)[0].startTime;
  return [at("interactive"), at("sharp")];
"""
# z moves at every frame of the screen, as under a dragged slider, for three seconds
MOVE = """
  const done = arguments[0], app = window.fpmInr, [low, high] = app.field.zRange;
  const began = performance.now();
  let shown = app.main.layer.shown, images = 0;
  const frame = (now) => {
    if (app.main.layer.shown !== shown) images++;
    shown = app.main.layer.shown;
    if (now - began > 3000) {
      done([(now - began) / images, app.main.layer.preview.step]);
      return;
    }
    app.setZ(low + (high - low) * (0.5 + 0.4 * Math.sin((now - began) / 500)));
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
"""
REST = """
  const done = arguments[0], app = window.fpmInr;
  app.setZ(app.field.zRange[0] + 1);
  const began = performance.now();
  const look = () => {
    if (app.isSettled) done(performance.now() - began);
    else setTimeout(look, 2);
  };
  look();
"""


def main() -> None:
    """Print one line for every side and kind of page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=("spline", "neural"), default="spline")
    parser.add_argument("--planes", type=int, default=13, help="of a spline field")
    parser.add_argument("--reach", type=float, default=0.17, help="its cycles per pixel")
    parser.add_argument("--sides", type=int, nargs="+", default=[256, 1024, 2048])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--gpu", action="store_true", help="draw on the graphics card")
    arguments = parser.parse_args()
    print("side  page    MB  interactive  sharp  moving: ms an image, one pixel in  still: s")
    with tempfile.TemporaryDirectory() as folder:
        for side in arguments.sides:
            field = Path(folder) / "field.safetensors"
            if arguments.kind == "neural":
                random_solution(neural(side)).save(field)
            else:
                random_solution(spline(side, arguments.planes, arguments.reach)).save(field)
            print(f"{side:4}  field {field.stat().st_size / 1e6:5.1f}")
            for exact in (False, True):
                page = Path(folder) / "field.html"
                size = export_page([field_source(field)], page, exact=exact)
                runs = [times(page, arguments.gpu) for _ in range(arguments.repeats)]
                opened, sharp, moving, step, still = map(median, zip(*runs, strict=True))
                print(
                    f"{side:4}  {'exact' if exact else 'bytes'} {size / 1e6:5.1f} "
                    f"{opened / 1e3:9.2f} s {sharp / 1e3:6.2f} s {moving:12.0f} {step**2:17.0f} "
                    f"{still / 1e3:18.2f}",
                    flush=True,
                )


def neural(side: int) -> NeuralField:
    """A field of random features."""
    torch.manual_seed(0)
    return NeuralField((side, side), (-20.0, 20.0), unit_start=False)


def spline(side: int, planes: int, reach: float) -> SplineField:
    """A field of random planes, with frequencies up to `reach` cycles a pixel."""
    torch.manual_seed(0)
    line = torch.arange(-(side // 2), (side + 1) // 2)
    y, x = torch.meshgrid(line, line, indexing="ij")
    radius = torch.hypot(y / side, x / side)
    inside = radius <= reach
    field = SplineField(
        (side, side), (-20.0, 20.0), torch.stack([y[inside], x[inside]]), planes=planes
    )
    with torch.no_grad():
        strength = (radius[inside] + 2 / side) ** -1.5  # falls off as that of real specimens
        noise = torch.randn_like(field.spectrum) * strength[:, None]
        field.spectrum += 0.5 * noise / noise.square().sum(dim=(1, 2), keepdim=True).sqrt()
    return field


def random_solution(field: NeuralField | SplineField) -> Solution:
    """A solution of a field, with an instrument of no account."""
    instrument = Instrument(torch.zeros(1, 2), torch.ones(1), torch.zeros(0))
    field.requires_grad_(False)
    return Solution(field, Optics(0.63, 0.25, 0.65, 1.33), instrument, 2, 10.0)


@contextlib.contextmanager
def browser(gpu: bool) -> Iterator[Any]:
    """A fresh Chromium."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (
        "--headless=new",
        "--no-sandbox",
        f"--window-size={WINDOW[0]},{WINDOW[1]}",
        "--disable-background-networking",
        *(HARDWARE if gpu else SOFTWARE),
    ):
        options.add_argument(flag)
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    driver.set_script_timeout(600)
    try:
        yield driver
    finally:
        driver.quit()


def times(page: Path, gpu: bool) -> tuple[float, ...]:
    """Open a page in a fresh browser: ms to interactive and sharp; ms and step moving; ms still."""
    with browser(gpu) as driver:
        driver.get("about:blank")
        time.sleep(1)  # until the browser itself has started
        driver.get(page.as_uri())
        while not driver.execute_script("return Boolean(window.fpmInr?.isSettled)"):
            time.sleep(0.02)
        opened = driver.execute_script(OPENED)
        moving = driver.execute_async_script(MOVE)
        return (*opened, *moving, driver.execute_async_script(REST))


if __name__ == "__main__":
    main()
