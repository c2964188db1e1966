"""LEDs whose light passes the objective although they stand too steep, or the other way round."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from fpm_inr.acquisition import Acquisition
from fpm_inr.first_aid.brightness import is_lit, log_brightness
from fpm_inr.first_aid.finding import Finding

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Angles wrong by less than this factor are for calibration.
FACTOR = 1.35
# Bright and dark frames are as far apart as this, in the logarithm of their brightness.
LEAST_STEP = 1.0
UNITS = {10.0: "centimetres", 25.4: "inches", 0.1: "tenths of a millimetre", 1000.0: "metres"}


def wrong_distance(acquisition: Acquisition) -> Iterator[Finding]:
    """The step from bright to dark frames lies at another angle than the objective's NA."""
    light, na = acquisition.illumination, acquisition.optics.na
    brightness = log_brightness(acquisition)
    lit = is_lit(brightness)
    if lit.all() or lit.sum() < 3 or (~lit).sum() < 3:
        return
    if brightness[lit].mean() - brightness[~lit].mean() < LEAST_STEP:
        return
    # a disc of bright LEDs about the middle, or nothing can be said of its size
    edge = 0.5 * (np.quantile(light.na_led[lit], 0.9) + np.quantile(light.na_led[~lit], 0.1))
    right = (light.na_led < edge) == lit
    if right.mean() < 0.95 or edge == 0 or 1 / FACTOR < edge / na < FACTOR:
        return

    def slope(sine: float) -> float:
        return sine / float(np.sqrt(max(1 - sine**2, 1e-6)))

    # LEDs at the step are to have the objective's NA
    factor = slope(float(edge)) / slope(na)
    geometry = light.geometry
    if geometry is not None:
        stated = float(np.median(geometry.position_led_xyz_mm[:, 2]))
        guess = f"leds distance_mm: about {stated * factor:.3g} in place of {stated:g}"
        unit = next((name for by, name in UNITS.items() if abs(np.log(factor / by)) < 0.2), "")
        guess += f" (given in {unit}?)" if unit else " (or another pitch)"
    else:
        guess = f"directions {1 / factor:.2g} times as large"

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot(light.na_led, brightness, ".")
        axes.axvline(na, color="tab:red", label=f"NA of the objective, {na:g}")
        axes.axvline(float(edge), color="tab:blue", label=f"frames turn dark, {edge:.3f}")
        axes.set(xlabel="NA of the LED, as stated", ylabel="log mean brightness")
        axes.legend()

    yield Finding(
        "distance",
        f"Frames turn dark at an LED NA of {edge:.3f} as stated, the objective has {na:g}: "
        f"{guess}, or optics.na: about {edge:.2g}.",
        draw,
    )
