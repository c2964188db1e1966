"""The report's section on how far to trust a mosaic."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fpm_inr.mosaic.mosaic import Mosaic
from fpm_inr.mosaic_trust.summary import of_tiles
from fpm_inr.report.document import Picture, Section, Table

FloatArray = NDArray[np.float64]


def trust_section(
    mosaic: Mosaic, numbers: dict[str, Any], maps: dict[str, NDArray[np.float32]]
) -> Section:
    """Noise, resolution and model error over the field, and tile by tile."""
    middle = len(numbers["z_um"]) // 2
    noise = [
        ("tiles", f"{numbers['tiles']} of {len(mosaic.tiles)}"),
        ("amplitude", f"± {_said(numbers['amplitude_noise'])} of the bright field"),
        ("phase", f"± {_said(numbers['phase_noise_rad'])} rad"),
    ]
    resolved = [
        ("period", f"{_said(numbers['resolution_um'])} µm"),
        ("finest there can be", f"{numbers['cutoff_um']:.3g} µm"),
        ("found from", f"halves of the {'photons' if numbers['halves'] == 'photons' else 'LEDs'}"),
        ("error over noise, less 1", _said(numbers["excess_over_noise"])),
    ]
    pictures = [
        Picture(
            _field_figure(maps, middle),
            f"Standard deviation of amplitude (camera's unit) and phase at z = "
            f"{numbers['z_um'][middle]:.2f} µm; period up to which two halves of the data agree; "
            "and what the frames keep over their noise. White: nothing is told there.",
            90,
        ),
        Picture(_tile_figure(mosaic, numbers), "Every square is a tile.", 90),
    ]
    tables = [Table("Noise, median tile", noise), Table("Resolution and model", resolved)]
    warned = [(f"{n}", sentence) for n, sentence in enumerate(numbers["warnings"], 1)]
    if warned:
        tables.append(Table("Warnings", warned))
    return Section("How far to trust it", tables, pictures)


def _said(value: float | None) -> str:
    return "nothing is told" if value is None else f"{value:.2g}"


def _field_figure(maps: dict[str, NDArray[np.float32]], z: int) -> Figure:
    figure = Figure(figsize=(12, 9.5), layout="constrained")
    panels = figure.subplots(2, 2).ravel()
    shown = (
        ("amplitude_noise", "noise of the amplitude", "viridis"),
        ("phase_noise", "noise of the phase, rad", "viridis"),
        ("resolution", "resolution (period), µm", "viridis_r"),
        ("excess", "error over noise, less 1", "magma"),
    )
    for axes, (name, title, colours) in zip(panels, shown, strict=True):
        _map(axes, maps[name][z].astype(np.float64), title, colours)
    return figure


def _tile_figure(mosaic: Mosaic, numbers: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(12, 3.4), layout="constrained")
    shown = (
        ("phase_noise_rad", "noise of the phase, rad", "viridis"),
        ("resolution_um", "resolution (period), µm", "viridis_r"),
        ("excess", "error over noise, less 1", "magma"),
    )
    for axes, (name, title, colours) in zip(figure.subplots(1, 3), shown, strict=True):
        _map(axes, of_tiles(numbers, name, mosaic), title, colours)
    return figure


def _map(axes: Axes, values: FloatArray, title: str, colours: str) -> None:
    told = values[np.isfinite(values)]
    low, high = np.percentile(told, [0.5, 99.5]) if told.size else (0.0, 1.0)
    shown = np.where(np.isfinite(values), values, np.nan)
    image = axes.imshow(shown, cmap=colours, vmin=low, vmax=max(high, low + 1e-9))
    axes.figure.colorbar(image, ax=axes, shrink=0.85)
    axes.set_title(title, fontsize=9)
    axes.set(xticks=[], yticks=[])
