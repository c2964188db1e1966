"""A simulated field solved as a mosaic and as a whole at one angle, against the truth.

    python benchmarks/mosaic.py --sides 512 --out /tmp/fields [--depth 6] [--subject slow-phase]
    python benchmarks/mosaic.py --sides 768 --known --tile 256 --overlap 48 --out /tmp/fields

Fields are the middle of one of 2048 pixels. LEDs stand so near that their angles change by 3
degrees over it; the pupil changes across it by half a wave, light falls off by a fifth, the focal
surface is tilted and bent, the array stands off and LEDs differ in brightness. Everything runs
through the commands that a person would use. Complex errors are those of squares of 64 x 64 pixels,
each with one complex factor of its own, and those of the whole with one factor for all, relative to
the specimen's contrast. Near a seam: within 16 pixels of the frames. A piston is the phase of a
tile's core against the truth. Of a specimen of two layers, each layer's height is looked at, where
the truth is that layer times the other one, out of focus. Errors of the whole and pistons are said
again less a slope and a bend of the whole phase, which is what no overlap tells.
`--known` gives the mosaic the true instrument, which takes the finding of it out of the question.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft

import fpm_inr as fpm
from fpm_inr.acquisition import Optics
from fpm_inr.calibration.field_file import FieldCalibration, terms
from fpm_inr.calibration.file import read_calibration, write_calibration
from fpm_inr.mosaic.mosaic import Mosaic, load_mosaic
from fpm_inr.optics import defocus_rate_rad_per_um, propagate
from fpm_inr.simulate.rig import Rig, grid_leds
from fpm_inr.simulate.samples import Specimen
from fpm_inr.simulate.whole_field import FieldErrors, FieldSetup, simulate_field

OPTICS = Optics(wavelength_um=0.53, na=0.2, pixel_um=0.5)
DISTANCE_MM = 2048 * OPTICS.pixel_um * 1e-3 / np.tan(np.radians(3))
WHOLE = 2048  # pixels of the field that smaller ones are the middle of
ERRORS = FieldErrors(
    pupil_waves=(
        (5, (0.02, 0.2, 0.0, 0.12, 0.12, -0.12)),
        (6, (0.0, 0.0, 0.2, -0.12, 0.0, 0.12)),
        (7, (0.0, 0.0, 0.15, 0.0, 0.0, 0.0)),
        (8, (0.0, 0.15, 0.0, 0.0, 0.0, 0.0)),
        (11, (0.03, 0.0, 0.0, 0.07, 0.0, 0.07)),
    ),
    focus_um=(1.0, 1.5, -0.8, 2.0, 0.0, 1.5),
    vignetting=0.2,
    array_shift_mm=(0.15, -0.1),
    gain_spread=0.1,
)
TILE, OVERLAP, WINDOW, NEAR_PX, BORDER_PX = 176, 44, 64, 16, 24
BLOCKS, ROUNDS = 64, 10  # of the whole, whose phases tell its slope and bend

Complex = NDArray[np.complexfloating[Any, Any]]


def errors_of(side: int) -> FieldErrors:
    """The instrument over the middle of the whole field, in units of half this side."""
    share = side / WHOLE

    def part(row: tuple[float, ...]) -> tuple[float, ...]:
        powers = (0, 1, 1, 2, 2, 2)
        return tuple(value * share**power for value, power in zip(row, powers, strict=True))

    return replace(
        ERRORS,
        pupil_waves=tuple((noll, part(row)) for noll, row in ERRORS.pupil_waves),
        focus_um=part(ERRORS.focus_um),
        vignetting=ERRORS.vignetting * share**2,
    )


def simulated(folder: Path, side: int, depth_um: float, subject: str) -> None:
    """Write the field, unless it is there."""
    if (folder / "truth.h5").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    shape: dict[str, Any] = {"shape": "two-layer", "depth_um": depth_um} if depth_um else {}
    rig = Rig(OPTICS, grid_leds(11, DISTANCE_MM * 0.055, 4.7), DISTANCE_MM)
    specimen = Specimen(subject, **shape)
    setup = FieldSetup(specimen, rig, (side, side), 2, errors_of(side), 2000.0, 2.0, seed=3)
    simulate_field(setup, folder)


def true_calibration(folder: Path, side: int) -> Path:
    """The instrument as it is, to be given to a mosaic of one height."""
    errors = errors_of(side)
    with h5py.File(folder / "frames.h5") as frames, h5py.File(folder / "truth.h5") as truth:
        places = frames["illumination/position_led_xyz_mm"][()]
        nominal = frames["illumination/na_led_xy"][()]
        gain = np.sqrt(truth["intensity_gain_led"][()])
    places[:, :2] += errors.array_shift_mm
    edge = torch.tensor([(OPTICS.na / OPTICS.wavelength_um) ** 2], dtype=torch.float64)
    rate = float(defocus_rate_rad_per_um(edge, OPTICS.wavelength_um, OPTICS.medium_index)[0])
    # Noll 4 changes by 2 sqrt(3) from the pupil's centre to its edge
    pupil = {4: np.array(errors.focus_um) * rate / (2 * np.sqrt(3))}
    pupil |= {noll: 2 * np.pi * np.array(row) for noll, row in errors.pupil_waves}
    loss = -errors.vignetting / 2
    content = FieldCalibration(
        status="accepted",
        na=OPTICS.na,
        wavelength_um=OPTICS.wavelength_um,
        radius_um=side / 2 * OPTICS.pixel_um,
        nominal_na_led_xy=nominal.tolist(),
        position_led_xyz_mm=places.tolist(),
        slide_index=1.0,
        gain_led=gain.tolist(),
        zernike_rad=[tuple(pupil.get(n, np.zeros(6)).tolist()) for n in range(1, max(pupil) + 1)],
        log_light=(0.0, 0.0, 0.0, loss, 0.0, loss),
        focus_um=errors.focus_um,
    )
    write_calibration(folder / "true.json", content)
    return folder / "true.json"


def command(*words: object) -> None:
    """Run `fpm-inr`."""
    subprocess.run([sys.executable, "-m", "fpm_inr", *map(str, words)], check=True)


def low_passed(field: Complex, cutoff_per_um: float, pixel_um: float) -> Complex:
    y, x = (fft.fftfreq(n, pixel_um) for n in field.shape)
    kept = np.hypot(y[:, None], x) <= cutoff_per_um
    return np.asarray(fft.ifft2(fft.fft2(field) * kept))


def local_error(image: Complex, truth: Complex) -> NDArray[np.float64]:
    """Squared error [y, x] after one complex factor a square, over the truth's mean contrast."""
    error = np.zeros(truth.shape)
    for y in range(0, truth.shape[0], WINDOW):
        for x in range(0, truth.shape[1], WINDOW):
            part = slice(y, y + WINDOW), slice(x, x + WINDOW)
            factor = np.vdot(truth[part], image[part]) / np.vdot(truth[part], truth[part])
            error[part] = np.abs(image[part] / factor - truth[part]) ** 2
    return error / float(np.mean(np.abs(truth - truth.mean()) ** 2))


def seen_at(sheets: Complex, number: int, depth_um: float, pixel_um: float) -> Complex:
    """What is seen with one of two layers in focus: the other one is out of it."""
    if len(sheets) == 1:
        return sheets[0]
    way_um = depth_um * (1 - 2 * number)  # from this layer to the other
    other = propagate(
        torch.from_numpy(sheets[1 - number]),
        way_um,
        pixel_um=pixel_um,
        wavelength_um=OPTICS.wavelength_um,
        medium_index=OPTICS.medium_index,
    )
    return np.asarray(sheets[number] * other.numpy())


def levelled(image: Complex, truth: Complex) -> Complex:
    """An image without the slope and bend by which its phase differs from the truth's."""
    y, x = (np.linspace(-1, 1, side) for side in image.shape)
    at = [np.linspace(0, side, BLOCKS + 1)[:-1].astype(int) for side in image.shape]
    sums = np.add.reduceat(np.add.reduceat(image * truth.conj(), at[0], axis=0), at[1], axis=1)
    weight = np.sqrt(np.abs(sums)).ravel()
    design = terms(x[at[1]] + 1 / BLOCKS, y[at[0], None] + 1 / BLOCKS).reshape(-1, 6)
    shape = np.zeros(6)
    for _ in range(ROUNDS):
        left = sums.ravel() * np.exp(-1j * (design @ shape))
        phase = np.angle(left * np.exp(-1j * np.angle(left.sum())))
        shape += np.linalg.lstsq(design * weight[:, None], phase * weight, rcond=None)[0]
    phase = terms(x, y[:, None]) @ shape
    return np.asarray(image * np.exp(-1j * phase).astype(np.complex64))


def places(mosaic: Mosaic) -> dict[str, NDArray[np.bool_]]:
    """Where errors are looked at."""
    factor, shape = mosaic.upsampling, mosaic.shape_y_x
    near = np.zeros(shape, bool)
    for axis, side in enumerate(mosaic.plan.sides):
        for bound in side.bounds[1:-1]:
            part = [slice(None), slice(None)]
            part[axis] = slice(factor * (bound - NEAR_PX), factor * (bound + NEAR_PX))
            near[tuple(part)] = True
    border = factor * BORDER_PX
    inner = np.zeros(shape, bool)
    inner[border:-border, border:-border] = True
    y, x = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    return {
        "seams": near & inner,
        "tiles": ~near & inner,
        "centre": inner & (np.maximum(abs(y), abs(x)) < 0.3),
        "corners": inner & (np.minimum(abs(y), abs(x)) > 0.6),
    }


def told(name: str, error: NDArray[np.float64], where: dict[str, NDArray[np.bool_]]) -> None:
    rms = {place: float(np.sqrt(error[mask].mean())) for place, mask in where.items()}
    row = "  ".join(f"{place} {value:.3f}" for place, value in rms.items())
    print(f"{name:28} {row}  seams/tiles {rms['seams'] / rms['tiles']:.2f}", flush=True)


def whole_error(name: str, image: Complex, truth: Complex, mosaic: Mosaic) -> None:
    """Error with one factor for all of the field, and pistons of the tiles' cores."""
    border = BORDER_PX * mosaic.upsampling
    inner = (slice(border, -border),) * 2
    contrast = np.mean(np.abs(truth - truth.mean()) ** 2)
    rows = []
    for one in (image, levelled(image, truth)):
        factor = np.vdot(truth[inner], one[inner]) / np.vdot(truth[inner], truth[inner])
        error = np.mean(np.abs(one[inner] / factor - truth[inner]) ** 2) / contrast
        product = np.zeros_like(image)
        product[inner] = truth[inner].conj() * one[inner] / factor
        pistons = []
        for tile in mosaic.tiles:
            y, x, height, width = (side * mosaic.upsampling for side in tile.core)
            pistons.append(np.angle(product[y : y + height, x : x + width].sum()))
        piston = np.array(pistons) - np.mean(pistons)
        rows.append(
            f"{np.sqrt(error):.3f}, pistons {piston.std():.3f} rad RMS, "
            f"{np.abs(piston).max():.3f} at most"
        )
    print(
        f"{name:28} one factor {rows[0]}; less a slope and bend of the whole {rows[1]}", flush=True
    )


def instrument_error(folder: Path, side: int) -> None:
    """How far what was found of the instrument is from the truth, over the inner field."""
    found = read_calibration(folder / "calibration.json")
    assert isinstance(found, FieldCalibration)
    grid = np.linspace(-0.66, 0.66, 21)
    design = terms(*np.meshgrid(grid, grid))
    errors_here = errors_of(side)
    true = dict(errors_here.pupil_waves)
    errors = [
        design @ (np.array(row) / (2 * np.pi) - np.array(true.get(noll, (0.0,) * 6)))
        for noll, row in enumerate(found.zernike_rad, start=1)
        if noll > 4
    ]
    pupil = float(np.sqrt(np.square(errors).sum(axis=0).mean()))
    focus = design @ (np.array(found.focus_um) - np.array(errors_here.focus_um))
    array = np.array(found.position_led_xyz_mm)[:, :2].mean(axis=0) - ERRORS.array_shift_mm
    print(
        f"instrument at {side}: pupil {pupil:.4f} waves RMS, focus {focus.std():.2f} um RMS "
        f"(and {focus.mean():+.2f} on the whole), array {1e3 * np.hypot(*array):.0f} um",
        flush=True,
    )


def solved(
    folder: Path, side: int, how: tuple[object, ...], heights: tuple[str, str], is_known: bool
) -> dict[str, Any]:
    """Solve a field in three ways, or with the instrument known; solutions by name."""
    data, how = folder / "frames.h5", (*how, "--z-range", *heights, "--resume")
    if is_known:
        known = folder / "known"
        command("mosaic", data, "-o", known, *how, "--calibration", true_calibration(folder, side))
        return {"mosaic, instrument known": load_mosaic(known)}
    stated, found = folder / "stated", folder / "found"
    command("mosaic", data, "-o", stated, *how)
    command("mosaic", data, "-o", found, *how, "--calibrate", "gains,pupil,pose")
    command("reconstruct", data, "-o", folder / "whole", "--z-range", *heights, "--overwrite")
    instrument_error(found, side)
    return {
        "whole, one angle": fpm.load_solution(folder / "whole" / "field.safetensors"),
        "mosaic, instrument stated": load_mosaic(stated),
        "mosaic, instrument found": load_mosaic(found),
    }


def measure(folder: Path, side: int, depth_um: float, given: argparse.Namespace) -> None:
    """Solve a field and say how far solutions are from the truth."""
    heights = ("-6", "9") if depth_um else ("0", "0")
    how = ("--tile", given.tile, "--overlap", given.overlap)
    solutions = solved(folder, side, how, heights, given.known)
    with h5py.File(folder / "truth.h5") as file:
        sheets = file["object_sheet_y_x"][()]
    mosaic = list(solutions.values())[-1]
    assert isinstance(mosaic, Mosaic)
    where = places(mosaic)
    for number in range(len(sheets)):
        z_um = depth_um * (number / max(len(sheets) - 1, 1) - 0.5) + ERRORS.focus_um[0]
        there = seen_at(sheets, number, depth_um, mosaic.pixel_um)
        truth = low_passed(there, mosaic.cutoff_per_um, mosaic.pixel_um)
        for name, solution in solutions.items():
            height = z_um if depth_um else 0.0
            image = solution.render(height).field_z_y_x[0]
            told(f"{name}, {height:+.1f} um", local_error(image, truth), where)
            whole_error(name, image, truth, mosaic)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", default="512")
    parser.add_argument("--depth", type=float, default=0.0)
    parser.add_argument("--subject", default="smear")
    parser.add_argument("--tile", type=int, default=TILE)
    parser.add_argument("--overlap", type=int, default=OVERLAP)
    parser.add_argument("--known", action="store_true", help="give the true instrument")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    for side in map(int, given.sides.split(",")):
        if given.known and given.depth:
            parser.error("--known is of one height: leave --depth out")
        folder = given.out / f"{given.subject}-{side}-{given.depth:g}"
        simulated(folder, side, given.depth, given.subject)
        print(f"--- {side} x {side}, {'two layers' if given.depth else 'one plane'}", flush=True)
        measure(folder, side, given.depth, given)


if __name__ == "__main__":
    main()
