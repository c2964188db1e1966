"""Pixels that lie, and pixels at the end of the camera's range, found in the frames.

What light draws is as fine as the objective passes it: between neighbouring pixels it changes by a
factor of a few at most. A pixel (or a few in a row, or a whole line) that does not take part in
that from frame to frame is the camera's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

# Fewer frames do not tell a pixel that stays from a specimen that does.
LEAST_FRAMES = 4
# A pixel whose numbers change by less than this share of its neighbours' change is stuck.
STUCK_SHARE, STUCK_SHARE_CLIPPED = 0.03, 0.002
# A pixel that is always brighter than its neighbours ever are at their darkest, by this factor.
HOT_FACTOR = 5.0
# ... and over them by this share of the frames' range, and this many times their spread.
HOT_RANGE, HOT_NOISE = 0.02, 10.0
# ... and of whole numbers by as many: a few of them come and go.
HOT_STEPS = 10.0
# From a group of such pixels to the next ones the light must jump by this factor: a bright bead
# or a dark speck as the objective draws it does not.
EDGE_FACTOR = 3.0
# Such groups are this thin.
MOST_THICKNESS_PX = 3
# Pixels at the largest number, in all and over those at each number just below, that show a limit.
LEAST_AT_TOP, PILE_UP, BAND = 10, 3.0, 0.03
# Distance over which a pixel that lies is filled in from its neighbours, for the eyes.
REACH_PX = 3


@dataclass
class PixelRange:
    """Smallest and largest number that every pixel [y, x] showed, kept while frames are read."""

    least: Float32
    most: Float32
    frames: int = 0

    @classmethod
    def empty(cls, shape_y_x: tuple[int, int]) -> PixelRange:
        """Before any frame."""
        return cls(
            np.full(shape_y_x, np.inf, dtype=np.float32),
            np.full(shape_y_x, -np.inf, dtype=np.float32),
        )

    def see(self, stored_led_y_x: NDArray[np.generic]) -> None:
        """Take frames into account; numbers that are none are passed over."""
        for frame in stored_led_y_x:
            one = frame.astype(np.float32)
            np.fmin(self.least, one, out=self.least)
            np.fmax(self.most, one, out=self.most)
        self.frames += len(stored_led_y_x)


def faulty_pixels(seen: PixelRange) -> Mask:
    """Pixels [y, x] that are hot, dead or stuck in all frames, whole rows and columns included."""
    least, most = (np.nan_to_num(one, posinf=0, neginf=0) for one in (seen.least, seen.most))
    change = most - least
    if seen.frames < LEAST_FRAMES or min(change.shape) < 8 or not change.any():
        return np.zeros(change.shape, dtype=bool)
    # among pixels that are clipped a dark speck looks like a hole: only what never moves is stuck
    clipped = _surroundings(most) >= np.percentile(most, 99.5)
    share = np.where(clipped, STUCK_SHARE_CLIPPED, STUCK_SHARE)
    stuck = change < share * _surroundings(change)
    faulty = _sharp(stuck, change, brighter=False) | _dead_lines(change)
    good = np.where(faulty, np.nan, least)
    around = _surroundings(np.where(faulty, np.nanmedian(good), least))
    room = float(np.percentile(most[~faulty], 99) - np.percentile(least[~faulty], 1))
    noise = 1.4826 * float(np.median(np.abs(least - around)[~faulty]))
    step = HOT_STEPS if (least == least.round()).all() else 0.0
    warmth = max(HOT_NOISE * noise, HOT_RANGE * room, step)
    hot = least > np.maximum(HOT_FACTOR * np.abs(around), around + warmth)
    return faulty | _sharp(hot & ~faulty, least, brighter=True)


def _surroundings(image: Float32) -> Float32:
    """Median of the surroundings: lines and small groups do not show in it."""
    from scipy.ndimage import median_filter

    return np.asarray(median_filter(image, size=7, mode="mirror"))


def _dead_lines(change: Float32) -> Mask:
    """Rows and columns that do not answer to light although their neighbours do."""
    from scipy.ndimage import median_filter

    found = np.zeros(change.shape, dtype=bool)
    for axis in (0, 1):
        of_line = np.median(change, axis=1 - axis)
        usual = median_filter(of_line, size=9, mode="mirror")
        dead = of_line < STUCK_SHARE * usual
        found |= dead[:, None] if axis == 0 else dead[None, :]
    return found


def _sharp(candidates: Mask, image: Float32, *, brighter: bool) -> Mask:
    """Those groups of candidates that are thin and end in a jump."""
    from scipy.ndimage import binary_dilation, find_objects, label

    kept = np.zeros_like(candidates)
    if not candidates.any() or candidates.mean() > 0.2:
        return kept
    groups, _ = label(candidates, np.ones((3, 3)))
    for number, box in enumerate(find_objects(groups), 1):
        if min(one.stop - one.start for one in box) > MOST_THICKNESS_PX:
            continue
        wide = tuple(slice(max(0, one.start - 1), one.stop + 1) for one in box)
        inside = groups[wide] == number
        ring = binary_dilation(inside, np.ones((3, 3))) & ~inside & ~candidates[wide]
        if not ring.any():
            continue
        edge, around = np.median(image[wide][inside]), image[wide][ring]
        if brighter:
            jumps = edge > EDGE_FACTOR * np.abs(around).max()
        else:
            jumps = EDGE_FACTOR * edge < np.percentile(around, 25)
        kept[wide] |= inside & jumps
    return kept


def top_number(seen: PixelRange, faulty: Mask) -> float:
    """The largest number of any pixel that is not faulty."""
    good = seen.most[~faulty] if not faulty.all() else seen.most
    return float(good.max())


def at_the_limit(
    frames_led_y_x: Float32,
    limit_of: Callable[[int, float], Float32],
    top: float,
    *,
    whole_numbers: bool,
    faulty: Mask,
) -> Mask | None:
    """Pixels [led, y, x] at the end of the camera's range; None where the frames end below it.

    Parameters
    ----------
    frames_led_y_x : array [led, y, x]
        Intensities.
    limit_of : callable
        (LED, stored number) -> intensity [y, x] that this number would be in its frame.
    top : float
        Largest stored number.
    whole_numbers : bool
        Whether the stored numbers are whole.
    faulty : array [y, x]
        Pixels that tell nothing.
    """
    if not top > 0:
        return None
    below = top * (1 - BAND)
    saturated = np.zeros(frames_led_y_x.shape, dtype=bool)
    at_top = in_band = 0
    partly = False
    for led, frame in enumerate(frames_led_y_x):
        # the last bits of the arithmetic do not matter
        limit = limit_of(led, top) * np.float32(1 - 1e-6)
        reached = (frame >= limit) & ~faulty
        count = int(reached.sum())
        if not count:
            continue
        saturated[led] = reached
        at_top += count
        in_band += int(((frame >= limit_of(led, below)) & ~reached & ~faulty).sum())
        partly |= LEAST_AT_TOP <= count <= 0.9 * frame.size
    is_end = whole_numbers and _is_full_scale(top)
    numbers_in_band = max(1.0, top - below) if whole_numbers else 1e4
    piled_up = at_top > PILE_UP * in_band / numbers_in_band
    if at_top < LEAST_AT_TOP or not piled_up or not (partly or is_end):
        return None
    return saturated


def _is_full_scale(top: float) -> bool:
    """Whether this is the largest number of 8, 10, 12, 14 or 16 bits, or of 12 and 14 left ones."""
    return top in {2.0**bits - 1 for bits in (8, 10, 12, 14, 16)} | {65520.0, 65532.0, 65472.0}


def fill_in(frame_y_x: Float32, lies: Mask) -> None:
    """Give pixels that lie the mean of the good ones around, in place: for eyes and starts."""
    rows, columns = np.nonzero(lies)
    if not len(rows):
        return
    good = ~lies
    usual = frame_y_x[good].mean(dtype=np.float64) if good.any() else 0.0
    offsets = np.arange(-REACH_PX, REACH_PX + 1)
    height, width = frame_y_x.shape
    total, weight = np.zeros(len(rows)), np.zeros(len(rows))
    for dy in offsets:
        for dx in offsets:
            y, x = rows + dy, columns + dx
            there = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            y, x = y.clip(0, height - 1), x.clip(0, width - 1)
            share = np.exp(-(dy**2 + dx**2) / 2.0) * (there & good[y, x])
            total += share * np.where(good[y, x], frame_y_x[y, x], 0)
            weight += share
    near = weight > 0
    filled = np.full(len(rows), usual)
    filled[near] = total[near] / weight[near]
    frame_y_x[rows, columns] = filled


def in_words(lies_y_x: Mask) -> str:
    """How many pixels of a mask lie, and where."""
    rows, columns = lies_y_x.all(axis=1), lies_y_x.all(axis=0)
    lines = [f"row {y}" for y in np.flatnonzero(rows)]
    lines += [f"column {x}" for x in np.flatnonzero(columns)]
    loose = lies_y_x & ~np.logical_or.outer(rows, columns)
    places = [f"({y}, {x})" for y, x in np.argwhere(loose)[:5]]
    more = " and more" if loose.sum() > 5 or len(lines) > 5 else ""
    told = ", ".join(lines[:5] + places) + more
    count = int(lies_y_x.sum())
    return f"{count} pixel{'s' if count != 1 else ''} (y, x counted from 0: {told})"
