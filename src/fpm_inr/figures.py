"""Pictures for a person to judge a reconstruction by, drawn without any global state."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from fpm_inr.display import (
    PHASE_COLOURS,
    Contrast,
    height_texts,
    length_text,
    robust_contrast,
    scale_bar_um,
)
from fpm_inr.files.replacing import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fpm_inr.solution import ImageStack

MOST_HEIGHTS = 5
RAW_WIDTH = 1.6  # of the raw frame, in widths of a slice


def preview_figure(
    raw_amplitude_y_x: ArrayLike, stack: ImageStack, raw_pixel_um: float, title: str = ""
) -> Figure:
    """Show a raw frame beside amplitude and phase of at most five heights.

    Parameters
    ----------
    raw_amplitude_y_x : array [y, x]
        Square root of one raw frame, usually that of the most central LED, in sqrt(counts).
    stack : ImageStack
        Amplitudes are shown in the camera's unit, with one contrast for all heights. Phase is shown
        relative to its own mean at each height; on a cyclic scale where it spans over half a turn.
    raw_pixel_um : float
        Pixel of the raw frame at the sample.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    count = len(stack.z_um)
    chosen = np.unique(np.linspace(0, count - 1, min(count, MOST_HEIGHTS)).round().astype(int))
    amplitudes = stack.amplitude_z_y_x[chosen] * np.float32(stack.amplitude_scale)
    phases = np.stack([relative_phase(stack.field_z_y_x[z]) for z in chosen])
    limit = phase_limit(phases)
    grey = _grey(robust_contrast(amplitudes))
    colours = {"cmap": phase_map(limit), "vmin": -limit, "vmax": limit}

    ratio = min(max(stack.shape_y_x[0] / stack.shape_y_x[1], 0.4), 2.5)
    figure = Figure(
        figsize=(2.5 * (len(chosen) + RAW_WIDTH) + 1.5, 5.0 * ratio + 0.8), layout="constrained"
    )
    grid = figure.add_gridspec(2, 1 + len(chosen), width_ratios=[RAW_WIDTH] + [1] * len(chosen))
    raw = np.asarray(raw_amplitude_y_x, dtype=np.float32)
    raw_axes = figure.add_subplot(grid[:, 0])
    raw_shown = _show(raw_axes, raw, raw_pixel_um, "raw frame", _grey(robust_contrast([raw])))
    figure.colorbar(raw_shown, ax=raw_axes, shrink=0.6, label="amplitude, √counts")
    axes = [[figure.add_subplot(grid[row, 1 + n]) for n in range(len(chosen))] for row in (0, 1)]
    texts = height_texts(stack.z_um[chosen])
    for above, below, text, amplitude, phase in zip(*axes, texts, amplitudes, phases, strict=True):
        shown = _show(above, amplitude, stack.pixel_um, f"z = {text} µm", grey)
        turned = _show(below, phase, stack.pixel_um, "", colours)
    figure.colorbar(shown, ax=axes[0], label="amplitude, √counts")
    figure.colorbar(turned, ax=axes[1], label="phase, rad")
    if title:
        figure.suptitle(title)
    return figure


def relative_phase(field: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Phase [y, x] in radians relative to that of the mean field, in (-pi, pi]."""
    mean = complex(field.mean(dtype=np.complex128))
    reference = mean / abs(mean) if abs(mean) > 0 else 1.0
    phase: NDArray[np.float32] = np.angle(field * np.complex64(np.conj(reference)))
    return phase


def phase_limit(phase: NDArray[np.float32]) -> float:
    """Largest phase of a symmetric colour scale: pi where the phase spans over half a turn."""
    reach = float(np.percentile(np.abs(phase), 99.5))
    return np.pi if reach > np.pi / 2 else max(reach, 1e-3)


def phase_map(limit: float) -> str:
    """Colour map for phases within a limit: cyclic only where the scale closes on itself."""
    return PHASE_COLOURS if limit == np.pi else "gray"


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure in the format of the suffix (.png, .pdf, .svg), replacing what is there.

    Raises
    ------
    OutputError
        The folder does not exist or cannot be written.
    """
    with replacing(path) as beside:
        figure.savefig(beside, dpi=150)


def _grey(contrast: Contrast) -> dict[str, Any]:
    return {"cmap": "gray", "vmin": contrast.black, "vmax": contrast.white}


def _show(
    axes: Axes, image: NDArray[np.float32], pixel_um: float, title: str, colours: dict[str, Any]
) -> Any:
    shown = axes.imshow(image, interpolation="nearest", **colours)
    axes.set_title(title)
    axes.set_xticks([])
    axes.set_yticks([])
    _draw_scale_bar(axes, image.shape[1] * pixel_um, pixel_um)
    return shown


def _draw_scale_bar(axes: Axes, width_um: float, pixel_um: float) -> None:
    """Draw a white bar with a dark rim, legible on any image."""
    from matplotlib.patheffects import withStroke
    from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

    length_um = scale_bar_um(width_um)
    bar = AnchoredSizeBar(
        axes.transData,
        length_um / pixel_um,
        length_text(length_um),
        "lower right",
        frameon=False,
        color="white",
        size_vertical=width_um / pixel_um / 80,
        sep=2,
    )
    rim = [withStroke(linewidth=2, foreground="black")]
    bar.txt_label._text.set_path_effects(rim)
    bar.size_bar.get_children()[0].set_path_effects(rim)
    axes.add_artist(bar)
