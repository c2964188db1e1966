"""Heights to render: read from text, checked against what was solved."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpm_inr.errors import SettingsError

DEFAULT_COUNT = 41
MOST = 100_000


def parse_heights(text: str) -> NDArray[np.float64]:
    """Read heights in um from ``START:STOP:STEP`` or from a list ``Z,Z,...``.

    Parameters
    ----------
    text : str
        ``-20:20:0.25`` holds STOP where it lies on the grid (within rounding); a list is sorted.

    Returns
    -------
    array [z], ascending

    Raises
    ------
    SettingsError
        The text is neither form, not finite, empty, repeated, or holds over 100 000 heights.
    """
    try:
        values = [float(part) for part in text.split(":" if ":" in text else ",")]
    except ValueError:
        values = []
    if not values or not np.isfinite(values).all() or (":" in text and len(values) != 3):
        raise SettingsError(
            f"{text!r} gives no heights",
            "give START:STOP:STEP or a list such as -10,0,5.5, in um",
            field="z",
        )
    if ":" not in text:
        z_um = np.sort(values)
        if (np.diff(z_um) == 0).any():
            raise SettingsError(
                f"{text!r} names a height twice", "name each height once", field="z"
            )
        return z_um
    start, stop, step = values
    if step <= 0 or stop < start:
        raise SettingsError(
            f"{text!r} does not ascend", "give START <= STOP and a positive STEP", field="z"
        )
    steps = (stop - start) / step
    if steps >= MOST:
        raise SettingsError(f"{text!r} holds over {MOST} heights", "give a larger STEP", field="z")
    return start + step * np.arange(int(np.floor(steps + 1e-6)) + 1, dtype=np.float64)


def default_heights(z_range_um: tuple[float, float]) -> NDArray[np.float64]:
    """Spread 41 heights over the whole range, ends included (one where the range is one height)."""
    low, high = z_range_um
    return np.linspace(low, high, DEFAULT_COUNT if high > low else 1)


def check_heights(z_um: ArrayLike, z_range_um: tuple[float, float]) -> NDArray[np.float64]:
    """Return heights [z] that lie in the solved range; rounding at its ends is forgiven.

    Raises
    ------
    SettingsError
        A height is outside the range, or not a number, or there is none.
    """
    z = np.atleast_1d(np.asarray(z_um, dtype=np.float64))
    low, high = z_range_um
    slack = 1e-6 * max(1.0, high - low)
    inside = (z >= low - slack) & (z <= high + slack)
    if z.ndim != 1 or not z.size:
        raise SettingsError("holds no heights", "give at least one height in um", field="z")
    if not inside.all():
        raise SettingsError(
            f"{z[np.argmin(inside)]:g} um is outside the solved range {low:g} to {high:g} um",
            "stay inside it, or reconstruct over a larger range",
            field="z",
        )
    return np.clip(z, low, high)


def pick_planes(z_um: ArrayLike | None, planes_um: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return those of the planes that are at these heights (within 1 nm); all by default.

    Raises
    ------
    SettingsError
        There is no plane at a height: nothing is known between planes.
    """
    if z_um is None:
        return planes_um
    wanted = np.atleast_1d(np.asarray(z_um, dtype=np.float64))
    nearest = planes_um[np.abs(wanted[:, None] - planes_um).argmin(axis=1)]
    missing = wanted[~(np.abs(nearest - wanted) <= 1e-3)]
    if missing.size:
        shown = ", ".join(f"{z:g}" for z in planes_um[:8]) + (", ..." if len(planes_um) > 8 else "")
        raise SettingsError(
            f"{missing[0]:g} um is none of the planes that there are ({shown})",
            "give heights of planes, or leave z out for all",
            field="z",
        )
    return nearest


def uniform_step_um(z_um: NDArray[np.float64]) -> float | None:
    """Step between ascending heights; None where it varies or there is only one height."""
    if len(z_um) < 2:
        return None
    step = float(z_um[-1] - z_um[0]) / (len(z_um) - 1)
    even = step > 0 and bool(np.allclose(np.diff(z_um), step, rtol=1e-4, atol=0))
    return step if even else None
