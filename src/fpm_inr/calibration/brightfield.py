"""LED positions from the circles in bright-field spectra, without a solve.

The Fourier transform of a bright-field frame is bright inside two discs: the pupil, moved by the
light's direction, and its mirror image. Their edges tell that direction (Eckert, Phillips, Waller,
Appl. Opt. 57, 5434 (2018)). Here the pose of the whole array is moved until the circles of all
bright-field LEDs lie on edges, from broad edges to fine ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.optimize import minimize

from fpm_inr.acquisition import Acquisition
from fpm_inr.calibration.pose import POSE, posed
from fpm_inr.errors import DataError
from fpm_inr.forward import Instrument, nominal_instrument

FloatArray = NDArray[np.float64]

# half the distance between the rings inside and outside of a circle, in Fourier samples
WIDTHS = (4.0, 2.0, 1.0)
ANGLES = 180
LEAST_LEDS = 4
# shift, rotation and scale; the tilt of an array hardly shows in the bright field
RIGID = 4
MOST_LEDS = 64
# starts of the search: shifts of the array, in units of the objective's NA
STARTS = (-0.15, 0.0, 0.15)


@dataclass(frozen=True, eq=False)
class BrightfieldFit:
    """LED positions by the circles in the bright-field spectra.

    Parameters
    ----------
    instrument : Instrument
        Nominal but for the LED directions.
    contrast_before, contrast_after : float
        Mean step of the logarithmic spectrum across the circles.
    """

    instrument: Instrument
    contrast_before: float
    contrast_after: float


def fit_brightfield(acquisition: Acquisition) -> BrightfieldFit:
    """Find the pose of the LED array from the bright-field spectra.

    Raises
    ------
    DataError
        Too few bright-field frames show a circle off the axis.
    """
    optics = acquisition.optics
    na_led = acquisition.illumination.na_led
    leds = np.flatnonzero((na_led > 0.15 * optics.na) & (na_led < 0.95 * optics.na))
    if len(leds) < LEAST_LEDS:
        raise DataError(
            f"are {len(leds)} off the axis, too few to fit circles to",
            "start at the nominal LED positions",
            field="bright-field frames",
        )
    leds = leds[np.linspace(0, len(leds) - 1, min(MOST_LEDS, len(leds))).round().astype(int)]
    spectra = _log_spectra(acquisition.frames_led_y_x[leds])
    shape = acquisition.shape_y_x
    step_yx = optics.wavelength_um / (np.array(shape) * optics.pixel_um)
    nominal = torch.tensor(acquisition.illumination.na_led_xy)
    sample_na = float(np.sqrt(step_yx.prod()))

    def contrast(pose: FloatArray, maps: FloatArray, width: float) -> float:
        # every LED moves with the pose, so that its unit is that of the whole array
        na_xy = posed(nominal, _six(pose), sample_na).numpy()[leds]
        return _edge_contrast(maps, na_xy, optics.na, step_yx, width)

    first = [gaussian_filter(one, WIDTHS[0] / 2) for one in spectra]
    reach = optics.na / sample_na
    starts = [np.array([x * reach, y * reach, 0.0, 0.0]) for x in STARTS for y in STARTS]
    pose = max(starts, key=lambda start: contrast(start, np.stack(first), WIDTHS[0]))
    for width in WIDTHS:
        maps = np.stack([gaussian_filter(one, width / 2) for one in spectra])
        simplex = np.vstack([pose, pose + 2 * width * np.eye(RIGID)])
        found = minimize(
            lambda p, maps=maps, width=width: -contrast(p, maps, width),
            pose,
            method="Nelder-Mead",
            options={"initial_simplex": simplex, "xatol": 0.02, "fatol": 1e-5, "maxfev": 600},
        )
        pose = found.x
    still = np.zeros(RIGID)
    before, after = (contrast(p, maps, WIDTHS[-1]) for p in (still, pose))
    if after <= before:
        pose, after = still, before
    moved = posed(nominal, _six(pose), sample_na)
    return BrightfieldFit(replace(nominal_instrument(acquisition), na_led_xy=moved), before, after)


def _six(pose: FloatArray) -> torch.Tensor:
    return torch.from_numpy(np.append(pose, np.zeros(len(POSE) - RIGID)))


def _log_spectra(frames_led_y_x: NDArray[np.float32]) -> FloatArray:
    """Logarithmic spectra, centred, without what all LEDs share (the object's own)."""
    height, width = frames_led_y_x.shape[1:]
    window = np.hanning(height)[:, None] * np.hanning(width)
    frames = frames_led_y_x / np.maximum(frames_led_y_x.mean(axis=(1, 2), keepdims=True), 1e-12)
    size = np.abs(np.fft.fftshift(np.fft.fft2((frames - 1) * window), axes=(1, 2)))
    logs = np.log(size + 1e-3 * size.mean())
    return np.asarray(logs - logs.mean(axis=0))


def _edge_contrast(
    maps: FloatArray, na_xy: FloatArray, na: float, step_yx: FloatArray, width: float
) -> float:
    """Mean step of the spectra from inside to outside of the circles around `na_xy`."""
    angle = 2 * np.pi * np.arange(ANGLES) / ANGLES
    around = np.stack([np.sin(angle), np.cos(angle)])
    centre_yx = na_xy[:, ::-1, None]
    # where the circle runs inside of its mirror image there is no edge
    edge = centre_yx + na * around
    free = np.hypot(*np.moveaxis(edge + centre_yx, 1, 0)) > na
    middle = np.array(maps.shape[1:])[:, None] // 2
    led = np.broadcast_to(np.arange(len(na_xy))[:, None], free.shape)
    sides = []
    for radius in (na - width * step_yx.max(), na + width * step_yx.max()):
        pixel = (centre_yx + radius * around) / step_yx[:, None] + middle
        values = map_coordinates(maps, [led, pixel[:, 0], pixel[:, 1]], order=1, mode="grid-wrap")
        sides.append(values)
    return float((sides[0] - sides[1])[free].mean())
