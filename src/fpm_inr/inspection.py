"""An acquisition at a glance: its numbers and a picture of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.display import length_text, robust_contrast, scale_bar_um
from fpm_inr.sampling import (
    default_upsampling,
    depth_of_field_um,
    overlap_fraction,
    resolution_um,
    synthetic_na,
    warnings,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COVERAGE_PX = 301


def summarise(acquisition: Acquisition) -> dict[str, dict[str, Any] | list[str]]:
    """Numbers that describe an acquisition, by heading; units are in the names. Fit for JSON."""
    optics, illumination = acquisition.optics, acquisition.illumination
    frames = acquisition.frames_led_y_x
    height, width = acquisition.shape_y_x
    bright = acquisition.is_bright_field
    overlap = overlap_fraction(optics, illumination)
    upsampling = default_upsampling(optics, illumination)
    dark_mean = float(frames[~bright].mean(dtype=np.float64)) if not bright.all() else None
    axis = acquisition.axis_y_x_px
    assert axis is not None
    return {
        "frames": {
            "count": acquisition.frame_count,
            "shape_y_x": [height, width],
            "size_y_x_um": [height * optics.pixel_um, width * optics.pixel_um],
            "axis_y_x_px": list(axis),
            "largest_intensity": float(frames.max()),
            "mean_bright_field": float(frames[bright].mean(dtype=np.float64))
            if bright.any()
            else None,
            "mean_dark_field": dark_mean,
        },
        "optics": {
            "wavelength_um": optics.wavelength_um,
            "na": optics.na,
            "pixel_um": optics.pixel_um,
            "medium_index": optics.medium_index,
            "depth_of_field_um": depth_of_field_um(optics),
        },
        "leds": {
            **_sources(acquisition),
            "bright_field": int((illumination.na_led < optics.na).sum()),
            "dark_field": int((illumination.na_led >= optics.na).sum()),
            "na_smallest": float(illumination.na_led.min()),
            "na_largest": float(illumination.na_led.max()),
            "overlap_median": float(np.median(overlap)),
            "overlap_smallest": float(overlap.min()),
            "positions_known": illumination.geometry is not None,
        },
        "reconstruction": {
            "synthetic_na": synthetic_na(optics, illumination),
            "resolution_um": resolution_um(optics, illumination),
            "upsampling": upsampling,
            "pixel_um": optics.pixel_um / upsampling,
            "shape_y_x": [height * upsampling, width * upsampling],
        },
        "warnings": list(warnings(acquisition)),
    }


def _sources(acquisition: Acquisition) -> dict[str, Any]:
    """What is to be said of LEDs that are no points with a frame each; nothing of others."""
    light = acquisition.illumination
    told: dict[str, Any] = {}
    if light.lighting is not None:
        counts = light.leds_in_frame
        told = {
            "count": light.led_count,
            "frames_of_several": int((counts > 1).sum()),
            "most_in_a_frame": int(counts.max()),
        }
    if light.die is not None:
        unit = "mm" if light.die.size_mm is not None else "na"
        told |= {f"size_{unit}": light.die.size_mm or light.die.size_na, "shape": light.die.shape}
    return told


def acquisition_figure(acquisition: Acquisition, title: str = "") -> Figure:
    """Draw the most central frame, a dark-field frame, the LEDs' brightness, Fourier coverage.

    Directions are drawn as the frame lies: x to the right, y downward. LEDs that light a frame
    together are joined by lines.
    """
    na_led = acquisition.illumination.na_frame
    figure = Figure(figsize=(17, 4.6), layout="constrained")
    panels = figure.subplots(1, 4)
    central, oblique = int(na_led.argmin()), _oblique_led(acquisition)
    kind = "bright" if acquisition.is_bright_field[oblique] else "dark"
    noun = "LED" if acquisition.illumination.lighting is None else "frame"
    _draw_frame(panels[0], acquisition, central, f"{noun} {central}, NA {na_led[central]:.3f}")
    caption = f"{noun} {oblique}, NA {na_led[oblique]:.3f} ({kind} field)"
    _draw_frame(panels[1], acquisition, oblique, caption)
    _draw_leds(panels[2], acquisition)
    _draw_coverage(panels[3], acquisition.optics, acquisition.illumination)
    if title:
        figure.suptitle(title)
    return figure


def coverage(optics: Optics, illumination: Illumination, side_px: int) -> NDArray[np.int64]:
    """How many LEDs' pupil discs cover each point [y, x] of the square around the synthetic NA."""
    reach = synthetic_na(optics, illumination)
    at = np.linspace(-reach, reach, side_px)
    count = np.zeros((side_px, side_px), dtype=np.int64)
    for x, y in illumination.na_led_xy:
        count += (at[None, :] - x) ** 2 + (at[:, None] - y) ** 2 <= optics.na**2
    return count


def _oblique_led(acquisition: Acquisition) -> int:
    """The dark-field frame of middling NA; the outermost where none is dark-field."""
    na_led = acquisition.illumination.na_frame
    dark = np.flatnonzero(~acquisition.is_bright_field)
    if not len(dark):
        return int(na_led.argmax())
    return int(dark[np.argsort(na_led[dark], kind="stable")[len(dark) // 2]])


def _draw_frame(axes: Axes, acquisition: Acquisition, led: int, title: str) -> None:
    frame = acquisition.frames_led_y_x[led]
    contrast = robust_contrast([frame])
    shown = axes.imshow(
        frame, cmap="gray", vmin=contrast.black, vmax=contrast.white, interpolation="nearest"
    )
    axes.figure.colorbar(shown, ax=axes, shrink=0.7, label="intensity")
    _draw_doubts(axes, acquisition, led)
    pixel_um = acquisition.optics.pixel_um
    length_um = scale_bar_um(frame.shape[1] * pixel_um)
    axes.set(title=title, xticks=[], yticks=[], xlabel=_bar_text(length_um))
    # the bar lies under the frame, so that it hides nothing and needs no contrast
    right = frame.shape[1] - 0.5
    below = -0.02
    axes.plot(
        [right - length_um / pixel_um, right],
        [below, below],
        color="black",
        linewidth=4,
        solid_capstyle="butt",
        transform=axes.get_xaxis_transform(),
        clip_on=False,
    )


def _draw_doubts(axes: Axes, acquisition: Acquisition, led: int) -> None:
    """Colour the pixels of a frame that do not count, and those that are saturated."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    weight, saturated = acquisition.weight_led_y_x, acquisition.saturated_led_y_x
    doubts = (
        ("tab:red", "no weight", None if weight is None else weight[led] == 0),
        ("tab:orange", "saturated", None if saturated is None else saturated[led]),
    )
    told = []
    for colour, label, where in doubts:
        if where is not None and where.any():
            shown = np.ma.masked_equal(where, False)
            axes.imshow(shown, cmap=ListedColormap([colour]), interpolation="nearest")
            told.append(Patch(color=colour, label=f"{label} ({int(where.sum())} pixels)"))
    if told:
        axes.legend(handles=told, loc="upper left", fontsize="small")


def _bar_text(length_um: float) -> str:
    return f"bar: {length_text(length_um)}"


def _draw_leds(axes: Axes, acquisition: Acquisition) -> None:
    from matplotlib.colors import LogNorm

    light = acquisition.illumination
    of_frame = acquisition.frames_led_y_x.mean(axis=(1, 2), dtype=np.float64)
    pairs = light.pairs
    mean = np.full(light.led_count, np.inf)
    np.minimum.at(mean, pairs.led_pair, of_frame[pairs.frame_pair])
    lit = mean[mean > 0]
    x, y = light.na_led_xy.T
    _draw_together(axes, light)
    colours = axes.scatter(
        x,
        y,
        c=np.maximum(mean, lit.min()),
        norm=LogNorm(lit.min(), lit.max()) if lit.max() > lit.min() else None,
        s=float(np.clip(4000 / len(x), 6, 60)),
        cmap="viridis",
    )
    axes.figure.colorbar(colours, ax=axes, shrink=0.7, label="mean intensity")
    _draw_circle(axes, acquisition.optics.na, "NA of the objective")
    together = "" if light.lighting is None else f" in {light.frame_count} frames"
    axes.set(title=f"{len(x)} LEDs{together}", xlabel="NA x", ylabel="NA y", aspect="equal")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), fontsize="small", frameon=False)
    axes.invert_yaxis()


def _draw_together(axes: Axes, light: Illumination) -> None:
    """Join the LEDs of each frame, around their middle, in colours that differ from frame to frame.

    And draw the size of LEDs.
    """
    from matplotlib.collections import LineCollection, PatchCollection
    from matplotlib.patches import Circle, Rectangle

    if light.lighting is not None:
        colours = ("tab:blue", "tab:orange", "tab:green", "tab:purple", "tab:brown", "tab:gray")
        for frame in np.flatnonzero(light.leds_in_frame > 1):
            some = light.na_led_xy[light.lighting.led_pair[light.lighting.frame_pair == frame]]
            around = some - some.mean(axis=0)
            order = np.argsort(np.arctan2(around[:, 1], around[:, 0]))
            ring = some[np.append(order, order[0])]
            lines = LineCollection([ring], colors=colours[frame % len(colours)], linewidths=0.6)
            axes.add_collection(lines)
    if light.die is not None:
        extent = 2 * np.abs(light.offsets_led_xy).max(axis=1)
        faces = [
            Circle(tuple(at), wide.max() / 2)
            if light.die.shape == "round"
            else Rectangle(tuple(at - wide / 2), *wide)
            for at, wide in zip(light.na_led_xy, extent, strict=True)
        ]
        axes.add_collection(PatchCollection(faces, facecolor="none", edgecolor="0.4"))


def _draw_coverage(axes: Axes, optics: Optics, illumination: Illumination) -> None:
    reach = synthetic_na(optics, illumination)
    count = coverage(optics, illumination, COVERAGE_PX)
    shown = axes.imshow(
        np.where(count > 0, count, np.nan),
        extent=(-reach, reach, reach, -reach),
        cmap="viridis",
        interpolation="nearest",
    )
    axes.figure.colorbar(shown, ax=axes, shrink=0.7, label="LEDs")
    _draw_circle(axes, reach, f"synthetic NA {reach:.3f}")
    axes.set(title="Fourier coverage", xlabel="NA x", ylabel="NA y", aspect="equal")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), fontsize="small", frameon=False)


def _draw_circle(axes: Axes, radius: float, label: str) -> None:
    turn = np.linspace(0, 2 * np.pi, 200)
    axes.plot(radius * np.cos(turn), radius * np.sin(turn), color="tab:red", lw=1, label=label)
