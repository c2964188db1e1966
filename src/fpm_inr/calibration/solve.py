"""A quick solve of a single plane, with an instrument that may be partly free.

A plain complex image under Adam: on the real acquisitions it fits the frames as well as a neural
field does, in a fraction of the time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fpm_inr.acquisition import Acquisition
from fpm_inr.believed import believed
from fpm_inr.edges import trust
from fpm_inr.errors import DivergedError, SettingsError
from fpm_inr.forward import (
    EDGE_SAMPLES,
    ForwardModel,
    Instrument,
    compile_forward,
    nominal_instrument,
    residual_by_led,
)
from fpm_inr.instrument import Calibration, Free
from fpm_inr.reach import check_reach, least_upsampling
from fpm_inr.sampling import smallest_upsampling

FloatArray = NDArray[np.float64]

STEPS = 150
LEDS_PER_STEP = 34
IMAGE_RATE = 0.1
WARM_UP = 0.05
FINAL_RATE = 0.05
# pixels over which trust in a frame falls to 0 towards its edges
EDGE_PX = 12
# LEDs nearer to the pupil's edge than this, in Fourier samples, count less
RIM_SAMPLES = 2.0
# share of the steps after which they count for the image; they never move the array
RIM_START = 0.6
# a pupil's edge as wide as this, in Fourier samples, tells LEDs the way over a whole sample; it
# sharpens over this share of the steps
WIDE_EDGE_SAMPLES = 1.0
SHARPEN = 0.5
# LEDs may move this far, in Fourier samples, before the windows of the model follow them
MARGIN_SAMPLES = 2.0
RECENTRE_STEPS = 10
# share of the steps over which a solve that moves LEDs takes in the outer ones
GROW = 0.4


@dataclass(frozen=True, eq=False)
class PlaneFit:
    """A plane and the instrument that explain the frames.

    Parameters
    ----------
    image_y_x : Tensor [y, x], complex
    instrument : Instrument
        In double precision, on the CPU.
    z_um : float
    residual : float
        sum (predicted - measured amplitude)^2 / sum measured amplitude^2.
    """

    image_y_x: Tensor
    instrument: Instrument
    z_um: float
    residual: float


def fit_plane(
    acquisition: Acquisition,
    z_um: float,
    free: Free | None = None,
    *,
    start: Instrument | None = None,
    upsampling: int | None = None,
    height_is_free: bool = False,
    trust_rim: bool = False,
    steps: int = STEPS,
    leds_per_step: int = LEDS_PER_STEP,
    seed: int = 0,
    device: torch.device | str = "cpu",
    listen: Callable[[int, int, float], None] | None = None,
) -> PlaneFit:
    """Fit one complex image at a height, and what is free of the instrument.

    Parameters
    ----------
    acquisition : Acquisition
    z_um : float
    free : Free, optional
        What of the instrument is learned; nothing where left out.
    start : Instrument, optional
        Where to start. Default: the acquisition's nominal instrument.
    upsampling : int, optional
        Default: the smallest that holds the synthetic aperture.
    height_is_free : bool
        Leave the pupil's defocus alone (Noll 4).
    trust_rim : bool
        Let LEDs at the pupil's edge move the array like all others.
    steps, leds_per_step : int
    seed : int
    device : torch.device or str
    listen : callable, optional
        Told step, steps and residual of the step.

    Raises
    ------
    DivergedError
        The fit did not stay finite, or moved an LED off the grid.
    SettingsError
        The upsampling is too coarse for the start.
    """
    free = Free() if free is None else free
    optics = acquisition.optics
    start = nominal_instrument(acquisition) if start is None else start
    margin = MARGIN_SAMPLES if free.moves_leds else 0.0
    upsampling = upsampling or usual_upsampling(acquisition, free, start)
    calibration = Calibration(
        start, free, optics, acquisition.shape_y_x, height_is_free=height_is_free
    ).to(device)
    model = compile_forward(
        acquisition,
        upsampling,
        margin_samples=margin,
        instrument=calibration.instrument(),
        largest_na=calibration.largest_na,
        edge_samples=_edge_samples(0.0, free),
    ).to(device)
    measured_all = torch.from_numpy(acquisition.amplitude_led_y_x / acquisition.amplitude_scale)
    measured_all = measured_all.to(device)
    pixels = believed(acquisition, device)
    # the model repeats the sample beyond the frame; a real one goes on otherwise
    weight_y_x = trust(acquisition.shape_y_x, min(EDGE_PX, min(acquisition.shape_y_x) // 8))
    weight_y_x = torch.div(weight_y_x, weight_y_x.mean()).to(device)
    root = weight_y_x.sqrt()
    flat = torch.zeros(*model.field_shape_y_x, 2, device=device)
    flat[..., 0] = 1.0
    flat.requires_grad_()
    groups = [{"params": [flat]}, *calibration.groups()]
    optimiser = torch.optim.Adam(groups, lr=IMAGE_RATE)
    heights = torch.tensor([z_um], dtype=torch.float32, device=device)
    fixed = None if free.names else model.aperture(calibration.instrument())
    na_led = start.na_led_xy.norm(dim=1).cpu().numpy()
    for step, batch in enumerate(
        _batches(na_led, leds_per_step, steps, seed, GROW * free.moves_leds)
    ):
        done = (step + 0.5) / steps
        envelope = _envelope(done)
        for group in optimiser.param_groups:
            learning = group.get("learning")
            group["lr"] = (
                IMAGE_RATE * envelope if learning is None else learning.rate(done, envelope)
            )
        model = replace(model, edge_samples=_edge_samples(done, free))
        leds = torch.from_numpy(batch).to(device)
        measured = measured_all[leds]
        if free.moves_leds and step and step % RECENTRE_STEPS == 0:
            model = _around(model, acquisition, calibration.na_led_xy().detach())
        weight = weight_y_x
        if fixed is not None:
            aperture = fixed.select(leds)
        else:
            instrument = calibration.instrument()
            if free.moves_leds and not trust_rim:
                sure = off_rim(
                    instrument.na_led_xy.detach(), instrument.na_of(optics), calibration.sample_na
                )
                if done < RIM_START:
                    weight = weight_y_x * sure[leds, None, None]
                else:
                    na_xy = instrument.na_led_xy
                    held = torch.lerp(na_xy.detach(), na_xy, sure[:, None])
                    instrument = replace(instrument, na_led_xy=held)
            aperture = model.aperture(instrument, leds)
        optimiser.zero_grad(set_to_none=True)
        spectrum = model.spectrum(torch.view_as_complex(flat))[None]
        predicted = model.amplitude(spectrum, heights, leds, aperture)[0]
        error = predicted - measured
        if pixels is not None:
            error = pixels.select(leds).error(error)
            measured = predicted.detach() - error.detach()
        misfit = (weight * error.square()).mean()
        loss = misfit
        if calibration.has_penalty:
            loss = misfit + misfit.detach() * calibration.penalty()
        loss.backward()
        optimiser.step()
        calibration.observe(leds, predicted.detach() * root, measured * root, done)
        if not math.isfinite(float(misfit.detach())):
            raise DivergedError(f"the fit is not finite at step {step + 1}")
        if listen is not None:
            listen(step + 1, steps, float(misfit.detach() / measured.square().mean()))
    image = torch.view_as_complex(flat.detach())
    with torch.no_grad():
        instrument = calibration.instrument()
        if free.moves_leds:
            model = _around(model, acquisition, instrument.na_led_xy)
        error, power = residual_by_led(
            model, model.aperture(instrument), measured_all, image, z_um, pixels
        )
    return PlaneFit(
        image.cpu(),
        instrument.to("cpu", torch.float64),
        z_um,
        float(error.double().sum() / power.double().sum()),
    )


def usual_upsampling(acquisition: Acquisition, free: Free, start: Instrument) -> int:
    """The smallest that holds the synthetic aperture, LEDs that may move included."""
    margin = MARGIN_SAMPLES if free.moves_leds else 0.0
    return max(
        smallest_upsampling(acquisition.optics, acquisition.illumination),
        least_upsampling(acquisition, start.na_led_xy, margin_samples=margin),
    )


def _around(model: ForwardModel, acquisition: Acquisition, na_led_xy: Tensor) -> ForwardModel:
    """The model with its windows where the LEDs have moved to, as long as its grid holds them."""
    try:
        check_reach(acquisition, na_led_xy, model.upsampling)
    except SettingsError as error:
        raise DivergedError(f"an LED left the grid: upsampling {error.problem}") from error
    return model.at_windows(model.windows(na_led_xy))


def off_rim(na_led_xy: Tensor, na_objective: float, sample_na: float) -> Tensor:
    """Weight of LEDs [led]: 0 where the direct light meets the pupil's edge.

    How much of the direct light passes there depends on the edge's fine form, which the model does
    not have; as the brightest light of all it would pull the whole array.
    """
    away = (na_led_xy.norm(dim=1) - na_objective).abs() / (RIM_SAMPLES * sample_na)
    return away.clamp_max(1.0).square()


def _edge_samples(done: float, free: Free) -> float:
    """Width of the pupil's edge after this share of the steps: wide at first, where it moves."""
    moves = free.moves_leds or free.widens_pupil
    return max(EDGE_SAMPLES, WIDE_EDGE_SAMPLES * (1 - done / SHARPEN)) if moves else EDGE_SAMPLES


def _envelope(done: float) -> float:
    rising = min(1.0, done / WARM_UP)
    return rising * (FINAL_RATE + (1 - FINAL_RATE) * (1 + math.cos(math.pi * done)) / 2)


def _batches(
    na_led: FloatArray, batch: int, steps: int, seed: int, growing: float
) -> list[NDArray[np.intp]]:
    """LEDs of every step: each is visited once before any is visited again.

    Over the first `growing` share of the steps the LEDs in use grow from the innermost outwards, so
    that what is learned in the bright field carries the dark field along.
    """
    random = np.random.default_rng(seed)
    outward = np.argsort(na_led, kind="stable")
    batch = min(batch, len(outward))
    waiting: list[int] = []
    batches = []
    for step in range(steps):
        share = 1.0 if growing == 0 else min(1.0, step / (growing * steps))
        used = outward[: max(batch, round(share * len(outward)))]
        while len(waiting) < batch:
            waiting += random.permutation(used).tolist()
        batches.append(np.array(waiting[:batch], dtype=np.intp))
        waiting = waiting[batch:]
    return batches
