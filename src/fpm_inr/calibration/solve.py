"""A quick solve of a single plane, with an instrument that may be partly free.

A plain complex image under Adam: on the real acquisitions it fits the frames as well as a neural
field does, in a fraction of the time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fpm_inr.acquisition import Acquisition
from fpm_inr.believed import believed
from fpm_inr.calibration.schedule import batches, edge_samples, envelope
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
from fpm_inr.reach import check_reach, least_upsampling
from fpm_inr.sampling import smallest_upsampling

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
        acquisition, z_um, calibration.to(device), upsampling, trust_rim=trust_rim, device=device
    )
    na_frame = light.least_of_frame(start.na_led_xy.norm(dim=1).cpu().numpy())
    for step, batch in enumerate(batches(na_frame, leds_per_step, steps, seed, free)):
        residual = solve.step(torch.from_numpy(batch).to(device), step, steps)
        if listen is not None:
            listen(step + 1, steps, residual)
    return solve.fit()


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
        amplitude = torch.from_numpy(acquisition.amplitude_led_y_x / acquisition.amplitude_scale)
        self.measured_led_y_x = amplitude.to(device)
        self.pixels = believed(acquisition, device)
        # the model repeats the sample beyond the frame; a real one goes on otherwise
        weight_y_x = trust(acquisition.shape_y_x, min(EDGE_PX, min(acquisition.shape_y_x) // 8))
        self.weight_y_x = torch.div(weight_y_x, weight_y_x.mean()).to(device)
        flat = torch.zeros(*self.model.field_shape_y_x, 2, device=device)
        flat[..., 0] = 1.0
        self.flat = flat.requires_grad_()
        groups = [{"params": [self.flat]}, *calibration.groups()]
        self.optimiser = torch.optim.Adam(groups, lr=IMAGE_RATE)
        self.heights = torch.tensor([z_um], dtype=torch.float32, device=device)
        self.fixed: Aperture | None = None
        if not self.free.names:
            self.fixed = self.model.aperture(calibration.instrument())

    def step(self, leds: Tensor, step: int, steps: int) -> float:
        """Let these LEDs move image and instrument; return their residual.

        Raises
        ------
        DivergedError
            The fit did not stay finite, or moved an LED off the grid.
        """
        done = (step + 0.5) / steps
        self._set_rates(done)
        self.model = replace(self.model, edge_samples=edge_samples(done, self.free))
        if self.free.moves_leds and step and step % RECENTRE_STEPS == 0:
            self.model = self._around(self.calibration.na_led_xy().detach())
        aperture, weight = self._aperture(leds, done)
        measured = self.measured_led_y_x[leds]
        self.optimiser.zero_grad(set_to_none=True)
        spectrum = self.model.spectrum(torch.view_as_complex(self.flat))[None]
        light = self.model.exit_field(spectrum, self.heights, leds, aperture)[0]
        predicted = aperture.amplitude(light)
        error = predicted - measured
        if self.pixels is not None:
            error = self.pixels.select(leds).error(error)
            measured = predicted.detach() - error.detach()
        misfit = (weight * error.square()).mean()
        loss = misfit
        if self.calibration.has_penalty:
            loss = misfit + misfit.detach() * self.calibration.penalty()
        loss.backward()
        self.optimiser.step()
        root = self.weight_y_x.sqrt()
        shares = self.model.shares(leds, light, self.weight_y_x)
        self.calibration.observe(leds, predicted.detach() * root, measured * root, done, shares)
        if not math.isfinite(float(misfit.detach())):
            raise DivergedError(f"the fit is not finite at step {step + 1}")
        return float(misfit.detach() / measured.square().mean())

    def fit(self) -> PlaneFit:
        """What has been found, and how far it is from all frames."""
        image = torch.view_as_complex(self.flat.detach())
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
            float(error.double().sum() / power.double().sum()),
        )

    def _set_rates(self, done: float) -> None:
        factor = envelope(done)
        for group in self.optimiser.param_groups:
            learning = group.get("learning")
            group["lr"] = IMAGE_RATE * factor if learning is None else learning.rate(done, factor)

    def _aperture(self, leds: Tensor, done: float) -> tuple[Aperture, Tensor]:
        """The pupil as these LEDs see it, and the weight of their pixels."""
        if self.fixed is not None:
            return self.fixed.select(leds), self.weight_y_x
        weight, instrument = self.weight_y_x, self.calibration.instrument()
        if self.free.moves_leds and not self.trust_rim:
            sure = off_rim(
                instrument.na_led_xy.detach(),
                instrument.na_of(self.model.optics),
                self.calibration.sample_na,
            )
            if done < RIM_START:
                weight = weight * self.model.least_of_frames(sure, leds)[:, None, None]
            else:
                na_xy = instrument.na_led_xy
                held = torch.lerp(na_xy.detach(), na_xy, sure[:, None])
                instrument = replace(instrument, na_led_xy=held)
        return self.model.aperture(instrument, leds), weight

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
