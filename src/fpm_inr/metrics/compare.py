"""All numbers of one comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fpm_inr.errors import DataError
from fpm_inr.metrics import images
from fpm_inr.metrics.alignment import Aligned, align
from fpm_inr.metrics.bands import BandErrors, band_errors
from fpm_inr.metrics.images import Image
from fpm_inr.metrics.phase import phase_error, phase_rmse
from fpm_inr.metrics.rings import RingCorrelation, fourier_ring_correlation

LEAST_PX = 16


@dataclass(frozen=True, eq=False)
class Comparison:
    """A result against a reference.

    Parameters
    ----------
    compared : {"complex field", "amplitude"}
        Fields where both are complex, amplitudes otherwise.
    aligned : Aligned
    numbers : dict
        Name -> value. Of fields, `relative_l2`, `rmse` and `ncc` are complex; those named
        `amplitude_...` are of the moduli. `phase_error_rad` is less one constant only,
        `phase_rmse_less_ramp_rad` less a ramp as well. Lengths in um where `pixel_um` is known,
        else in pixels.
    bands : BandErrors
        Of what `compared` says.
    rings : RingCorrelation
    pixel_um : float or None
    """

    compared: Literal["complex field", "amplitude"]
    aligned: Aligned
    numbers: dict[str, float]
    bands: BandErrors
    rings: RingCorrelation
    pixel_um: float | None


def compare(
    result: Image,
    reference: Image,
    pixel_um: float | None = None,
    *,
    find_shift: bool = True,
    cutoff_per_um: float | None = None,
) -> Comparison:
    """Align a result with a reference, and measure what differs.

    Where only one of them is complex, its modulus is compared with the other.

    Parameters
    ----------
    result, reference : array [y, x]
        Real (amplitudes) or complex.
    pixel_um : float, optional
        Of both; gives the resolution in um rather than in pixels.
    find_shift : bool
        False: do not look for a shift.
    cutoff_per_um : float, optional
        Cutoff of the synthetic aperture, of which the finer bands are shares; needs `pixel_um`.
        Without it they are shares of the Nyquist frequency.

    Raises
    ------
    DataError
        Images cannot be compared: see `check_pair`; they are under 16 pixels; the result is zero or
        shares under half of the reference's field.
    """
    if np.iscomplexobj(result) != np.iscomplexobj(reference):
        result, reference = np.abs(result), np.abs(reference)
    images.check_pair(result, reference)
    _check_content(result)
    aligned = align(result, reference, find_shift=find_shift)
    _check_shared(aligned, reference)
    rings = fourier_ring_correlation(
        aligned.result, aligned.reference, 1.0 if pixel_um is None else pixel_um
    )
    cutoff_per_pixel = 0.5
    if pixel_um is not None and cutoff_per_um is not None:
        cutoff_per_pixel = cutoff_per_um * pixel_um
    bands = band_errors(aligned.result, aligned.reference, cutoff_per_pixel, fit_factor=False)
    is_complex = np.iscomplexobj(result)
    numbers = _complex_numbers(aligned) if is_complex else _real_numbers(aligned)
    unit = "px" if pixel_um is None else "um"
    numbers |= {
        f"frc_resolution_one_seventh_{unit}": rings.resolution_um(),
        f"frc_resolution_half_bit_{unit}": rings.resolution_um(rings.half_bit),
        "shift_y_px": aligned.shift_y_x_px[0],
        "shift_x_px": aligned.shift_y_x_px[1],
        "factor_modulus": abs(aligned.factor),
        "factor_angle_rad": float(np.angle(aligned.factor)),
    }
    return Comparison(
        "complex field" if is_complex else "amplitude", aligned, numbers, bands, rings, pixel_um
    )


def _complex_numbers(aligned: Aligned) -> dict[str, float]:
    a, b = aligned.result, aligned.reference
    return {
        "relative_l2": images.relative_l2(a, b),
        "phase_error_rad": phase_error(a, b),
        "phase_rmse_less_ramp_rad": phase_rmse(a, b),
        "ratio_of_squares": images.ratio_of_squares(a, b),
        "rmse": images.rmse(a, b),
        "ncc": images.ncc(a, b),
    } | {f"amplitude_{name}": value for name, value in _real_numbers(aligned).items()}


def _real_numbers(aligned: Aligned) -> dict[str, float]:
    a, b = aligned.result, aligned.reference
    if np.iscomplexobj(a):
        a, b = np.abs(a), np.abs(b)
        # a complex factor is not the best one for the moduli
        a = a * (float(np.vdot(a, b)) / float(np.vdot(a, a)))
    numbers = {
        "relative_l2": images.relative_l2(a, b),
        "ratio_of_squares": images.ratio_of_squares(a, b),
        "rmse": images.rmse(a, b),
    }
    # a flat amplitude (of a phase object) has no contrast that these could measure
    if np.ptp(b) > 1e-9 * np.abs(b).max() and np.ptp(a) > 1e-9 * np.abs(a).max():
        numbers |= {
            "ncc": images.ncc(a, b),
            "psnr_db": images.psnr(a, b),
            "ssim": images.ssim(a, b),
            "all_in_focus_l2": images.all_in_focus_l2(a, b),
        }
    return numbers


def _check_shared(aligned: Aligned, reference: Image) -> None:
    if aligned.reference.size < reference.size / 2:
        raise DataError(
            f"lies {aligned.shift_y_x_px[0]:.1f}, {aligned.shift_y_x_px[1]:.1f} pixels (y, x) off "
            "the reference, most of the field",
            "compare images of one field of view, or turn the search for a shift off",
            field="result",
        )


def _check_content(result: Image) -> None:
    if min(result.shape) < LEAST_PX:
        raise DataError(
            f"has {result.shape[0]} x {result.shape[1]} pixels",
            f"give at least {LEAST_PX} x {LEAST_PX}",
            field="result",
        )
    if not result.any():
        raise DataError("is zero everywhere", "give a result that holds light", field="result")
