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
from fpm_inr.mosaic.mosaic import Mosaic
from fpm_inr.report.document import Picture, Section, Table, document

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REPORT = "report.html"
# of the pictures: a level of the pyramid that fits
MOST_PX = 900
SHOWN_HEIGHTS = 3
# Noll indices and their names, of what is drawn of the pupil
MODES = {5: "oblique astigmatism", 6: "astigmatism", 7: "coma along y", 8: "coma along x",
         11: "spherical aberration"}  # fmt: skip
FIELD_POINTS = 41


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
    calibration = mosaic.plan.calibration
    if calibration is not None:
        content = read_calibration(mosaic.folder / calibration)
        if isinstance(content, FieldCalibration):
            sections.append(_instrument(mosaic, content))
    sections += more
    name = Path(mosaic.plan.source.data).name
    text = document(
        f"Mosaic of {name}",
        f"fpm-inr {mosaic.plan.version}, {mosaic.plan.settings.engine}, "
        f"recipe {mosaic.plan.settings.recipe_name}",
        [],
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
    figure = Figure(figsize=(4.2 * len(z_um), 8), layout="constrained")
    axes = figure.subplots(2, len(z_um), squeeze=False)
    for column, z in enumerate(stack.z_um):
        _picture(axes[0, column], amplitude[column], f"amplitude at {z:.1f} µm", "gray",
                 (grey.black, grey.white))  # fmt: skip
        _picture(axes[1, column], phase[column], "phase, rad", phase_map(limit), (-limit, limit))
    caption = (
        f"The whole field at {len(z_um)} height{'s' * (len(z_um) > 1)}, in pixels of "
        f"{stack.pixel_um:.3g} µm: amplitude above, phase relative to its mean below."
    )
    return Section("What it looks like", pictures=[Picture(figure, caption, 110)])


def _by_tile(mosaic: Mosaic) -> Section:
    shape = tuple(side.count for side in mosaic.plan.sides)
    records = mosaic.manifest.records
    residual = np.array([r.residual if r.kind == "solved" else np.nan for r in records])
    best = np.array([r.residual_z_um if r.kind == "solved" else np.nan for r in records])
    middle = mosaic.gauge.z_um.size // 2
    amplitude = np.exp(mosaic.gauge.log_amplitude[:, middle])
    used = np.array([r.led_count if r.kind == "solved" else np.nan for r in records])
    figure = Figure(figsize=(13.5, 3.4), layout="constrained")
    axes = figure.subplots(1, 4)
    maps = (
        (residual, "data residual"),
        (best, "height explained best, µm"),
        (amplitude, "amplitude, relative"),
        (used, f"LEDs used, of {mosaic.plan.led_count}"),
    )
    for one, (values, title) in zip(axes, maps, strict=True):
        image = one.imshow(values.reshape(shape), cmap="viridis")
        figure.colorbar(image, ax=one, shrink=0.8)
        one.set_title(title, fontsize=9)
        one.set(xticks=[], yticks=[])
    caption = (
        "Every square is a tile. Empty and dark tiles have no residual: they are not solved. LEDs "
        "that cross the pupil's edge within a tile, or contradict their angle, are left out of it."
    )
    return Section("Tile by tile", pictures=[Picture(figure, caption)])


def _instrument(mosaic: Mosaic, content: FieldCalibration) -> Section:
    height, width = mosaic.plan.shape_y_x
    pixel_um = mosaic.optics.pixel_um
    axis_y, axis_x = mosaic.plan.axis_y_x_px
    y_um = (np.linspace(0, height - 1, FIELD_POINTS) - axis_y) * pixel_um
    x_um = (np.linspace(0, width - 1, FIELD_POINTS) - axis_x) * pixel_um
    maps: list[tuple[str, NDArray[Any]]] = [
        (f"{name}, waves RMS", content.at(content.zernike_rad[noll - 1], x_um, y_um[:, None]))
        for noll, name in MODES.items()
        if len(content.zernike_rad) >= noll
    ]
    maps = [(name, values / (2 * np.pi)) for name, values in maps]
    maps.append(("light (amplitude)", np.exp(content.at(content.log_light, x_um, y_um[:, None]))))
    if content.focus_um is not None:
        maps.append(("height of focus, µm", content.at(content.focus_um, x_um, y_um[:, None])))
    figure = Figure(figsize=(12, 3.2 * -(-len(maps) // 4)), layout="constrained")
    axes = figure.subplots(-(-len(maps) // 4), 4, squeeze=False).ravel()
    extent = (x_um[0], x_um[-1], y_um[-1], y_um[0])
    for one in axes[len(maps) :]:
        one.axis("off")
    for one, (name, values) in zip(axes, maps, strict=False):
        image = one.imshow(values, extent=extent, cmap="viridis")
        figure.colorbar(image, ax=one, shrink=0.8)
        for tile in content.tiles:
            one.plot(tile.x_um, tile.y_um, "o" if tile.used else "x", color="white", ms=3)
        one.set_title(name, fontsize=9)
        one.tick_params(labelsize=6)
    used = sum(tile.used for tile in content.tiles)
    caption = (
        "The instrument across the field, in µm from the optical axis, as smooth surfaces through "
        f"what {used} of {len(content.tiles)} tiles have found (dots; crosses told nothing)."
    )
    caption = " ".join([caption, *content.notes])
    return Section("The instrument", pictures=[Picture(figure, caption)])


def _picture(
    axes: Axes, image: NDArray[Any], title: str, colours: str, limits: tuple[float, float]
) -> None:
    axes.imshow(image, cmap=colours, vmin=limits[0], vmax=limits[1], interpolation="nearest")
    axes.set_title(title, fontsize=9)
    axes.set(xticks=[], yticks=[])
