"""Colour of wavelengths that were not solved: the reference's detail, their bright-field frames.

In a stained section absorbance at one wavelength follows that at another, at a rate that changes
from stain to stain, and so from place to place more slowly than the detail. The rate is found by a
line through both absorbances in a small window of the frames around every place (a guided filter:
He, Sun and Tang, IEEE TPAMI 35, 1397, 2013), and is applied to the absorbance of the solved
wavelength. That colours are carried over from frames of low resolution is published practice for
Fourier ptychography (Gao et al., "High-throughput fast full-color digital pathology based on
Fourier ptychographic microscopy via color transfer", Sci. China Phys. 64, 114211, 2021), by other
means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from fpm_inr import __version__, transforms
from fpm_inr.acquisition import Acquisition
from fpm_inr.chromatic_offset import shifted
from fpm_inr.colour.registration import fine_detail, peak
from fpm_inr.errors import DataError
from fpm_inr.fields.pixel import PixelField
from fpm_inr.fields.spline import LEAST_PLANES, SplineField, signed_frequencies
from fpm_inr.forward import nominal_instrument
from fpm_inr.heights import default_heights
from fpm_inr.solution import Solution

FloatArray = NDArray[np.float64]

INNER = (
    0.5  # of the objective's NA: light this near to the axis makes the picture in low resolution
)
WINDOW_PX = 5  # a side, of the frames, through which a line is laid
CALM = 1e-3  # variance of absorbance that is noise: below it the rate is that of the whole
BEYOND = 1.3  # of the solved cutoff, to which the transferred field reaches
DARKEST = 1e-3  # intensity, of the bright field, below which no absorbance is told


@dataclass(frozen=True, eq=False)
class Carried:
    """How absorbance is carried from the reference to another wavelength, on the frames' grid.

    Parameters
    ----------
    rate_y_x, start_y_x : array [y, x]
        Log intensity of the other = start + rate * that of the reference, both in counts.
    moved_y_x_px : (float, float)
        How far its frames lie further down and to the right.
    """

    rate_y_x: FloatArray
    start_y_x: FloatArray
    moved_y_x_px: tuple[float, float]

    def intensity(self, reference_y_x: NDArray[Any], upsampling: int) -> FloatArray:
        """Intensity [y, x] of the other, in counts, from that of the reference on a finer grid."""
        maps = [_finer(one, upsampling) for one in (self.rate_y_x, self.start_y_x)]
        return np.asarray(np.exp(maps[1] + maps[0] * np.log(reference_y_x)))


def carried(acquisition: Acquisition, reference: Acquisition) -> Carried:
    """Find how absorbance at the reference becomes that of another wavelength.

    Raises
    ------
    DataError
        One of them has no bright-field frame of one LED.
    """
    leds = _inner(acquisition)
    na = acquisition.illumination.na_led_xy[leds]
    inner = _inner(reference)
    away = np.linalg.norm(reference.illumination.na_led_xy[inner][None] - na[:, None], axis=2)
    theirs = _seen(acquisition, leds)
    ours = _seen(reference, inner[np.unique(away.argmin(axis=1))])
    y, x, _ = peak(*(fine_detail(np.sqrt(one).astype(np.complex64), 1.0, 0.5)
                     for one in (ours, theirs)))  # fmt: skip
    moved = shifted(theirs.astype(np.complex64), y, x).real
    logs = [np.log(np.maximum(one, DARKEST * one.max())) for one in (ours, moved)]
    rate, start = _lines(*logs)
    return Carried(rate, start, (y, x))


def transferred(
    acquisition: Acquisition, reference: Acquisition, solved: Solution, name: str
) -> Solution:
    """A solution of a wavelength that was not solved; its record says so.

    Its phase is the reference's: bright-field frames tell none.

    Parameters
    ----------
    acquisition : Acquisition
        Of the wavelength, on the reference's frame; its bright-field frames are looked at.
    reference : Acquisition
    solved : Solution
        Of the reference.
    name : str
        The reference's.

    Raises
    ------
    DataError
        There is no bright-field frame of one LED.
    """
    found = carried(acquisition, reference)
    heights = solved.planes_um
    planes = heights
    if heights is None:
        low, high = solved.z_range_um
        heights = np.array([low]) if low == high else _heights(solved)
    scale = acquisition.amplitude_scale
    images = []
    for stack in solved.slices(heights):
        field = stack.field_z_y_x[0].astype(np.complex128)
        amplitude = np.maximum(np.abs(field), np.sqrt(DARKEST))
        counts = found.intensity((amplitude * stack.amplitude_scale) ** 2, solved.upsampling)
        images.append(field / amplitude * (np.sqrt(counts) / scale))
    image = torch.from_numpy(np.stack(images).astype(np.complex64))
    field = (
        PixelField(image, torch.from_numpy(np.asarray(planes)))
        if planes is not None
        else SplineField.through(image, solved.z_range_um, _disc(solved))
    )
    inner = acquisition.select(_inner(acquisition))
    return Solution(
        field,
        acquisition.optics,
        nominal_instrument(inner),
        solved.upsampling,
        scale,
        {
            "status": "done",
            "engine": "transfer",
            "recipe": "",
            "device": "cpu",
            "threads": torch.get_num_threads(),
            "solve_seconds": 0.0,
            "steps": 0,
            "settings": {"frames": len(inner.frames_led_y_x)},
            "version": __version__,
            "transferred_from": name,
            "moved_y_x_px": [float(px) for px in found.moved_y_x_px],
        },
    )


def frames_that_tell(acquisition: Acquisition) -> Acquisition:
    """The frames that a transfer looks at."""
    return acquisition.select(_inner(acquisition))


def _inner(acquisition: Acquisition) -> NDArray[np.intp]:
    """Frames of one LED near the axis; the nearest one where none is near.

    Raises
    ------
    DataError
        None is a bright-field frame.
    """
    if acquisition.illumination.lighting is not None:
        raise DataError(
            "have several LEDs each", "give frames of one LED for a transfer", field="frames"
        )
    na = acquisition.illumination.na_frame
    if na.min() >= acquisition.optics.na:
        raise DataError(
            "hold no bright-field frame", "give at least one, or solve it", field="frames"
        )
    near = np.flatnonzero(na < INNER * acquisition.optics.na)
    return near if len(near) else np.array([int(na.argmin())])


def _seen(acquisition: Acquisition, leds: NDArray[np.intp]) -> FloatArray:
    """Mean intensity [y, x] of frames, each with the same mean; pixels that lie are filled."""
    frames = acquisition.frames_led_y_x[leds].astype(np.float64)
    weight = acquisition.weight_led_y_x
    if weight is not None:
        counts = weight[leds].astype(np.float64)
        sigma = (0, 0.8, 0.8)
        near = [ndimage.gaussian_filter(one, sigma) for one in (frames * counts, counts)]
        frames = np.where(counts > 0, frames, near[0] / np.maximum(near[1], 1e-6))
    bright = frames.mean(axis=(1, 2), keepdims=True)
    return np.asarray((frames * (bright.mean() / bright)).mean(axis=0))


def _lines(ours_y_x: FloatArray, theirs_y_x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Rate and start [y, x] of theirs = start + rate * ours around every pixel."""

    def mean(image: FloatArray) -> FloatArray:
        return np.asarray(ndimage.uniform_filter(image, WINDOW_PX, mode="nearest"))

    apart, others = ours_y_x - ours_y_x.mean(), theirs_y_x - theirs_y_x.mean()
    whole = float((apart * others).sum() / max((apart**2).sum(), 1e-12))
    middle = mean(ours_y_x), mean(theirs_y_x)
    both = mean(ours_y_x * theirs_y_x) - middle[0] * middle[1]
    alone = mean(ours_y_x**2) - middle[0] ** 2
    rate = (both + CALM * whole) / (np.maximum(alone, 0) + CALM)
    start = middle[1] - rate * middle[0]
    return mean(rate), mean(start)


def _finer(image_y_x: FloatArray, upsampling: int) -> FloatArray:
    """A map on the finer grid, whose first pixel lies where the map's does."""
    shape = tuple(side * upsampling for side in image_y_x.shape)
    return np.asarray(
        ndimage.affine_transform(
            image_y_x, (1 / upsampling,) * 2, output_shape=shape, order=1, mode="nearest"
        )
    )


def _heights(solved: Solution) -> FloatArray:
    """As many heights as hold what the reference holds."""
    if isinstance(solved.field, SplineField):
        return np.linspace(*solved.z_range_um, max(len(solved.field.spectrum), LEAST_PLANES))
    return default_heights(solved.z_range_um)


def _disc(solved: Solution) -> torch.Tensor:
    """Frequencies [2, sample] of the solved band and a little beyond, where powers of it reach."""
    y, x = (transforms.frequencies(side) for side in solved.shape_y_x)
    most = min(0.5, BEYOND * solved.cutoff_per_um * solved.pixel_um)
    inside = torch.hypot(y[:, None], x[None]) < most
    return signed_frequencies(inside.flatten().nonzero()[:, 0], solved.shape_y_x)
