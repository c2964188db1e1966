"""Where in the spectrum a result differs from its reference: slow structure apart from fine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import SettingsError
from fpm_inr.metrics.images import Image, check_pair
from fpm_inr.metrics.phase import without_factor

FloatArray = NDArray[np.float64]

# Below the first edge lies the mean alone. Slow structure is counted in cycles across the image,
# for that is what decides whether frames can tell it; fine structure in shares of the cutoff.
SLOW_CYCLES = (0.0, 0.5, 2.0, 4.0, 8.0, 16.0)
CUTOFF_SHARES = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, eq=False)
class BandErrors:
    """Errors by band of spatial frequency. Squares add up to the square of the whole error.

    Parameters
    ----------
    edges_cycles : array [band + 1]
        Limits of the bands, in cycles across the shorter side; the last is infinite. A band holds
        its lower limit.
    error : array [band]
        Norm of the difference in the band over the norm of the whole reference.
    reference : array [band]
        Norm of the reference in the band over the norm of the whole reference. `error / reference`
        is the relative error of what the band holds.
    phase_error_rad : array [band], optional
        Root mean square of the phase difference in the band, weighted as in `phase_error`. None of
        real images.
    """

    edges_cycles: FloatArray
    error: FloatArray
    reference: FloatArray
    phase_error_rad: FloatArray | None

    @property
    def names(self) -> tuple[str, ...]:
        """Of the bands, as ``2-4`` cycles."""
        pairs = zip(self.edges_cycles[:-1], self.edges_cycles[1:], strict=True)
        return tuple(f"{a:.3g}-{b:.3g}" if math.isfinite(b) else f"{a:.3g}-" for a, b in pairs)

    def rows(self) -> list[dict[str, Any]]:
        """One dict a band, as JSON holds it; the open upper limit is None."""
        rows = []
        for n, high in enumerate(self.edges_cycles[1:]):
            row: dict[str, Any] = {
                "cycles": [float(self.edges_cycles[n]), float(high) if np.isfinite(high) else None],
                "error": float(self.error[n]),
                "reference": float(self.reference[n]),
            }
            if self.phase_error_rad is not None:
                row["phase_error_rad"] = float(self.phase_error_rad[n])
            rows.append(row)
        return rows


def band_edges_cycles(shape_y_x: tuple[int, int], cutoff_per_pixel: float = 0.5) -> FloatArray:
    """Limits [band + 1] of the bands of an image, in cycles across its shorter side.

    0 (the mean), 0.5, 2, 4, 8, 16 cycles, then a quarter, a half, three quarters and the whole of
    the cutoff, each where it lies above all before it; the last band is open.

    Parameters
    ----------
    shape_y_x : (int, int)
    cutoff_per_pixel : float
        Cutoff of the synthetic aperture, (objective's NA + steepest LED's NA) / wavelength, in
        cycles a pixel. 0.5, where it is not known: shares of the Nyquist frequency.

    Raises
    ------
    SettingsError
        The cutoff is not a positive number.
    """
    if not (math.isfinite(cutoff_per_pixel) and cutoff_per_pixel > 0):
        raise SettingsError(
            f"is {cutoff_per_pixel}", "give a positive number of cycles a pixel", field="cutoff"
        )
    cutoff = cutoff_per_pixel * min(shape_y_x)
    slow = [edge for edge in SLOW_CYCLES if edge < cutoff]
    fine = [share * cutoff for share in CUTOFF_SHARES if share * cutoff > slow[-1]]
    return np.array([*slow, *fine, np.inf])


def band_errors(
    result: Image, reference: Image, cutoff_per_pixel: float = 0.5, *, fit_factor: bool = True
) -> BandErrors:
    """Split the error of a result into bands of spatial frequency.

    One factor (complex for fields) is removed, and nothing else. No window is laid over the images,
    so that the bands add up to the whole error (Parseval); a jump of the difference between
    opposite edges counts, as it would for any periodic image.

    Parameters
    ----------
    result, reference : array [y, x]
        Both real or both complex.
    cutoff_per_pixel : float
        See `band_edges_cycles`.
    fit_factor : bool
        False: the result is on the reference's scale already.

    Raises
    ------
    DataError, SettingsError
        As `check_pair` and `band_edges_cycles`.
    """
    check_pair(result, reference)
    edges = band_edges_cycles((reference.shape[0], reference.shape[1]), cutoff_per_pixel)
    fitted = without_factor(result, reference) if fit_factor else result
    whole = math.sqrt(float(np.sum(np.abs(reference) ** 2)))
    phase_error = None
    if np.iscomplexobj(result) and np.iscomplexobj(reference):
        product = fitted.astype(np.complex128) * np.conj(reference)
        weight = np.abs(product)
        total = float(weight.sum())
        scale = np.sqrt(weight / total) if total > 0 else np.zeros(weight.shape)
        phase_error = _norms(scale * np.angle(product), edges)
    return BandErrors(
        edges,
        _norms(fitted - reference, edges) / whole,
        _norms(reference, edges) / whole,
        phase_error,
    )


def _norms(image: Image, edges_cycles: FloatArray) -> FloatArray:
    """Norm of an image in each band; squares add up to that of the whole (Parseval)."""
    power = np.abs(np.fft.fft2(image, norm="ortho")) ** 2
    side = min(image.shape)
    y, x = (np.fft.fftfreq(length) * side for length in image.shape)
    band = np.digitize(np.hypot(y[:, None], x), edges_cycles) - 1
    sums = np.bincount(band.ravel(), power.ravel(), minlength=len(edges_cycles) - 1)
    return np.sqrt(sums)
