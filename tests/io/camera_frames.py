"""Frames as a camera would write them, for tests that write the files themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.forward import compile_forward, nominal_instrument
from fpm_inr.illumination import flat_array, raster_steps

SIDE, ROWS = 48, 5
LEDS = ROWS * ROWS
OPTICS = {"wavelength_um": 0.53, "na": 0.1, "pixel_um": 1.2}
GRID = {"rows": ROWS, "columns": ROWS, "pitch_mm": 4.0, "distance_mm": 80.0}


def true_acquisition(rows: int = ROWS, side: int = SIDE, seed: int = 0) -> Acquisition:
    """Frames of a smooth object with a few opaque specks, intensities 0 to about 200."""
    import torch

    geometry = flat_array(raster_steps(rows, rows) * 4.0, 80.0)
    light = Illumination(geometry.na_at(), geometry)
    empty = Acquisition(np.ones((rows**2, side, side), np.float32), Optics(**OPTICS), light)
    model = compile_forward(empty, 2)
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(*[np.fft.fftfreq(2 * side)] * 2, indexing="ij")
    smooth = np.fft.ifft2(
        np.fft.fft2(rng.normal(size=(2, 2 * side, 2 * side))) * np.exp(-(y**2 + x**2) / 0.004)
    ).real
    amplitude, phase = smooth / np.abs(smooth).max(axis=(1, 2), keepdims=True)
    clear = np.exp(-np.clip(6 * (amplitude - 0.3), 0, 3)) * np.exp(1j * phase)
    field = torch.from_numpy(clear.astype(np.complex64))
    frames = model.amplitude(
        model.spectrum(field)[None],
        torch.zeros(1),
        torch.arange(rows**2),
        model.aperture(nominal_instrument(empty).to("cpu")),
    )[0]
    return Acquisition(150 * frames.numpy() ** 2, empty.optics, light)


def true_frames() -> NDArray[np.float64]:
    """Intensities [led, y, x] of `true_acquisition`."""
    return true_acquisition().frames_led_y_x.astype(np.float64)


def describe(folder: Path, **frames: Any) -> Path:
    """Write an acquisition.yaml; keywords are keys of `frames`, but for those of `leds` in it."""
    leds = frames.pop("leds", {"grid": GRID})
    extra = {key: frames.pop(key) for key in ("optics",) if key in frames}
    content = {"frames": {"file": "*.tif", **frames}, "optics": OPTICS, "leds": leds, **extra}
    (folder / "acquisition.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return folder
