"""One picture of a simulation: what it is, where it lies, what the camera saw of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fpm_inr.files.replacing import replacing
from fpm_inr.simulate.experiment import Simulation


def draw_simulation(path: str | Path, simulation: Simulation) -> None:
    """Write a PNG: true amplitude, phase and height; the frames of three LEDs, the LEDs.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    acquisition, truth = simulation.acquisition, simulation.truth
    na = acquisition.illumination.na_frame
    centre, steepest = int(na.argmin()), int(na.argmax())
    height, width = acquisition.shape_y_x
    # microns, so that truth and frames line up in spite of their pixels
    extent = (0, width * acquisition.optics.pixel_um, height * acquisition.optics.pixel_um, 0)
    phase = np.where(np.abs(truth.seen_y_x) > 0.1, np.angle(truth.seen_y_x), 0.0)
    images = (
        ("true amplitude, as far as resolved", np.abs(truth.seen_y_x), "gray"),
        ("true phase (rad), as far as resolved", phase, "gray"),
        (
            f"true height (um) of sheet 1 of {len(truth.z_sheet_y_x_um)}",
            truth.z_sheet_y_x_um[0],
            "viridis",
        ),
        (f"frame {centre}, NA {na[centre]:.3f}", acquisition.frames_led_y_x[centre], "gray"),
        (f"frame {steepest}, NA {na[steepest]:.3f}", acquisition.frames_led_y_x[steepest], "gray"),
    )
    figure = Figure(figsize=(15, 9), layout="constrained")
    panels = figure.subplots(2, 3).ravel()
    for axes, (title, image, colours) in zip(panels, images, strict=False):
        shown = axes.imshow(image, cmap=colours, extent=extent)
        figure.colorbar(shown, ax=axes, shrink=0.85)
        axes.set(title=title, xlabel="x (um)", ylabel="y (um)")
    leds, believed = panels[-1], acquisition.illumination.na_led_xy
    turn = np.linspace(0, 2 * np.pi, 200)
    radius = acquisition.optics.na
    leds.plot(radius * np.cos(turn), radius * np.sin(turn), "k-", lw=0.8, label="NA")
    leds.plot(*believed.T, "o", mfc="none", label="stated")
    leds.plot(*truth.na_led_xy.T, "r.", ms=3, label="true")
    leds.set(title=f"{acquisition.led_count} LEDs", xlabel="NA x", ylabel="NA y", aspect="equal")
    leds.margins(y=0.2)
    leds.invert_yaxis()
    leds.legend(loc="upper center", fontsize="small", ncols=3)
    with replacing(path) as beside:
        FigureCanvasAgg(figure)
        figure.savefig(beside, format="png")
