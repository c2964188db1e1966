"""LEDs that did not light, or hardly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from fpm_inr.acquisition import Acquisition
from fpm_inr.first_aid.brightness import log_brightness
from fpm_inr.first_aid.finding import Finding

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# A frame this much darker than the darkest of its neighbours' frames has no light.
FACTOR = 5.0
NEIGHBOURS = 4
# LEDs this near to the edge of the pupil, as a share of its NA, may be bright or dark.
EDGE = 0.15


def failed_lamps(acquisition: Acquisition) -> Iterator[Finding]:
    """Frames far darker than those of all LEDs around."""
    from scipy.spatial import KDTree

    light, na = acquisition.illumination, acquisition.optics.na
    if light.led_count < 2 * NEIGHBOURS + 1:
        return
    brightness = log_brightness(acquisition)
    _, near = KDTree(light.na_led_xy).query(light.na_led_xy, k=NEIGHBOURS + 1)
    around = np.asarray(near)[:, 1:]
    same_side = np.abs(light.na_led - na) > EDGE * na
    alike = light.na_led < na
    counted = same_side[around] & (alike[around] == alike[:, None])
    lowest = np.where(counted, brightness[around], np.inf).min(axis=1)
    enough = counted.sum(axis=1) >= 2
    dark = enough & same_side & (brightness < lowest - np.log(FACTOR))
    failed = np.flatnonzero(dark)
    if not len(failed) or len(failed) > 0.2 * light.led_count:
        return

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        x, y = light.na_led_xy.T
        shown = axes.scatter(x, y, c=brightness, s=30, cmap="viridis")
        axes.scatter(x[failed], y[failed], s=90, facecolors="none", edgecolors="tab:red")
        axes.figure.colorbar(shown, ax=axes, label="log mean brightness")
        axes.set(xlabel="NA x", ylabel="NA y", aspect="equal")
        axes.invert_yaxis()

    named = ", ".join(map(str, failed[:20])) + (", ..." if len(failed) > 20 else "")
    kind = "LED seems" if len(failed) == 1 else "LEDs seem"
    yield Finding(
        "lamps",
        f"{len(failed)} {kind} not to have lit, {FACTOR:g} times darker than all around: "
        f"leds.leave_out: [{named}].",
        draw,
    )
