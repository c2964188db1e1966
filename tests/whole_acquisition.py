"""Frames of 1024 x 1024, made without the package's model, through every engine; run as a script.

It prints the data residual by engine, and that of a clear field, as JSON.
"""

from __future__ import annotations

import json

import numpy as np
import torch
from scipy import fft

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.engines.recipe import Recipe, load_recipe, make_recipe
from fpm_inr.reconstruction import data_residual, reconstruct

SIDE = 1024
OPTICS = Optics(wavelength_um=0.5, na=0.2, pixel_um=0.5)
PLACES = ((0, 0), (150, 0), (-150, 0), (0, 150), (0, -150))  # of the LEDs, in whole samples (y, x)


def whole_acquisition() -> Acquisition:
    """Five frames of smooth random amplitude and phase, through a hard pupil."""
    random = np.random.default_rng(0)
    fine = 2 * SIDE
    y, x = fft.fftfreq(fine)[:, None], fft.fftfreq(fine)[None, :]
    blur = np.exp(-(y**2 + x**2) / 0.005)
    parts = fft.ifft2(fft.fft2(random.standard_normal((2, fine, fine)), workers=2) * blur).real
    parts /= parts.std(axis=(1, 2), keepdims=True)
    spectrum = fft.fft2((1 + 0.2 * parts[0]) * np.exp(0.3j * parts[1]), workers=2) / fine**2
    sample_na = OPTICS.wavelength_um / (SIDE * OPTICS.pixel_um)
    index = np.rint(fft.fftfreq(SIDE, 1 / SIDE)).astype(int)
    pupil = np.hypot(index[:, None], index[None, :]) * sample_na < OPTICS.na
    frames = [
        np.abs(fft.ifft2(spectrum[np.ix_(index + dy, index + dx)] * pupil, workers=2) * SIDE**2)
        for dy, dx in PLACES
    ]
    na_xy = np.array(PLACES)[:, ::-1] * sample_na
    return Acquisition(1000 * np.square(frames), OPTICS, Illumination(na_xy))


def narrow(name: str) -> Recipe:
    """A recipe with fewer features, which suffice to see that it learns."""
    content = load_recipe(name).model_dump()
    content["field"].update(channels=2, hidden=2)
    return make_recipe(content)


def residuals() -> dict[str, float]:
    """Data residual after a few steps of every engine; `clear`: of a field of 1."""
    acquisition = whole_acquisition()
    keys = {
        "default": {"steps": 3},
        "neural": {"recipe": narrow("neural"), "steps": 4},
        "paper": {"recipe": narrow("paper"), "steps": 3},
        "conventional": {"engine": "conventional", "passes": 1},
    }
    found = {}
    for name, how in keys.items():
        solution = reconstruct(acquisition, upsample=2, device="cpu", **how)  # type: ignore[arg-type]
        assert solution.shape_y_x == (2 * SIDE, 2 * SIDE)
        found[name] = data_residual(acquisition, solution, [0.0])[0]
    amplitude = acquisition.amplitude_led_y_x / acquisition.amplitude_scale
    found["clear"] = float(np.square(amplitude - 1).mean() / np.square(amplitude).mean())
    return found


if __name__ == "__main__":
    torch.set_num_threads(2)
    print(json.dumps(residuals()))
