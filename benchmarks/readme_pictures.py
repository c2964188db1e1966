"""The README's pictures, from the project's two real examples.

    python benchmarks/readme_pictures.py BLOODSMEAR ALGAE -o docs/images

BLOODSMEAR: the folder of an acquisition.yaml (examples/bloodsmear_red); ALGAE: algae_r.mat.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

import fpm_inr as fpm
from fpm_inr.calibration.calibrate import calibrate

Z_BLOOD_UM = -55.0


def shown(axes: object, image: NDArray[np.float32], title: str) -> None:
    low, high = np.percentile(image, [0.5, 99.5])
    axes.imshow(image, cmap="gray", vmin=low, vmax=high)  # type: ignore[attr-defined]
    axes.set(xticks=[], yticks=[], title=title)  # type: ignore[attr-defined]


def flat_phase(image: NDArray[np.complex64]) -> NDArray[np.float32]:
    return np.asarray(np.angle(image * np.exp(-1j * np.angle(image.mean()))), dtype=np.float32)


def saved(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=100)
    Image.open(path).convert("RGB").quantize(96).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


def blood(data: Path, folder: Path) -> None:
    acquisition = fpm.load(data)
    instrument = calibrate(acquisition, z_um=Z_BLOOD_UM).instrument
    solution = fpm.reconstruct(acquisition, z_range_um=(-80, -30), calibration=instrument)
    print(f"bloodsmear: {solution.record['solve_seconds']:.1f} s")
    image = solution.render([Z_BLOOD_UM])
    centre = int(acquisition.illumination.na_led.argmin())
    figure = Figure(figsize=(12, 4.3), layout="constrained")
    axes = figure.subplots(1, 3)
    shown(axes[0], acquisition.amplitude_led_y_x[centre], "raw frame, LED nearest to the axis")
    shown(axes[1], image.amplitude_z_y_x[0], f"amplitude, z = {Z_BLOOD_UM:g} um")
    shown(axes[2], flat_phase(image.field_z_y_x[0]), f"phase, z = {Z_BLOOD_UM:g} um")
    saved(figure, folder / "bloodsmear.png")


def algae(data: Path, folder: Path) -> None:
    acquisition = fpm.load(data, wavelength_um=0.63, medium_index=1.33, crop=(64, 64, 128, 128))
    solution = fpm.reconstruct(acquisition, z_range_um=(-60, 20))
    print(f"algae: {solution.record['solve_seconds']:.1f} s")
    heights = [-52.0, -44.0, -36.0, -28.0, -20.0]
    stack = solution.render(heights)
    figure = Figure(figsize=(12, 5.1), layout="constrained")
    axes = figure.subplots(2, len(heights))
    for n, z in enumerate(heights):
        shown(axes[0, n], stack.amplitude_z_y_x[n], f"z = {z:g} um")
        shown(axes[1, n], flat_phase(stack.field_z_y_x[n]), "")
    axes[0, 0].set_ylabel("amplitude")
    axes[1, 0].set_ylabel("phase")
    saved(figure, folder / "algae.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bloodsmear", type=Path)
    parser.add_argument("algae", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/images"))
    arguments = parser.parse_args()
    algae(arguments.algae, arguments.output)
    blood(arguments.bloodsmear, arguments.output)
