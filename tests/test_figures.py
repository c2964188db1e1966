"""Preview figures: laws of what is shown, and that they are pictures."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fpm_inr.errors import OutputError
from fpm_inr.figures import phase_limit, preview_figure, relative_phase, save_figure
from fpm_inr.solution import ImageStack


def stack(count: int, shape: tuple[int, int] = (32, 24), strength: float = 0.5) -> ImageStack:
    y, x = np.mgrid[: shape[0], : shape[1]]
    z_um = np.linspace(-10, 10, count) if count > 1 else np.zeros(1)
    phase = strength * np.sin(x / 3)[None] * np.cos(z_um / 9)[:, None, None]
    return ImageStack((1 + 0.2 * np.cos(y / 4)) * np.exp(1j * phase), z_um, 0.5, 20.0)


@pytest.mark.parametrize("count", [1, 3, 41])
def test_preview_is_written_as_a_picture(tmp_path: Path, count):
    figure = preview_figure(np.ones((16, 12)), stack(count), 1.0, "a title")
    save_figure(figure, tmp_path / "preview.png")
    with Image.open(tmp_path / "preview.png") as image:
        assert image.width > 500
        assert np.asarray(image.convert("L")).std() > 10
    assert [p.name for p in tmp_path.iterdir()] == ["preview.png"]


def test_preview_says_heights_and_shares_scales():
    figure = preview_figure(np.ones((16, 12)), stack(41), 1.0)
    titles = [a.get_title() for a in figure.axes]
    assert "raw frame" in titles
    assert "z = -10.00 µm" in titles
    assert "z = +10.00 µm" in titles
    limits = {a.images[0].get_clim() for a in figure.axes if a.get_title().startswith("z")}
    assert len(limits) == 1
    low, high = limits.pop()
    assert 15 < low < high < 25  # in the camera's unit


def test_weak_phase_has_a_scale_of_its_own():
    assert phase_limit(np.linspace(-0.2, 0.2, 999, dtype=np.float32)) == pytest.approx(0.2, 0.02)
    assert phase_limit(np.linspace(-2, 2, 999, dtype=np.float32)) == np.pi
    assert phase_limit(np.zeros((4, 4), np.float32)) > 0


@pytest.mark.parametrize("offset", [0.0, 1.0, 3.1, -2.0])
def test_relative_phase_forgets_a_constant(offset):
    field = stack(1).field_z_y_x[0]
    turned = relative_phase(field * np.exp(1j * offset).astype(np.complex64))
    np.testing.assert_allclose(turned, relative_phase(field), atol=1e-5)


def test_no_global_state_is_used():
    assert (
        "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    )


def test_a_missing_folder_is_told(tmp_path: Path):
    with pytest.raises(OutputError, match="its folder does not exist"):
        save_figure(preview_figure(np.ones((8, 8)), stack(1), 1.0), tmp_path / "no" / "p.png")
