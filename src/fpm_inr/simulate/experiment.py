"""One simulated experiment: a specimen under a rig, its frames and the truth."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray
from scipy import fft

from fpm_inr.acquisition import Acquisition, Illumination
from fpm_inr.errors import SettingsError
from fpm_inr.lighting import Lighting
from fpm_inr.simulate.camera import Camera, collect, expose, pupil
from fpm_inr.simulate.multislice import Medium, cut_slices, exit_spectra, slice_step_um
from fpm_inr.simulate.rig import Errors, Rig, true_directions, true_gains
from fpm_inr.simulate.samples import Sheet, Specimen, make_sheets
from fpm_inr.simulate.scene import Scene, lay_scene
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
    lighting : Lighting, optional
        Which LEDs light each frame (`fpm_inr.simulate.patterns`). Default: one by one.
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
    lighting: Lighting | None = None

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
        return self.rig.optics.na + float(self.illumination.na_led.max())

    @property
    def illumination(self) -> Illumination:
        """Directions as they are believed to be, and which LEDs light each frame."""
        return replace(self.rig.illumination, lighting=self.lighting)


@dataclass(frozen=True, eq=False)
class Simulation:
    """What a simulation gives: what a user has, and what a user cannot know."""

    acquisition: Acquisition
    truth: Truth


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
    directions = true_directions(setup.rig, setup.errors, placing)
    na_led_xy = directions.mean(axis=1)
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
    intensity, scan = _expose_all(setup, scene, sheets, directions, gains, progress)
    acquisition = Acquisition(expose(intensity, setup.camera, noise), optics, setup.illumination)
    return Simulation(acquisition, _truth(setup, scene, sheets, na_led_xy, gains, scan))


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
    directions_led_xy: FloatArray,
    gains: FloatArray,
    progress: Callable[[int, int], None] | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Noiseless frames [frame, y, x] and bright-field scan [z, y, x].

    Every point of every LED, of the directions [led, point, 2], sends a wave of its own; what they
    leave on the camera adds up.
    """
    optics = setup.rig.optics
    medium = Medium(optics.wavelength_um, optics.medium_index, scene.pixel_um / scene.fine)
    leds, points = directions_led_xy.shape[:2]
    na_xy = directions_led_xy.reshape(-1, 2)
    of_led = np.repeat(gains / points, points)
    steepest = max(optics.na, float(np.hypot(*na_xy.T).max()))
    slices = cut_slices(sheets, slice_step_um(medium, steepest), np.dtype(np.complex64))
    pairs = setup.illumination.pairs
    frames = np.zeros((pairs.frame_count, *setup.shape_y_x))
    fill = setup.camera.fill_factor
    scan = np.zeros((len(setup.scan_z_um), *setup.shape_y_x))
    lit = np.hypot(*na_xy.T) < optics.na
    if not lit.any():
        lit[:] = True
    workers = os.cpu_count() or 1
    pixels = math.prod(scene.fine_shape_y_x)
    batch = max(1, min(16, BATCH_BYTES // (BYTES_PER_LED_PIXEL * pixels)))
    for start in range(0, len(na_xy), batch):
        chosen = range(start, min(start + batch, len(na_xy)))
        spectra = exit_spectra(slices, medium, na_xy[list(chosen)], workers=workers)
        for ray, spectrum in zip(chosen, spectra, strict=True):
            passed = collect(
                spectrum,
                slices[-1].z_um,
                na_xy[ray],
                scene.shape_y_x,
                optics,
                setup.errors.aberration_waves,
            )
            light = of_led[ray] * passed.intensity(fill_factor=fill)[scene.frame]
            for pair in np.flatnonzero(pairs.led_pair == ray // points):
                frames[pairs.frame_pair[pair]] += pairs.weight_pair[pair] * light
            if lit[ray]:
                for i, z_um in enumerate(setup.scan_z_um):
                    scan[i] += of_led[ray] * passed.intensity(z_um, fill)[scene.frame]
            if progress is not None:
                progress(ray // points + 1, leds)
    return frames.astype(np.float32), (scan * points / lit.sum()).astype(np.float32)


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
        "led_size_mm": rig.led_size_mm,
        "led_shape": rig.led_shape,
        "frames": setup.illumination.frame_count,
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
        + frame * (16 * len(setup.rig.led_xy_mm) + 12 * len(setup.scan_z_um))
    )
    free = psutil.virtual_memory().available
    if needed > free:
        raise SettingsError(
            f"needs about {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free",
            "choose smaller frames",
            field="size",
        )
