"""Two tiles where they overlap: how their fields differ, and how far they agree."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Strips = NDArray[np.complex64]

BLOCKS = 8  # along a side of an overlap, whose phases tell the slope
ROUNDS = 8
FEW_TURNS = 1e-12
# heights, either way, that an offset is looked for
MOST_STEPS = 2
# An offset is believed where fields at equal heights are this much less alike: tiles of one
# instrument have the same heights, and what is out of focus is alike over a range of them.
CLEAR = 0.02


@dataclass(frozen=True, eq=False)
class Agreement:
    """How the second of two tiles differs from the first, where both stand for the same pixels.

    Parameters
    ----------
    first, second : int
    centre_y_x_px : array [2]
        Middle of the overlap, in pixels of the frames.
    size_px : float
        Root of its area.
    log_ratio_z : array [z]
        Logarithm of second over first amplitude.
    phase_z : array [z]
        Phase of the second less that of the first at the middle, rad.
    ramp_z_y_x : array [z, 2]
        Slope of that difference, rad a pixel of the frames.
    bend_z : array [z]
        Its bend: what goes with the squared distance from the middle, rad a squared pixel.
    coherence_z : array [z]
        0 to 1: how far the fields are alike but for the above.
    height_um : float
        By how much the second's heights lie above the first's.
    height_weight : float
        0: the overlap does not tell.
    """

    first: int
    second: int
    centre_y_x_px: FloatArray
    size_px: float
    log_ratio_z: FloatArray
    phase_z: FloatArray
    ramp_z_y_x: FloatArray
    bend_z: FloatArray
    coherence_z: FloatArray
    height_um: float = 0.0
    height_weight: float = 0.0

    def weight(self, z: int) -> float:
        """How much this pair counts: its length, less where the fields are unlike."""
        coherence = min(float(self.coherence_z[z]), 0.9999)
        return self.size_px * float(np.sqrt(coherence**2 / (1 - coherence**2)))


def compare(
    first: int,
    second: int,
    before_z_y_x: Strips,
    after_z_y_x: Strips,
    window: tuple[int, int, int, int],
    upsampling: int,
) -> Agreement:
    """Measure amplitude, phase and slope of one tile's field against another's.

    Parameters
    ----------
    first, second : int
    before_z_y_x, after_z_y_x : array [z, y, x] of complex
        Their fields on the same pixels.
    window : (y, x, height, width)
        Of the frames.
    upsampling : int
    """
    y, x, height, width = window
    side_y, side_x = (np.hanning(n + 2)[1:-1] for n in before_z_y_x.shape[1:])
    taper = side_y[:, None] * side_x
    along = [(np.arange(n) - (n - 1) / 2) / upsampling for n in before_z_y_x.shape[1:]]
    rows = []
    for before, after in zip(before_z_y_x, after_z_y_x, strict=True):
        light = [float((taper * np.abs(one) ** 2).sum()) for one in (before, after)]
        if min(light) <= 0:
            rows.append((0.0,) * 6)
            continue
        product = taper * before.conj() * after
        *slope, bend = _shape(product, along)
        total = _turned(product, along, np.array([*slope, bend])).sum()
        coherence = abs(total) / np.sqrt(light[0] * light[1])
        ratio = 0.5 * np.log(light[1] / light[0])
        rows.append((ratio, float(np.angle(total)), *slope, bend, min(float(coherence), 1.0)))
    ratio_z, phase_z, ramp_y, ramp_x, bend_z, coherence_z = np.array(rows).T
    # pixels of the field from the middle of the first one
    middle = np.array([y + (height - 1 / upsampling) / 2, x + (width - 1 / upsampling) / 2])
    ramps = np.stack([ramp_y, ramp_x], axis=1)
    size = float(np.sqrt(height * width))
    return Agreement(first, second, middle, size, ratio_z, phase_z, ramps, bend_z, coherence_z)


def _turned(
    product_y_x: NDArray[np.complexfloating], along: list[FloatArray], shape: FloatArray
) -> NDArray[np.complexfloating]:
    """A product without the phase that a slope (y, x) and a bend make."""
    turns = [
        np.exp(-1j * (slope + shape[2] * at) * at)
        for slope, at in zip(shape[:2], along, strict=True)
    ]
    return product_y_x * turns[0][:, None] * turns[1]


def _shape(product_y_x: NDArray[np.complexfloating], along: list[FloatArray]) -> FloatArray:
    """Slope (y, x) and bend of a product's phase, by its blocks; exact where it has only these."""
    sides = product_y_x.shape
    count = [min(BLOCKS, n) for n in sides]
    edges = [
        np.linspace(0, n, c, endpoint=False).astype(np.intp)
        for n, c in zip(sides, count, strict=True)
    ]
    sizes = [np.diff(np.append(e, n)) for e, n in zip(edges, sides, strict=True)]
    centres = [np.add.reduceat(a, e) / s for a, e, s in zip(along, edges, sizes, strict=True)]
    y, x = np.meshgrid(*centres, indexing="ij")
    reach = max(float(np.abs(y).max()), float(np.abs(x).max()), 1e-9)
    design = np.stack([np.ones(count), y, x, (y**2 + x**2) / reach], axis=-1).reshape(-1, 4)
    shape = np.zeros(3)
    for _ in range(ROUNDS):
        turned = _turned(product_y_x, along, shape)
        blocks = np.add.reduceat(np.add.reduceat(turned, edges[0], axis=0), edges[1], axis=1)
        phase = np.angle(blocks * np.exp(-1j * np.angle(blocks.sum()))).ravel()
        weight = np.sqrt(np.abs(blocks)).ravel()
        found = np.linalg.lstsq(design * weight[:, None], phase * weight, rcond=None)[0][1:]
        shape = shape + found / np.array([1.0, 1.0, reach])
        if np.abs(found).max() < FEW_TURNS:
            break
    return shape


def height_offset(
    found: Agreement, before_z_y_x: Strips, after_z_y_x: Strips, z_um: FloatArray
) -> Agreement:
    """Add by how much the second tile's heights lie above the first's, where the fields tell.

    Fields are alike at equal heights: their likeness over steps of height has its peak there.
    """
    count = len(z_um)
    if count < 2 * MOST_STEPS + 3:
        return found
    step_um = float(z_um[1] - z_um[0])
    detail = [one - one.mean(axis=(1, 2), keepdims=True) for one in (before_z_y_x, after_z_y_x)]
    power = [np.sqrt((np.abs(one) ** 2).sum(axis=(1, 2))) for one in detail]
    if min(float(one.min()) for one in power) <= 0:
        return found
    steps = np.arange(-MOST_STEPS, MOST_STEPS + 1)
    inner = np.arange(MOST_STEPS, count - MOST_STEPS)
    alike = np.zeros(len(steps))
    for place, by in enumerate(steps):
        for k in inner:
            likeness = abs(np.vdot(detail[0][k], detail[1][k + by]))
            alike[place] += likeness / (power[0][k] * power[1][k + by])
    alike /= len(inner)
    top = int(np.clip(np.argmax(alike), 1, len(steps) - 2))
    bend = alike[top - 1] - 2 * alike[top] + alike[top + 1]
    if bend >= -1e-6:
        return found
    shift = steps[top] + 0.5 * (alike[top - 1] - alike[top + 1]) / bend
    weight = found.size_px * float(alike[top] * np.sqrt(-bend))
    if alike[top] - alike[MOST_STEPS] < CLEAR * alike[top]:
        shift = 0.0
    return replace(found, height_um=float(shift) * step_um, height_weight=weight)
