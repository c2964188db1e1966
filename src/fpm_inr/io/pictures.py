"""PNG files, one a height: 16 bit grey amplitude, cyclic colours for phase."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fpm_inr.display import PHASE_COLOURS, height_texts, phase_rgb
from fpm_inr.errors import SettingsError
from fpm_inr.files.replacing import replacing
from fpm_inr.io.rendering import Rendering, shown_contrasts

FOLDER_TEMPLATE = "{n}_z{z}um.png"


def picture_names(template: str, rendering: Rendering) -> list[list[str]]:
    """Name one picture a height and a channel, [z][channel].

    ``{z}`` in the template becomes the height, ``{n}`` the number of the slice; ``_amplitude`` and
    ``_phase`` are added before the suffix where both are written.

    Raises
    ------
    SettingsError
        Several heights, and a name that would be the same for all.
    """
    if len(rendering.z_um) > 1 and "{z}" not in template and "{n}" not in template:
        raise SettingsError(
            f"{template!r} is one picture for {len(rendering.z_um)} heights",
            "put {z} into the name, give a folder, or give one height",
            field="output",
        )
    stem, suffix = Path(template).stem, Path(template).suffix
    digits = len(str(len(rendering.z_um) - 1))
    names = []
    for n, z in enumerate(height_texts(rendering.z_um)):
        name = stem.replace("{z}", z).replace("{n}", f"{n:0{digits}d}")
        many = len(rendering.channels) > 1
        names.append(
            [f"{name}_{c.name}{suffix}" if many else name + suffix for c in rendering.channels]
        )
    return names


def write_pictures(path: Path, rendering: Rendering) -> None:
    """Write PNG files beside each other, named after a template (see `picture_names`).

    They take their places together, once all are drawn.
    """
    names = picture_names(path.name, rendering)
    with ExitStack() as all_drawn:
        _draw(
            [[all_drawn.enter_context(replacing(path.with_name(n))) for n in row] for row in names],
            rendering,
        )


def write_picture_folder(path: Path, rendering: Rendering) -> None:
    """Write a folder of PNG files, numbered from the lowest height."""
    names = picture_names(FOLDER_TEMPLATE, rendering)
    with replacing(path) as beside:
        beside.mkdir()
        _draw([[beside / name for name in row] for row in names], rendering)


def _draw(files: list[list[Path]], rendering: Rendering) -> None:
    contrasts = shown_contrasts(rendering)
    for z, row, plane in zip(rendering.z_um, files, rendering.planes(), strict=True):
        for file, channel, contrast in zip(row, rendering.channels, contrasts, strict=True):
            about = {"z_um": f"{z:.6g}", "pixel_um": f"{rendering.pixel_um:.6g}"}
            if channel.kind == "phase":
                image = Image.fromarray(phase_rgb(channel.of(plane)))
                about |= {"colours": f"{PHASE_COLOURS}, -pi to pi"}
            elif contrast is None:
                rgb = np.moveaxis(channel.of(plane), 0, -1)
                image = Image.fromarray(np.ascontiguousarray(rgb))
            else:
                grey = (contrast.grey(channel.of(plane)) * 65535).round().astype(np.uint16)
                image = Image.fromarray(grey)
                about |= {"black": f"{contrast.black:.6g}", "white": f"{contrast.white:.6g}"}
            text = PngInfo()
            for key, value in (about | {"quantity": f"{channel.name} ({channel.unit})"}).items():
                text.add_text(key, value)
            per_inch = 25400 / rendering.pixel_um
            image.save(file, format="PNG", pnginfo=text, dpi=(per_inch, per_inch))
