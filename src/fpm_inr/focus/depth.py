"""Where every patch is sharpest."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from fpm_inr.focus.plate import fit_plate
from fpm_inr.focus.scores import Float32Array, FloatArray, FocusScores, interpolation

# A patch whose score reaches this share of the well-structured patches' (the 95th percentile of all
# peaks) is trusted fully as far as contrast goes; with less, in proportion.
FULL_CONTRAST = 0.2
# By the frames, depth is a plate through the patches' heights. Over one patch, a specimen's surface
# is expected to bend by this share of the range of z. Patches that agree among each other are
# hardly smoothed, noisy ones much: waves of this many patches are kept to one half, at least and at
# most. Tilted and wavy specimens (waves of 30 and 60 um) decided; docs/focus.md has the figures.
BEND_SHARE = 1 / 12
LEAST_PLATE_PATCHES, MOST_PLATE_PATCHES = 1.5, 5.0
# Below this confidence a patch's own depth is noise.
LEAST_CONFIDENCE = 0.1
# A patch that lies this many standard deviations (and a slice) off the median around it is an
# outlier: light from sharper neighbours that defocus has carried into it.
OUTLIER_SIGMAS = 3.0


@dataclass(frozen=True, eq=False)
class DepthMap:
    """Sharpest height of every patch.

    Parameters
    ----------
    depth_um_y_x : array [patch row, patch column]
        Height in um; patches that are not trusted hold what their neighbours say. By the frames:
        a smooth surface through all.
    confidence_y_x : array [patch row, patch column]
        0 (flat, or nothing there) to 1.
    is_trusted_y_x : array [patch row, patch column] of bool
    scores : FocusScores
    """

    depth_um_y_x: FloatArray
    confidence_y_x: FloatArray
    is_trusted_y_x: NDArray[np.bool_]
    scores: FocusScores

    @property
    def share_at_ends(self) -> float:
        """Share of the confident patches that are sharpest in the first or the last slice."""
        confident = self.confidence_y_x >= LEAST_CONFIDENCE
        at_end = _is_at_end(self.scores.score_z_y_x)
        return float(at_end[confident].mean()) if confident.any() else 0.0

    def depth_of_pixels_um(self) -> Float32Array:
        """Depth [y, x] of every pixel, in um, interpolated linearly between patches.

        Beyond the outermost patches' centres it stays what it is; by the frames its slope goes on.
        """
        scores = self.scores
        goes_on = scores.settings.method == "residual"
        y, x = (
            interpolation(centre, np.arange(length), goes_on=goes_on)
            for centre, length in zip(
                (scores.centre_y_px, scores.centre_x_px), scores.shape_y_x, strict=True
            )
        )
        pixels = y @ self.depth_um_y_x.astype(np.float32) @ x.T
        return np.asarray(np.clip(pixels, *scores.z_um[[0, -1]].astype(np.float32)))


@dataclass(frozen=True, eq=False)
class Autofocus:
    """Best focus at one point.

    Parameters
    ----------
    z_um : float
    confidence : float
        0 to 1, as in `DepthMap`.
    is_at_end : bool
        The sharpest slice is the first or the last: focus may lie beyond the range.
    curve_z : array [z]
        The focus curve at that point.
    """

    z_um: float
    confidence: float
    is_at_end: bool
    curve_z: FloatArray


def depth_map(scores: FocusScores, *, full_contrast: float | None = None) -> DepthMap:
    """Find each patch's sharpest height, between slices by a parabola through three scores.

    Confidence is the product of how far the peak stands above the curve's median over z, as a share
    of the peak, and of the patch's contrast against well-structured patches of the same image.
    A patch is not trusted, and takes its neighbours' depth, where its confidence is low, where it
    is sharpest in the first or the last slice (no peak is seen), or where it is an outlier.
    Where no patch at all can be trusted, each keeps its own depth.

    By the frames ("residual"), depth is a plate fitted to all patches' heights (`fit_plate`). A
    patch counts by the square of its curve's prominence, times the square of its score over the
    median score where that is less (the frames are badly explained there: by light from beyond the
    frame, say); not at all where it is sharpest in the first or the last slice.

    Parameters
    ----------
    scores : FocusScores
    full_contrast : float, optional
        Score from which a patch is trusted fully as far as contrast goes, of an image of which
        these scores are a part (`full_contrast_of` some of it). Default: of these.
    """
    depth = peak_um(scores.z_um, scores.score_z_y_x)
    if full_contrast is None:
        full_contrast = full_contrast_of([scores])
    confidence = _confidence(scores.score_z_y_x, full_contrast)
    is_trusted = (confidence >= LEAST_CONFIDENCE) & ~_is_at_end(scores.score_z_y_x)
    is_trusted &= ~_is_outlier(np.where(is_trusted, depth, np.nan), scores)
    if scores.settings.method == "residual":
        surface = _bent_little(depth, scores)
    else:
        surface = _fill(depth, is_trusted, confidence)
    return DepthMap(surface, confidence, is_trusted, scores)


def autofocus(scores: FocusScores, y_px: float, x_px: float) -> Autofocus:
    """Find the best focus at a pixel.

    Raises
    ------
    SettingsError
        The point lies outside the image.
    """
    curve = scores.curve_at(y_px, x_px)
    sharpest = int(np.argmax(curve))
    return Autofocus(
        float(peak_um(scores.z_um, curve)),
        float(_confidence(curve, full_contrast_of([scores]))),
        sharpest in (0, len(curve) - 1),
        curve,
    )


def peak_um(z_um: FloatArray, score_z: NDArray[Any]) -> FloatArray:
    """Height of the highest score along the first axis, refined by a parabola.

    The parabola passes through the highest sample and its two neighbours; a highest sample at
    either end is taken as it is.
    """
    top = np.argmax(score_z, axis=0)
    if len(z_um) < 3:
        return np.asarray(z_um[top])
    middle = np.clip(top, 1, len(z_um) - 2)
    below, peak, above = (
        np.take_along_axis(score_z, (middle + step)[None], axis=0)[0].astype(np.float64)
        for step in (-1, 0, 1)
    )
    z = z_um[middle]
    step_down, step_up = z - z_um[middle - 1], z_um[middle + 1] - z
    slope_down, slope_up = (peak - below) / step_down, (above - peak) / step_up
    curvature = (slope_up - slope_down) / (step_down + step_up)
    slope = (slope_down * step_up + slope_up * step_down) / (step_down + step_up)
    is_peak = (top == middle) & (curvature < 0)
    shift = np.divide(-slope, 2 * curvature, out=np.zeros_like(slope), where=is_peak)
    return np.where(is_peak, z + np.clip(shift, -step_down, step_up), z_um[top])


def _bent_little(depth: FloatArray, scores: FocusScores) -> FloatArray:
    score_z = scores.score_z_y_x
    is_inside = ~_is_at_end(score_z)
    if not is_inside.any():
        return depth
    peak = score_z.max(axis=0).astype(np.float64)
    weight = np.where(is_inside, (_prominence(score_z) * np.minimum(peak / np.median(peak), 1)), 0)
    weight = weight**2
    usual = float(np.percentile(weight[is_inside], 75))
    if usual == 0:
        return depth
    weight = np.minimum(weight / usual, 2.0)
    patch = scores.settings.patch_px / scores.settings.stride_px  # in steps of the grid
    least, most = (
        (patches * patch / (2 * np.pi)) ** 4
        for patches in (LEAST_PLATE_PATCHES, MOST_PLATE_PATCHES)
    )
    tolerance = float(np.diff(scores.z_um).mean()) / 5
    _, sigma = fit_plate(depth, weight, least, tolerance)
    bend = BEND_SHARE * float(np.ptp(scores.z_um)) / patch**2
    stiffness = float(np.clip((sigma / bend) ** 2, least, most))
    surface, _ = fit_plate(depth, weight, stiffness, tolerance)
    return np.clip(surface, scores.z_um[0], scores.z_um[-1])


def full_contrast_of(parts: Sequence[FocusScores]) -> float:
    """Score from which patches of an image are trusted fully, by some parts of it."""
    peaks = [one.score_z_y_x.max(axis=0).ravel() for one in parts]
    return FULL_CONTRAST * float(np.percentile(np.concatenate(peaks), 95))


def _confidence(score_z: NDArray[Any], full_contrast: float) -> FloatArray:
    peak = score_z.max(axis=0).astype(np.float64)
    contrast = np.clip(peak / full_contrast, 0, 1) if full_contrast > 0 else 0.0
    return np.asarray(_prominence(score_z) * contrast)


def _prominence(score_z: NDArray[Any]) -> FloatArray:
    """How far a curve's peak stands above its median over z, as a share of the peak."""
    peak = score_z.max(axis=0).astype(np.float64)
    safe = np.where(peak > 0, peak, 1.0)
    return np.where(peak > 0, 1 - np.median(score_z, axis=0) / safe, 0.0)


def _is_at_end(score_z: NDArray[Any]) -> NDArray[np.bool_]:
    top = np.argmax(score_z, axis=0)
    return np.asarray((top == 0) | (top == len(score_z) - 1))


def _is_outlier(depth: FloatArray, scores: FocusScores) -> NDArray[np.bool_]:
    """Compare depths (NaN: none) with the median of those whose patches overlap theirs."""
    settings = scores.settings
    reach = max(1, round(0.75 * settings.patch_px / settings.stride_px))
    around = sliding_window_view(
        np.pad(depth, reach, constant_values=np.nan), (2 * reach + 1, 2 * reach + 1)
    ).reshape(*depth.shape, -1)
    slice_um = float(np.diff(scores.z_um).mean()) if len(scores.z_um) > 1 else 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a neighbourhood may hold no depth at all
        median = np.nanmedian(around, axis=-1)
        sigma = 1.4826 * np.nanmedian(np.abs(around - median[..., None]), axis=-1)
    return np.asarray(np.abs(depth - median) > OUTLIER_SIGMAS * sigma + slice_um)


def _fill(depth: FloatArray, is_trusted: NDArray[np.bool_], confidence: FloatArray) -> FloatArray:
    """Replace what is not trusted by the confidence-weighted mean of trusted neighbours.

    The neighbourhood widens, doubling, until it holds some.
    """
    if not is_trusted.any():
        return depth
    weight = np.where(is_trusted, confidence, 0.0)
    filled, is_known = np.where(is_trusted, depth, 0.0), is_trusted
    sigma = 1.0
    while not is_known.all():
        share = gaussian_filter(weight, sigma, mode="constant", truncate=3)
        mean = gaussian_filter(weight * depth, sigma, mode="constant", truncate=3)
        is_new = ~is_known & (share > 1e-6)
        filled = np.where(is_new, mean / np.where(is_new, share, 1.0), filled)
        is_known = is_known | is_new
        sigma *= 2
    return filled
