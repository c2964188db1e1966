"""A specimen or stage that moves while the frames are taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition
from fpm_inr.first_aid.finding import Finding

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# From the first to the last bright frame, in pixels; the share of wandering that drift leaves.
LEAST_PX, EXPLAINED = 1.0, 0.4
LEAST_FRAMES = 5


def drift(acquisition: Acquisition) -> Iterator[Finding]:
    """Bright-field frames wander with time, besides the parallax of a specimen out of focus."""
    na = acquisition.optics.na
    chosen = np.flatnonzero(acquisition.illumination.na_led < 0.95 * na)
    if len(chosen) < LEAST_FRAMES:
        return
    moved = _moves_px(acquisition, chosen)
    time = chosen / max(acquisition.led_count - 1, 1)
    directions = acquisition.illumination.na_led_xy[chosen]
    # parallax and a linear drift, along x and y at once
    rows = []
    for axis in (0, 1):
        row = np.zeros((len(chosen), 5))
        row[:, 0] = directions[:, axis]
        row[:, 1 + 2 * axis], row[:, 2 + 2 * axis] = 1.0, time
        rows.append(row)
    matrix, seen = np.vstack(rows), np.concatenate([moved[:, 0], moved[:, 1]])
    found, *_ = np.linalg.lstsq(matrix, seen, rcond=None)
    left = seen - matrix @ found
    spread = float(np.sqrt((left**2).sum() / max(len(seen) - 5, 1)))
    span = float(time.max() - time.min())
    move = np.array([found[2], found[4]])
    still = matrix[:, [0, 1, 3]]
    alone, *_ = np.linalg.lstsq(still, seen, rcond=None)
    unmoved = float(np.sqrt(((seen - still @ alone) ** 2).sum() / max(len(seen) - 3, 1)))
    sure = float(np.hypot(*move)) * span
    if sure < LEAST_PX or spread > EXPLAINED * unmoved:
        return

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for axis, name in enumerate("xy"):
            without = moved[:, axis] - found[0] * directions[:, axis]
            axes.plot(chosen, without, "o", label=f"along {name}")
        axes.set(xlabel="frame (from 0)", ylabel="move without parallax (pixels)")
        axes.legend()

    yield Finding(
        "drift",
        f"The picture moves by {np.hypot(*move):.1f} pixels (x {move[0]:+.1f}, y {move[1]:+.1f}) "
        "from the first to the last frame: specimen or stage drifts; take frames again once it "
        "rests, or register them before.",
        draw,
    )


def _moves_px(acquisition: Acquisition, chosen: NDArray[np.intp]) -> NDArray[np.float64]:
    """Move (x, y) of each frame against their mean, in pixels."""
    from skimage import registration

    register: Any = registration.phase_cross_correlation
    frames = acquisition.frames_led_y_x[chosen].astype(np.float64)
    frames /= np.maximum(frames.mean(axis=(1, 2), keepdims=True), 1e-12)
    height, width = acquisition.shape_y_x
    window = np.hanning(height)[:, None] * np.hanning(width)
    reference = frames[len(frames) // 2]
    moves = []
    for frame in frames:
        shift, *_ = register(
            (reference - 1) * window, (frame - 1) * window, upsample_factor=10, normalization=None
        )
        moves.append((-shift[1], -shift[0]))
    return np.array(moves, dtype=np.float64)
