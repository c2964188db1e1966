"""What an engine is given: all of it on one device, and nothing of files, users or calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fpm_inr import transforms
from fpm_inr.optics import curved_wave
from fpm_inr.sampling import synthetic_na

if TYPE_CHECKING:
    from fpm_inr.acquisition import Illumination, Optics
    from fpm_inr.believed import Believed
    from fpm_inr.forward import ForwardModel, Instrument
    from fpm_inr.instrument import Calibration
    from fpm_inr.sending import Stored


@dataclass(frozen=True, eq=False)
class Problem:
    """Frames that a field is to explain, through a forward model.

    Parameters
    ----------
    model : ForwardModel
        On the device of the solve, like all that follows.
    instrument : Instrument
        As it is, or where a calibration begins.
    amplitude_led_y_x : Tensor [frame, y, x] or Stored
        Measured amplitudes; the mean of a bright-field LED is 1. A graphics card may keep whole
        numbers, of which amplitudes [frame, y, x] are made where it is indexed by frames.
    illumination : Illumination
        As stated: orders of LEDs go by it.
    z_range_um : (float, float)
        Heights to solve; equal ones are a single image.
    settings : Any
        Of the engine: an instance of its `settings`.
    options : mapping
        What `Engine.resolve` made of the options of the command.
    pixels : Believed, optional
        Which pixels are believed. None: all.
    learned : Calibration, optional
        What is learned of the instrument together with the field. None: nothing.
    left_out_led : array [frame] of bool, optional
        Frames that are not used, for an LED that lights them. None: all are.
    seed : int
    bend_rad_per_px2 : float
        Bend of the phase that light of LEDs at a finite distance brings: this times the squared
        distance from the middle of the frame, in its pixels. A solve that begins with a clear
        object begins with this phase.
    """

    model: ForwardModel
    instrument: Instrument
    amplitude_led_y_x: Tensor | Stored
    illumination: Illumination
    z_range_um: tuple[float, float]
    settings: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    pixels: Believed | None = None
    learned: Calibration | None = None
    left_out_led: NDArray[np.bool_] | None = None
    seed: int = 0
    bend_rad_per_px2: float = 0.0

    @property
    def optics(self) -> Optics:
        return self.model.optics

    @property
    def is_flat(self) -> bool:
        """Whether a single image is solved."""
        return self.z_range_um[0] == self.z_range_um[1]

    @property
    def synthetic_na(self) -> float:
        """NA of the objective and of the steepest LED, as stated."""
        return synthetic_na(self.optics, self.illumination)

    @property
    def used_led(self) -> NDArray[np.intp]:
        """Indices of the frames that are used."""
        left_out = self.left_out_led
        return np.arange(self.model.frame_count) if left_out is None else np.flatnonzero(~left_out)

    @cached_property
    def clear_spectrum_y_x(self) -> Tensor:
        """Spectrum [y, x] of a clear object as its light meets it, on the model's device."""
        model = self.model
        clear = curved_wave(model.shape_y_x, self.bend_rad_per_px2, model.upsampling)
        return transforms.spectrum(clear.to(model.device))

    @cached_property
    def peak(self) -> float:
        """Brightest amplitude of all frames."""
        return float(self.amplitude_led_y_x.max())
