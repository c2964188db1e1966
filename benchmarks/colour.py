"""Stained sections under three wavelengths whose lens shifts them: colour error and offsets found.

    python benchmarks/colour.py                  a table
    python benchmarks/colour.py --draw FOLDER    also pictures: truth, result, without offsets, and
                                                 with one wavelength solved for three
    python benchmarks/colour.py --size 96        smaller frames
    python benchmarks/colour.py --stains         hue of stains whose spectra are known

docs/colour.md has the tables.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fpm_inr.acquisition import Acquisition
from fpm_inr.chromatic_offset import Offset, shifted
from fpm_inr.cie import (
    RGB_OF_XYZ,
    encode_srgb,
    observer,
    rgb_of_channels,
    rgb_of_spectrum,
    wavelengths_nm,
)
from fpm_inr.colour.compare import colour_errors
from fpm_inr.colour.solve import reconstruct_colours, reconstruct_with_transfer
from fpm_inr.sampling import depth_of_field_um
from fpm_inr.simulate import Simulation, simulate
from fpm_inr.simulate.pictures import PICTURES, picture, stretched
from fpm_inr.simulate.section import section_setups
from fpm_inr.solution_set import SolutionSet

Pair = tuple[float, float]
FloatArray = NDArray[np.float64]
LEDS_UM = [0.632, 0.530, 0.470]


@dataclass(frozen=True)
class Case:
    """A lens: where each wavelength has its focus, and how far it lies sideways."""

    name: str
    z_um: dict[str, float]
    shift_px: dict[str, Pair]
    pixel_um: float = 0.345
    na: float = 0.256
    seed: int = 0
    is_mosaic: bool = False
    tissue: str = "immunohistochemistry"


OFF = {"red": 3.0, "green": 0.0, "blue": -2.0}
SIDE: dict[str, Pair] = {"red": (0.7, -0.3), "green": (0.0, 0.0), "blue": (-0.4, 0.7)}
NONE: dict[str, Pair] = {}
CASES = (
    Case("a perfect lens", dict.fromkeys(OFF, 0.0), NONE),
    Case("3, 0, -2 um", OFF, NONE),
    Case("3, 0, -2 um, 0.7 px sideways", OFF, SIDE),
    Case("the other way round", {n: -z for n, z in OFF.items()}, SIDE, seed=7),
    Case("finer NA 0.4", OFF, SIDE, 0.275, 0.40),
    Case("colour camera (rggb)", OFF, SIDE, is_mosaic=True),
    Case("haematoxylin and eosin", OFF, SIDE, tissue="haematoxylin and eosin"),
    Case("retina", OFF, SIDE, tissue="retina"),
)


def absorbance(*bands: tuple[float, float, float]) -> FloatArray:
    """Sum of Gaussian bands (height, middle in nm, width in nm) at `wavelengths_nm`."""
    nm = wavelengths_nm()
    every = [h * np.exp(-0.5 * ((nm - middle) / width) ** 2) for h, middle, width in bands]
    return np.asarray(np.sum(every, axis=0))


# the main bands of the stains, roughly as their spectra are published
STAINS = {
    "haematoxylin": absorbance((0.9, 590, 55), (0.25, 430, 40)),
    "eosin": absorbance((1.0, 525, 22), (0.45, 490, 25)),
    "DAB": absorbance((0.9, 400, 110)),
    "methylene blue": absorbance((0.9, 665, 25), (0.6, 615, 35)),
    "haematoxylin and eosin": 0.6 * absorbance((0.9, 590, 55), (1.0, 525, 22), (0.45, 490, 25)),
}


def transmission_of(tissue: str) -> dict[str, FloatArray]:
    """Transmission [y, x] of a tissue at each LED.

    "haematoxylin and eosin": the amounts of two stains in scikit-image's picture of tissue
    (Ruifrok and Johnston, Anal. Quant. Cytol. Histol. 23, 291, 2001), each with the known spectrum
    of another.
    """
    from skimage.color import rgb2hed

    if tissue == "haematoxylin and eosin":
        shown = picture("immunohistochemistry").astype(float)
        hed = rgb2hed(np.clip(shown / np.percentile(shown, 99, axis=(0, 1)), 0, 1))  # glass is 1
        amounts = [np.maximum(hed[..., n], 0) / np.percentile(hed[..., n], 99) for n in (0, 2)]
        spectra = [STAINS[name] for name in ("haematoxylin", "eosin")]
        at_leds = [np.interp(1e3 * np.array(LEDS_UM), wavelengths_nm(), one) for one in spectra]
        absorbed = np.tensordot(np.array(at_leds).T, np.array(amounts), axes=1)
        return dict(zip(OFF, np.clip(10**-absorbed, 0, 1), strict=True))
    shown = picture(tissue)[250:1150, 250:1150] if tissue == "retina" else picture(tissue)
    linear = np.where(
        shown / 255 <= 0.04045, shown / 255 / 12.92, ((shown / 255 + 0.055) / 1.055) ** 2.4
    )
    clear = np.percentile(linear, 99, axis=(0, 1))
    return dict(zip(OFF, np.moveaxis(np.clip(linear / clear, 0, 1), -1, 0), strict=True))


def made_of(case: Case, size: int) -> dict[str, Simulation]:
    """The simulated frames of a case's tissue."""
    setups = section_setups(
        (size, size),
        na=case.na,
        pixel_um=case.pixel_um,
        z_um=case.z_um,
        shift_y_x_px=case.shift_px,
        seed=case.seed,
    )
    seen = transmission_of(case.tissue)
    path = 1 - stretched(sum(seen.values()))
    made = {}
    for name, setup in setups.items():
        # the section's place in the list of pictures holds this tissue meanwhile
        loss = 1 - np.sqrt(seen[name])
        with mock.patch.dict(PICTURES, {f"section-{name}": lambda loss=loss: (loss, path)}):
            made[name] = simulate(setup)
    return made


def lab_of(linear_rgb: FloatArray) -> FloatArray:
    """CIE L*a*b* of one colour."""
    from skimage.color import rgb2lab

    return np.asarray(rgb2lab(encode_srgb(linear_rgb)[None, None] / 255.0)[0, 0])


def leds_alone() -> FloatArray:
    """Matrix [rgb, channel] with three lines for all the light there is, white alike."""
    lines = RGB_OF_XYZ @ observer(1e3 * np.array(LEDS_UM))
    return np.asarray(lines * np.linalg.solve(lines, np.ones(3)))


def stain_errors(strength: float = 1.0) -> dict[str, tuple[float, float, float]]:
    """Colour difference (CIE 1976) of each stain from what daylight shows, and of its hue.

    Returns
    -------
    dict of name to (with lines between the LEDs, with LEDs alone, hue in degrees with lines)
    """
    errors = {}
    for name, absorbed in STAINS.items():
        transmission = 10 ** (-strength * absorbed)
        seen = lab_of(rgb_of_spectrum(transmission))
        at_leds = np.interp(1e3 * np.array(LEDS_UM), wavelengths_nm(), transmission)
        drawn = lab_of(rgb_of_channels(LEDS_UM) @ at_leds)
        alone = lab_of(leds_alone() @ at_leds)
        turned = complex(*drawn[1:]) * complex(*seen[1:]).conjugate()
        errors[name] = (
            float(np.linalg.norm(drawn - seen)),
            float(np.linalg.norm(alone - seen)),
            float(np.degrees(np.angle(turned))),
        )
    return errors


def frames_of(case: Case, made: dict[str, Simulation]) -> dict[str, Acquisition]:
    """What the camera gives; under colour filters, a part of the pixels each."""
    plain = {name: one.acquisition for name, one in made.items()}
    if not case.is_mosaic:
        return plain
    cells = {"red": ((0, 0),), "green": ((0, 1), (1, 0)), "blue": ((1, 1),)}
    filtered = {}
    for name, one in plain.items():
        weight = np.zeros(one.frames_led_y_x.shape, np.uint8)
        for y, x in cells[name]:
            weight[:, y::2, x::2] = 1
        filtered[name] = Acquisition(
            one.frames_led_y_x * weight, one.optics, one.illumination, weight_led_y_x=weight
        )
    return filtered


def true_fields(
    case: Case, made: dict[str, Simulation], names: tuple[str, ...]
) -> NDArray[np.complex64]:
    """Fields [channel, y, x] on the reference's grid, each as far as it can be resolved."""
    fields = []
    for name in names:
        y, x = (2 * px for px in case.shift_px.get(name, (0.0, 0.0)))
        fields.append(shifted(made[name].truth.seen_y_x, y, x))
    return np.stack(fields)


def with_true_white(solutions: SolutionSet, true: NDArray[np.complex64]) -> SolutionSet:
    """White that makes each mean transmission true: what a clear window would give."""
    (fields,) = solutions.fields(0.0)
    factor = np.abs(fields) ** 2
    ratio = factor.mean(axis=(1, 2)) / (np.abs(true) ** 2).mean(axis=(1, 2))
    white = np.sqrt(ratio)
    return solutions.with_(white=dict(zip(solutions.names, map(float, white), strict=True)))


def measure(case: Case, size: int, folder: Path | None) -> str:
    """One row of the table."""
    made = made_of(case, size)
    frames = frames_of(case, made)
    solutions = reconstruct_colours(frames, z_range_um=(-4, 4), device="cpu")
    true = true_fields(case, made, solutions.names)
    clear = solutions.with_(white=dict.fromkeys(solutions.names, 1.0))
    truth = np.moveaxis(clear.srgb(true), 0, -1)
    known = with_true_white(solutions, true)
    plain = known.with_(offsets={n: Offset(o.z_um) for n, o in known.offsets.items()})
    errors = colour_errors(solutions.colour(0.0), truth)
    best = colour_errors(known.colour(0.0), truth)
    unmoved = colour_errors(plain.colour(0.0), truth)
    one = reconstruct_with_transfer(
        frames, z_range_um=(-4, 4), solve=lambda name, _, **__: solutions.solutions[name]
    )
    one = with_true_white(one, true)
    carried = colour_errors(one.colour(0.0), truth)
    depth, sideways = 0.0, 0.0
    for name, offset in solutions.offsets.items():
        wrong = offset.z_um - (case.z_um[name] - case.z_um["green"])
        depth = max(depth, abs(wrong) / depth_of_field_um(solutions.solutions[name].optics))
        for found, px in zip(
            (offset.y_um, offset.x_um), case.shift_px.get(name, (0.0, 0.0)), strict=True
        ):
            sideways = max(sideways, abs(found / case.pixel_um - px))
    if folder is not None:
        blurred = known.with_(offsets={})
        rows = [truth, known.colour(0.0), blurred.colour(0.0), one.colour(0.0)]
        name = case.name.replace(" ", "_").replace(",", "")
        Image.fromarray(np.concatenate(rows, axis=1)).save(folder / f"{name}.png", optimize=True)
    return (
        f"| {case.name} | {100 * errors['rgb_rmse']:.1f} % | {100 * best['rgb_rmse']:.1f} % "
        f"| {100 * unmoved['rgb_rmse']:.1f} % | {errors['hue_error_deg']:.1f}° "
        f"| {depth:.3f} | {sideways:.3f} "
        f"| {100 * carried['rgb_rmse']:.1f} % | {best['hue_error_deg']:.1f}°, "
        f"{carried['hue_error_deg']:.1f}° |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--draw", type=Path)
    parser.add_argument("--stains", action="store_true")
    given = parser.parse_args()
    if given.stains:
        print("| stain | lines between LEDs | LEDs alone | hue |\n|---|---|---|---|")
        for name, (lines, alone, hue) in stain_errors().items():
            print(f"| {name} | {lines:.1f} | {alone:.1f} | {hue:+.1f}° |")
        return
    if given.draw is not None:
        given.draw.mkdir(parents=True, exist_ok=True)
    print(
        "| lens | colour error, white found | white known | and not laid over each other "
        "| hue error | focus, depths of field | sideways, px | one solved, white known "
        "| hue: three solved, one |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for case in CASES:
        print(measure(case, given.size, given.draw), flush=True)


if __name__ == "__main__":
    main()
