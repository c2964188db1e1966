"""What the LEDs can tell, before any solve: the transfer of amplitude and phase by frequency.

About a clear background a frequency q of an object, amplitude a and phase p, changes the amplitude
that a bright-field LED's frame shows at q by

    (G(q) (a + 1j p) + conj(G(-q)) (a - 1j p)) / 2

where G is the pupil as that LED sees it, turned by its direct light (Streibl, J. Opt. Soc. Am. A 2,
121 (1985)). Where G(q) = conj(G(-q)), as of an LED that passes both in focus, phase makes no
difference. A dark-field LED has no direct light; its frame tells as much of amplitude as of phase.
In a frame of several LEDs (or of the points of one with a face) intensities add up: what bright
ones say of q adds up with their direct light as weights, and beside them dark ones are not heard;
among themselves, dark ones share the frame. Summed over frames that is a matrix for every q, whose
inverse is the noise that frames of unit noise leave in amplitude and in phase.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition
from fpm_inr.forward import ForwardModel, Instrument, compile_forward, nominal_instrument

FloatArray = NDArray[np.float64]
Number = TypeVar("Number", bound=np.generic)

# Direct light that is weaker (mean bright-field amplitude: 1) leaves a dark-field frame.
DIRECT = 0.3
# Phase of which less is told, as a share of the amplitude of the same frequency, is not determined:
# a solve damps it away (docs/measured-trust.md has the measurement).
LEAST_SHARE = 0.01
DARK_SHARE = 0.3  # of the median amplitude
# Two directions of frequency that no LED tells apart have this information, in frames, not none.
FLOOR = 1e-6


@dataclass(frozen=True, eq=False)
class Transfer:
    """Information on every frequency of a field, in frames: one frame tells 1 at best.

    Noise of unit variance in the pixels of N-pixel frames leaves the variance 1 / (N * information)
    in the amplitude's (or phase's) Fourier coefficient.

    Parameters
    ----------
    amplitude_y_x, phase_y_x : array [y, x]
        On amplitude, and on phase, each with the other unknown; `fftfreq` order.
    seen_y_x : array [y, x] of bool
        Whether any LED brings the frequency into the pupil.
    step_y_x_per_um : (float, float)
        Distance of neighbouring frequencies.
    z_um : float
        Height of the object.
    """

    amplitude_y_x: FloatArray
    phase_y_x: FloatArray
    seen_y_x: NDArray[np.bool_]
    step_y_x_per_um: tuple[float, float]
    z_um: float

    @property
    def frequency_y_x_per_um(self) -> FloatArray:
        """Distance of every frequency from zero."""
        y, x = (
            np.fft.fftfreq(side, 1 / side) * step
            for side, step in zip(self.seen_y_x.shape, self.step_y_x_per_um, strict=True)
        )
        return np.hypot(y[:, None], x)

    @property
    def undetermined_y_x(self) -> NDArray[np.bool_]:
        """Frequencies that some LED sees, but none their phase; not the mean."""
        lost = self.seen_y_x & (self.phase_y_x < LEAST_SHARE * self.amplitude_y_x)
        lost[0, 0] = False
        return np.asarray(lost)

    @property
    def undetermined_um(self) -> tuple[float, float] | None:
        """Longest and shortest period whose phase is not determined; None where all is."""
        lost = self.undetermined_y_x
        if not lost.any():
            return None
        frequency = self.frequency_y_x_per_um[lost]
        return float(1 / frequency.min()), float(1 / frequency.max())

    def curves(self, count: int = 40) -> dict[str, FloatArray]:
        """Median information by ring of frequency: `per_um`, `amplitude`, `phase`, all [ring]."""
        radius = self.frequency_y_x_per_um
        inside = self.seen_y_x & (radius > 0)
        lowest, highest = float(radius[radius > 0].min()), float(radius[inside].max())
        # even steps of the root: the slow end, where phase is hard to tell, in more detail
        edges = np.linspace(np.sqrt(lowest) * 0.999, np.sqrt(highest) * 1.001, count + 1) ** 2
        ring = np.digitize(radius[inside], edges) - 1
        held = [n for n in range(count) if (ring == n).any()]
        rows = {
            "per_um": radius[inside],
            "amplitude": self.amplitude_y_x[inside],
            "phase": self.phase_y_x[inside],
        }
        return {
            name: np.array([np.median(values[ring == n]) for n in held])
            for name, values in rows.items()
        }

    def numbers(self) -> dict[str, Any]:
        """As run.json holds it."""
        periods = self.undetermined_um
        return {
            "z_um": self.z_um,
            "curves": {name: one.tolist() for name, one in self.curves(12).items()},
            "undetermined_periods_um": None if periods is None else list(periods),
            "undetermined_share": float(self.undetermined_y_x.sum() / (self.seen_y_x.sum() - 1)),
        }

    def hanging_phase(self, field_y_x: NDArray[np.complexfloating]) -> FloatArray:
        """Phase [y, x] in rad of a field that stands on frequencies that are not determined."""
        from skimage.restoration import unwrap_phase

        lost = self.undetermined_y_x
        if not lost.any():
            return np.zeros(field_y_x.shape)
        size = np.abs(field_y_x)
        phase = unwrap_phase(np.angle(field_y_x))  # type: ignore[no-untyped-call]
        # what is dark has no phase to speak of
        phase = np.where(size > DARK_SHARE * np.median(size), phase - np.median(phase), 0.0)
        lost = lost | _mirrored(lost)
        return np.asarray(np.real(np.fft.ifft2(np.fft.fft2(phase) * lost)))

    def warning(self) -> str | None:
        """A sentence on what is not determined; None where all is."""
        periods = self.undetermined_um
        if periods is None:
            return None
        longest, shortest = periods
        periods_um = f"{shortest:.3g}"
        if longest > 1.01 * shortest:
            periods_um += f" to {longest:.3g}"
        return (
            f"The LEDs do not determine the phase of structures with periods of {periods_um} um "
            f"({int(self.undetermined_y_x.sum())} of {int(self.seen_y_x.sum()) - 1} frequencies), "
            f"at z = {self.z_um:g} um. Slow phase takes LEDs near the pupil's edge (illumination "
            "NA just below the objective's), or defocus."
        )


@torch.no_grad()
def transfer(
    acquisition: Acquisition,
    upsampling: int,
    *,
    instrument: Instrument | None = None,
    z_um: float = 0.0,
) -> Transfer:
    """Find what the LEDs of an acquisition tell of a weak object at a height.

    Parameters
    ----------
    acquisition : Acquisition
        Its frames are not looked at.
    upsampling : int
        Sampling of the field over that of the frames.
    instrument : Instrument, optional
        As the acquisition states it where left out.
    z_um : float
    """
    model = compile_forward(acquisition, upsampling, instrument=instrument)
    if instrument is None:
        instrument = nominal_instrument(acquisition)
    own, cross = _sums(model, instrument.to("cpu"), z_um)
    # of (e, e') with e = a + 1j p at q and e' = a - 1j p: its own conjugate at -q
    a, b, c = own / 4 + FLOOR, _mirrored(own) / 4 + FLOOR, cross / 4
    determinant = a * b - np.abs(c) ** 2
    both = 4 * determinant / np.stack([a + b - 2 * c.real, a + b + 2 * c.real])
    return Transfer(
        both[0],
        both[1],
        own > 0,
        (
            1 / (model.field_shape_y_x[0] * model.pixel_um),
            1 / (model.field_shape_y_x[1] * model.pixel_um),
        ),
        float(z_um),
    )


def _sums(
    model: ForwardModel, instrument: Instrument, z_um: float
) -> tuple[FloatArray, NDArray[np.complex128]]:
    """Sums over frames [y, x] of |G(q)|^2, and over bright-field ones of G(q) G(-q)."""
    height, width = model.field_shape_y_x
    own, cross = np.zeros(height * width), np.zeros(height * width, np.complex128)
    together = np.zeros(height * width, np.complex128)
    aperture = model.aperture(instrument)
    z = torch.tensor([z_um], dtype=torch.float32)
    for frame in torch.arange(model.frame_count).split(1):
        index = model.field_index(frame).numpy()
        seen = aperture.select(frame).at(z)[0].to(torch.complex128).numpy()
        direct = np.where(index == 0, seen, 0).sum(axis=1)
        if np.linalg.norm(direct) <= DIRECT:
            np.add.at(own, index, np.abs(seen) ** 2 * _shares(model, frame, instrument)[:, None])
            continue
        np.add.at(together, index, (direct.conj() / np.linalg.norm(direct))[:, None] * seen)
        every = np.unique(index)
        at_mirror = (-(every // width) % height) * width + -(every % width) % width
        own[every] += np.abs(together[every]) ** 2
        cross[every] += together[every] * together[at_mirror]
        together[every] = 0
    return own.reshape(height, width), cross.reshape(height, width)


def _shares(model: ForwardModel, frame: torch.Tensor, instrument: Instrument) -> FloatArray:
    """Share [beam] of a frame's light that the LED of each of its beams has, all alike."""
    led = model.leds_of(frame).numpy()
    light = instrument.gain_led.numpy()[led] ** 2
    if model.beams is not None:
        light = light * model.beams.root_beam[model.beams_of(frame)].numpy() ** 2
    of_led = np.bincount(led, light)
    return np.asarray(of_led[led] / light.sum())


def _mirrored(image_y_x: NDArray[Number]) -> NDArray[Number]:
    """Values [y, x] at -q for every q, `fftfreq` order."""
    return np.roll(image_y_x[::-1, ::-1], 1, axis=(0, 1))
