"""Whole fields of view with the truth: an instrument that changes from place to place.

The field is simulated block by block around nodes, each with the LED directions, the pupil, the
focus and the brightness of its node; neighbours' intensities are blended linearly in between, so
that the instrument changes smoothly. Within a block the waves of the LEDs bend as those of points
at their distance do, so that directions change from pixel to pixel. Blocks go to disk as they come:
memory does not grow with the field.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from fpm_inr.acquisition import Optics
from fpm_inr.errors import SettingsError
from fpm_inr.files.replacing import replacing
from fpm_inr.simulate.camera import collect
from fpm_inr.simulate.multislice import Medium, Slice, cut_slices, exit_spectra, slice_step_um
from fpm_inr.simulate.rig import Rig, directions
from fpm_inr.simulate.samples import Sheet, Specimen, make_sheets
from fpm_inr.simulate.scene import Scene

FloatArray = NDArray[np.float64]

FRAMES, TRUTH = "frames.h5", "truth.h5"
FORMAT, VERSION = "fpm-inr field truth", 1
BLOCK_PX = 128
BEND_MARGIN_PX = 64
LEDS_AT_ONCE = 8
CHUNK_PX = 128
# light of intensity 1 (a clear slide) makes so many electrons, of a camera of 16 bits
FULL_INTENSITY = 3.0


@dataclass(frozen=True)
class FieldErrors:
    """How the true instrument differs from place to place, and from the believed one.

    Places are in units of half the longer side of the field: (x, y) from -1 to 1 on it.

    Parameters
    ----------
    pupil_waves : tuple of (int, (float, ...))
        Noll index, and waves RMS as a polynomial: of 1, x, y, x^2, x y, y^2.
    focus_um : tuple of 6 floats
        What is added to the specimen's height: of 1, x, y, x^2, x y, y^2.
    vignetting : float
        Share of the light that is lost at a distance of 1, as the square of the distance.
    array_shift_mm : (float, float)
        Of the LED array, along (x, y).
    gain_spread : float
        Standard deviation of the logarithm of each LED's intensity.
    """

    pupil_waves: tuple[tuple[int, tuple[float, ...]], ...] = ()
    focus_um: tuple[float, ...] = (0.0,) * 6
    vignetting: float = 0.0
    array_shift_mm: tuple[float, float] = (0.0, 0.0)
    gain_spread: float = 0.0

    def __post_init__(self) -> None:
        rows = [self.focus_um, *(row for _, row in self.pupil_waves)]
        if any(len(row) != 6 or not np.isfinite(row).all() for row in rows):
            raise SettingsError(
                "is no polynomial of 6 numbers", "give those of 1, x, y, xx, xy, yy", field="errors"
            )
        if not 0 <= self.vignetting < 0.9:
            raise SettingsError(f"is {self.vignetting:g}", "give 0 to 0.9", field="vignetting")


@dataclass(frozen=True)
class FieldSetup:
    """Everything that decides the simulation of a whole field.

    Parameters
    ----------
    specimen : Specimen
    rig : Rig
    shape_y_x : (int, int)
        Pixels of a frame.
    upsampling : int
        Of the truth.
    errors : FieldErrors
    photons : float, optional
        Photo-electrons of a pixel under a clear slide; None: no noise, frames are intensities.
    read_noise_e : float
    empty : callable, optional
        Of (y_um, x_um) arrays -> share [y, x] of the specimen that is there, from 0 to 1.
    seed : int
    """

    specimen: Specimen
    rig: Rig
    shape_y_x: tuple[int, int]
    upsampling: int = 2
    errors: FieldErrors = field(default_factory=FieldErrors)
    photons: float | None = None
    read_noise_e: float = 0.0
    empty: Callable[[FloatArray, FloatArray], FloatArray] | None = None
    seed: int = 0

    @property
    def half_um(self) -> float:
        """Half of the longer side of the field."""
        return max(self.shape_y_x) / 2 * self.rig.optics.pixel_um

    def gains(self) -> FloatArray:
        """True intensity factors [led], of mean 1."""
        random = np.random.default_rng([self.seed, 1])
        gains = np.exp(self.errors.gain_spread * random.standard_normal(len(self.rig.led_xy_mm)))
        return np.asarray(gains / gains.mean())

    def na_led_xy(self, x_um: float, y_um: float) -> FloatArray:
        """True directions of the LEDs from a place of the specimen, from the optical axis."""
        places = self.rig.led_xy_mm + np.array(self.errors.array_shift_mm)
        return directions(places - np.array([x_um, y_um]) * 1e-3, self.rig.distance_mm)

    def polynomial(self, row: tuple[float, ...], x_um: Any, y_um: Any) -> Any:
        """A polynomial of the errors at a place, from the optical axis."""
        x, y = x_um / self.half_um, y_um / self.half_um
        terms = (1.0, x, y, x * x, x * y, y * y)
        return sum(value * term for value, term in zip(row, terms, strict=True))


def simulate_field(
    setup: FieldSetup,
    folder: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Simulate a field into ``frames.h5`` (this project's acquisition) and ``truth.h5``.

    The frames state the instrument as it is believed to be: the rig, without errors.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    optics = setup.rig.optics
    height, width = setup.shape_y_x
    leds, factor = len(setup.rig.led_xy_mm), setup.upsampling
    nodes = [_nodes(side) for side in setup.shape_y_x]
    total = len(nodes[0]) * len(nodes[1])
    with (
        replacing(folder / FRAMES) as frames_path,
        replacing(folder / TRUTH) as truth_path,
        h5py.File(frames_path, "w") as frames,
        h5py.File(truth_path, "w") as truth,
    ):
        chunks = (1, min(CHUNK_PX, height), min(CHUNK_PX, width))
        made = frames.create_dataset(
            "frames_led_y_x", (leds, height, width), "float32", chunks=chunks
        )
        sheets = setup.specimen.sheet_count
        objects = truth.create_dataset(
            "object_sheet_y_x", (sheets, height * factor, width * factor), "complex64", chunks=True
        )
        done = 0
        for at_y in nodes[0]:
            for at_x in nodes[1]:
                _block(setup, (at_y, nodes[0]), (at_x, nodes[1]), made, objects)
                done += 1
                progress(done, total)
        _expose(setup, made)
        _describe(setup, frames, optics)
        truth.attrs.update(format=FORMAT, version=VERSION, pixel_um=optics.pixel_um / factor)
        truth.attrs["settings"] = json.dumps(_settings(setup))
        truth["intensity_gain_led"] = setup.gains()


def _settings(setup: FieldSetup) -> dict[str, Any]:
    return {
        "specimen": asdict(setup.specimen),
        "optics": asdict(setup.rig.optics),
        "distance_mm": setup.rig.distance_mm,
        "shape_y_x": list(setup.shape_y_x),
        "upsampling": setup.upsampling,
        "errors": asdict(setup.errors),
        "photons": setup.photons,
        "read_noise_e": setup.read_noise_e,
        "seed": setup.seed,
    }


def _nodes(side: int) -> list[int]:
    """Pixels at which the instrument is what it is; the first and the last are the frame's ends."""
    count = max(1, round(side / BLOCK_PX))
    return [round(i * side / count) for i in range(count + 1)]


def _reach(at: int, nodes: list[int]) -> tuple[int, int]:
    """First pixel and the one after the last of a node's block: from node to node around it."""
    place = nodes.index(at)
    return nodes[max(place - 1, 0)], nodes[min(place + 1, len(nodes) - 1)]


def _share(at: int, nodes: list[int]) -> FloatArray:
    """Weight of a node at the pixels of its block: 1 at the node, 0 at its neighbours."""
    low, high = _reach(at, nodes)
    return np.interp(np.arange(low, high) + 0.5, nodes, [float(node == at) for node in nodes])


def _block(
    setup: FieldSetup,
    y: tuple[int, list[int]],
    x: tuple[int, list[int]],
    frames: Any,
    objects: Any,
) -> None:
    """Add a node's block to the frames, and its part of the truth."""
    optics = setup.rig.optics
    (top, bottom), (left, right) = _reach(*y), _reach(*x)
    scene = _scene(setup, (bottom - top, right - left))
    sheets = _sheets(setup, scene, (top, left))
    weight = _share(*y)[:, None] * _share(*x)
    # the node's place from the optical axis, which meets the middle of the frame
    x_um, y_um = (
        (at - side / 2) * optics.pixel_um
        for at, side in ((x[0], setup.shape_y_x[1]), (y[0], setup.shape_y_x[0]))
    )
    place = (slice(top, bottom), slice(left, right))
    off_px = (y[0] - (top + bottom) / 2, x[0] - (left + right) / 2)
    wave = _wave(setup, scene, (off_px[0] * optics.pixel_um, off_px[1] * optics.pixel_um))
    for led, intensity in _intensities(setup, scene, sheets, wave, (x_um, y_um)):
        frames[led, *place] = frames[led, *place] + (weight * intensity).astype(np.float32)
    factor = setup.upsampling
    fine = tuple(slice(one.start * factor, one.stop * factor) for one in place)
    for number, sheet in enumerate(sheets):
        objects[number, *fine] = _band_limited(sheet, scene, factor)[scene.window(factor)]


def _scene(setup: FieldSetup, shape_y_x: tuple[int, int]) -> Scene:
    """A block, the margin that its light comes from, and the fine grid."""
    optics, specimen = setup.rig.optics, setup.specimen
    finer = math.ceil(
        optics.pixel_um / setup.upsampling / (optics.wavelength_um / (2 * optics.medium_index))
    )
    highest = abs(specimen.z_um) + specimen.depth_um / 2
    highest += float(np.abs(setup.errors.focus_um).sum())
    slope = optics.na / math.sqrt(optics.medium_index**2 - optics.na**2)
    reach_um = highest * slope + 4 * optics.wavelength_um / optics.na
    # waves that bend are cut by the pupil's edge, which is seen from further away
    margin = math.ceil(reach_um / optics.pixel_um) + BEND_MARGIN_PX
    sides = [fft.next_fast_len(side + 2 * margin) for side in shape_y_x]
    offset = [(whole - side) // 2 for whole, side in zip(sides, shape_y_x, strict=True)]
    return Scene(
        (sides[0], sides[1]),
        shape_y_x,
        (offset[0], offset[1]),
        setup.upsampling * finer,
        optics.pixel_um,
    )


def _sheets(setup: FieldSetup, scene: Scene, start_y_x: tuple[int, int]) -> list[Sheet]:
    """The specimen of a block, drawn where it lies in the field."""
    optics = setup.rig.optics
    # the scene counts from the middle of its frame
    y, x = (
        scene.coordinates_um(axis)
        + (start_y_x[axis] + scene.frame_y_x[axis] / 2 - setup.shape_y_x[axis] / 2)
        * optics.pixel_um
        for axis in range(2)
    )
    sheets = make_sheets(
        setup.specimen,
        y,
        x,
        field_um=min(setup.shape_y_x) * optics.pixel_um,
        detail_um=optics.wavelength_um / (4 * _synthetic_na(setup)),
        seed=setup.seed,
    )
    there: Any = 1.0 if setup.empty is None else setup.empty(y[:, None], x[None, :])
    taper = scene.taper(0)[:, None] * scene.taper(1)
    drawn = []
    for sheet in sheets:
        log = sheet.log_transmission_y_x * there
        mean = log[scene.window(scene.fine)].mean()
        drawn.append(Sheet((log - mean) * taper + mean, sheet.z_y_x_um))
    return drawn


def _synthetic_na(setup: FieldSetup) -> float:
    return setup.rig.optics.na + float(setup.rig.illumination.na_led.max())


def _wave(
    setup: FieldSetup, scene: Scene, node_y_x_um: tuple[float, float]
) -> NDArray[np.complex64]:
    """What a wave from the LEDs' distance is beyond a plane one, [y, x] on the fine grid.

    Of the second degree about the node; that steep LEDs, which are further away, bend it by a few
    percent less is left out.
    """
    y, x = (
        (scene.coordinates_um(axis) - node) ** 2 * scene.taper(axis)
        for axis, node in enumerate(node_y_x_um)
    )
    rate = math.pi / (setup.rig.optics.wavelength_um * setup.rig.distance_mm * 1e3)
    turns = [np.exp(1j * rate * one).astype(np.complex64) for one in (y, x)]
    return np.asarray(turns[0][:, None] * turns[1])


def _lit(slices: list[Slice], wave_y_x: NDArray[np.complex64]) -> list[Slice]:
    """Slices of which the first is met by this wave."""
    first = slices[0]
    return [Slice(first.z_um, lambda: first.transmission() * wave_y_x), *slices[1:]]


def _intensities(
    setup: FieldSetup,
    scene: Scene,
    sheets: list[Sheet],
    wave_y_x: NDArray[np.complex64],
    place_x_y_um: tuple[float, float],
) -> Iterator[tuple[int, FloatArray]]:
    """Intensities [y, x] of every LED with the instrument of one place."""
    x_um, y_um = place_x_y_um
    optics, errors = setup.rig.optics, setup.errors
    na_xy, gains = setup.na_led_xy(x_um, y_um), setup.gains()
    medium = Medium(optics.wavelength_um, optics.medium_index, scene.pixel_um / scene.fine)
    steepest = max(optics.na, float(np.hypot(*na_xy.T).max()))
    slices = cut_slices(sheets, slice_step_um(medium, steepest), np.dtype(np.complex64))
    slices = _lit(slices, wave_y_x)
    aberration = tuple(
        (noll, float(setup.polynomial(row, x_um, y_um))) for noll, row in errors.pupil_waves
    )
    focus_um = float(setup.polynomial(errors.focus_um, x_um, y_um))
    light = gains * (1 - errors.vignetting * (x_um**2 + y_um**2) / setup.half_um**2)
    for first in range(0, len(na_xy), LEDS_AT_ONCE):
        some = slice(first, first + LEDS_AT_ONCE)
        for led, spectrum in enumerate(exit_spectra(slices, medium, na_xy[some]), start=first):
            passed = collect(
                spectrum,
                slices[-1].z_um + focus_um,
                na_xy[led],
                scene.shape_y_x,
                optics,
                aberration,
            )
            yield led, light[led] * passed.intensity()[scene.frame]


def _band_limited(sheet: Sheet, scene: Scene, factor: int) -> NDArray[np.complex64]:
    """Transmission on the scene's grid of `factor` pixels per sensor pixel, low-passed to it."""
    spectrum = fft.fft2(np.exp(sheet.log_transmission_y_x), norm="forward")
    index = [
        np.rint(fft.fftfreq(n * factor, 1 / (n * factor))).astype(int) for n in scene.shape_y_x
    ]
    spectrum = spectrum[np.ix_(index[0] % spectrum.shape[0], index[1] % spectrum.shape[1])]
    return np.asarray(fft.ifft2(spectrum, norm="forward"), dtype=np.complex64)


def _expose(setup: FieldSetup, frames: Any) -> None:
    """Count electrons, chunk by chunk: noise and whole counts; none without photons."""
    if setup.photons is None:
        return
    random = np.random.default_rng([setup.seed, 2])
    per_electron = 65535 / (FULL_INTENSITY * setup.photons)
    for chunk in frames.iter_chunks():
        electrons = random.poisson(np.maximum(frames[chunk], 0) * setup.photons).astype(np.float64)
        electrons += random.normal(0.0, setup.read_noise_e, electrons.shape)
        frames[chunk] = np.clip(np.rint(electrons * per_electron), 0, 65535)


def _describe(setup: FieldSetup, file: h5py.File, optics: Optics) -> None:
    """Say what the frames are, as the believed instrument has it."""
    from fpm_inr.io import native

    file.attrs.update(format=native.KIND, version=native.VERSION)
    for name in native.OPTICS:
        file[f"optics/{name}"] = getattr(optics, name)
    file["axis_y_x_px"] = (np.array(setup.shape_y_x) - 1) / 2
    places, distance = setup.rig.led_xy_mm, setup.rig.distance_mm
    file["illumination/na_led_xy"] = directions(places, distance)
    file["illumination/position_led_xyz_mm"] = np.hstack(
        [places, np.full((len(places), 1), distance)]
    )
    file["illumination/slide_mm"], file["illumination/slide_index"] = 0.0, 1.0
