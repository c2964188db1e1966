"""Raw frames of a colour camera: a period of two pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition
from fpm_inr.first_aid.finding import Finding

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Means of the four pixels of a cell differ by this share; in no right frame they do.
LEAST_SPREAD = 0.04


def bayer_period(acquisition: Acquisition) -> Iterator[Finding]:
    """Every second pixel is brighter, in all frames alike."""
    bright = acquisition.is_bright_field
    chosen = np.flatnonzero(bright) if bright.any() else np.arange(acquisition.led_count)
    height, width = (side // 2 * 2 for side in acquisition.shape_y_x)
    frames = acquisition.frames_led_y_x[chosen[:16], :height, :width]
    cells = np.stack([frames[:, i // 2 :: 2, i % 2 :: 2].mean(axis=(1, 2)) for i in range(4)], 1)
    share = cells / np.maximum(cells.mean(axis=1, keepdims=True), 1e-30)
    mean = share.mean(axis=0)
    spread = float(mean.max() - mean.min())
    if spread < LEAST_SPREAD or float(share.std(axis=0).max()) > 0.5 * spread:
        return
    cell = _cell(mean, acquisition.optics.wavelength_um)
    if cell is None:
        return

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, 2)
        middle = tuple(slice(side // 2 - 8, side // 2 + 8) for side in (height, width))
        panels[0].imshow(frames[0][middle], cmap="gray", interpolation="nearest")
        panels[0].set(title="16 x 16 pixels of a frame", xticks=[], yticks=[])
        panels[1].imshow(mean.reshape(2, 2), cmap="gray", interpolation="nearest", vmin=0)
        panels[1].set(title="mean of each pixel of a cell", xticks=[], yticks=[])

    values = ", ".join(f"{one:.2f}" for one in mean)
    yield Finding(
        "bayer",
        "The frames have a period of two pixels (the four pixels of a cell have means "
        f"{values} of their own mean): raw pictures of a colour camera; frames.bayer: {cell}.",
        draw,
    )


def _cell(mean: NDArray[np.floating], wavelength_um: float) -> str | None:
    """The colours of a cell, by which of its pixels see the light; None: no mosaic does so."""
    ranked = np.argsort(mean)[::-1]
    diagonal = {0: 3, 3: 0, 1: 2, 2: 1}
    if 0.49 <= wavelength_um < 0.585:
        # green: two pixels across a diagonal are the bright ones
        if diagonal[int(ranked[0])] != int(ranked[1]):
            return None
        return "grbg" if 0 in ranked[:2] else "rggb"
    letter = "r" if wavelength_um >= 0.585 else "b"
    other = "b" if letter == "r" else "r"
    cell = ["g"] * 4
    cell[int(ranked[0])], cell[diagonal[int(ranked[0])]] = letter, other
    return "".join(cell)
