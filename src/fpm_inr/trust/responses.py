"""How the predicted frames would answer to changes of the model that a solve takes for granted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fpm_inr.acquisition import Acquisition
from fpm_inr.believed import believed
from fpm_inr.edges import trust
from fpm_inr.forward import Aperture, ForwardModel, Instrument, compile_forward
from fpm_inr.guard import with_band, without_band
from fpm_inr.sampling import depth_of_field_um, fourier_sample_na
from fpm_inr.solution import Solution
from fpm_inr.trust.noise import estimate_noise

FloatArray = NDArray[np.float64]

EDGE_PX = 8  # of the frames: a periodic field does not explain what lies there
# Changes that are tried, up and down.
STEP_RAD, STEP_SAMPLES, STEP_DOF = 0.1, 1.0, 0.25
FIRST_MODE, LAST_MODE = 5, 15  # Noll: astigmatism to the spherical orders; 4 is a height


@dataclass(frozen=True, eq=False)
class Answer:
    """What a frame shows and would show, on the scale of the field.

    Parameters
    ----------
    frame : int
        Its number in the acquisition; its LED's, where it has one.
    missed_y_x : array [y, x]
        Measured less predicted amplitude; 0 where a pixel is not believed.
    noise_y_x : array [y, x]
        Its variance by the frames' noise alone.
    predicted_y_x : array [y, x]
    modes_mode_y_x : array [mode, y, x]
        Change of the prediction per rad of the Zernike modes `FIRST_MODE` to `LAST_MODE`.
    shift_2_y_x : array [2, y, x], optional
        Per Fourier sample of the LED along x and y. None, where frames have several LEDs: which of
        them is off, no frame tells.
    height_y_x : array [y, x]
        Per um of the object's height.
    """

    frame: int
    missed_y_x: FloatArray
    noise_y_x: FloatArray
    predicted_y_x: FloatArray
    modes_mode_y_x: FloatArray
    shift_2_y_x: FloatArray | None
    height_y_x: FloatArray


def answers(acquisition: Acquisition, solution: Solution, z_um: float) -> Iterator[Answer]:
    """Give what every frame tells of changes, one after the other, at a height.

    Parameters
    ----------
    acquisition : Acquisition
        What the solution was made from.
    solution : Solution
    z_um : float
        Where the specimen lies.
    """
    frames, light = solution.frames_used(acquisition), acquisition.illumination
    seen, guard_px = acquisition.select(frames), solution.guard_px
    whole, solution = with_band(acquisition, solution.on("cpu"))
    measured = without_band(solution.forward(whole)[2], guard_px)
    instrument = solution.instrument.select(
        torch.from_numpy(frames), torch.from_numpy(light.leds_of(frames))
    ).to("cpu")
    one_by_one = light.lighting is None
    optics = seen.optics
    room = compile_forward(
        whole.select(frames),
        solution.upsampling,
        instrument=instrument,
        margin_samples=STEP_SAMPLES,
    )
    image = torch.from_numpy(solution.render(z_um).field_z_y_x[0])
    spectrum = room.spectrum(image)[None]
    pixels = believed(seen)
    noise = estimate_noise(seen)
    weight = (trust(seen.shape_y_x, EDGE_PX) >= 1).numpy()
    step_na = fourier_sample_na(optics, whole.shape_y_x)
    step_um = STEP_DOF * depth_of_field_um(optics)
    look = _Look(room, spectrum, instrument, guard_px)
    for at, frame in enumerate(frames):
        predicted = look.amplitude(at, z_um)
        missed = measured[at] - predicted
        if pixels is not None:
            missed = -pixels.select(slice(at, at + 1)).error(-missed[None])[0]
        variance = noise.squared_error(at, seen.frames_led_y_x[at])
        shift = [look.of_shift(at, z_um, axis, step_na) for axis in range(2) if one_by_one]
        yield Answer(
            int(frame),
            missed.double().numpy() * weight,
            variance / solution.amplitude_scale**2 * weight,
            predicted.double().numpy() * weight,
            weight * np.stack([look.of_mode(at, z_um, mode) for mode in MODES]),
            weight * np.stack(shift) if shift else None,
            weight * look.slope(at, z_um, step_um),
        )


MODES = tuple(range(FIRST_MODE, LAST_MODE + 1))


@dataclass(frozen=True, eq=False)
class _Look:
    """The predicted frames of one image, for instruments near the one that was used."""

    model: ForwardModel
    spectrum_z_y_x: Tensor
    instrument: Instrument
    guard_px: int

    @torch.no_grad()
    def amplitude(self, frame: int, z_um: float, instrument: Instrument | None = None) -> Tensor:
        number = torch.tensor([frame])
        aperture: Aperture = self.model.aperture(instrument or self.instrument, number)
        height = torch.tensor([z_um], dtype=torch.float32)
        seen = self.model.amplitude(self.spectrum_z_y_x, height, number, aperture)[0, 0]
        return without_band(seen, self.guard_px)

    def of_mode(self, frame: int, z_um: float, mode: int) -> FloatArray:
        known = self.instrument.zernike_rad
        longer = torch.zeros(max(len(known), mode), dtype=known.dtype)
        longer[: len(known)] = known

        def changed(by: float) -> Tensor:
            moved = longer.clone()
            moved[mode - 1] += by
            return self.amplitude(frame, z_um, replace(self.instrument, zernike_rad=moved))

        return _rate(changed, STEP_RAD)

    def of_shift(self, led: int, z_um: float, axis: int, sample_na: float) -> FloatArray:
        def changed(by: float) -> Tensor:
            moved = self.instrument.na_led_xy.clone()
            moved[led, axis] += by * sample_na
            return self.amplitude(led, z_um, replace(self.instrument, na_led_xy=moved))

        return _rate(changed, STEP_SAMPLES)

    def slope(self, frame: int, z_um: float, step_um: float) -> FloatArray:
        return _rate(lambda by: self.amplitude(frame, z_um + by), step_um)


def _rate(changed: Callable[[float], Tensor], step: float) -> FloatArray:
    """Change per unit, from one step up and one down."""
    return np.asarray(((changed(step) - changed(-step)) / (2 * step)).double().numpy())
