"""Pictures of how far to trust a solution."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import ArrayLike, NDArray

from fpm_inr.acquisition import Acquisition
from fpm_inr.display import robust_contrast
from fpm_inr.solution import Solution
from fpm_inr.trust.assess import HANGS_RAD, Trust
from fpm_inr.trust.transfer import LEAST_SHARE, Transfer

FloatArray = NDArray[np.float64]


def noise_figure(trust: Trust, solution: Solution) -> Figure:
    """Amplitude and phase at the best height, with their standard deviations below.

    Phase that hangs on frequencies which the LEDs do not determine is hatched.
    """
    noise = trust.noise[trust.best]
    image = solution.render(noise.z_um).field_z_y_x[0]
    figure = Figure(figsize=(10.5, 8.6), layout="constrained")
    panels = figure.subplots(2, 2)
    amplitude = np.abs(image)
    grey = robust_contrast([amplitude])
    _map(panels[0, 0], amplitude, "amplitude", "gray", grey.black, grey.white)
    phase = np.angle(image * np.exp(-1j * np.angle(image.mean())))
    _map(panels[0, 1], phase, "phase, rad", "gray", *np.percentile(phase, [0.5, 99.5]))
    hangs = np.abs(trust.hanging_phase_z_y_x[trust.best]) > HANGS_RAD
    if hangs.any():
        panels[0, 1].contourf(hangs, [0.5, 1.5], colors="none", hatches=["////"])
    for axes, one, what in (
        (panels[1, 0], noise.amplitude_y_x, "noise of the amplitude"),
        (panels[1, 1], noise.phase_y_x, "noise of the phase, rad"),
    ):
        _map(axes, one, what, "viridis", 0.0, float(np.percentile(one, 99.5)))
    return figure


def model_figure(trust: Trust, acquisition: Acquisition) -> Figure:
    """Resolution by place, what noise does not explain by place and by LED."""
    figure = Figure(figsize=(15, 4.4), layout="constrained")
    panels = figure.subplots(1, 3)
    resolution = trust.resolution
    shown = np.where(np.isfinite(resolution.resolution_um), resolution.resolution_um, np.nan)
    low = resolution.cutoff_um
    high = max(float(np.nanmax(shown, initial=low)), 1.5 * low)
    _map(panels[0], shown, "resolution (period), um", "viridis_r", low, high)
    excess = trust.model.excess_y_x
    high = max(float(np.nanpercentile(excess, 99.5)) if np.isfinite(excess).any() else 1.0, 1.0)
    _map(panels[1], excess, "error over noise, less 1", "magma", 0.0, high)
    if trust.model.thick_y_x.any():
        panels[1].contour(trust.model.thick_y_x, [0.5], colors="cyan", linewidths=1.5)
    _leds(panels[2], trust, acquisition)
    return figure


def transfer_figure(told: Transfer) -> Figure:
    """What the LEDs tell of amplitude and of phase, by spatial frequency."""
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.add_subplot()
    curves = told.curves()
    axes.plot(curves["per_um"], curves["amplitude"], label="amplitude")
    axes.plot(curves["per_um"], curves["phase"], label="phase")
    limit = LEAST_SHARE * curves["amplitude"]
    axes.fill_between(curves["per_um"], 1e-9, limit, color="0.85", label="not determined")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="spatial frequency, 1/um",
        ylabel="frames' worth of information",
        ylim=(1e-3, 2 * float(curves["amplitude"].max())),
        title=f"What the LEDs tell, z = {told.z_um:g} um",
    )
    axes.legend()
    top = axes.secondary_xaxis("top", functions=(_inverse, _inverse))
    top.set_xlabel("period, um")
    return figure


def _inverse(values: ArrayLike) -> FloatArray:
    return np.asarray(1 / np.maximum(values, 1e-9))


def _map(
    axes: Axes, image: NDArray[np.floating], title: str, colours: str, low: float, high: float
) -> None:
    shown = axes.imshow(image, cmap=colours, vmin=low, vmax=max(high, low + 1e-9))
    axes.figure.colorbar(shown, ax=axes, shrink=0.85)
    axes.set(title=title, xticks=[], yticks=[])


def _leds(axes: Axes, trust: Trust, acquisition: Acquisition) -> None:
    light, model = acquisition.illumination, trust.model
    # every LED of a frame stands for it
    leds = [light.leds_of(model.leds[n : n + 1]) for n in range(len(model.leds))]
    x, y = light.na_led_xy[np.concatenate(leds)].T
    size = float(np.clip(4000 / len(x), 8, 70))
    excess = np.repeat(np.maximum(model.excess_led, 0), [len(one) for one in leds])
    drawn = axes.scatter(x, y, c=excess, s=size, cmap="magma")
    axes.figure.colorbar(drawn, ax=axes, shrink=0.85)
    for number in [one.led for one in model.moved] + model.clipped_leds.tolist():
        for led in light.leds_of(np.array([number])):
            axes.annotate(str(number), light.na_led_xy[led], color="tab:blue")
    circle = Circle((0, 0), acquisition.optics.na, fill=False, ls="--", color="0.5")
    axes.add_patch(circle)
    axes.set(xlabel="NA x", ylabel="NA y", aspect="equal")
    axes.set_title(f"error over noise, less 1, by {model.source}")
    axes.autoscale_view()
    axes.invert_yaxis()
