"""From the light below the specimen to the numbers of a camera: pupil, sampling, noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from fpm_inr.acquisition import Optics
from fpm_inr.errors import SettingsError
from fpm_inr.simulate.multislice import axial_rate_rad_per_um

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complexfloating]

# The brightest pixel fills this much of the camera's range.
FILL = 0.9


@dataclass(frozen=True)
class Camera:
    """Pixels, noise and range of the camera.

    Parameters
    ----------
    fill_factor : float
        Share of a pixel's area that takes up light: a square in its middle, of this area. 0: a
        point, which is what a reconstruction's model assumes; 1: all of it, as of most sensors
        with microlenses or lit from the back.
    photons : float, optional
        Photo-electrons of the brightest pixel of the brightest frame; None: no shot noise.
    read_noise_e : float
        Standard deviation of the read noise, in electrons.
    bits : int, optional
        Bit depth: frames are whole counts, the brightest pixel at 90 % of the range. None: no
        rounding; frames are electrons, or, without photons, the share of the incident light.
    dark_level : float
        Offset that the camera adds, in counts.
    subtract_dark : bool
        Whether the frames are handed on with the dark level subtracted (and clipped at zero).

    Raises
    ------
    SettingsError
        A number is out of range, or one needs another that is missing.
    """

    fill_factor: float = 0.0
    photons: float | None = None
    read_noise_e: float = 0.0
    bits: int | None = None
    dark_level: float = 0.0
    subtract_dark: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.fill_factor <= 1:
            raise SettingsError(
                f"is {self.fill_factor:g}", "give a share from 0 to 1", field="fill_factor"
            )
        if self.photons is not None and not 1 <= self.photons <= 1e9:
            raise SettingsError(
                f"is {self.photons:g}", "give 1 to 1e9 photons, or none", field="photons"
            )
        if not 0 <= self.read_noise_e <= 1e6:
            raise SettingsError(
                f"is {self.read_noise_e:g}", "give electrons, 0 or more", field="read_noise_e"
            )
        if self.read_noise_e and self.photons is None:
            raise SettingsError(
                "is in electrons, and nothing says how many the light makes",
                "give photons as well",
                field="read_noise_e",
            )
        if self.bits is not None and not 4 <= self.bits <= 24:
            raise SettingsError(f"is {self.bits}", "give 4 to 24 bits", field="bits")
        if self.dark_level and self.bits is None:
            raise SettingsError(
                "is in counts, and without a bit depth there are none",
                "give bits as well",
                field="dark_level",
            )
        if self.bits is not None and not 0 <= self.dark_level <= (2**self.bits - 1) / 2:
            raise SettingsError(
                f"is {self.dark_level:g} counts",
                f"give 0 to half of the range of {self.bits} bits",
                field="dark_level",
            )
        if not self.subtract_dark and self.dark_level == 0:
            raise SettingsError(
                "is 0, so there is no floor to keep", "give a dark level", field="dark_level"
            )


def expose(
    intensity_led_y_x: NDArray[np.float32], camera: Camera, random: np.random.Generator
) -> NDArray[np.float32]:
    """Frames [led, y, x] that a camera makes of these intensities, all at one exposure."""
    brightest = float(intensity_led_y_x.max())
    electrons_per_unit = 1.0 if camera.photons is None else camera.photons / brightest
    full = math.inf if camera.bits is None else float(2**camera.bits - 1)
    counts_per_electron = (
        1.0
        if camera.bits is None
        else FILL * (full - camera.dark_level) / (brightest * electrons_per_unit)
    )
    frames = np.empty_like(intensity_led_y_x)
    for led, intensity in enumerate(intensity_led_y_x):
        signal = intensity.astype(np.float64) * electrons_per_unit
        if camera.photons is not None:
            signal = random.poisson(signal).astype(np.float64)
        if camera.read_noise_e:
            signal += random.normal(0.0, camera.read_noise_e, signal.shape)
        counts = signal * counts_per_electron + camera.dark_level
        if camera.bits is not None:
            counts = np.clip(np.rint(counts), 0.0, full)
        frames[led] = np.maximum(counts - camera.dark_level * camera.subtract_dark, 0.0)
    return frames


def noll_zernike(noll: int, y: FloatArray, x: FloatArray) -> FloatArray:
    """Zernike mode of Noll's index, unit RMS over the unit disc (Noll, JOSA 66, 207 (1976)).

    y and x are pupil coordinates; an even index goes with the cosine of the angle from x.
    """
    order, rest = 0, noll - 1
    while rest > order:
        order += 1
        rest -= order
    # within an order, azimuthal orders rise in steps of two, each but 0 twice
    azimuthal = order % 2 + 2 * ((rest + (order + 1) % 2) // 2)
    radius, angle = np.hypot(y, x), np.arctan2(y, x)
    radial = sum(
        (-1) ** k
        * math.comb(order - k, k)
        * math.comb(order - 2 * k, (order - azimuthal) // 2 - k)
        * radius ** (order - 2 * k)
        for k in range((order - azimuthal) // 2 + 1)
    )
    if azimuthal == 0:
        return np.asarray(math.sqrt(order + 1) * radial)
    turn = np.cos if noll % 2 == 0 else np.sin
    return np.asarray(math.sqrt(2 * (order + 1)) * radial * turn(azimuthal * angle))


def pupil(
    y_per_um: FloatArray,
    x_per_um: FloatArray,
    optics: Optics,
    aberration_waves: tuple[tuple[int, float], ...],
) -> NDArray[np.complex128]:
    """Complex pupil at these frequencies: a hard disc of the objective's NA with its aberration.

    `aberration_waves` holds pairs (Noll index, waves RMS).
    """
    cutoff = optics.na / optics.wavelength_um
    y, x = y_per_um / cutoff, x_per_um / cutoff
    waves = np.zeros(np.broadcast_shapes(y.shape, x.shape))
    for noll, coefficient in aberration_waves:
        waves += coefficient * noll_zernike(noll, y, x)
    return np.asarray((y**2 + x**2 <= 1.0) * np.exp(2j * np.pi * waves))


@dataclass(frozen=True, eq=False)
class PupilLight:
    """What passes the objective for one LED, on the frequency grid of the sensor.

    Parameters
    ----------
    spectrum_y_x : array [y, x] of complex
        Spectrum of the image with the plane z = 0 in focus; a clear slide has amplitude 1.
    rate_y_x : array [y, x]
        Axial phase per um of each frequency.
    """

    spectrum_y_x: ComplexArray
    rate_y_x: NDArray[np.floating]

    def intensity(
        self, focus_um: float = 0.0, fill_factor: float = 0.0, workers: int = 1
    ) -> FloatArray:
        """Intensity [y, x] that the sensor's pixels take up with the height `focus_um` in focus.

        The mean over the square that `fill_factor` leaves of every pixel; with 0, at its middle.
        """
        spectrum = self.spectrum_y_x
        if focus_um:
            spectrum = spectrum * np.exp(-1j * focus_um * self.rate_y_x).astype(spectrum.dtype)
        if fill_factor > 0:
            return _over_pixels(spectrum, math.sqrt(fill_factor), workers)
        field = fft.ifft2(spectrum, norm="forward", workers=workers)
        intensity: FloatArray = field.real**2 + field.imag**2
        return intensity


def _over_pixels(spectrum_y_x: ComplexArray, side: float, workers: int) -> FloatArray:
    """Mean intensity over squares of this side (1: a pixel) around the middles of all pixels.

    An intensity holds twice the field's frequencies: it is computed on a grid of half the pixel,
    which carries all of them, and the mean over a square is a product with two sincs.
    """
    shape = spectrum_y_x.shape
    finer = np.zeros([2 * length for length in shape], spectrum_y_x.dtype)
    index = [np.rint(fft.fftfreq(length, 1 / length)).astype(np.intp) for length in shape]
    finer[np.ix_(index[0], index[1])] = spectrum_y_x
    field = fft.ifft2(finer, norm="forward", workers=workers, overwrite_x=True)
    of_intensity = fft.rfft2(field.real**2 + field.imag**2, workers=workers)
    # frequencies in cycles a pixel; np.sinc(x) is sin(pi x) / (pi x)
    of_intensity *= np.sinc(side * fft.fftfreq(2 * shape[0], 0.5))[:, None]
    of_intensity *= np.sinc(side * fft.rfftfreq(2 * shape[1], 0.5))
    mean = fft.irfft2(of_intensity, s=field.shape, workers=workers)[::2, ::2]
    # rounding may leave a dark pixel a hair below nothing
    return np.maximum(mean, 0.0)


def collect(
    exit_spectrum_y_x: ComplexArray,
    z_um: float,
    na_xy: FloatArray,
    sensor_shape_y_x: tuple[int, int],
    optics: Optics,
    aberration_waves: tuple[tuple[int, float], ...],
) -> PupilLight:
    """Pass the light of one LED through the objective.

    Parameters
    ----------
    exit_spectrum_y_x : array [y, x] of complex
        Spectrum of v (see `multislice`) at the height `z_um`, on the fine grid.
    z_um : float
    na_xy : array [2]
        Shift of the LED.
    sensor_shape_y_x : (int, int)
        Camera pixels that cover the same area as the fine grid.
    optics : Optics
    aberration_waves : pairs (Noll index, waves RMS)
    """
    indices, frequencies = [], []
    for axis, na in ((0, na_xy[1]), (1, na_xy[0])):
        count = sensor_shape_y_x[axis]
        step = 1 / (count * optics.pixel_um)
        window = round(na / optics.wavelength_um / step)
        index = np.rint(fft.fftfreq(count, 1 / count)).astype(np.intp) + window
        indices.append(index % exit_spectrum_y_x.shape[axis])
        frequencies.append(index * step - na / optics.wavelength_um)
    y, x = frequencies[0][:, None], frequencies[1][None, :]
    rate = axial_rate_rad_per_um(y**2 + x**2, optics.wavelength_um, optics.medium_index)
    transfer = pupil(y, x, optics, aberration_waves) * np.exp(1j * z_um * rate)
    patch = exit_spectrum_y_x[np.ix_(indices[0], indices[1])]
    return PupilLight(patch * transfer.astype(patch.dtype), rate)
