"""Light that falls off from the middle of the frames to their corners."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from fpm_inr.acquisition import Acquisition
from fpm_inr.first_aid.finding import Finding

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLOCKS = 12
# Share of the light that is lost in the corners, and how much of what blocks show a paraboloid is.
LEAST_FALL, LEAST_EXPLAINED = 0.3, 0.6


def vignetting(acquisition: Acquisition) -> Iterator[Finding]:
    """The brightest parts of the bright field are brighter in the middle."""
    chosen = np.flatnonzero(acquisition.illumination.na_led < 0.8 * acquisition.optics.na)
    if len(chosen) < 3 or min(acquisition.shape_y_x) < 4 * BLOCKS:
        return
    frames = acquisition.frames_led_y_x[chosen]
    mean = (frames / np.maximum(frames.mean(axis=(1, 2), keepdims=True), 1e-30)).mean(axis=0)
    height, width = (side // BLOCKS for side in acquisition.shape_y_x)
    cut = mean[: height * BLOCKS, : width * BLOCKS].reshape(BLOCKS, height, BLOCKS, width)
    # bright parts of a block are the least of the specimen
    clear = np.percentile(cut.transpose(0, 2, 1, 3).reshape(BLOCKS, BLOCKS, -1), 90, axis=2)
    y, x = np.meshgrid(*[np.linspace(-1, 1, BLOCKS)] * 2, indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x**2 + y**2], axis=-1).reshape(-1, 4)
    found, *_ = np.linalg.lstsq(terms, clear.ravel(), rcond=None)
    fitted = (terms @ found).reshape(clear.shape)
    varies = max(float(((clear - clear.mean()) ** 2).sum()), 1e-30)
    explained = 1 - float(((clear - fitted) ** 2).sum()) / varies
    fall = -2 * float(found[3]) / max(float(found[0]), 1e-30)
    if fall < LEAST_FALL or explained < LEAST_EXPLAINED:
        return

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        shown = axes.imshow(clear, cmap="viridis", interpolation="nearest")
        axes.figure.colorbar(shown, ax=axes, label="brightest tenth of each part")
        axes.set(xticks=[], yticks=[])

    yield Finding(
        "vignetting",
        f"The light falls by {fall:.0%} from the middle of the frames to the corners: "
        "frames.flat_field (a frame without a specimen), or a smaller --crop.",
        draw,
    )
