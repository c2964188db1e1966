"""What a reconstruction in colour leaves in its folder, beside one folder a wavelength."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from fpm_inr.display import height_texts, robust_contrast
from fpm_inr.figures import save_figure
from fpm_inr.files.replacing import replacing
from fpm_inr.report.document import Picture, Section, Table, document
from fpm_inr.sampling import depth_of_field_um
from fpm_inr.solution_set import SolutionSet

SHOWN_HEIGHTS = 5
MOST_PX = 900  # of pictures of a mosaic: a level that fits
LITTLE_AGREEMENT = 0.3
PREVIEW, REPORT = "preview.png", "report.html"


def write_colour_results(folder: Path, solutions: SolutionSet) -> list[str]:
    """Write manifest, preview and report; give the warnings that stand in it.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    solutions.save_manifest(folder)
    heights = heights_figure(solutions)
    save_figure(heights, folder / PREVIEW)
    warnings = colour_warnings(solutions)
    names = ", ".join(f"{n} ({um:.4g} µm)" for n, um in solutions.wavelength_um.items())
    page = document(
        "Mosaic in colour" if solutions.is_mosaic else "Reconstruction in colour",
        f"{names}; {solutions.shape_y_x[0]} x {solutions.shape_y_x[1]} pixels of "
        f"{solutions.pixel_um:.4g} µm. The report of each wavelength is in its own folder.",
        warnings,
        [
            Section(
                "Colour", [], [Picture(heights, "The picture in colour at heights of the range.")]
            ),
            Section(
                "Chromatic offsets",
                [_offset_table(solutions, name) for name in solutions.names],
                [
                    Picture(
                        channels_figure(solutions),
                        "Each wavelength at the height where it was judged, laid over the others.",
                    )
                ],
            ),
            Section("White", [_white_table(solutions)]),
        ],
    )
    with replacing(folder / REPORT) as beside:
        beside.write_text(page, encoding="utf-8")
    return warnings


def colour_warnings(solutions: SolutionSet) -> list[str]:
    """Sentences on what may keep the colours from being right."""
    record = solutions.record
    told = [
        f"{name.capitalize()} was not solved: it has the detail of {source}, and the colour of its "
        "own bright-field frames."
        for name, source in solutions.transferred.items()
    ]
    offsets = record.get("offsets")
    for name, found in (offsets if isinstance(offsets, dict) else {}).items():
        if found["agreement"] < LITTLE_AGREEMENT:
            told.append(
                f"The detail of {name} hardly agrees with that of {solutions.reference} "
                f"({found['agreement']:.2f}): look whether they lie over each other, or give "
                "--offset."
            )
        if "height_beyond_range_um" in found:
            told.append(
                f"The focus of {name} was found at {found['height_beyond_range_um']:.3g} um, "
                "beyond what was solved: solve a larger range of z."
            )
    if record.get("focus_from") == "sharpness":
        told.append(
            "The focus of each wavelength was found by sharpness alone, which is less sure than "
            "by the frames."
        )
    white = record.get("white", {})
    if white.get("from") == "background" and white.get("share") == 0:
        told.append(
            "No clear background was found, and the brightest parts are taken for white: give "
            "--white Y X HEIGHT WIDTH, or trust no hue."
        )
    return told


def heights_figure(solutions: SolutionSet) -> Figure:
    """Colour at up to five heights."""
    planes = solutions.planes_um
    low, high = solutions.z_range_um
    heights = np.linspace(low, high, SHOWN_HEIGHTS if high > low else 1)
    if planes is not None:
        chosen = np.unique(np.linspace(0, len(planes) - 1, SHOWN_HEIGHTS).round().astype(int))
        heights = planes[chosen]
    level = solutions.level_within(MOST_PX)
    images = [solutions.colour(float(z), level=level) for z in heights]
    titles = [f"z = {text} µm" for text in height_texts(heights)]
    return _row(images, titles)


def channels_figure(solutions: SolutionSet) -> Figure:
    """Intensity of each wavelength in grey, and their colour."""
    z_um = focus_of(solutions)
    (fields,) = solutions.fields(z_um, level=solutions.level_within(MOST_PX))
    images: list[Any] = [
        robust_contrast([np.abs(one)]).grey(np.abs(one).astype(np.float32)) for one in fields
    ]
    images.append(np.moveaxis(solutions.srgb(fields), 0, -1))
    return _row(images, [*solutions.labels, "colour"])


def focus_of(solutions: SolutionSet) -> float:
    """Height to look at: where offsets were found, or the middle of the range."""
    low, high = solutions.z_range_um
    z_um = float(np.clip(solutions.record.get("focus_um", (low + high) / 2), low, high))
    planes = solutions.planes_um
    return z_um if planes is None else float(planes[np.abs(planes - z_um).argmin()])


def _row(images: list[Any], titles: list[str]) -> Figure:
    ratio = images[0].shape[0] / images[0].shape[1]
    figure = Figure(figsize=(3.2 * len(images), 3.2 * ratio + 0.4), layout="constrained")
    for number, (image, title) in enumerate(zip(images, titles, strict=True)):
        axes = figure.add_subplot(1, len(images), number + 1)
        axes.imshow(image, cmap="gray", interpolation="nearest")
        axes.set_title(title)
        axes.set_xticks([])
        axes.set_yticks([])
    return figure


def _offset_table(solutions: SolutionSet, name: str) -> Table:
    solution = solutions.solutions[name]
    if name == solutions.reference:
        return Table(f"{name}, {1e3 * solution.optics.wavelength_um:.0f} nm", [("reference", "")])
    if name in solutions.transferred:
        told = solutions.record["transferred"][name]
        return Table(
            f"{name}, {1e3 * solution.optics.wavelength_um:.0f} nm: transferred, not solved",
            [
                ("detail and phase of", solutions.transferred[name]),
                ("colour of", "its own bright-field frames"),
                ("which lie further down by", f"{told['y_um']:.3f} µm"),
                ("further right by", f"{told['x_um']:.3f} µm"),
            ],
        )
    offset = solutions.offsets[name]
    corner_um = max(solutions.shape_y_x) / 2 * solutions.pixel_um
    found = solutions.record.get("offsets")
    rows = [
        ("focus lies higher by", f"{offset.z_um:.2f} µm"),
        ("of its depth of field", f"{offset.z_um / depth_of_field_um(solution.optics):.2f}"),
        ("lies further down by", f"{offset.y_um:.3f} µm"),
        ("further right by", f"{offset.x_um:.3f} µm"),
        ("magnification", f"{offset.magnification:.5f}"),
        ("which moves the edge by", f"{(offset.magnification - 1) * corner_um:.3f} µm"),
        ("stated", "given" if found == "given" else "found"),
    ]
    if isinstance(found, dict):
        rows.append(("agreement of detail", f"{found[name]['agreement']:.2f}"))
        if "windows" in found[name]:
            rows.append(("windows that told it", str(found[name]["windows"])))
    return Table(f"{name}, {1e3 * solution.optics.wavelength_um:.0f} nm", rows)


def _white_table(solutions: SolutionSet) -> Table:
    white = solutions.record.get("white", {})
    source = {
        "window": f"window (y, x, height, width) {white.get('window_y_x_height_width')}",
        "background": f"background, {white.get('share', 0):.1%} of the picture",
    }.get(white.get("from", ""), "mean of the bright field")
    rows = [("taken from", source)]
    rows += [
        (f"amplitude, {name}", f"{solutions.white[name]:.4g} √counts") for name in solutions.names
    ]
    return Table("White", rows)
