"""LEDs that light in another order than is stated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition
from fpm_inr.first_aid.brightness import disorder, log_brightness
from fpm_inr.first_aid.finding import Finding
from fpm_inr.first_aid.quick import quick_residual
from fpm_inr.illumination import spiral_steps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Another order leaves this share of the residual, and no more than twice the disorder and this.
CLEAR_FACTOR, LEAST_DISORDER = 0.8, 0.05


def other_order(acquisition: Acquisition) -> Iterator[Finding]:
    """Raster, serpentine, spiral: which order the frames fit."""
    brightness = log_brightness(acquisition)
    stated = disorder(brightness, acquisition.illumination.na_led)
    orders = _orders(acquisition)
    if not orders:
        return
    as_stated = quick_residual(acquisition)
    tried = {name: quick_residual(_reordered(acquisition, leds)) for name, leds in orders.items()}
    best = min(tried, key=tried.__getitem__)
    leds = orders[best]
    # a lone solve may be fooled by a turned map; brightness must not speak against it
    after = disorder(brightness, acquisition.illumination.na_led[leds])
    if tried[best] >= CLEAR_FACTOR * as_stated or after > 2 * stated + LEAST_DISORDER:
        return

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, 2)
        for axes, which, title in (
            (panels[0], np.arange(len(leds)), f"as stated, residual {as_stated:.4f}"),
            (panels[1], leds, f"{best}, residual {tried[best]:.4f}"),
        ):
            x, y = acquisition.illumination.na_led_xy[which].T
            axes.plot(x, y, "-", color="tab:red", linewidth=0.8)
            axes.scatter(x, y, c=brightness, s=30, cmap="viridis")
            axes.set(title=title, xlabel="NA x", ylabel="NA y", aspect="equal")
            axes.invert_yaxis()
        figure.suptitle("the way from LED to LED, over the brightness of its frame")

    yield Finding(
        "order",
        f"The LEDs seem to light in another order: leds.grid.order: {best} (residual of a quick "
        f"solve {tried[best]:.4f}, as stated {as_stated:.4f}).",
        draw,
    )


def _reordered(acquisition: Acquisition, leds: NDArray[np.intp]) -> Acquisition:
    return replace(acquisition, illumination=acquisition.illumination.select(leds))


def _orders(acquisition: Acquisition) -> dict[str, NDArray[np.intp]]:
    """LED [frame] of every frame, for orders of a full grid; none where the LEDs are no grid."""
    geometry = acquisition.illumination.geometry
    if geometry is None:
        return {}
    places = geometry.position_led_xyz_mm[:, :2].round(6)
    x, y = np.unique(places[:, 0]), np.unique(places[:, 1])
    if len(x) * len(y) != len(places) or len(x) < 3 or len(y) < 3:
        return {}
    column, row = np.searchsorted(x, places[:, 0]), np.searchsorted(y, places[:, 1])
    at = np.empty((len(y), len(x)), dtype=np.intp)
    at[row, column] = np.arange(len(places))
    back = at.copy()
    back[1::2] = back[1::2, ::-1]
    turned = at.T.copy()
    turned[1::2] = turned[1::2, ::-1]
    steps = spiral_steps(len(y), len(x))
    spiral_column = np.rint(steps[:, 0] + (len(x) - 1) / 2).astype(int)
    spiral_row = np.rint(steps[:, 1] + (len(y) - 1) / 2).astype(int)
    orders = {
        "raster": at.ravel(),
        "serpentine": back.ravel(),
        "serpentine, with transpose: true": turned.ravel(),
        "spiral": at[spiral_row, spiral_column],
    }
    stated = np.arange(len(places))
    return {name: leds for name, leds in orders.items() if not np.array_equal(leds, stated)}
