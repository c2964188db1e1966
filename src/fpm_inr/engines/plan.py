"""From a recipe to a plan: which z, which LEDs, which learning rate, at every step.

The whole plan is drawn beforehand from the seed, so that a resumed run takes the same steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fpm_inr.engines.recipe import EpochOrder, PassOrder, SweepOrder

GOLDEN_RATIO = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, eq=False)
class Plan:
    """One entry per step.

    Parameters
    ----------
    z_um : array [step]
    leds : array [step, led in the batch]
        Indices of LEDs.
    rate : array [step]
        Learning rate.
    plane_rate_factor : float
        Rate of the feature plane over the others'.
    momentum : float
        Adam's first beta.
    divisor : array [step]
        Coarseness of the rendered grid.
    """

    z_um: NDArray[np.float64]
    leds: NDArray[np.int64]
    rate: NDArray[np.float64]
    divisor: NDArray[np.int64]
    plane_rate_factor: float = 1.0
    momentum: float = 0.9

    def __len__(self) -> int:
        return len(self.z_um)

    def shortened(self, steps: int) -> Plan:
        """Keep the first steps only."""
        return Plan(
            self.z_um[:steps],
            self.leds[:steps],
            self.rate[:steps],
            self.divisor[:steps],
            self.plane_rate_factor,
            self.momentum,
        )


def make_plan(
    order: EpochOrder | SweepOrder | PassOrder,
    *,
    na_led: NDArray[np.float64],
    na_objective: float,
    z_range_um: tuple[float, float],
    seed: int,
    steps: int | None = None,
    planes: int = 1,
    left_out_led: NDArray[np.bool_] | None = None,
    looks: int = 1,
) -> Plan:
    """Draw a plan.

    Parameters
    ----------
    order : EpochOrder, SweepOrder or PassOrder
    na_led : array [led]
        Illumination NA of each LED.
    na_objective : float
    z_range_um : (float, float)
        Zero width: every step is at that z.
    seed : int
    steps : int, optional
        Number of steps instead of the recipe's. A sweep is stretched or squeezed; the paper's
        epochs are cut.
    planes : int
        Planes of a spline field, which passes are counted by.
    left_out_led : array [frame], optional
        Which frames are not visited.
    looks : int
        Passes are so many times more: frames that show several LEDs, or points of them, at once
        tell them apart slowly.
    """
    if left_out_led is not None and left_out_led.any():
        used = np.flatnonzero(~left_out_led)
        plan = make_plan(
            order,
            na_led=na_led[used],
            na_objective=na_objective,
            z_range_um=z_range_um,
            seed=seed,
            steps=steps,
            planes=planes,
            looks=looks,
        )
        return replace(plan, leds=used[plan.leds])
    random = np.random.default_rng(seed)
    if isinstance(order, SweepOrder):
        return _sweep(order, len(na_led), z_range_um, random, steps or order.steps)
    if isinstance(order, PassOrder):
        groups = min(order.groups, len(na_led))
        return _passes(
            order,
            na_led,
            z_range_um,
            random,
            steps or order.passes_per_plane * planes * groups * looks,
        )
    plan = _epochs(order, na_led, na_objective, z_range_um, random)
    return plan if steps is None else plan.shortened(steps)


def paper_z_count(order: EpochOrder, na_objective: float, z_range_um: tuple[float, float]) -> int:
    """Number of evenly spaced z of the paper's even epochs."""
    spacing_um = order.z_spacing_dof * 0.5 / na_objective**2
    return max(2, math.ceil((z_range_um[1] - z_range_um[0]) / spacing_um))


def _epochs(
    order: EpochOrder,
    na_led: NDArray[np.float64],
    na_objective: float,
    z_range_um: tuple[float, float],
    random: np.random.Generator,
) -> Plan:
    low, high = z_range_um
    batch = min(order.leds_per_step, len(na_led))
    batches = math.ceil(len(na_led) / batch)
    # where the last batch is not full, the innermost LEDs fill it
    leds = np.resize(np.argsort(na_led, kind="stable"), (batches, batch))
    z_steps, rates, divisors = [], [], []
    for epoch in range(order.epochs):
        if high == low:
            heights = np.array([low])
        else:
            count = paper_z_count(order, na_objective, z_range_um)
            if epoch % 2 == 0:
                heights = np.linspace(low, high, count)
            else:
                # one random place in half of the intervals, the whole range reachable
                interval = (high - low) / (count - 1)
                chosen = random.permutation(count - 1)[: max(1, count // 2)]
                heights = low + interval * (chosen + random.random(len(chosen)))
        z_steps.append(np.repeat(heights, batches))
        rates.append(
            np.full(
                len(heights) * batches,
                order.learning_rate * order.decay_factor ** (epoch // order.decay_epochs),
            )
        )
        stage = 5 * epoch // order.epochs if order.coarse_to_fine else 2
        divisors.append(np.full(len(heights) * batches, {0: 4, 1: 2}.get(stage, 1)))
    z_um = np.concatenate(z_steps)
    return Plan(
        z_um,
        np.tile(leds, (len(z_um) // batches, 1)).astype(np.int64),
        np.concatenate(rates),
        np.concatenate(divisors).astype(np.int64),
    )


def _sweep(
    order: SweepOrder,
    led_count: int,
    z_range_um: tuple[float, float],
    random: np.random.Generator,
    steps: int,
) -> Plan:
    batch = min(order.leds_per_step, led_count)
    z_um = _spread_heights(z_range_um, random, steps)
    shuffled: list[NDArray[np.int64]] = []
    while sum(map(len, shuffled)) < steps * batch:
        shuffled.append(random.permutation(led_count))
    leds = np.concatenate(shuffled)[: steps * batch].reshape(steps, batch)
    done = (np.arange(steps) + 0.5) / steps
    rising = np.minimum(1.0, done / order.warm_up) if order.warm_up > 0 else np.ones(steps)
    falling = _falling(order.final_rate, done)
    divisor = np.ones(steps, dtype=np.int64)
    begin = 0.0
    for share, coarseness in order.coarse_steps:
        divisor[(done >= begin) & (done < begin + share)] = coarseness
        begin += share
    return Plan(
        z_um,
        leds,
        order.learning_rate * rising * falling,
        divisor,
        order.plane_rate_factor,
        order.momentum,
    )


def _passes(
    order: PassOrder,
    na_led: NDArray[np.float64],
    z_range_um: tuple[float, float],
    random: np.random.Generator,
    steps: int,
) -> Plan:
    done = (np.arange(steps) + 0.5) / steps
    # dealt out like cards, every group sees all of the pupil; groups are equally large
    groups = min(order.groups, len(na_led))
    size = math.ceil(len(na_led) / groups)
    dealt = np.resize(np.argsort(na_led, kind="stable"), size * groups).reshape(size, groups).T
    return Plan(
        _spread_heights(z_range_um, random, steps),
        np.ascontiguousarray(dealt[np.arange(steps) % groups], dtype=np.int64),
        order.step * _falling(order.final_step, done),
        np.ones(steps, dtype=np.int64),
    )


def _spread_heights(
    z_range_um: tuple[float, float], random: np.random.Generator, steps: int
) -> NDArray[np.float64]:
    """Golden-ratio sequence: any run of steps covers the range evenly, ends included."""
    low, high = z_range_um
    phase = (random.random() + GOLDEN_RATIO * np.arange(steps)) % 1.0
    return np.asarray(low + (high - low) * np.clip(phase * 1.04 - 0.02, 0.0, 1.0))


def _falling(last: float, done: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half a cosine from 1 to `last`."""
    return np.asarray(last + (1 - last) * (1 + np.cos(math.pi * done)) / 2)
