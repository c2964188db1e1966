"""How a plane is solved from step to step: which LEDs, how fast, how sharp a pupil."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fpm_inr.forward import EDGE_SAMPLES
from fpm_inr.instrument import Free

WARM_UP = 0.05
FINAL_RATE = 0.05
# a pupil's edge as wide as this, in Fourier samples, tells LEDs the way over a whole sample; it
# sharpens over this share of the steps
WIDE_EDGE_SAMPLES = 1.0
SHARPEN = 0.5
# share of the steps over which a solve that moves LEDs takes in the outer ones
GROW = 0.4


def edge_samples(done: float, free: Free) -> float:
    """Width of the pupil's edge after this share of the steps: wide at first, where it moves."""
    moves = free.moves_leds or free.widens_pupil
    return max(EDGE_SAMPLES, WIDE_EDGE_SAMPLES * (1 - done / SHARPEN)) if moves else EDGE_SAMPLES


def envelope(done: float) -> float:
    """Learning rate over the highest after this share of the steps."""
    rising = min(1.0, done / WARM_UP)
    return rising * (FINAL_RATE + (1 - FINAL_RATE) * (1 + math.cos(math.pi * done)) / 2)


def batches(
    na_led: NDArray[np.float64], batch: int, steps: int, seed: int, free: Free
) -> list[NDArray[np.intp]]:
    """LEDs of every step: each is visited once before any is visited again.

    Where LEDs may move, those in use grow from the innermost outwards at first, so that what is
    learned in the bright field carries the dark field along.
    """
    growing = GROW * free.moves_leds
    random = np.random.default_rng(seed)
    outward = np.argsort(na_led, kind="stable")
    batch = min(batch, len(outward))
    waiting: list[int] = []
    dealt = []
    for step in range(steps):
        share = 1.0 if growing == 0 else min(1.0, step / (growing * steps))
        used = outward[: max(batch, round(share * len(outward)))]
        while len(waiting) < batch:
            waiting += random.permutation(used).tolist()
        dealt.append(np.array(waiting[:batch], dtype=np.intp))
        waiting = waiting[batch:]
    return dealt
