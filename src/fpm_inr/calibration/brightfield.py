"""LED positions and the objective's NA from the circles in bright-field spectra, without a solve.

The Fourier transform of a bright-field frame is bright inside two discs: the pupil, moved by the
light's direction, and its mirror image. Their edges tell that direction (Eckert, Phillips, Waller,
Appl. Opt. 57, 5434 (2018)). Here the pose of the whole array is moved until the circles of all
bright-field LEDs lie on edges, from broad edges to fine ones. The circles' radius is the NA.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.optimize import minimize

from fpm_inr.acquisition import Acquisition
from fpm_inr.errors import DataError
from fpm_inr.forward import Instrument, nominal_instrument
from fpm_inr.instrument.pose import POSE, posed

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
# circles tell the NA to 3.5 % in all simulated and real series that were tried
NA_MARGIN = 0.06
# radii that are tried, over the stated NA
NA_FACTORS = np.linspace(0.7, 1.4, 71)
# a peak this many radii wide must be this much higher than all others, and a step of the logarithm
NEAR_TOP, CLEAR_PEAK, LEAST_STEP = 20, 2.0, 0.05


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


def fit_brightfield(
    acquisition: Acquisition, *, na: float | None = None, learn_na: bool = False
) -> BrightfieldFit:
    """Find the pose of the LED array from the bright-field spectra.

    Parameters
    ----------
    acquisition : Acquisition
    na : float, optional
        Radius of the circles. Default: as stated.
    learn_na : bool
        Find their radius too, from that value.

    Raises
    ------
    DataError
        Too few bright-field frames show a circle off the axis.
    """
    optics = acquisition.optics
    na_led = acquisition.illumination.na_led
    radius = optics.na if na is None else na
    frames, lit = acquisition.illumination.alone()
    shown = _with_circles(na_led[lit], radius)
    leds = lit[shown]
    spectra = _log_spectra(acquisition.frames_led_y_x[frames[shown]])
    step_yx = _step_yx(acquisition)
    nominal = torch.tensor(acquisition.illumination.na_led_xy)
    freedoms = RIGID + learn_na
    sample_na = float(np.sqrt(step_yx.prod()))

    def contrast(pose: FloatArray, maps: FloatArray, width: float) -> float:
        # every LED moves with the pose, so that its unit is that of the whole array
        na_xy = posed(nominal, _six(pose[:RIGID]), sample_na).numpy()[leds]
        circle = radius + sample_na * float(pose[RIGID:].sum())
        return _edge_contrast(maps, na_xy, circle, step_yx, width)

    first = [gaussian_filter(one, WIDTHS[0] / 2) for one in spectra]
    reach = radius / sample_na
    starts = [np.zeros(freedoms) for _ in range(len(STARTS) ** 2)]
    for start, (x, y) in zip(starts, product(STARTS, STARTS), strict=True):
        start[:2] = x * reach, y * reach
    pose = max(starts, key=lambda start: contrast(start, np.stack(first), WIDTHS[0]))
    for width in WIDTHS:
        maps = np.stack([gaussian_filter(one, width / 2) for one in spectra])
        simplex = np.vstack([pose, pose + 2 * width * np.eye(freedoms)])
        found = minimize(
            lambda p, maps=maps, width=width: -contrast(p, maps, width),
            pose,
            method="Nelder-Mead",
            options={"initial_simplex": simplex, "xatol": 0.02, "fatol": 1e-5, "maxfev": 600},
        )
        pose = found.x
    still = np.zeros(freedoms)
    before, after = (contrast(p, maps, WIDTHS[-1]) for p in (still, pose))
    if after <= before:
        pose, after = still, before
    found = replace(
        nominal_instrument(acquisition), na_led_xy=posed(nominal, _six(pose[:RIGID]), sample_na)
    )
    if learn_na:
        found = replace(found, na=torch.tensor(radius + sample_na * pose[RIGID]))
    return BrightfieldFit(found, before, after)


def na_from_circles(acquisition: Acquisition) -> float:
    """Numerical aperture of the objective by the circles' radius, LEDs taken as stated.

    Raises
    ------
    DataError
        Too few bright-field frames show a circle off the axis, or their spectra no edge.
    """
    acquisition = acquisition.one_by_one()
    optics, na_led = acquisition.optics, acquisition.illumination.na_led
    step_yx = _step_yx(acquisition)
    try:  # the LEDs that are bright-field for every radius that is tried
        leds = _with_circles(na_led, NA_FACTORS[0] * optics.na)
    except DataError:
        leds = _with_circles(na_led, optics.na)
    spectra = _log_spectra(acquisition.frames_led_y_x[leds])
    maps = np.stack([gaussian_filter(one, WIDTHS[1] / 2) for one in spectra])
    na_xy = acquisition.illumination.na_led_xy[leds]
    contrast = np.array(
        [_edge_contrast(maps, na_xy, f * optics.na, step_yx, WIDTHS[1]) for f in NA_FACTORS]
    )
    top = int(contrast.argmax())
    rest = np.delete(contrast, slice(max(top - NEAR_TOP, 0), top + NEAR_TOP + 1))
    stands_out = contrast[top] > LEAST_STEP and contrast[top] > CLEAR_PEAK * max(rest.max(), 0.0)
    if not stands_out:
        raise DataError(
            "show no circles in their spectra",
            "measure the NA otherwise",
            field="bright-field frames",
        )
    return float(NA_FACTORS[top] * optics.na)


@dataclass(frozen=True)
class NaCheck:
    """The stated NA beside that of the circles in the bright-field spectra.

    Parameters
    ----------
    stated, na : float
    margin : float
        How far they may differ, as a share of the stated NA, before it means anything.
    """

    stated: float
    na: float
    margin: float

    @property
    def warnings(self) -> list[str]:
        """Sentences for a person; none where all is well."""
        if abs(self.na / self.stated - 1) <= self.margin:
            return []
        return [
            f"the spectra of the bright-field frames end at an NA of about {self.na:.3g}, not "
            f"{self.stated:g}: check optics.na, wavelength, magnification and camera pixel "
            "(fpm-inr calibrate --free gains,pupil,pose,na finds the NA)."
        ]


def check_na(acquisition: Acquisition) -> NaCheck | None:
    """Check the stated NA against the frames; None where they do not tell it."""
    try:
        found = na_from_circles(acquisition)
    except DataError:
        return None
    optics = acquisition.optics
    sample = float(_step_yx(acquisition).max()) / optics.na
    return NaCheck(optics.na, found, max(NA_MARGIN, 1.5 * sample))


def _step_yx(acquisition: Acquisition) -> FloatArray:
    optics = acquisition.optics
    return np.asarray(optics.wavelength_um / (np.array(acquisition.shape_y_x) * optics.pixel_um))


def _with_circles(na_led: FloatArray, na: float) -> NDArray[np.intp]:
    """LEDs whose circles lie off the axis and in the bright field."""
    leds = np.flatnonzero((na_led > 0.15 * na) & (na_led < 0.95 * na))
    if len(leds) < LEAST_LEDS:
        raise DataError(
            f"are {len(leds)} off the axis, too few to fit circles to",
            "start at the nominal LED positions",
            field="bright-field frames",
        )
    return leds[np.linspace(0, len(leds) - 1, min(MOST_LEDS, len(leds))).round().astype(int)]


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
