"""Two instruments compared: how far a short solve with each of them ends from the same frames."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from fpm_inr.acquisition import Acquisition
from fpm_inr.device import widest
from fpm_inr.edges import straddling
from fpm_inr.errors import DivergedError
from fpm_inr.forward import Instrument
from fpm_inr.instrument import Free
from fpm_inr.solve import drive
from fpm_inr.solve.engine import engine_named
from fpm_inr.solve.progress import Listener
from fpm_inr.solve.recipe_file import DEFAULT
from fpm_inr.solve.request import Request
from fpm_inr.solve.start import JointStart

# a short solve makes so many times fewer passes than the default recipe: enough to tell a better
# instrument from a worse one
SHORTER = 5


def alike(
    request: Request, instruments: tuple[Instrument, ...]
) -> Callable[[Instrument], tuple[Acquisition, JointStart]]:
    """What makes solves with these instruments comparable: the LEDs that all of them describe."""
    straddles = [straddling(request.acquisition, one) for one in instruments]
    light = request.acquisition.illumination
    kept = light.frames_without(np.flatnonzero(np.any(straddles, axis=0)))
    leds = light.leds_of(kept)
    frames = request.acquisition.select(kept)
    # a background is in units of the bright-field mean
    unit = (request.acquisition.amplitude_scale / frames.amplitude_scale) ** 2

    def begun(instrument: Instrument) -> tuple[Acquisition, JointStart]:
        chosen = instrument.select(torch.from_numpy(kept), torch.from_numpy(leds))
        if chosen.background_led is not None:
            chosen = replace(chosen, background_led=chosen.background_led * unit)
        nothing_left_out = np.zeros(len(leds), dtype=np.bool_)
        return frames, JointStart(chosen, None, Free(), {}, nothing_left_out)

    return begun


def short_solve_residual(
    frames: Acquisition, start: JointStart, request: Request, upsampling: int, listen: Listener
) -> float:
    """How far a short solve from this start, of the default recipe, ends from the frames.

    Infinite where it diverges.
    """
    engine = engine_named("inr")
    whole = engine.recipe(DEFAULT)
    orders: dict[str, Any] = {}
    for name in ("order", "order_2d"):
        order = getattr(whole, name)
        passes = max(1, order.passes_per_plane // SHORTER)
        orders[name] = order.model_copy(update={"passes_per_plane": passes})
    recipe = whole.model_copy(update=orders)
    short = replace(request, acquisition=frames, engine=engine, recipe=recipe, options={})
    problem, log = short.problem(start, upsampling), drive.Log()
    try:
        drive.run(engine.start(problem), log, problem.peak, listen=listen)
    except DivergedError:
        return math.inf
    last_pass = log.history[-(1 if problem.is_flat else orders["order"].groups) :]
    power = float(problem.amplitude_led_y_x[:].to(widest(request.device)).square().mean())
    return 2 * float(np.mean([row.loss for row in last_pass])) / power
