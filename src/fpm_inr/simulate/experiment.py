"""One simulated experiment: a specimen under a rig, its frames and the truth."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray
from scipy import fft

from fpm_inr.acquisition import Acquisition
from fpm_inr.errors import SettingsError
from fpm_inr.simulate.camera import Camera, collect, expose, pupil
from fpm_inr.simulate.multislice import Medium, cut_slices, exit_spectra, slice_step_um
from fpm_inr.simulate.rig import Errors, Rig, true_gains, true_illumination
from fpm_inr.simulate.samples import Sheet, Specimen, height_um, make_sheets
from fpm_inr.simulate.truth import Truth

FloatArray = NDArray[np.float64]

# Memory that the fields of one batch of LEDs may take.
BATCH_BYTES = 768 * 2**20
BYTES_PER_LED_PIXEL = 40
# complex logarithm, height, a slice and what it takes to make one
BYTES_PER_SCENE_PIXEL = 90


@dataclass(frozen=True)
class Setup:
    """Everything that decides a simulation.

    Parameters
    ----------
    specimen : Specimen
    rig : Rig
    shape_y_x : (int, int)
        Pixels of a frame.
    upsampling : int
        Ratio of the reconstruction's sampling, on which the truth is given, to the frames'.
    errors : Errors
    camera : Camera
    scan_z_um : tuple of float
        Heights of the bright-field scan; none: no scan.
    periodic : bool
        Whether the frame is the whole, periodic world (which suits a reconstruction's FFTs, and
        no microscope). Otherwise the specimen goes on beyond the frame.
    seed : int

    Raises
    ------
    SettingsError
        A number is out of range, or the truth's grid could not hold the synthetic aperture.
    """

    specimen: Specimen
    rig: Rig
    shape_y_x: tuple[int, int] = (128, 128)
    upsampling: int = 2
    errors: Errors = field(default_factory=Errors)
    camera: Camera = field(default_factory=Camera)
    scan_z_um: tuple[float, ...] = ()
    periodic: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not all(16 <= side <= 4096 for side in self.shape_y_x):
            raise SettingsError(
                f"is {self.shape_y_x[0]} x {self.shape_y_x[1]} (y x x)",
                "give 16 to 4096 pixels a side",
                field="size",
            )
        if not 1 <= self.upsampling <= 16:
            raise SettingsError(f"is {self.upsampling}", "give 1 to 16", field="upsampling")
        if self.seed < 0:
            raise SettingsError(f"is {self.seed}", "give 0 or more", field="seed")
        if not all(math.isfinite(z) and abs(z) <= 1000 for z in self.scan_z_um):
            raise SettingsError(
                "has heights beyond 1000 um", "give heights in um", field="scan_z_um"
            )
        if not np.isfinite(self.synthetic_na):
            raise SettingsError("is not finite", "correct the LEDs", field="rig")
        optics = self.rig.optics
        needed = 2 * optics.pixel_um * self.synthetic_na / optics.wavelength_um
        if self.upsampling < needed:
            raise SettingsError(
                f"is {self.upsampling}, too coarse for the synthetic NA of {self.synthetic_na:.3g}",
                f"give at least {math.ceil(needed)}",
                field="upsampling",
            )

    @property
    def synthetic_na(self) -> float:
        """NA of the objective and of the steepest LED together."""
        return self.rig.optics.na + float(self.rig.illumination.na_led.max())


@dataclass(frozen=True, eq=False)
class Simulation:
    """What a simulation gives: what a user has, and what a user cannot know."""

    acquisition: Acquisition
    truth: Truth


@dataclass(frozen=True)
class Scene:
    """The area that is computed: the frame and a margin around it, on sensor and fine pixels."""

    shape_y_x: tuple[int, int]
    frame_y_x: tuple[int, int]
    offset_y_x: tuple[int, int]
    fine: int
    pixel_um: float

    @property
    def frame(self) -> tuple[slice, slice]:
        """The frame within the sensor pixels of the scene."""
        return self.window(1)

    @property
    def fine_shape_y_x(self) -> tuple[int, int]:
        return self.shape_y_x[0] * self.fine, self.shape_y_x[1] * self.fine

    def window(self, factor: int) -> tuple[slice, slice]:
        """The frame within a grid of `factor` pixels per sensor pixel."""
        (y, x), (height, width) = self.offset_y_x, self.frame_y_x
        return (
            slice(y * factor, (y + height) * factor),
            slice(x * factor, (x + width) * factor),
        )

    def coordinates_um(self, axis: int) -> FloatArray:
        """Fine pixels' coordinates, 0 in the middle of the frame."""
        middle = (self.offset_y_x[axis] + self.frame_y_x[axis] / 2) * self.fine
        return (np.arange(self.fine_shape_y_x[axis]) - middle) * self.pixel_um / self.fine

    def taper(self, axis: int) -> FloatArray:
        """1 over the frame and half of the margin, falling to 0 at the edge of the scene."""
        count, start = self.fine_shape_y_x[axis], self.offset_y_x[axis] * self.fine
        if start == 0:
            return np.ones(count)
        inwards = np.minimum(np.arange(count), np.arange(count)[::-1])
        return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.clip(inwards / (start / 2), 0, 1)))


def lay_scene(setup: Setup) -> Scene:
    """Choose the area and the fine pixel of a simulation.

    The margin is what light from the specimen's heights can cross on its way through the
    objective's NA, and four resolution lengths. The fine pixel, a whole fraction of the
    reconstruction's, carries every wave that travels: at most wavelength / (2 n).
    """
    optics = setup.rig.optics
    finest = optics.wavelength_um / (2 * optics.medium_index)
    finer = math.ceil(optics.pixel_um / setup.upsampling / finest)
    margin = 0
    if not setup.periodic:
        y, x = (np.linspace(-0.5, 0.5, 65) * side * optics.pixel_um for side in setup.shape_y_x)
        highest = float(np.abs(height_um(setup.specimen, y, x)).max())
        highest += setup.specimen.depth_um / 2 if setup.specimen.shape != "wavy" else 0.0
        slope = optics.na / math.sqrt(optics.medium_index**2 - optics.na**2)
        reach_um = highest * slope + 4 * optics.wavelength_um / optics.na
        margin = math.ceil(reach_um / optics.pixel_um)
    scene = [fft.next_fast_len(side + 2 * margin) if margin else side for side in setup.shape_y_x]
    return Scene(
        (scene[0], scene[1]),
        setup.shape_y_x,
        ((scene[0] - setup.shape_y_x[0]) // 2, (scene[1] - setup.shape_y_x[1]) // 2),
        setup.upsampling * finer,
        optics.pixel_um,
    )


def simulate(setup: Setup, progress: Callable[[int, int], None] | None = None) -> Simulation:
    """Simulate an acquisition, with the truth.

    The specimen is drawn, light is propagated through it slice by slice for every LED, passes the
    pupil and is sampled and counted by the camera. The acquisition states the instrument as it is
    believed to be.

    Parameters
    ----------
    setup : Setup
    progress : callable, optional
        Told (LEDs done, LEDs in all).

    Raises
    ------
    SettingsError
        The machine has too little memory.
    """
    scene = lay_scene(setup)
    _check_memory(setup, scene)
    placing, gaining, noise = (np.random.default_rng([setup.seed, stream]) for stream in range(3))
    light = true_illumination(setup.rig, setup.errors, placing)
    gains = true_gains(setup.rig, setup.errors, gaining)
    optics = setup.rig.optics
    y, x = scene.coordinates_um(0), scene.coordinates_um(1)
    sheets = [
        Sheet(_tapered(one.log_transmission_y_x, scene), one.z_y_x_um)
        for one in make_sheets(
            setup.specimen,
            y,
            x,
            field_um=min(setup.shape_y_x) * optics.pixel_um,
            detail_um=optics.wavelength_um / (4 * setup.synthetic_na),
            seed=setup.seed,
        )
    ]
    intensity, scan = _expose_all(setup, scene, sheets, light.na_led_xy, gains, progress)
    acquisition = Acquisition(
        expose(intensity, setup.camera, noise), optics, setup.rig.illumination
    )
    return Simulation(acquisition, _truth(setup, scene, sheets, light.na_led_xy, gains, scan))


def _tapered(log_y_x: NDArray[np.complex128], scene: Scene) -> NDArray[np.complex128]:
    """Fade to the frame's mean at the scene's edges, where the FFT joins one side to the other."""
    mean = log_y_x[scene.window(scene.fine)].mean()
    faded: NDArray[np.complex128] = log_y_x - mean
    faded *= scene.taper(0)[:, None]
    faded *= scene.taper(1)
    faded += mean
    return faded


def _expose_all(
    setup: Setup,
    scene: Scene,
    sheets: list[Sheet],
    na_led_xy: FloatArray,
    gains: FloatArray,
    progress: Callable[[int, int], None] | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Noiseless frames [led, y, x] and bright-field scan [z, y, x]."""
    optics = setup.rig.optics
    medium = Medium(optics.wavelength_um, optics.medium_index, scene.pixel_um / scene.fine)
    steepest = max(optics.na, float(np.hypot(*na_led_xy.T).max()))
    slices = cut_slices(sheets, slice_step_um(medium, steepest), np.dtype(np.complex64))
    leds = len(na_led_xy)
    frames = np.empty((leds, *setup.shape_y_x), np.float32)
    fill = setup.camera.fill_factor
    scan = np.zeros((len(setup.scan_z_um), *setup.shape_y_x))
    lit = np.hypot(*na_led_xy.T) < optics.na
    if not lit.any():
        lit[:] = True
    workers = os.cpu_count() or 1
    pixels = math.prod(scene.fine_shape_y_x)
    batch = max(1, min(16, BATCH_BYTES // (BYTES_PER_LED_PIXEL * pixels)))
    for start in range(0, leds, batch):
        chosen = range(start, min(start + batch, leds))
        spectra = exit_spectra(slices, medium, na_led_xy[list(chosen)], workers=workers)
        for led, spectrum in zip(chosen, spectra, strict=True):
            passed = collect(
                spectrum,
                slices[-1].z_um,
                na_led_xy[led],
                scene.shape_y_x,
                optics,
                setup.errors.aberration_waves,
            )
            frames[led] = gains[led] * passed.intensity(fill_factor=fill)[scene.frame]
            if lit[led]:
                for i, z_um in enumerate(setup.scan_z_um):
                    scan[i] += gains[led] * passed.intensity(z_um, fill)[scene.frame]
            if progress is not None:
                progress(led + 1, leds)
    return frames, (scan / lit.sum()).astype(np.float32)


def _truth(
    setup: Setup,
    scene: Scene,
    sheets: list[Sheet],
    na_led_xy: FloatArray,
    gains: FloatArray,
    scan: NDArray[np.float32],
) -> Truth:
    optics, shape = setup.rig.optics, setup.shape_y_x
    factor = setup.upsampling
    window = scene.window(factor)
    finer = scene.fine // factor
    log = sum((one.log_transmission_y_x for one in sheets), start=np.zeros((1, 1), complex))
    cutoff = setup.synthetic_na / optics.wavelength_um
    heights = [
        np.broadcast_to(one.z_y_x_um, scene.fine_shape_y_x)[::finer, ::finer][window]
        for one in sheets
    ]
    waves = np.zeros(max((noll for noll, _ in setup.errors.aberration_waves), default=0))
    for noll, value in setup.errors.aberration_waves:
        waves[noll - 1] = value
    ky, kx = (fft.fftfreq(side, optics.pixel_um) for side in shape)
    return Truth(
        object_sheet_y_x=np.stack(
            [_band_limited(one.log_transmission_y_x, scene, factor, None)[window] for one in sheets]
        ),
        seen_y_x=_band_limited(log, scene, factor, cutoff)[window],
        z_sheet_y_x_um=np.stack(heights).astype(np.float32),
        pixel_um=optics.pixel_um / factor,
        na_led_xy=na_led_xy,
        intensity_gain_led=gains,
        zernike_waves=waves,
        pupil_y_x=pupil(ky[:, None], kx[None, :], optics, setup.errors.aberration_waves).astype(
            np.complex64
        ),
        scan_z_y_x=scan,
        scan_z_um=np.array(setup.scan_z_um, dtype=np.float64),
        settings=_settings(setup),
    )


def _band_limited(
    log_transmission_y_x: NDArray[np.complex128],
    scene: Scene,
    factor: int,
    cutoff_per_um: float | None,
) -> NDArray[np.complex64]:
    """Transmission on the scene's grid of `factor` pixels per sensor pixel, low-passed to it."""
    spectrum = fft.fft2(np.exp(log_transmission_y_x), norm="forward", overwrite_x=True)
    coarse = [side * factor for side in scene.shape_y_x]
    index = [np.rint(fft.fftfreq(side, 1 / side)).astype(np.intp) for side in coarse]
    spectrum = spectrum[np.ix_(index[0] % spectrum.shape[0], index[1] % spectrum.shape[1])]
    if cutoff_per_um is not None:
        y, x = (fft.fftfreq(side, scene.pixel_um / factor) for side in coarse)
        spectrum = spectrum * (np.hypot(y[:, None], x) <= cutoff_per_um)
    return np.asarray(fft.ifft2(spectrum, norm="forward"), dtype=np.complex64)


def _settings(setup: Setup) -> dict[str, Any]:
    rig = setup.rig
    return {
        "specimen": asdict(setup.specimen),
        "optics": asdict(rig.optics),
        "distance_mm": rig.distance_mm,
        "shape_y_x": list(setup.shape_y_x),
        "upsampling": setup.upsampling,
        "errors": asdict(setup.errors),
        "camera": asdict(setup.camera),
        "periodic": setup.periodic,
        "seed": setup.seed,
    }


def _check_memory(setup: Setup, scene: Scene) -> None:
    pixels = math.prod(scene.fine_shape_y_x)
    frame = math.prod(setup.shape_y_x)
    needed = (
        pixels * BYTES_PER_SCENE_PIXEL * (1 + 0.3 * (setup.specimen.sheet_count - 1))
        + max(BATCH_BYTES, BYTES_PER_LED_PIXEL * pixels)
        + frame * (12 * len(setup.rig.led_xy_mm) + 12 * len(setup.scan_z_um))
    )
    free = psutil.virtual_memory().available
    if needed > free:
        raise SettingsError(
            f"needs about {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free",
            "choose smaller frames",
            field="size",
        )
