"""Predicted over observed noise, and faults that are named: what docs/trust.md shows.

    python benchmarks/trust.py noise
    python benchmarks/trust.py noise --photons 500 --side 96 128 --specimens smear siemens
    python benchmarks/trust.py memory --side 512 512
    python benchmarks/trust.py faults
    python benchmarks/trust.py pictures docs/images

Noise: frames of the package's simulator, repeated with fresh photon and read noise; one of them is
judged by `fpm_inr.trust`. Faults: frames made here by multi-slice light and a sharp pupil, apart
from the package's forward model.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.fft import fft2, fftshift, ifft2, ifftshift
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage import data
from skimage.transform import resize

import fpm_inr as fpm
from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.figures import save_figure
from fpm_inr.results import peak_memory_mb
from fpm_inr.simulate import preset, simulate
from fpm_inr.simulate.camera import Camera, expose
from fpm_inr.simulate.samples import Specimen
from fpm_inr.simulate.smear import draw_smear
from fpm_inr.trust.again import change, noise_draw
from fpm_inr.trust.assess import assess
from fpm_inr.trust.figures import model_figure
from fpm_inr.trust.model_error import model_error
from fpm_inr.trust.noise_map import NoiseMap, noise_map
from fpm_inr.trust.transfer import transfer

SIDE, UP = 96, 2
SPECIMENS = {
    "smear": ("blood-smear", Specimen("smear", "thin")),
    "slow phase": ("slow-phase", Specimen("slow-phase", "thin", opacity=0.6, phase_rad=2.4)),
    "stained": ("thyroid", Specimen("immunohistochemistry", "thin")),
    "siemens": ("siemens", preset("siemens").specimen),
    "usaf": ("usaf", preset("usaf").specimen),
}
OPTICS = Optics(0.532, 0.25, 0.345)
LED, CLIPPED = 20, [3, 7]
Complex = NDArray[np.complex128]


def noise(draws: int, photons: float, shape: tuple[int, int], names: list[str]) -> None:
    """Print predicted over observed standard deviation."""
    print("| specimen | z, um | amplitude | phase | bands of amplitude | bands of phase |")
    print("|---|---|---|---|---|---|")
    for name in names:
        rig, specimen = SPECIMENS[name]
        for z_range, heights in (((0.0, 0.0), [0.0]), ((-4.0, 4.0), [-2.5, 0.0, 2.5])):
            thick = z_range[1] > 0
            shown = replace(specimen, shape="tilted", tilt_deg=8.0) if thick else specimen
            setup = replace(
                preset(rig), specimen=shown, shape_y_x=shape, scan_z_um=(), camera=Camera()
            )
            clean = simulate(setup).acquisition
            camera = Camera(photons=photons, read_noise_e=2, bits=12)
            series = []
            for seed in range(draws):
                light = expose(clean.frames_led_y_x, camera, np.random.default_rng(seed))
                series.append(replace(clean, frames_led_y_x=light))
            solved = [fpm.reconstruct(one, z_range_um=z_range) for one in series]
            first, second = noise_draw(series[0], solved[0])
            for z_um in heights:
                images = [one.render(z_um).field_z_y_x[0] for one in solved]
                draw = change(second.render(z_um).field_z_y_x[0], images[0])
                told = transfer(clean, first.upsampling, z_um=z_um)
                row = _compared(noise_map(images[0], draw, told), images)
                print(
                    f"| {name} | {z_um:g} of {z_range[0]:g} to {z_range[1]:g} | {row} |", flush=True
                )


def memory(shape: tuple[int, int]) -> None:
    """Print the largest memory of a process that solves a smear, and after it has judged it."""
    setup = replace(preset("blood-smear"), shape_y_x=shape, scan_z_um=())
    acquisition = simulate(setup).acquisition
    for z_range_um in ((0.0, 0.0), (-4.0, 4.0)):
        solution = fpm.reconstruct(acquisition, z_range_um=z_range_um)
        solved = peak_memory_mb()
        assess(acquisition, solution)
        print(
            f"| {shape} | {z_range_um} | {solved:.0f} MB | {peak_memory_mb():.0f} MB |", flush=True
        )


def _compared(found: NoiseMap, images: list[Complex]) -> str:
    mean = np.mean(images, axis=0)
    turned = np.array([change(one, mean) for one in images]) * np.exp(-1j * np.angle(mean))
    cells = []
    for part, told in (
        (turned.real, found.amplitude_y_x),
        (np.angle(1 + turned / np.abs(mean)), found.phase_y_x),
    ):
        # repeats scatter themselves, 20 by 16 %: their squares are averaged over two pixels
        ratio = np.sqrt(gaussian_filter(part.var(axis=0, ddof=1) / told**2, 1.0, mode="wrap"))
        cells.append(f"{np.mean(np.abs(1 / ratio - 1) < 0.2):.0%}")
    side = min(mean.shape)
    y, x = (np.fft.fftfreq(length) * side for length in mean.shape)
    band = np.digitize(np.hypot(y[:, None], x), found.edges_cycles) - 1
    count = len(found.edges_cycles) - 1
    for part, predicted in (
        (turned.real, found.amplitude_band),
        (turned.imag, found.phase_band),
    ):
        power = (np.abs(fft2(part)) ** 2).sum(axis=0) / (len(part) - 1) / mean.size**2
        seen = np.sqrt(np.bincount(band.ravel(), power.ravel(), minlength=count))
        cells.append(
            " ".join(f"{p / s:.2f}" for p, s in zip(predicted[1:-1], seen[1:-1], strict=True))
        )
    return " | ".join(cells)


def frames(layers: list[tuple[float, Complex]], coma_rad: float = 0.0) -> Acquisition:
    """Frames of layers (height, transmission), ascending, with the focus at height 0."""
    axis = np.arange(-7, 8) * 4.0
    places = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    na_xy = places / np.sqrt((places**2).sum(axis=1) + 66.0**2)[:, None]
    na_xy = na_xy[np.argsort(np.hypot(*na_xy.T), kind="stable")][:61]
    wave, big = 2 * np.pi / OPTICS.wavelength_um, SIDE * UP
    k = 2 * np.pi * np.fft.fftfreq(big, OPTICS.pixel_um / UP)
    axial = np.sqrt(np.maximum(wave**2 - k[:, None] ** 2 - k**2, 0))
    place = np.arange(big) * OPTICS.pixel_um / UP
    sample = OPTICS.wavelength_um / (SIDE * OPTICS.pixel_um)
    grid = (np.arange(SIDE) - SIDE // 2) * sample
    middle = np.s_[(big - SIDE) // 2 : (big + SIDE) // 2]
    seen = np.empty((len(na_xy), SIDE, SIDE), np.float32)
    for led, na in enumerate(na_xy):
        x, y = np.round(na / sample) * sample
        at_y = (grid[:, None] - (y - na[1])) / OPTICS.na
        at_x = (grid - (x - na[0])) / OPTICS.na
        radius = np.hypot(at_y, at_x)
        coma = np.sqrt(8) * (3 * radius**2 - 2) * at_x
        pupil = (radius <= 1) * np.exp(1j * coma_rad * coma)
        light = np.exp(1j * wave * (x * place + y * place[:, None]))
        height = layers[0][0]
        for z_um, layer in [*layers, (0.0, np.ones((big, big), complex))]:
            light = ifft2(fft2(light) * np.exp(1j * axial * (z_um - height)) * (axial > 0)) * layer
            height = z_um
        cut = fftshift(fft2(light))[middle, middle]
        seen[led] = np.abs(ifft2(ifftshift(cut * pupil)) / UP**2) ** 2
    counts = np.random.default_rng(0).poisson(seen / seen.max() * 5000)
    return Acquisition(counts.astype(np.float32), OPTICS, Illumination(-na_xy))


def objects() -> dict[str, Complex]:
    big = SIDE * UP
    y = (np.arange(big) - big / 2) * OPTICS.pixel_um / UP
    absorption, phase = draw_smear(y, y, 0)
    picture = resize(data.immunohistochemistry()[..., 0] / 255.0, (big, big), anti_aliasing=True)
    amplitude = np.sqrt(0.1 + 0.9 * picture)
    drawn = {
        "smear": (1 - 0.6 * absorption) * np.exp(1j * phase),
        "stained": amplitude * np.exp(0.8j * (1 - amplitude)),
    }
    ramp = np.clip(np.minimum(np.arange(big), np.arange(big)[::-1]) / 16, 0, 1)
    fade = np.outer(ramp, ramp)
    return {name: one * fade + (1 - fade) * one.mean() for name, one in drawn.items()}


def faulty(name: str) -> Iterator[tuple[str, Acquisition]]:
    """Right frames of an object, and wrong ones."""
    drawn = objects()
    here, other = drawn[name], drawn["stained" if name == "smear" else "smear"]
    right = frames([(0.0, here)])
    yield "none", right
    yield "coma of 0.1 waves", frames([(0.0, here)], 0.2 * np.pi)
    part = np.zeros(here.shape)
    part[len(here) // 2 + 8 : -8, len(here) // 2 + 8 : -8] = 1
    yield "second layer at 15 um", frames([(0.0, here), (15.0, np.exp(np.log(other) * part))])
    na_xy = right.illumination.na_led_xy.copy()
    na_xy[LED] += np.array([2.4, 1.8]) * OPTICS.wavelength_um / (SIDE * OPTICS.pixel_um)
    yield f"LED {LED} 3 samples off", replace(right, illumination=Illumination(na_xy))
    cut = right.frames_led_y_x.copy()
    for led in CLIPPED:
        cut[led] = np.minimum(cut[led], np.percentile(cut[led], 70))
    yield "frames 3 and 7 clipped", replace(right, frames_led_y_x=cut)


def faults() -> None:
    """Print what is named."""
    for name in objects():
        for what, acquisition in faulty(name):
            found = model_error(acquisition, fpm.reconstruct(acquisition), 0.0)
            told = " ".join(found.warnings()) or "nothing"
            print(f"| {name} | {what} | {found.excess:.2f} | {told} |", flush=True)


def pictures(folder: Path) -> None:
    """Draw a good and a bad case."""
    for what, acquisition in faulty("stained"):
        name = {"none": "good", "second layer at 15 um": "bad"}.get(what)
        if name is not None:
            found = assess(acquisition, fpm.reconstruct(acquisition))
            save_figure(model_figure(found, acquisition), folder / f"trust-{name}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["noise", "memory", "faults", "pictures"])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("docs/images"))
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--photons", type=float, default=5000)
    parser.add_argument("--side", type=int, nargs=2, default=(SIDE, SIDE), metavar=("Y", "X"))
    parser.add_argument(
        "--specimens", nargs="+", default=["smear", "slow phase", "stained"], choices=SPECIMENS
    )
    chosen = parser.parse_args()
    if chosen.what == "noise":
        noise(chosen.draws, chosen.photons, tuple(chosen.side), chosen.specimens)
    elif chosen.what == "memory":
        memory(tuple(chosen.side))
    elif chosen.what == "faults":
        faults()
    else:
        pictures(chosen.folder)


if __name__ == "__main__":
    main()
