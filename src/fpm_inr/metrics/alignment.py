"""Bringing a result onto a reference: a sub-pixel shift and one factor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import fourier_shift

from fpm_inr.metrics.images import Image, check_pair

SHIFT_STEP_PX = 0.01
LEAST_SHIFT_PX = 0.02  # less is not worth an interpolation and a row of pixels


@dataclass(frozen=True, eq=False)
class Aligned:
    """Two images that can be compared pixel by pixel.

    Parameters
    ----------
    result, reference : array [y, x]
        Cut to where both are known after the shift.
    shift_y_x_px : (float, float)
        By which the result was moved.
    factor : complex
        By which the result was multiplied (real for real images).
    cut_y_x : (slice, slice)
        The part of the original grid that is left.
    """

    result: Image
    reference: Image
    shift_y_x_px: tuple[float, float]
    factor: complex
    cut_y_x: tuple[slice, slice]


def align(result: Image, reference: Image, *, find_shift: bool = True) -> Aligned:
    """Move a result by a sub-pixel shift and multiply it by the least-squares factor.

    The shift is the peak of the cross-correlation of the two images, mean-subtracted and tapered at
    the edges, to 0.01 pixel, and none below 0.02 (Guizar-Sicairos et al., Opt. Lett. 33, 156,
    2008; scikit-image). No complex factor moves that peak.
    The factor a minimises ||a result - reference||.

    Parameters
    ----------
    result, reference : array [y, x]
        Both real or both complex.
    find_shift : bool
        False: the images are known to be in place.

    Raises
    ------
    DataError
        As `check_pair`.
    """
    check_pair(result, reference)
    shift = _shift_px(result, reference) if find_shift else (0.0, 0.0)
    moved = result
    if shift != (0.0, 0.0):
        moved = np.fft.ifft2(fourier_shift(np.fft.fft2(result), shift))
        moved = moved if np.iscomplexobj(result) else moved.real
    cut_y_x = tuple(_known(by, length) for by, length in zip(shift, result.shape, strict=True))
    moved, fixed = moved[cut_y_x], reference[cut_y_x]
    energy = np.vdot(moved, moved).real
    factor = np.vdot(moved, fixed) / energy if energy > 0 else 1.0
    return Aligned(moved * factor, fixed, shift, complex(factor), (cut_y_x[0], cut_y_x[1]))


def _shift_px(result: Image, reference: Image) -> tuple[float, float]:
    from skimage.registration import phase_cross_correlation

    taper = np.outer(*(np.hanning(length + 2)[1:-1] for length in result.shape))
    fixed, moving = ((image - image.mean()) * taper for image in (reference, result))
    if not (fixed.any() and moving.any()):
        return 0.0, 0.0
    shift, _, _ = phase_cross_correlation(  # type: ignore[no-untyped-call]
        fixed, moving, upsample_factor=round(1 / SHIFT_STEP_PX), normalization=None
    )
    y, x = (float(by) if abs(by) > LEAST_SHIFT_PX else 0.0 for by in shift)
    return y, x


def _known(shift_px: float, length: int) -> slice:
    """Pixels that did not come around from the other edge."""
    lost = int(np.ceil(abs(shift_px)))
    return slice(lost, length) if shift_px > 0 else slice(0, length - lost)
