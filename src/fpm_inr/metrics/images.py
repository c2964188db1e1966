"""Distances between two images on one grid, real or complex as each says."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import DataError

Image = NDArray[Any]
SSIM_WINDOW_PX = 7


def check_pair(result: Image, reference: Image) -> None:
    """Refuse two images that cannot be compared.

    Raises
    ------
    DataError
        An image is not [y, x], not numbers, not finite; shapes differ; the reference is zero.
    """
    for name, image in (("result", result), ("reference", reference)):
        if image.ndim != 2 or 0 in image.shape:
            raise DataError(f"has shape {image.shape}", "give one image [y, x]", field=name)
        if not np.issubdtype(image.dtype, np.number):
            raise DataError(f"has type {image.dtype}", "give numbers", field=name)
        if not np.isfinite(image).all():
            bad = int(image.size - np.isfinite(image).sum())
            raise DataError(
                f"holds {bad} values that are not finite", "repair or crop the image", field=name
            )
    if result.shape != reference.shape:
        raise DataError(
            f"has {result.shape[0]} x {result.shape[1]} pixels and the reference "
            f"{reference.shape[0]} x {reference.shape[1]} (y x x)",
            "bring both to one grid (same field of view, same pixel)",
            field="result",
        )
    if not reference.any():
        raise DataError(
            "is zero everywhere", "give a reference that holds light", field="reference"
        )


def rmse(result: Image, reference: Image) -> float:
    """Root of the mean squared difference (real or complex), in the images' unit."""
    check_pair(result, reference)
    return float(np.sqrt(_mean_square(_difference(result, reference))))


def relative_l2(result: Image, reference: Image) -> float:
    """Relative norm ||result - reference|| / ||reference|| (real or complex)."""
    return float(np.sqrt(ratio_of_squares(result, reference)))


def ratio_of_squares(result: Image, reference: Image) -> float:
    """||result - reference||^2 / ||reference||^2: the square of `relative_l2`.

    Tutorials print it under the name of a relative error; it looks better by the power of two.
    """
    check_pair(result, reference)
    return _mean_square(_difference(result, reference)) / _mean_square(reference)


def psnr(result: Image, reference: Image) -> float:
    """Peak signal-to-noise ratio in dB of real images; the peak is the reference's max - min.

    Raises
    ------
    DataError
        Complex images, a flat reference, or as `check_pair`.
    """
    span = _span(result, reference)
    error = rmse(result, reference)
    return float(20 * np.log10(span / error)) if error > 0 else float("inf")


def ssim(result: Image, reference: Image) -> float:
    """Structural similarity of real images (scikit-image; 7-pixel window, reference's max - min).

    Raises
    ------
    DataError
        Complex images, a flat reference, images under 7 pixels, or as `check_pair`.
    """
    from skimage.metrics import structural_similarity

    span = _span(result, reference)
    if min(reference.shape) < SSIM_WINDOW_PX:
        raise DataError(
            f"has {reference.shape[0]} x {reference.shape[1]} pixels",
            f"give at least {SSIM_WINDOW_PX} x {SSIM_WINDOW_PX}",
            field="reference",
        )
    return float(
        structural_similarity(  # type: ignore[no-untyped-call]
            _double(reference), _double(result), data_range=span, win_size=SSIM_WINDOW_PX
        )
    )


def ncc(result: Image, reference: Image) -> float:
    """Correlation of the mean-subtracted images, 1 at best (of complex images: its modulus).

    No gain and no offset changes it (but for the sign of a negative gain of a real image).

    Raises
    ------
    DataError
        An image is flat, or as `check_pair`.
    """
    check_pair(result, reference)
    a, b = (_double(image) - _double(image).mean() for image in (result, reference))
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    if norms <= 1e-12 * np.linalg.norm(_double(result)) * np.linalg.norm(_double(reference)):
        raise DataError("or the result is flat", "give images with contrast", field="reference")
    product = np.vdot(b, a) / norms
    return float(abs(product) if np.iscomplexobj(product) else product)


def all_in_focus_l2(result: Image, reference: Image) -> float:
    """FPM-INR's error of all-in-focus amplitudes (Zhou et al., Optica 2023; our reading).

    Each image is stretched to 0..1 between its extremes, its mean is subtracted, and the mean of
    the squared difference is taken (no root). One outlier in either image changes the stretch, and
    with it the number: it is here for comparison with published values, `relative_l2` for judging.

    Raises
    ------
    DataError
        Complex images, a flat image, or as `check_pair`.
    """
    _span(result, reference)
    stretched = []
    for name, image in (("result", result), ("reference", reference)):
        values = _double(image)
        span = values.max() - values.min()
        if span == 0:
            raise DataError("is flat", "give images with contrast", field=name)
        values = (values - values.min()) / span
        stretched.append(values - values.mean())
    return _mean_square(stretched[0] - stretched[1])


def _span(result: Image, reference: Image) -> float:
    check_pair(result, reference)
    if np.iscomplexobj(result) or np.iscomplexobj(reference):
        raise DataError("or the reference is complex", "give amplitudes or phases", field="result")
    span = float(np.ptp(_double(reference)))
    if span == 0:
        raise DataError("is flat", "give a reference with contrast", field="reference")
    return span


def _double(image: Image) -> Image:
    return image.astype(np.complex128 if np.iscomplexobj(image) else np.float64)


def _difference(result: Image, reference: Image) -> Image:
    difference: Image = _double(result) - _double(reference)
    return difference


def _mean_square(image: Image) -> float:
    return float(np.mean(np.abs(_double(image)) ** 2))
