"""Complex error, phase error and error by band of every method, on objects with slow phase.

    python benchmarks/slow_phase.py --methods default,conventional,neural --sizes 128
    python benchmarks/slow_phase.py --crop --sizes 128,192

Frames are made here, apart from the package's forward model and simulator: multi-slice light, a
sharp pupil, NumPy's transforms, a specimen that goes on periodically, photon noise. Objects: a
picture with another one in phase and one cycle across the field (flat and tilted), a lens of 3 rad
out of focus, a stained section, a phase target. One complex factor is removed, nothing else; a
tilted object is taken at every pixel's true height. Bands of frequency are those of
`fpm_inr.metrics.band_errors`, relative to the whole; the phase error leaves out a rim of 16 pixels.

With `--crop` frames are the middle of a world of twice the side, as a camera's are: they do not go
on periodically, and what lies beside them shines in. The complex error leaves out the rim then.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft2, fftshift, ifft2, ifftshift
from scipy.ndimage import gaussian_filter
from skimage import data
from skimage.transform import resize

import fpm_inr as fpm
from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.metrics import band_errors, complex_error, phase_error, phase_rmse

OPTICS = Optics(wavelength_um=0.632, na=0.25, pixel_um=0.345)
UP = 2
PHOTONS = 5000
SLICES = 9
RIM_PX = 16

Complex = NDArray[np.complex128]


def fitted(picture: NDArray[np.uint8], side: int) -> NDArray[np.float64]:
    return np.asarray(resize(picture / 255.0, (side, side), anti_aliasing=True))


def slow(side: int) -> Complex:
    turn = 2 * np.pi * np.arange(side) / side
    phase = 1.2 * (fitted(data.moon(), side) - 0.4) + 0.6 * np.outer(np.cos(turn), np.sin(turn))
    retina = data.retina()[200:1200, 200:1200, 1]
    return (0.4 + 0.6 * fitted(retina, side)) * np.exp(1j * phase)


def lens(side: int) -> Complex:
    y, x = np.mgrid[:side, :side] / side - 0.5
    noise = np.random.default_rng(3).standard_normal((side, side))
    smooth = gaussian_filter(noise, side / 100, mode="wrap")
    height = np.clip(1 - (x**2 + y**2) / 0.36**2, 0, None) ** 1.5
    return np.clip(1 + 0.1 * smooth / smooth.std(), 0.3, 2) * np.exp(3j * height)


def stained(side: int) -> Complex:
    turn = 2 * np.pi * np.arange(side) / side
    amplitude = np.sqrt(0.1 + 0.9 * fitted(data.immunohistochemistry()[..., 0], side))
    return amplitude * np.exp(1j * (0.8 * (1 - amplitude) + 0.3 * np.cos(turn + 2 * turn[:, None])))


def target(side: int) -> Complex:
    phase = np.zeros((side, side))
    for row, width in enumerate((2, 3, 4, 6, 8)):
        top = side // 2 + row * side // 12
        bars = (np.arange(3 * side // 4) // width) % 2
        phase[top : top + side // 16, side // 8 : side // 8 + len(bars)] = bars
    phase[side // 8 : 3 * side // 8, 5 * side // 8 : 7 * side // 8] = 0.7
    return np.exp(1j * gaussian_filter(phase, 0.7))


@dataclass(frozen=True)
class Case:
    make: Callable[[int], Complex]
    leds: int = 68
    distance_mm: float = 66.0
    z_um: float = 0.0
    span_um: float = 0.0  # of the tilt


CASES = {
    "slow": Case(slow),
    "slow, tilted": Case(slow, span_um=20.0),
    "lens": Case(lens, leds=97, distance_mm=60.0, z_um=8.0),
    "stained": Case(stained, leds=97, distance_mm=60.0),
    "stained, tilted": Case(stained, span_um=20.0),
    "target": Case(target),
}


def directions(leds: int, distance_mm: float) -> NDArray[np.float64]:
    """The innermost LEDs of a grid of 4 mm, as NA [led, (x, y)]."""
    axis = np.arange(-6, 7) * 4.0
    xy = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    na = xy / np.sqrt((xy**2).sum(1) + distance_mm**2)[:, None]
    return na[np.argsort(np.hypot(*na.T), kind="stable")][:leds]


def observed(case: Case, side: int) -> tuple[Acquisition, Complex, NDArray[np.float64]]:
    """Frames, the object, and every pixel's height."""
    big, step = side * UP, OPTICS.pixel_um / UP
    truth = case.make(big)
    wave = 2 * np.pi / OPTICS.wavelength_um
    k = 2 * np.pi * np.fft.fftfreq(big, step)
    axial = np.sqrt(np.maximum(wave**2 - k[:, None] ** 2 - k**2, 0))
    borders = np.linspace(-case.span_um / 2, case.span_um / 2, SLICES + 1)
    centre = (borders[1:] + borders[:-1]) / 2
    depth = np.broadcast_to(np.linspace(borders[0], borders[-1], big), (big, big))
    layer = np.clip(np.searchsorted(borders, depth, "right") - 1, 0, SLICES - 1)
    if case.span_um == 0:
        layer, centre = np.zeros((big, big), int), np.array([-case.z_um])
    place = np.arange(big) * step
    sample = OPTICS.wavelength_um / (side * OPTICS.pixel_um)
    axis = (np.arange(side) - side // 2) * sample
    middle = np.s_[(big - side) // 2 : (big + side) // 2]
    na_xy = directions(case.leds, case.distance_mm)
    frames = np.empty((len(na_xy), side, side), np.float32)
    for led, na in enumerate(na_xy):
        # light on whole samples goes on periodically; the rest of its angle moves the pupil
        x, y = np.round(na / sample) * sample
        pupil = np.hypot(axis[:, None] - (y - na[1]), axis - (x - na[0])) <= OPTICS.na
        light = np.exp(1j * wave * (x * place + y * place[:, None]))
        for number, z_um in enumerate(centre):
            light = light * np.where(layer == number, truth, 1)
            way_um = (centre[number + 1] if number + 1 < len(centre) else 0.0) - z_um
            light = ifft2(fft2(light) * np.exp(1j * axial * way_um) * (axial > 0))
        seen = fftshift(fft2(light))[middle, middle]
        frames[led] = np.abs(ifft2(ifftshift(seen * pupil)) / UP**2) ** 2
    counts = np.random.default_rng(0).poisson(frames / frames.max() * PHOTONS)
    acquisition = Acquisition(counts.astype(np.float32), OPTICS, Illumination(-na_xy))
    # heights in the sense of exp(+i kz z), which brings the object back into focus
    return acquisition, truth, -depth if case.span_um else np.full((big, big), case.z_um)


def cropped(
    acquisition: Acquisition, truth: Complex, z_um: NDArray[np.float64]
) -> tuple[Acquisition, Complex, NDArray[np.float64]]:
    """The middle of a world, of half its side."""
    side = acquisition.shape_y_x[0] // 2
    low = side // 2
    inside = np.s_[UP * low : UP * (low + side), UP * low : UP * (low + side)]
    return acquisition.crop(low, low, side, side), truth[inside], z_um[inside]


def solved(method: str, acquisition: Acquisition, z_um: NDArray[np.float64]) -> fpm.Solution:
    margin = 2.0 if z_um.min() < z_um.max() else 0.0
    z_range = (float(z_um.min()) - margin, float(z_um.max()) + margin)
    if method == "conventional":
        step = {"z_step_um": 0.5} if margin else {}
        return fpm.reconstruct(acquisition, z_range_um=z_range, engine=method, upsample=UP, **step)
    return fpm.reconstruct(acquisition, z_range_um=z_range, recipe=method, upsample=UP)


def at_height(solution: fpm.Solution, z_um: NDArray[np.float64]) -> Complex:
    """Each pixel as the slice nearest to its height has it."""
    low, high = float(z_um.min()), float(z_um.max())
    heights = np.linspace(low, high, 81 if low < high else 1)
    image = np.zeros(z_um.shape, np.complex128)
    nearest = np.abs(z_um[None] - heights[:, None, None]).argmin(axis=0)
    for number, height in enumerate(heights):
        at_once = solution.render(float(height)).field_z_y_x[0]
        image[nearest == number] = at_once[nearest == number]
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", default="default,conventional")
    parser.add_argument("--sizes", default="128")
    parser.add_argument("--objects", default=",".join(name.replace(", ", "+") for name in CASES))
    parser.add_argument("--crop", action="store_true", help="frames of a world that goes on")
    chosen = parser.parse_args()
    print(
        "| object | size | method | complex | phase, rad | less a ramp | by band, cycles "
        "| solve, s |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for size in map(int, chosen.sizes.split(",")):
        for name, case in CASES.items():
            if name.replace(", ", "+") not in chosen.objects.split(","):
                continue
            acquisition, truth, z_um = observed(case, 2 * size if chosen.crop else size)
            if chosen.crop:
                acquisition, truth, z_um = cropped(acquisition, truth, z_um)
            for method in chosen.methods.split(","):
                solution = solved(method, acquisition, z_um)
                image = at_height(solution, z_um)
                inner = np.s_[RIM_PX:-RIM_PX, RIM_PX:-RIM_PX]
                cutoff = solution.cutoff_per_um * solution.pixel_um
                bands = band_errors(image, truth, cutoff)
                by_band = zip(bands.names, bands.error, strict=True)
                errors = ", ".join(f"{band}: {error:.4f}" for band, error in by_band)
                seen = inner if chosen.crop else np.s_[:, :]
                print(
                    f"| {name} | {size} | {method} "
                    f"| {complex_error(image[seen], truth[seen]):.4f} "
                    f"| {phase_error(image[inner], truth[inner]):.3f} "
                    f"| {phase_rmse(image[inner], truth[inner]):.3f} | {errors} "
                    f"| {solution.record['solve_seconds']:.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
