"""Contrast of resolution targets against the exact target."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from fpm_inr.errors import DataError
from fpm_inr.metrics.images import Image, check_pair
from fpm_inr.simulate.targets import UsafElement

FloatArray = NDArray[np.float64]

LEAST_CONTRAST = 0.1  # what has more is called resolved


@dataclass(frozen=True, eq=False)
class SiemensContrast:
    """Contrast of a Siemens star against spatial frequency.

    Parameters
    ----------
    frequency_per_um : array [radius]
        Spokes' periods per um along the circle.
    contrast : array [radius]
        Swing of the image at the spokes' frequency and place, over that of the target: 1 is
        perfect, 0 unresolved, negative reversed (spurious resolution).
    """

    frequency_per_um: FloatArray
    contrast: FloatArray

    @property
    def period_um(self) -> FloatArray:
        """Period of the spokes [radius]."""
        return 1 / self.frequency_per_um

    @property
    def cutoff_um(self) -> float | None:
        """Finest period to which, from the coarsest on, the contrast stays above 0.1.

        None: not even the coarsest is resolved. Interpolated; what reappears beyond a loss of
        contrast is spurious and does not count.
        """
        coarsest_first = np.argsort(self.frequency_per_um)
        frequency, contrast = self.frequency_per_um[coarsest_first], self.contrast[coarsest_first]
        lost = np.flatnonzero(contrast <= LEAST_CONTRAST)
        if not len(contrast) or (len(lost) and lost[0] == 0):
            return None
        if not len(lost):
            return float(1 / frequency[-1])
        pair = slice(lost[0] - 1, lost[0] + 1)
        return float(1 / np.interp(-LEAST_CONTRAST, -contrast[pair], frequency[pair]))


@dataclass(frozen=True)
class ElementContrast:
    """Contrast of one USAF element, of its upright and of its level bars; 1 is perfect."""

    group: int
    element: int
    line_pairs_per_mm: float
    upright: float
    level: float

    @property
    def is_resolved(self) -> bool:
        """Whether both groups of bars have a contrast above 0.1."""
        return min(self.upright, self.level) > LEAST_CONTRAST


def finest_resolved(elements: Iterable[ElementContrast]) -> ElementContrast | None:
    """Return the last element, from the coarsest on, before one that is not resolved."""
    finest = None
    for one in sorted(elements, key=lambda element: element.line_pairs_per_mm):
        if not one.is_resolved:
            break
        finest = one
    return finest


def siemens_contrast(
    image: Image,
    target: Image,
    *,
    pixel_um: float,
    centre_y_x_px: tuple[float, float],
    spokes: int,
    radius_um: FloatArray,
) -> SiemensContrast:
    """Contrast along circles around a Siemens star's centre.

    The harmonic of the spokes is taken from image and target on the same circle, and the image's
    part in phase with the target's is divided by the target's.

    Parameters
    ----------
    image, target : array [y, x], real
        What was reconstructed, and the exact target on the same grid and in the same unit.
    pixel_um : float
    centre_y_x_px : (float, float)
    spokes : int
        Dark spokes around the circle.
    radius_um : array [radius]

    Raises
    ------
    DataError
        As `check_pair`; a circle leaves the image; the target has no such spokes.
    """
    check_pair(image, target)
    radius_um = np.asarray(radius_um, dtype=np.float64)
    room_px = min(
        *centre_y_x_px, *(n - 1 - c for n, c in zip(image.shape, centre_y_x_px, strict=True))
    )
    if not (radius_um > 0).all() or radius_um.max() > room_px * pixel_um:
        raise DataError(
            f"reaches {radius_um.max():g} um and the image only {room_px * pixel_um:g} um",
            "give positive radii inside the image",
            field="radius",
        )
    contrast = []
    for radius in radius_um / pixel_um:
        of_image, of_target = (
            _harmonic(one, spokes, float(radius), centre_y_x_px) for one in (image, target)
        )
        if abs(of_target) < 1e-9 * np.abs(target).max():
            raise DataError(
                f"has no {spokes} spokes at a radius of {radius * pixel_um:g} um",
                "give radii where the target is drawn",
                field="target",
            )
        contrast.append(float((of_image / of_target).real))
    return SiemensContrast(spokes / (2 * np.pi * radius_um), np.array(contrast))


def _harmonic(
    image: Image, spokes: int, radius_px: float, centre_y_x_px: tuple[float, float]
) -> complex:
    """The wave of so many periods on a circle."""
    count = max(16 * spokes, int(np.ceil(4 * np.pi * radius_px)))
    angle = 2 * np.pi * np.arange(count) / count
    y = centre_y_x_px[0] + radius_px * np.sin(angle)
    x = centre_y_x_px[1] + radius_px * np.cos(angle)
    on_circle = map_coordinates(image.astype(np.float64), np.stack([y, x]), order=1)
    return complex(np.mean(on_circle * np.exp(-1j * spokes * angle)))


def usaf_contrast(
    image: Image,
    target: Image,
    elements: Iterable[UsafElement],
    *,
    pixel_um: float,
    centre_y_x_px: tuple[float, float],
) -> list[ElementContrast]:
    """Contrast of the elements of a USAF 1951 target.

    Within each group of three bars (and half a bar around) the image is fitted by an offset plus a
    factor times the target. That factor is the contrast: 1 is perfect, 0 unresolved.

    Parameters
    ----------
    image, target : array [y, x], real
        What was reconstructed, and the exact target on the same grid and in the same unit.
    elements : iterable of UsafElement
        Their corners are counted in um from the target's centre.
    pixel_um : float
    centre_y_x_px : (float, float)
        The target's centre.

    Raises
    ------
    DataError
        As `check_pair`; an element leaves the image or is not drawn in the target.
    """
    check_pair(image, target)
    found = []
    for element in elements:
        bars = element.bars_x_y_um
        upright, level = (
            _fitted(image, target, group, element, pixel_um, centre_y_x_px)
            for group in (bars[:3], bars[3:])
        )
        found.append(
            ElementContrast(
                element.group, element.element, element.line_pairs_per_mm, upright, level
            )
        )
    return found


def _fitted(
    image: Image,
    target: Image,
    bars: list[tuple[float, float, float, float]],
    element: UsafElement,
    pixel_um: float,
    centre_y_x_px: tuple[float, float],
) -> float:
    x_low, _, y_low, _ = np.min(bars, axis=0)
    _, x_high, _, y_high = np.max(bars, axis=0)
    margin_px = element.bar_um / 2 / pixel_um
    box = []
    for low, high, centre, length in zip(
        (y_low, x_low), (y_high, x_high), centre_y_x_px, image.shape, strict=True
    ):
        first_px, last_px = low / pixel_um + centre, high / pixel_um + centre
        if first_px < -0.5 or last_px > length - 0.5:
            raise DataError(
                f"{element.group}.{element.element} leaves the image",
                "leave it out or correct the centre",
                field="element",
            )
        box.append(
            slice(max(round(first_px - margin_px), 0), min(round(last_px + margin_px) + 1, length))
        )
    seen, drawn = (one[box[0], box[1]].astype(np.float64) for one in (image, target))
    drawn = drawn - drawn.mean()
    power = float((drawn**2).sum())
    if power == 0:
        raise DataError(
            f"does not hold element {element.group}.{element.element}",
            "draw it, or leave the element out",
            field="target",
        )
    return float((seen * drawn).sum() / power)
