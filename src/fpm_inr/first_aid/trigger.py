"""A trigger that slipped: from some frame on each belongs to another LED."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition
from fpm_inr.first_aid.brightness import disorder, log_brightness
from fpm_inr.first_aid.finding import Finding
from fpm_inr.first_aid.quick import quick_residual

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# A slip fits better than the stated order by this factor, in brightness and in a quick solve.
CLEAR_BRIGHTNESS, CLEAR_RESIDUAL = 0.8, 0.8
# ... and two places of a slip within this factor fit alike.
ALIKE_RESIDUAL = 1.05
SLIPS = (1, -1, 2, -2)
# Frames that are compared with the one before: alike to this correlation is the same light.
SAME = 0.995
SEARCH_STEPS = 7


def slipped_trigger(acquisition: Acquisition) -> Iterator[Finding]:
    """From frame k on every frame belongs to an LED before or after."""
    count = acquisition.led_count
    if count < 9:
        return
    brightness, na_led = log_brightness(acquisition), acquisition.illumination.na_led
    stated = disorder(brightness, na_led)
    curves = {
        slip: np.array(
            [_slipped_disorder(brightness, na_led, first, slip) for first in range(1, count - 1)]
        )
        for slip in SLIPS
    }
    slip = min(curves, key=lambda one: curves[one].min())
    first = int(curves[slip].argmin()) + 1
    repeated = _repeated(acquisition)
    if not len(repeated) and curves[slip].min() >= CLEAR_BRIGHTNESS * stated:
        return
    as_stated = quick_residual(acquisition)

    def residual(one: tuple[int, int]) -> float:
        return quick_residual(_slipped(acquisition, *one))

    best = (first, slip)
    repeats = [(int(frame), 1) for frame in repeated]
    likeliest = min(repeats, key=residual, default=None)
    # a frame that repeats the one before tells the place better than residuals that hardly differ
    if likeliest is not None and residual(likeliest) < ALIKE_RESIDUAL * residual(best):
        best = likeliest
    else:
        best = (_refined(acquisition, *best), slip)
    found = quick_residual(_slipped(acquisition, *best))
    if found >= CLEAR_RESIDUAL * as_stated:
        return
    first, slip = best
    told = {1: "the LED before", -1: "the LED after", 2: "two LEDs before", -2: "two LEDs after"}

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot(brightness, ".-", label="frames")
        axes.axvline(first - 0.5, color="tab:red", label=f"slip at frame {first}")
        axes.set(xlabel="frame (from 0)", ylabel="log mean brightness")
        axes.legend()

    mend = _mend(count, first, slip)
    yield Finding(
        "trigger",
        f"The trigger seems to have slipped: frames from {first} on (counted from 0) belong to "
        f"{told[slip]} (residual of a quick solve {found:.4f}, as stated {as_stated:.4f}): {mend}.",
        draw,
    )


def _mend(count: int, first: int, slip: int) -> str:
    """The lines that bind frames to their LEDs again."""
    many = abs(slip)
    here, last = list(range(first, first + many)), list(range(count - many, count))
    if slip > 0:
        return f"frames.skip: {here} and leds.missing: {last}"
    return f"leds.missing: {here} and, where the last frames are no LED's, frames.skip: {last}"


def _leds(count: int, first: int, slip: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Frames that are kept, and the LED of each."""
    frames = np.arange(count)
    leds = np.where(frames < first, frames, frames - slip)
    kept = (leds >= 0) & (leds < count)
    return frames[kept], leds[kept]


def _slipped_disorder(
    brightness: NDArray[np.float64], na_led: NDArray[np.float64], first: int, slip: int
) -> float:
    frames, leds = _leds(len(brightness), first, slip)
    return disorder(brightness[frames], na_led[leds])


def _slipped(acquisition: Acquisition, first: int, slip: int) -> Acquisition:
    frames, leds = _leds(acquisition.led_count, first, slip)
    light = acquisition.illumination.select(leds)
    return replace(acquisition.select(frames), illumination=light)


def _repeated(acquisition: Acquisition) -> NDArray[np.intp]:
    """Frames that show the same light as the one before, where others do not."""
    step = max(1, min(acquisition.shape_y_x) // 128)
    thin = acquisition.amplitude_led_y_x[:, ::step, ::step].reshape(acquisition.led_count, -1)
    thin = thin - thin.mean(axis=1, keepdims=True)
    norm = np.maximum(np.linalg.norm(thin, axis=1), 1e-12)
    alike = (thin[1:] * thin[:-1]).sum(axis=1) / (norm[1:] * norm[:-1])
    # in bright field neighbouring LEDs show much the same
    usual = np.median(alike)
    found = np.flatnonzero((alike > SAME) & (1 - alike < 0.1 * (1 - usual))) + 1
    return found if len(found) <= 3 else found[:0]


def _refined(acquisition: Acquisition, first: int, slip: int) -> int:
    """The frame that fits best: the residual grows with every frame that is misplaced."""
    reach = max(2, acquisition.led_count // 4)
    low, high = max(1, first - reach), min(acquisition.led_count - 2, first + reach)
    known: dict[int, float] = {}

    def residual(at: int) -> float:
        if at not in known:
            known[at] = quick_residual(_slipped(acquisition, at, slip))
        return known[at]

    for _ in range(SEARCH_STEPS):
        if high - low < 3:
            break
        left, right = low + (high - low) // 3, high - (high - low) // 3
        if residual(left) < residual(right):
            high = right
        else:
            low = left
    return min(range(low, high + 1), key=residual)
