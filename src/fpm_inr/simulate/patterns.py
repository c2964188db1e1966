"""Which LEDs to light together: patterns of multiplexed illumination."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import SettingsError
from fpm_inr.lighting import Lighting

PATTERNS = ("random", "na-matched")


def pattern(
    name: str,
    na_led_xy: NDArray[np.float64],
    na_objective: float,
    leds_per_frame: int,
    *,
    bright_field_alone: bool = True,
    frames: int | None = None,
    seed: int = 0,
) -> Lighting | None:
    """Share LEDs out among frames; None: one by one.

    Parameters
    ----------
    name : {"random", "na-matched"}
        LEDs of a frame are drawn at random (Tian et al., Biomed. Opt. Express 5, 2376 (2014)); or
        they are alike in NA, and so in brightness, and stand apart from each other in angle.
    na_led_xy : array [led, 2]
    na_objective : float
    leds_per_frame : int
        At most.
    bright_field_alone : bool
        Whether LEDs whose direct light passes the objective have frames of their own: it would
        outshine the dark field of others.
    frames : int, optional
        Of all; those that are more than it takes repeat LEDs that share frames, drawn at random.
        Default: each LED lights one frame.
    seed : int

    Raises
    ------
    SettingsError
        The pattern is unknown, or the number out of range.
    """
    leds = len(na_led_xy)
    if name not in PATTERNS:
        raise SettingsError(f"is {name!r}", f"give {' or '.join(PATTERNS)}", field="pattern")
    if not 1 <= leds_per_frame <= leds:
        raise SettingsError(
            f"is {leds_per_frame}", f"give 1 to {leds}, the number of LEDs", field="leds_per_frame"
        )
    if leds_per_frame == 1:
        return None
    na = np.hypot(*na_led_xy.T)
    alone = na < na_objective if bright_field_alone else np.zeros(leds, dtype=bool)
    shared = np.flatnonzero(~alone)
    random = np.random.default_rng(seed)
    count = math.ceil(len(shared) / leds_per_frame)
    if name == "random":
        order = random.permutation(shared)
        groups = [order[first::count] for first in range(count)]
    else:
        groups = _matched(shared, na_led_xy, leds_per_frame)
    more = 0 if frames is None else frames - int(alone.sum()) - len(groups)
    if more < 0 or (more and len(shared) < leds_per_frame):
        raise SettingsError(
            f"is {frames}",
            f"give {int(alone.sum()) + len(groups)} or more, so that every LED lights one",
            field="frames",
        )
    while more > 0:
        some = random.permutation(shared)[: len(shared) // leds_per_frame * leds_per_frame]
        groups += list(some.reshape(-1, leds_per_frame)[:more])
        more = frames - int(alone.sum()) - len(groups) if frames is not None else 0
    lists = [[int(led)] for led in np.flatnonzero(alone)] + [list(map(int, one)) for one in groups]
    return Lighting.of(lists)


def _matched(
    leds: NDArray[np.intp], na_led_xy: NDArray[np.float64], leds_per_frame: int
) -> list[NDArray[np.intp]]:
    """Groups of LEDs of like NA, spread evenly in angle.

    A band of `leds_per_frame` squared LEDs of like NA is ordered by angle and dealt out, so that
    the LEDs of a frame are about a full turn over their number apart.
    """
    na = np.hypot(*na_led_xy[leds].T)
    outward = leds[np.argsort(na, kind="stable")]
    groups: list[NDArray[np.intp]] = []
    for first in range(0, len(outward), leds_per_frame**2):
        band = outward[first : first + leds_per_frame**2]
        angle = np.arctan2(na_led_xy[band, 1], na_led_xy[band, 0])
        turned = band[np.argsort(angle, kind="stable")]
        count = math.ceil(len(turned) / leds_per_frame)
        groups += [turned[place::count] for place in range(count)]
    return groups
