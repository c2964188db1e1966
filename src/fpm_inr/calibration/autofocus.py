"""Where the sample lies: from the parallax of bright-field frames, and from how well they fit.

A structure at height z moves from frame to frame by -z tan(angle) of the light. Frames moved back
by a trial height and averaged keep their contrast where that height is right (Zheng, Kolner, Yang,
Opt. Lett. 36, 3987 (2011)). This needs no reconstruction and no calibration.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition
from fpm_inr.calibration.solve import PlaneFit, fit_plane
from fpm_inr.errors import DataError
from fpm_inr.instrument import parse_free
from fpm_inr.sampling import depth_of_field_um

FloatArray = NDArray[np.float64]

LEAST_LEDS = 3
INSIDE_PUPIL = 0.98
MOST_LEDS = 48
STEPS_PER_DEPTH_OF_FIELD = 8
# a trial height may move a frame by this share of its side
MOST_PARALLAX = 0.25
# contrast finer than this share of the objective's cutoff counts
LOW_CUT = 0.1
TILES = 6
# tiles below this share of the mean contrast hold no structure to focus on
LEAST_CONTRAST = 0.25


@dataclass(frozen=True, eq=False)
class FocusCurve:
    """How well the bright-field frames agree at trial heights.

    Parameters
    ----------
    z_um : array [z]
    score_z : array [z]
        Share of the frames' contrast that their average keeps, 0 to 1.
    tile_z_um : array [tile]
        Best height of every part of the frame that holds structure.
    """

    z_um: FloatArray
    score_z: FloatArray
    tile_z_um: FloatArray

    @property
    def best_um(self) -> float:
        """Height of the highest score, in um."""
        return _peak(self.z_um, self.score_z)


@dataclass(frozen=True, eq=False)
class Focus:
    """The height of a sample.

    Parameters
    ----------
    z_um : float
        Where a single plane fits the frames best.
    curve : FocusCurve
    """

    z_um: float
    curve: FocusCurve


def bright_field(acquisition: Acquisition) -> NDArray[np.intp]:
    """At most `MOST_LEDS` LEDs whose direct light passes the pupil well inside its edge.

    Raises
    ------
    DataError
        There are fewer than three, or none off the axis.
    """
    na_led = acquisition.illumination.na_led
    leds = np.flatnonzero(na_led < INSIDE_PUPIL * acquisition.optics.na)
    if len(leds) < LEAST_LEDS or na_led[leds].max() < 0.1 * acquisition.optics.na:
        raise DataError(
            f"are {len(leds)}, too few or too central to show parallax",
            "give the height of the sample",
            field="bright-field frames",
        )
    return leds[np.linspace(0, len(leds) - 1, min(MOST_LEDS, len(leds))).round().astype(int)]


def focus_curve(acquisition: Acquisition, z_um: FloatArray | None = None) -> FocusCurve:
    """Score trial heights by the parallax of the bright-field frames.

    Parameters
    ----------
    acquisition : Acquisition
    z_um : array [z], optional
        Trial heights. Default: an eighth of a depth of field apart, as far as the parallax stays
        within a quarter of the frame.

    Raises
    ------
    DataError
        There are fewer than three bright-field frames.
    """
    acquisition = acquisition.one_by_one()
    optics, shape = acquisition.optics, acquisition.shape_y_x
    leds = bright_field(acquisition)
    na_xy = acquisition.illumination.na_led_xy[leds]
    slope = na_xy / np.sqrt(optics.medium_index**2 - (na_xy**2).sum(axis=1, keepdims=True))
    if z_um is not None:
        heights = np.asarray(z_um, dtype=np.float64)
    else:
        step = depth_of_field_um(optics) / STEPS_PER_DEPTH_OF_FIELD
        far = MOST_PARALLAX * min(shape) * optics.pixel_um / np.hypot(*slope.T).max()
        steps = int(far / step)
        heights = np.linspace(-steps * step, steps * step, 2 * steps + 1, dtype=np.float64)
    frames = acquisition.frames_led_y_x[leds]
    frames = frames / np.maximum(frames.mean(axis=(1, 2), keepdims=True), 1e-12) - 1
    fy = np.fft.fftfreq(shape[0], optics.pixel_um)
    fx = np.fft.fftfreq(shape[1], optics.pixel_um)
    fine = np.hypot(fy[:, None], fx) > LOW_CUT * optics.na / optics.wavelength_um
    spectra = (np.fft.fft2(frames) * fine).astype(np.complex64)
    power = (np.fft.ifft2(spectra).real ** 2).mean(axis=0)
    tiles = _tiles(shape)
    whole, parts = [], []
    for z in heights:
        # moved back along the parallax -z tan(angle)
        ramp_y = np.exp(-2j * np.pi * np.outer(slope[:, 1] * z, fy)).astype(np.complex64)
        ramp_x = np.exp(-2j * np.pi * np.outer(slope[:, 0] * z, fx)).astype(np.complex64)
        mean = np.fft.ifft2((spectra * ramp_y[:, :, None] * ramp_x[:, None, :]).mean(axis=0))
        kept = mean.real**2
        whole.append(kept.mean() / max(power.mean(), 1e-30))
        parts.append([kept[tile].mean() for tile in tiles])
    contrast = np.array([power[tile].mean() for tile in tiles])
    by_tile = np.array(parts)
    telling = np.flatnonzero(contrast > LEAST_CONTRAST * contrast.mean())
    peaks = [_peak(heights, by_tile[:, tile]) for tile in telling]
    return FocusCurve(heights, np.array(whole), np.array(peaks))


def autofocus(
    acquisition: Acquisition,
    *,
    steps: int = 60,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Focus:
    """Find the height of a (roughly flat) sample.

    The parallax of the bright field and the file's 0 are the starts; short solves with free gains
    and a free height choose between them. A solve whose pupil is free as well, but for its defocus,
    then ends where the frames fit best: aberrations that parallax takes for height do not count.

    Raises
    ------
    DataError
        There are fewer than three bright-field frames.
    """
    curve = focus_curve(acquisition)

    def fit(z_um: float, free: str, count: int) -> PlaneFit:
        return fit_plane(acquisition, z_um, parse_free(free), steps=count, seed=seed, device=device)

    near = depth_of_field_um(acquisition.optics)
    starts = [curve.best_um] + ([0.0] if abs(curve.best_um) > near else [])
    first = min(
        (fit(z_um, "gains,defocus", steps) for z_um in starts), key=lambda one: one.residual
    )
    z_um = _height(first)
    return Focus(_height(fit(z_um, "gains,pupil,defocus", steps)), curve)


def _height(fit: PlaneFit) -> float:
    moved = fit.instrument.defocus_um
    return fit.z_um + (0.0 if moved is None else float(moved))


def find_z_range(acquisition: Acquisition) -> tuple[tuple[float, float], FocusCurve]:
    """Find the interval of heights that holds the sample.

    That of the best heights of all parts of the frame (without the outermost tenth on either side),
    and half a depth of field more at both ends.

    Raises
    ------
    DataError
        There are fewer than three bright-field frames.
    """
    curve = focus_curve(acquisition)
    low, high = np.percentile(curve.tile_z_um, [10, 90])
    margin = depth_of_field_um(acquisition.optics) / 2
    return (float(low - margin), float(high + margin)), curve


def _tiles(shape: tuple[int, int]) -> list[tuple[slice, slice]]:
    edges = [np.linspace(0, side, TILES + 1).round().astype(int) for side in shape]
    return [
        (slice(top, bottom), slice(left, right))
        for top, bottom in pairwise(edges[0])
        for left, right in pairwise(edges[1])
    ]


def _peak(z_um: FloatArray, score: FloatArray) -> float:
    """Place of the highest score, from a parabola through it and its neighbours."""
    top = int(np.argmax(score))
    if top in (0, len(z_um) - 1):
        return float(z_um[top])
    before, at, after = (float(score[top + d]) for d in (-1, 0, 1))
    bend = before - 2 * at + after
    share = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return float(z_um[top] + share * (z_um[top + 1] - z_um[top]))
