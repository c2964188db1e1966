"""The instrument across the field, as the report of a mosaic shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fpm_inr.calibration.field_file import FieldCalibration, Polynomial, TileFit
from fpm_inr.forward import Instrument
from fpm_inr.instrument.pupil_images import pupil_images
from fpm_inr.mosaic.mosaic import Mosaic
from fpm_inr.report.document import Picture, Section, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = NDArray[np.float64]
Span = tuple[float, float]

# Noll indices and their names, of what is drawn of the pupil
MODES = {5: "oblique astigmatism", 6: "astigmatism", 7: "coma along y", 8: "coma along x",
         11: "spherical aberration"}  # fmt: skip
# Noll indices up to here are piston, tilt and defocus: the last is drawn as a height
PLACING = 4
FIELD_POINTS = 41
PUPIL_POINTS, PUPILS = 65, 3
LEAST_WAVES = 0.01


def instrument_section(mosaic: Mosaic, content: FieldCalibration) -> Section:
    """Numbers, maps of the field, and pupils at nine places of it."""
    height, width = mosaic.plan.shape_y_x
    axis_y, axis_x = mosaic.plan.axis_y_x_px
    pixel_um = mosaic.optics.pixel_um
    y_um, x_um = (
        (-axis * pixel_um, (side - 1 - axis) * pixel_um)
        for side, axis in ((height, axis_y), (width, axis_x))
    )
    used = sum(tile.used for tile in content.tiles)
    pictures = [
        Picture(
            _maps(content, y_um, x_um),
            "The instrument across the field, in µm from the optical axis, as smooth surfaces "
            f"through what {used} of {len(content.tiles)} tiles have found. Dots have the colour "
            "of what their tile has found by itself; tiles at crosses told nothing.",
        )
    ]
    if len(content.zernike_rad) > PLACING:
        caption = "The pupil's phase at nine places of the field, without defocus, in waves."
        pictures.append(Picture(_pupils(mosaic, content, y_um, x_um), caption))
    return Section("The instrument", [Table("Found", _numbers(content, y_um, x_um))], pictures)


def _numbers(content: FieldCalibration, y_um: Span, x_um: Span) -> list[tuple[str, str]]:
    used = [tile for tile in content.tiles if tile.used]
    residual = [tile.residual for tile in used]
    rows = [("tiles that told", f"{len(used)} of {len(content.tiles)}")]
    if used:
        rows.append(("their data residual", f"{min(residual):.4f} to {max(residual):.4f}"))
    rows.append(("LED array", _moved(content)))
    rows.append(
        ("gains (amplitude)", f"{min(content.gain_led):.3f} to {max(content.gain_led):.3f}")
    )
    if len(content.zernike_rad) > PLACING:
        there = [
            _waves(content, x, y) for y in np.linspace(*y_um, 9) for x in np.linspace(*x_um, 9)
        ]
        least, most = min(there), max(there)
        rows.append(("pupil, without defocus", f"{least:.3f} to {most:.3f} waves RMS"))
    return rows


def _moved(content: FieldCalibration) -> str:
    """By how much the array was found to stand off."""
    stated = np.array(content.nominal_na_led_xy)
    if content.position_led_xyz_mm is None:
        x, y = np.mean(content.moved_na_led_xy or [(0.0, 0.0)], axis=0)
        return f"directions moved by {x:+.4f}, {y:+.4f} (x, y) in NA"
    geometry = content.geometry()
    slopes = [na / np.sqrt(1 - np.square(na).sum(axis=1, keepdims=True))
              for na in (geometry.na_at(), stated)]  # fmt: skip
    distance_mm = float(geometry.position_led_xyz_mm[:, 2].mean())
    x, y = distance_mm * (slopes[0] - slopes[1]).mean(axis=0)
    wide = [float(np.ptp(slope, axis=0).max()) for slope in slopes]
    stretched = f", {wide[1] / wide[0]:.2f} times as far away" if wide[0] and wide[1] else ""
    return f"moved by {x:+.2f}, {y:+.2f} mm (x, y){stretched}, leaning by {_lean_deg(content):.1f}°"


def _lean_deg(content: FieldCalibration) -> float:
    """Angle of the plane that fits the LEDs' places best against the stage."""
    places = np.array(content.position_led_xyz_mm)
    level = np.column_stack([np.ones(len(places)), places[:, :2]])
    rise = np.linalg.lstsq(level, places[:, 2], rcond=None)[0][1:]
    return float(np.degrees(np.arctan(np.hypot(*rise))))


def _waves(content: FieldCalibration, x_um: float, y_um: float) -> float:
    """The pupil's phase at a place, waves RMS."""
    modes = content.zernike_at(x_um, y_um)[PLACING:]
    return float(np.linalg.norm(modes) / (2 * np.pi))


def _maps(content: FieldCalibration, y_um: Span, x_um: Span) -> Figure:
    x, y = (np.linspace(*side, FIELD_POINTS) for side in (x_um, y_um))

    def over_field(polynomial: Polynomial) -> FloatArray:
        return content.at(polynomial, x, y[:, None])

    used = [tile for tile in content.tiles if tile.used]
    modes = {noll: name for noll, name in MODES.items() if len(content.zernike_rad) >= noll}
    drawn = [over_field(content.zernike_rad[noll - 1]) / (2 * np.pi) for noll in modes]
    found = [[_mode(tile, noll) / (2 * np.pi) for tile in used] for noll in modes]
    # one scale for all modes, so that the strongest stands out
    limit = max([LEAST_WAVES, *(float(np.abs(one).max()) for one in drawn)])
    maps: list[tuple[str, str, FloatArray, list[float], tuple[float, float] | None]] = [
        (name, "waves RMS", values, own, (-limit, limit))
        for name, values, own in zip(modes.values(), drawn, found, strict=True)
    ]
    maps.append(("light", "amplitude", np.exp(over_field(content.log_light)), [], None))
    if content.focus_um is not None:
        focus = over_field(content.focus_um)
        maps.append(("height of focus", "µm", focus, [tile.focus_um for tile in used], None))
    rows = -(-len(maps) // 4)
    figure = Figure(figsize=(13.5, 3.2 * rows), layout="constrained")
    axes = figure.subplots(rows, 4, squeeze=False).ravel()
    for one in axes[len(maps) :]:
        one.axis("off")
    extent = (x_um[0], x_um[1], y_um[1], y_um[0])
    for one, (name, unit, values, own, limits) in zip(axes, maps, strict=False):
        low, high = limits or (float(values.min()), float(values.max()))
        colours = "viridis" if limits is None else "RdBu_r"
        image = one.imshow(values, extent=extent, cmap=colours, vmin=low, vmax=high)
        figure.colorbar(image, ax=one, shrink=0.8, label=unit, format="%.3g")
        _dots(one, content.tiles, own, image)
        one.set_title(name, fontsize=9)
        one.tick_params(labelsize=6)
    return figure


def _mode(tile: TileFit, noll: int) -> float:
    return tile.zernike_rad[noll - 1] if len(tile.zernike_rad) >= noll else 0.0


def _dots(axes: Axes, tiles: Sequence[TileFit], own: list[float], image: Any) -> None:
    """Where tiles are that told something, with what they told, and where none did."""
    used = [tile for tile in tiles if tile.used]
    for tile in tiles:
        if not tile.used:
            axes.plot(tile.x_um, tile.y_um, "x", color="black", ms=4)
    places = [tile.x_um for tile in used], [tile.y_um for tile in used]
    colours = {"c": own, "cmap": image.cmap, "norm": image.norm} if own else {"c": "white"}
    axes.scatter(*places, s=28, edgecolors="black", linewidths=0.7, **colours)


def _pupils(mosaic: Mosaic, content: FieldCalibration, y_um: Span, x_um: Span) -> Figure:
    figure = Figure(figsize=(6.6, 5.6), layout="constrained")
    axes = figure.subplots(PUPILS, PUPILS)
    directions = torch.tensor(content.nominal_na_led_xy)
    gains = torch.tensor(content.gain_led)
    phases = []
    places = [(x, y) for y in np.linspace(*y_um, PUPILS) for x in np.linspace(*x_um, PUPILS)]
    for x, y in places:
        modes = content.zernike_at(x, y)
        modes[:PLACING] = 0
        here = Instrument(directions, gains, torch.tensor(modes))
        phases.append(pupil_images(here, mosaic.optics, PUPIL_POINTS)[1] / (2 * np.pi))
    limit = max(LEAST_WAVES, float(np.nanmax(np.abs(phases))))
    for one, phase, (x, y) in zip(axes.ravel(), phases, places, strict=True):
        image = one.imshow(phase, cmap="RdBu_r", vmin=-limit, vmax=limit)
        one.set_title(f"x {x:+.0f}, y {y:+.0f} µm: {_waves(content, x, y):.3f} RMS", fontsize=7)
        one.axis("off")
    figure.colorbar(image, ax=axes, shrink=0.7, label="waves")
    return figure
