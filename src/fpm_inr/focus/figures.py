"""Pictures and tables of what is in focus where."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from fpm_inr.display import robust_contrast
from fpm_inr.figures import phase_limit, phase_map, relative_phase
from fpm_inr.focus.blend import AllInFocus
from fpm_inr.focus.depth import Autofocus
from fpm_inr.focus.scores import FocusScores

Extent = tuple[float, float, float, float]


def all_in_focus_figure(result: AllInFocus) -> Figure:
    """Amplitude, in the camera's unit, and phase relative to the mean field."""
    amplitude = np.abs(result.field_y_x) * np.float32(result.amplitude_scale)
    phase = relative_phase(result.field_y_x)
    contrast, limit = robust_contrast([amplitude]), phase_limit(phase)
    figure = Figure(figsize=(13, 6), layout="constrained", dpi=150)
    extent = _extent_um(result.depth.scores)
    panels = (
        (amplitude, "amplitude, √counts", "gray", contrast.black, contrast.white),
        (phase, "phase, rad", phase_map(limit), -limit, limit),
    )
    for place, (image, label, colours, low, high) in enumerate(panels, start=1):
        axes = figure.add_subplot(1, 2, place)
        shown = axes.imshow(
            image, extent=extent, interpolation="nearest", cmap=colours, vmin=low, vmax=high
        )
        axes.set_xlabel("x, µm")
        axes.set_ylabel("y, µm")
        figure.colorbar(shown, ax=axes, label=label, shrink=0.8)
    return figure


def depth_figure(result: AllInFocus) -> Figure:
    """Depth map in um; patches that took their neighbours' depth are marked."""
    scores = result.depth.scores
    figure = Figure(figsize=(7.5, 6), layout="constrained", dpi=150)
    axes = figure.add_subplot()
    shown = axes.imshow(result.depth_um_y_x, extent=_extent_um(scores), cmap="viridis")
    row, column = np.nonzero(~result.depth.is_trusted_y_x)
    axes.plot(
        (scores.centre_x_px[column] + 0.5) * scores.pixel_um,
        (scores.centre_y_px[row] + 0.5) * scores.pixel_um,
        "x",
        color="white",
        markersize=2.5,
        markeredgewidth=0.5,
    )
    if row.size:
        axes.set_title("crosses: no focus of their own, depth of the neighbours", fontsize="small")
    axes.set_xlabel("x, µm")
    axes.set_ylabel("y, µm")
    figure.colorbar(shown, ax=axes, label="depth z, µm")
    return figure


def curve_figure(scores: FocusScores, at_point: Autofocus | None) -> Figure:
    """Focus curves of the whole image and of one point, each over its largest value."""
    figure = Figure(figsize=(7, 4.5), layout="constrained", dpi=150)
    axes = figure.add_subplot()
    axes.plot(scores.z_um, scores.whole_z / max(scores.whole_z.max(), 1e-30), label="whole image")
    if at_point is not None:
        axes.plot(
            scores.z_um, at_point.curve_z / max(at_point.curve_z.max(), 1e-30), label="at the point"
        )
        axes.axvline(at_point.z_um, color="0.5", linestyle=":", label=f"{at_point.z_um:.2f} µm")
    axes.set_xlabel("z, µm")
    axes.set_ylabel(f"{scores.settings.method} (largest = 1)")
    axes.legend()
    return figure


def write_curves(path: Path, scores: FocusScores, at_point: Autofocus | None) -> None:
    """Write focus curves as CSV: z_um, whole_image and, for a point, at_point."""
    header, columns = ["z_um", "whole_image"], [scores.z_um, scores.whole_z]
    if at_point is not None:
        header, columns = [*header, "at_point"], [*columns, at_point.curve_z]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows([f"{value:.9g}" for value in row] for row in zip(*columns, strict=True))


def _extent_um(scores: FocusScores) -> Extent:
    height, width = (length * scores.pixel_um for length in scores.shape_y_x)
    return (0.0, width, height, 0.0)
