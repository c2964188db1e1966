"""The instrument as the forward model takes it: what calibration may learn, as tensors."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from fpm_inr.acquisition import Acquisition, Optics


@dataclass(frozen=True, eq=False)
class Instrument:
    """What calibration may learn of the microscope, as tensors.

    Parameters
    ----------
    na_led_xy : Tensor [led, 2]
        Illumination directions (x, y) in NA units.
    gain_led : Tensor [led]
        Factor of each LED's amplitude.
    zernike_rad : Tensor [mode]
        Pupil phase, in radians RMS, by Noll index from 1.
    pupil_y_x : Tensor [y, x], complex, optional
        A free factor of the pupil on the frame's frequency grid (`fftfreq` order).
    background_led : Tensor [frame], optional
        Intensity that every frame has besides the light through the sample, in units of the squared
        amplitude scale. None: none.
    defocus_um : Tensor, scalar, optional
        Added to every height. None: 0.
    na : Tensor, scalar, optional
        Radius of the pupil, as a numerical aperture. None: as the optics state it.
    """

    na_led_xy: Tensor
    gain_led: Tensor
    zernike_rad: Tensor
    pupil_y_x: Tensor | None = None
    background_led: Tensor | None = None
    defocus_um: Tensor | None = None
    na: Tensor | None = None

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> Instrument:
        """Move to a device and a real precision, apart from any gradient."""

        def move(value: Tensor | None) -> Tensor | None:
            if value is None:
                return None
            return value.detach().to(device, dtype.to_complex() if value.is_complex() else dtype)

        moved = {one.name: move(getattr(self, one.name)) for one in fields(self)}
        return Instrument(**moved)  # type: ignore[arg-type]

    def na_of(self, optics: Optics) -> float:
        """Numerical aperture of the pupil: found, or as stated."""
        return optics.na if self.na is None else float(self.na.detach())

    def select(self, frames: Tensor, leds: Tensor | None = None) -> Instrument:
        """Keep the frames of these indices, and these LEDs (those of the frames' numbers)."""
        leds = frames if leds is None else leds
        return replace(
            self,
            na_led_xy=self.na_led_xy[leds],
            gain_led=self.gain_led[leds],
            background_led=None if self.background_led is None else self.background_led[frames],
        )


def nominal_instrument(acquisition: Acquisition) -> Instrument:
    """Return the instrument as the acquisition states it: no gain errors, no aberration."""
    return Instrument(
        torch.tensor(acquisition.illumination.na_led_xy),
        torch.ones(acquisition.illumination.led_count, dtype=torch.float64),
        torch.zeros(0, dtype=torch.float64),
    )
