"""A headless Chromium, where there is one, and small fields to show in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from fpm_inr.acquisition import Optics
from fpm_inr.fields.neural import NeuralField
from fpm_inr.forward import Instrument
from fpm_inr.solution import Solution

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,800",
)


def make_solution(
    shape_y_x: tuple[int, int] = (90, 131),
    z_range_um: tuple[float, float] = (-20.0, 40.0),
    **field: Any,
) -> Solution:
    """A field of strong random structure: amplitudes around 1, phases over several radians."""
    torch.manual_seed(3)
    made = NeuralField(shape_y_x, z_range_um, unit_start=False, **field)
    with torch.no_grad():
        noise = torch.randn_like(made.plane)
        smooth = torch.nn.functional.avg_pool2d(noise.permute(0, 3, 1, 2), 3, 1, 1)
        made.plane.copy_(3 * smooth.permute(0, 2, 3, 1))
        made.weight_3[1] *= 6
        made.bias_3[0] += 0.4
    return Solution(
        made.requires_grad_(False),
        Optics(0.63, 0.25, 0.65, 1.33),
        Instrument(torch.zeros(1, 2), torch.ones(1), torch.zeros(0)),
        2,
        10.0,
    )


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    binaries = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in binaries:
        pytest.skip("needs chromium and chromium-driver (apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = binaries[0]
    for flag in FLAGS:
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(binaries[1]))
    driver.set_script_timeout(60)
    yield driver
    driver.quit()


@pytest.fixture
def field_path(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    make_solution().save(path)
    return path
