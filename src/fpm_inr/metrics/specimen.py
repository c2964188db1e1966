"""Contrast of a result of simulated frames against the very target that was simulated."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample

from fpm_inr.errors import DataError
from fpm_inr.metrics.alignment import Aligned
from fpm_inr.metrics.images import Image
from fpm_inr.metrics.targets import (
    ElementContrast,
    SiemensContrast,
    siemens_contrast,
    usaf_contrast,
)
from fpm_inr.simulate.samples import Specimen
from fpm_inr.simulate.targets import (
    SIEMENS_SPOKES,
    UsafElement,
    draw_siemens,
    draw_usaf,
    usaf_elements,
)

# Sharp edges drawn on the result's own pixels would alias; the result is band-limited and can be
# interpolated exactly.
FINER = 4
SIEMENS_PERIODS = 24
FINEST_PERIOD_PX = 2.2
STAR_SHARE = 0.43  # of the field: radius of the widest circle, just inside the star

TargetContrast = SiemensContrast | list[ElementContrast]


def specimen_contrast(
    aligned: Aligned,
    settings: dict[str, Any],
    *,
    shape_y_x: tuple[int, int],
    pixel_um: float,
) -> TargetContrast | None:
    """Contrast of a Siemens star or USAF target, drawn anew on the grid of the result.

    Both are compared on a grid four times as fine, to which the result is interpolated in Fourier
    space. Amplitudes are judged where the target absorbs, phases where it only retards.

    Parameters
    ----------
    aligned : Aligned
        The result, aligned with a truth.
    settings : dict
        `Truth.settings` of that truth.
    shape_y_x : (int, int)
        Pixels of the truth before it was cut to what both images share.
    pixel_um : float

    Returns
    -------
    SiemensContrast, list of ElementContrast, or None
        None: the specimen is no target of one layer, or only a phase, which the result has not or
        which wraps.

    Raises
    ------
    DataError
        The settings are not those of a simulation.
    """
    try:
        specimen = Specimen(**settings["specimen"])
        field_um = min(settings["shape_y_x"]) * float(settings["optics"]["pixel_um"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError("are not whole", "simulate again", field="settings") from error
    if specimen.subject not in ("siemens", "usaf") or specimen.sheet_count > 1:
        return None
    image = _judged(_interpolated(aligned.result), specimen)
    if image is None:
        return None
    # the simulator puts the middle of the frame on pixel n / 2
    y_um, x_um = (
        (_fine_pixels(cut.start, cut.stop) - length / 2) * pixel_um
        for length, cut in zip(shape_y_x, aligned.cut_y_x, strict=True)
    )
    draw = draw_siemens if specimen.subject == "siemens" else draw_usaf
    covered = draw(y_um, x_um, field_um)
    target = 1 - specimen.opacity * covered if specimen.opacity else specimen.phase_rad * covered
    if specimen.subject == "siemens":
        return _star(image, target, y_um, x_um, field_um, pixel_um)
    elements = [one for one in usaf_elements(field_um, pixel_um) if _inside(one, y_um, x_um)]
    elements.sort(key=lambda one: one.line_pairs_per_mm)
    centre_y_x_px = _centre_px(y_um, x_um, pixel_um)
    return usaf_contrast(
        image, target, elements, pixel_um=pixel_um / FINER, centre_y_x_px=centre_y_x_px
    )


def _star(
    image: Image,
    target: Image,
    y_um: NDArray[np.float64],
    x_um: NDArray[np.float64],
    field_um: float,
    pixel_um: float,
) -> SiemensContrast:
    """Contrast on circles from just inside the star, or the image, to the finest period."""
    reach_um = min(STAR_SHARE * field_um, -y_um[0], y_um[-1], -x_um[0], x_um[-1])
    widest_um = reach_um * 2 * math.pi / SIEMENS_SPOKES
    finest_um = FINEST_PERIOD_PX * pixel_um
    if widest_um <= finest_um:
        return SiemensContrast(np.empty(0), np.empty(0))
    period_um = np.geomspace(widest_um, finest_um, SIEMENS_PERIODS)
    return siemens_contrast(
        image,
        target,
        pixel_um=pixel_um / FINER,
        centre_y_x_px=_centre_px(y_um, x_um, pixel_um),
        spokes=SIEMENS_SPOKES,
        radius_um=period_um * SIEMENS_SPOKES / (2 * math.pi),
    )


def _centre_px(
    y_um: NDArray[np.float64], x_um: NDArray[np.float64], pixel_um: float
) -> tuple[float, float]:
    """Where the target's centre lies on the finer grid."""
    return float(-y_um[0] / pixel_um * FINER), float(-x_um[0] / pixel_um * FINER)


def _judged(result: Image, specimen: Specimen) -> Image | None:
    """Amplitude, or the phase of a target that is nothing else."""
    if specimen.opacity:
        return np.abs(result)
    if not np.iscomplexobj(result) or abs(specimen.phase_rad) >= 2 * math.pi:
        return None
    middle = np.exp(0.5j * specimen.phase_rad)
    return np.angle(result / middle)


def _interpolated(image: Image) -> Image:
    """Fourier interpolation by `FINER`; the first pixel stays the first."""
    for axis, length in enumerate(image.shape):
        image = resample(image, FINER * length, axis=axis)
    return image


def _fine_pixels(start: int, stop: int) -> NDArray[np.float64]:
    return np.arange(start * FINER, stop * FINER, dtype=np.float64) / FINER


def _inside(element: UsafElement, y_um: NDArray[np.float64], x_um: NDArray[np.float64]) -> bool:
    x_low, _, y_low, _ = np.min(element.bars_x_y_um, axis=0)
    _, x_high, _, y_high = np.max(element.bars_x_y_um, axis=0)
    return bool(min(x_low - x_um[0], x_um[-1] - x_high, y_low - y_um[0], y_um[-1] - y_high) >= 0)
