"""A quick solve of a single plane, with an instrument that may be partly free.

A plain complex image under Adam: on the real acquisitions it fits the frames as well as a neural
field does, in a fraction of the time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fpm_inr.acquisition import Acquisition
from fpm_inr.beams import Choice, Shares, numbers_of
from fpm_inr.believed import believed
from fpm_inr.calibration.schedule import batches, edge_samples, envelope
from fpm_inr.device import widest
from fpm_inr.edges import off_rim, trust
from fpm_inr.errors import DivergedError, SettingsError
from fpm_inr.forward import (
    Aperture,
    ForwardModel,
    Instrument,
    compile_forward,
    nominal_instrument,
    residual_by_led,
)
from fpm_inr.instrument import Calibration, Free
from fpm_inr.memory import Portion
from fpm_inr.optics import curved_wave
from fpm_inr.reach import check_reach, least_upsampling
from fpm_inr.sampling import smallest_upsampling
from fpm_inr.sending import measured_on

STEPS = 150
LEDS_PER_STEP = 34
IMAGE_RATE = 0.1
# pixels over which trust in a frame falls to 0 towards its edges
EDGE_PX = 12
# share of the steps after which LEDs at the pupil's edge count for the image; they never move the
# array
RIM_START = 0.6
# LEDs may move this far, in Fourier samples, before the windows of the model follow them
MARGIN_SAMPLES = 2.0
RECENTRE_STEPS = 10


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
    bend_rad_per_px2: float = 0.0,
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
    bend_rad_per_px2 : float
        Phase that the image begins with: what LEDs at a finite distance add to it, times the
        squared distance from its centre in pixels of the frames (`fpm_inr.mosaic.plan.bend_of`).
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
    start = nominal_instrument(acquisition) if start is None else start
    light = acquisition.illumination
    calibration = Calibration(
        start,
        free,
        acquisition.optics,
        acquisition.shape_y_x,
        height_is_free=height_is_free,
        frame_count=light.frame_count,
    )
    upsampling = upsampling or usual_upsampling(acquisition, free, start)
    solve = _PlaneSolve(
        acquisition,
        z_um,
        calibration.to(device),
        upsampling,
        trust_rim=trust_rim,
        bend_rad_per_px2=bend_rad_per_px2,
        device=device,
    )
    na_frame = light.least_of_frame(start.na_led_xy.norm(dim=1).cpu().numpy())
    order = np.stack(batches(na_frame, leds_per_step, steps, seed, free))
    frames = torch.from_numpy(order).to(device)
    # on a graphics card a misfit is fetched together with those of the next steps
    together = 1 if frames.device.type == "cpu" else RECENTRE_STEPS
    waiting: list[Tensor] = []
    for step in range(steps):
        waiting.append(solve.step(frames[step], order[step], step, steps))
        if len(waiting) < together and step + 1 < steps:
            continue
        told, waiting = torch.stack(waiting).tolist(), []
        for number, (misfit, residual) in enumerate(told, start=step + 2 - len(told)):
            if not math.isfinite(misfit):
                raise DivergedError(f"the fit is not finite at step {number}")
            if listen is not None:
                listen(number, steps, residual)
    return solve.fit()


@dataclass(frozen=True, eq=False)
class _Seen:
    """What some frames of a step show: their shares of its misfit and light; their amplitudes."""

    leds: Tensor
    misfit: Tensor
    light: Tensor
    predicted: Tensor
    measured: Tensor
    shares: Shares | None


class _PlaneSolve:
    """A plane under way: its image, what is learned of the instrument, and what was measured."""

    def __init__(
        self,
        acquisition: Acquisition,
        z_um: float,
        calibration: Calibration,
        upsampling: int,
        *,
        trust_rim: bool,
        bend_rad_per_px2: float,
        device: torch.device | str,
    ) -> None:
        self.acquisition, self.z_um, self.trust_rim = acquisition, z_um, trust_rim
        self.calibration, self.free = calibration, calibration.free
        self.model = compile_forward(
            acquisition,
            upsampling,
            margin_samples=MARGIN_SAMPLES if self.free.moves_leds else 0.0,
            instrument=calibration.instrument(),
            largest_na=calibration.largest_na,
            edge_samples=edge_samples(0.0, self.free),
        ).to(device)
        self.measured_led_y_x = measured_on(acquisition, device)
        self.pixels = believed(acquisition, device)
        # the model repeats the sample beyond the frame; a real one goes on otherwise
        weight_y_x = trust(acquisition.shape_y_x, min(EDGE_PX, min(acquisition.shape_y_x) // 8))
        self.weight_y_x = torch.div(weight_y_x, weight_y_x.mean()).to(device)
        clear = curved_wave(acquisition.shape_y_x, bend_rad_per_px2, upsampling).to(device)
        self.flat = torch.view_as_real(clear).requires_grad_()
        groups = [{"params": [self.flat]}, *calibration.groups()]
        self.optimiser = torch.optim.Adam(groups, lr=IMAGE_RATE)
        self.heights = torch.tensor([z_um], dtype=torch.float32, device=device)
        # light, its transform, amplitude and error, and what their gradients take
        pixels, samples = math.prod(self.model.shape_y_x), self.model.sample_yx.shape[1]
        self.portion = Portion(
            "frames",
            self.model.device,
            bytes_each=8 * 8 * self.model.beam_count // self.model.frame_count * (pixels + samples),
            most=self.model.frame_count,
        )
        self.fixed: Aperture | None = None
        if not self.free.names:
            self.fixed = self.model.aperture(calibration.instrument())

    def step(
        self, leds: Tensor, numbers: NDArray[np.integer[Any]], step: int, steps: int
    ) -> Tensor:
        """Let these frames move image and instrument; return their misfit and their residual [2].

        `numbers` are theirs on the CPU.

        Raises
        ------
        DivergedError
            The fit moved an LED off the grid.
        """
        done = (step + 0.5) / steps
        self._set_rates(done)
        self.model = replace(self.model, edge_samples=edge_samples(done, self.free))
        if self.free.moves_leds and step and step % RECENTRE_STEPS == 0:
            self.model = self._around(self.calibration.na_led_xy().detach())
        looked = None
        while looked is None:
            looked = self.portion.tried(
                lambda: self._look(leds, numbers, done), min(len(leds), self.portion.at_once)
            )
        self.optimiser.step()
        root = self.weight_y_x.sqrt()
        for seen in looked:
            predicted, measured = seen.predicted * root, seen.measured * root
            self.calibration.observe(seen.leds, predicted, measured, done, seen.shares)
        misfit = sum((seen.misfit for seen in looked[1:]), start=looked[0].misfit)
        light = sum((seen.light for seen in looked[1:]), start=looked[0].light)
        return torch.stack([misfit, misfit / light])

    def _look(self, leds: Tensor, numbers: NDArray[np.integer[Any]], done: float) -> list[_Seen]:
        """Look at these frames, part after part, and leave the gradients."""
        self.optimiser.zero_grad(set_to_none=True)
        choices = self.model.in_parts(leds, numbers, self.portion.at_once)
        return [self._learn_from(one, done, len(one) / len(leds)) for one in choices]

    def _learn_from(self, frames: Choice, done: float, share: float) -> _Seen:
        """Leave the gradients of these frames, a share of the step's."""
        aperture, weight = self._aperture(frames, done)
        leds = numbers_of(frames)
        measured = self.measured_led_y_x[leds]
        spectrum = self.model.spectrum(torch.view_as_complex(self.flat))[None]
        light = self.model.exit_field(spectrum, self.heights, frames, aperture)[0]
        predicted = aperture.amplitude(light)
        error = predicted - measured
        if self.pixels is not None:
            error = self.pixels.select(leds).error(error)
            measured = predicted.detach() - error.detach()
        misfit = (weight * error.square()).mean()
        loss = misfit
        if self.calibration.has_penalty:
            loss = misfit + misfit.detach() * self.calibration.penalty()
        (loss if share == 1 else share * loss).backward()
        return _Seen(
            leds,
            share * misfit.detach(),
            share * measured.square().mean(),
            predicted.detach(),
            measured,
            self.model.shares(frames, light, self.weight_y_x),
        )

    def fit(self) -> PlaneFit:
        """What has been found, and how far it is from all frames."""
        image, exact = torch.view_as_complex(self.flat.detach()), widest(self.model.device)
        with torch.no_grad():
            instrument, model = self.calibration.instrument(), self.model
            if self.free.moves_leds:
                model = self._around(instrument.na_led_xy)
            error, power = residual_by_led(
                model,
                model.aperture(instrument),
                self.measured_led_y_x,
                image,
                self.z_um,
                self.pixels,
            )
        return PlaneFit(
            image.cpu(),
            instrument.to("cpu", torch.float64),
            self.z_um,
            float(error.to(exact).sum() / power.to(exact).sum()),
        )

    def _set_rates(self, done: float) -> None:
        factor = envelope(done)
        for group in self.optimiser.param_groups:
            learning = group.get("learning")
            group["lr"] = IMAGE_RATE * factor if learning is None else learning.rate(done, factor)

    def _aperture(self, frames: Choice, done: float) -> tuple[Aperture, Tensor]:
        """The pupil as these LEDs see it, and the weight of their pixels."""
        if self.fixed is not None:
            return self.fixed.select(frames), self.weight_y_x
        weight, instrument = self.weight_y_x, self.calibration.instrument()
        if self.free.moves_leds and not self.trust_rim:
            na = self.model.optics.na if instrument.na is None else instrument.na.detach()
            sure = off_rim(instrument.na_led_xy.detach(), na, self.calibration.sample_na)
            if done < RIM_START:
                weight = weight * self.model.least_of_frames(sure, frames)[:, None, None]
            else:
                na_xy = instrument.na_led_xy
                held = torch.lerp(na_xy.detach(), na_xy, sure[:, None])
                instrument = replace(instrument, na_led_xy=held)
        return self.model.aperture(instrument, frames), weight

    def _around(self, na_led_xy: Tensor) -> ForwardModel:
        """The model with its windows where the LEDs have moved to, as far as its grid holds them.

        Raises
        ------
        DivergedError
            It does not hold one.
        """
        try:
            check_reach(self.acquisition, na_led_xy, self.model.upsampling)
        except SettingsError as error:
            raise DivergedError(f"an LED left the grid: upsampling {error.problem}") from error
        return self.model.at_windows(self.model.windows(na_led_xy))


def usual_upsampling(acquisition: Acquisition, free: Free, start: Instrument) -> int:
    """The smallest that holds the synthetic aperture, LEDs that may move included."""
    margin = MARGIN_SAMPLES if free.moves_leds else 0.0
    return max(
        smallest_upsampling(acquisition.optics, acquisition.illumination),
        least_upsampling(acquisition, start.na_led_xy, margin_samples=margin),
    )
