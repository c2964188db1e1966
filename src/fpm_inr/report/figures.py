"""Figures of the report that no other part of the program draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter, median_filter

from fpm_inr.acquisition import Acquisition
from fpm_inr.forward import Instrument
from fpm_inr.instrument.pupil_images import pupil_images

PUPIL_SIDE = 129
MEDIAN_WINDOWS = 12


def residual_figure(
    acquisition: Acquisition,
    residual_led: NDArray[np.float64],
    z_um: ArrayLike,
    residual_z: ArrayLike,
) -> Figure:
    """Data residual by LED on the LED map, and by height."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    leds, heights = figure.subplots(1, 2, width_ratios=(1.2, 1))
    _draw_leds(figure, leds, acquisition, residual_led, "data residual")
    heights.plot(z_um, residual_z, "o-")
    heights.set(xlabel="z, µm", ylabel="data residual, all LEDs", ylim=(0, None))
    return figure


def place_figure(error_y_x: NDArray[np.float64], noise_y_x: NDArray[np.float64]) -> Figure:
    """Squared error over the noise's mean, by place in the frame."""
    figure = Figure(figsize=(5.2, 4.4), layout="constrained")
    axes = figure.add_subplot()
    # single pixels scatter with the noise itself
    smooth = gaussian_filter(error_y_x, 1.0) / max(float(noise_y_x.mean()), 1e-30)
    low, high = np.percentile(smooth, [1, 99.5])
    norm = LogNorm(low, high) if 0 < low < high else None
    shown = axes.imshow(smooth, cmap="magma", norm=norm)
    figure.colorbar(shown, ax=axes, label="error over noise")
    axes.set(xticks=[], yticks=[])
    return figure


def convergence_figure(history: Sequence[Mapping[str, float]]) -> Figure:
    """Loss by step, on a logarithmic scale, with its running median."""
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.add_subplot()
    steps = [row["step"] for row in history]
    loss = np.array([row["loss"] for row in history], dtype=np.float64)
    # a step sees a few LEDs at one height: single losses scatter
    window = max(1, len(loss) // MEDIAN_WINDOWS)
    axes.plot(steps, loss, lw=0.6, color="0.7")
    axes.plot(steps, median_filter(loss, window, mode="nearest"), lw=1.6)
    axes.set(xlabel="step", ylabel="loss", yscale="log")
    return figure


def instrument_figure(acquisition: Acquisition, instrument: Instrument) -> Figure:
    """LED places and gains that were used, beside the stated ones; pupil phase."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    leds, pupil = figure.subplots(1, 2)
    stated = acquisition.illumination.na_led_xy
    leds.plot(*stated.T, "x", color="0.6", ms=5, label="stated")
    used = instrument.na_led_xy.numpy()
    gain = instrument.gain_led.numpy()
    _draw_leds(figure, leds, acquisition, gain, "amplitude gain", used)
    moved = float(np.hypot(*(used - stated).T).max())
    leds.set_title(f"LEDs as used (crosses: as stated); moved by up to {moved:.2g} NA")

    _, phase = pupil_images(instrument, acquisition.optics, PUPIL_SIDE)
    limit = max(float(np.nanmax(np.abs(phase))), 0.1)
    shown = pupil.imshow(phase, cmap="RdBu", vmin=-limit, vmax=limit, extent=(-1, 1, 1, -1))
    figure.colorbar(shown, ax=pupil, label="rad", shrink=0.8)
    rms = float(np.nanstd(phase)) / (2 * np.pi)
    pupil.set(xlabel="kx / edge", ylabel="ky / edge", title=f"pupil phase, {rms:.3f} waves RMS")
    return figure


def _draw_leds(
    figure: Figure,
    axes: Axes,
    acquisition: Acquisition,
    value_led: NDArray[np.float64],
    label: str,
    na_led_xy: NDArray[np.float64] | None = None,
) -> None:
    places = acquisition.illumination.na_led_xy if na_led_xy is None else na_led_xy
    size = float(np.clip(4000 / len(places), 8, 70))
    x, y = places.T
    low, high = float(value_led.min()), float(value_led.max())
    norm = LogNorm(low, high) if low > 0 and high > 20 * low else None  # a few LEDs far off
    drawn = axes.scatter(x, y, c=value_led, s=size, cmap="viridis", norm=norm)
    figure.colorbar(drawn, ax=axes, label=label, shrink=0.8)
    axes.add_patch(Circle((0, 0), acquisition.optics.na, fill=False, ls="--", color="0.5"))
    axes.set(xlabel="NA x", ylabel="NA y", aspect="equal")
    axes.autoscale_view()
    axes.invert_yaxis()
