"""The report of a mosaic: pictures of the field, the fit by tile, the instrument across it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fpm_inr.calibration.field_file import FieldCalibration
from fpm_inr.calibration.file import read_calibration
from fpm_inr.display import robust_contrast
from fpm_inr.figures import phase_limit, phase_map, relative_phase
from fpm_inr.files.replacing import replacing
from fpm_inr.mosaic.instrument_section import instrument_section
from fpm_inr.mosaic.mosaic import Mosaic
from fpm_inr.report.document import Picture, Section, Table, document

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REPORT = "report.html"
# of the pictures: a level of the pyramid that fits
MOST_PX = 900
SHOWN_HEIGHTS = 3


def write_mosaic_report(mosaic: Mosaic, more: Sequence[Section] = ()) -> Path:
    """Write report.html into a mosaic's folder, `more` at its end; it runs no script.

    Raises
    ------
    OutputError
        The file cannot be written.
    DataError
        A tile is damaged.
    """
    path = mosaic.folder / REPORT
    sections = [_solved(mosaic), _pictures(mosaic), _by_tile(mosaic)]
    calibration, notes = mosaic.plan.calibration, []
    if calibration is not None:
        content = read_calibration(mosaic.folder / calibration)
        if isinstance(content, FieldCalibration):
            notes = content.notes
            sections.append(instrument_section(mosaic, content))
    sections += more
    name = Path(mosaic.plan.source.data).name
    text = document(
        f"Mosaic of {name}",
        f"fpm-inr {mosaic.plan.version}, {mosaic.plan.settings.engine}, "
        f"recipe {mosaic.plan.settings.recipe_name}",
        notes,
        sections,
    )
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")
    return path


def _solved(mosaic: Mosaic) -> Section:
    plan, records = mosaic.plan, mosaic.manifest.records
    kinds = [record.kind for record in records]
    rows, columns = plan.sides
    height, width = mosaic.shape_y_x
    low, high = mosaic.z_range_um
    angles = "of its own centre" if plan.angles == "tile" else "the same everywhere"
    result = [
        ("shape", f"{height} x {width} pixels (y x x)"),
        ("field", f"{height * mosaic.pixel_um:.0f} x {width * mosaic.pixel_um:.0f} µm"),
        ("pixel", f"{mosaic.pixel_um:.4g} µm"),
        ("heights", f"{low:g} to {high:g} µm"),
        ("solve seconds, all tiles", f"{sum(one.seconds for one in records):.0f}"),
    ]
    tiles = [
        ("tiles", f"{rows.count} x {columns.count} of {rows.length} x {columns.length} pixels"),
        ("solved", str(kinds.count("solved"))),
        ("empty", str(kinds.count("empty"))),
        ("dark", str(kinds.count("dark"))),
        ("LED directions of a tile", angles),
    ]
    return Section("What was solved", [Table("Result", result), Table("Tiles", tiles)])


def _pictures(mosaic: Mosaic) -> Section:
    level = mosaic.level_within(MOST_PX)
    planes, (low, high) = mosaic.planes_um, mosaic.z_range_um
    z_um = np.linspace(low, high, SHOWN_HEIGHTS + 2)[1:-1] if low < high else np.array([low])
    if planes is not None:
        z_um = planes[np.unique(np.linspace(0, len(planes) - 1, SHOWN_HEIGHTS).astype(int))]
    stack = mosaic.render(z_um, level=level)
    amplitude = stack.amplitude_z_y_x * np.float32(stack.amplitude_scale)
    phase = np.stack([relative_phase(one) for one in stack.field_z_y_x])
    grey, limit = robust_contrast(amplitude), phase_limit(phase)
    # one height: phase beside amplitude; several: below it
    rows, columns = (1, 2) if len(z_um) == 1 else (2, len(z_um))
    figure = Figure(figsize=(4.2 * columns, 4 * rows + 0.3 * (rows == 1)), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).reshape(2, len(z_um))
    for column, z in enumerate(stack.z_um):
        _picture(axes[0, column], amplitude[column], f"amplitude at {z:.1f} µm", "gray",
                 (grey.black, grey.white))  # fmt: skip
        _picture(axes[1, column], phase[column], "phase, rad", phase_map(limit), (-limit, limit))
    figure.colorbar(axes[1, -1].images[0], ax=axes[1, -1], shrink=0.8, label="rad")
    caption = (
        f"The whole field at {len(z_um)} height{'s' * (len(z_um) > 1)}, in pixels of "
        f"{stack.pixel_um:.3g} µm: amplitude, and phase relative to its mean."
    )
    return Section("What it looks like", pictures=[Picture(figure, caption, 110)])


def _by_tile(mosaic: Mosaic) -> Section:
    shape = tuple(side.count for side in mosaic.plan.sides)
    records = mosaic.manifest.records
    solved = np.array([record.kind == "solved" for record in records])
    middle = mosaic.gauge.z_um.size // 2
    maps: list[tuple[NDArray[Any], str]] = [
        (np.array([r.residual for r in records]), "data residual"),
        (np.array([r.residual_z_um for r in records]), "height explained best, µm"),
        (np.exp(mosaic.gauge.log_amplitude[:, middle]), "amplitude, relative"),
        (np.array([r.led_count for r in records]), f"LEDs used, of {mosaic.plan.led_count}"),
    ]
    if np.ptp(mosaic.z_range_um) == 0:
        del maps[1]
    figure = Figure(figsize=(13.5, 3.4), layout="constrained")
    for one, (values, title) in zip(figure.subplots(1, len(maps)), maps, strict=True):
        shown = np.where(solved, values, np.nan).reshape(shape)
        image = one.imshow(shown, cmap="viridis")
        figure.colorbar(image, ax=one, shrink=0.8, format="%.4g")
        one.set_title(title, fontsize=9)
        one.set(xticks=[], yticks=[], facecolor="0.85")
    caption = (
        "Every square is a tile; grey ones are empty or dark, and not solved. LEDs "
        "that cross the pupil's edge within a tile, or contradict their angle, are left out of it."
    )
    return Section("Tile by tile", pictures=[Picture(figure, caption)])


def _picture(
    axes: Axes, image: NDArray[Any], title: str, colours: str, limits: tuple[float, float]
) -> None:
    axes.imshow(image, cmap=colours, vmin=limits[0], vmax=limits[1], interpolation="nearest")
    axes.set_title(title, fontsize=9)
    axes.set(xticks=[], yticks=[])
