"""How far a solution explains its frames, beside what the frames' noise allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fpm_inr.acquisition import Acquisition
from fpm_inr.believed import believed
from fpm_inr.device import widest
from fpm_inr.guard import with_band, without_band
from fpm_inr.residual import frames_at_once
from fpm_inr.solution import Solution
from fpm_inr.trust.noise import estimate_noise

FloatArray = NDArray[np.float64]

# When a solution is said not to explain its frames; docs/measured-trust.md has the measurements.
# What is left is far above the noise; and it is a quarter of the frames' structure and 3 % of their
# light, or nearly all structure there is
LEAST_FACTOR = 1.5
MOST_SHARE, MOST_EXCESS = 0.25, 0.03
NEARLY_ALL = 0.55
# of one LED: what is left over the mean of its measured and its predicted light, and how far that
# must stand out from the other LEDs
MOST_LED, LED_STANDS_OUT = 0.5, 5.0
# parts along a side of the frame: each counts at the height that explains it best
PARTS = 8
LEDS_NAMED = 3
LEDS_TELL = 0.3  # share of what is left that makes them worth naming
PLACE_TELLS = 1.5  # times the mean, that makes a place worth naming
ROWS, COLUMNS = ("upper", "middle", "lower"), ("left", "centre", "right")


@dataclass(frozen=True, eq=False)
class Explanation:
    """Squared errors of the predicted amplitudes, on the scale of the field.

    Parameters
    ----------
    leds : array [led]
        Numbers of the LEDs that were used.
    z_um, residual_z : array [z]
        Heights, and sum (predicted - measured amplitude)^2 / sum measured amplitude^2 at each.
    error_led, power_led, predicted_led : array [led]
        At the best height: squared error, and squared measured and predicted amplitude.
    noise_led : array [led]
        Squared error that the frames' noise leaves.
    structure_led : array [led]
        Squared deviation of the measured amplitude from its mean.
    error_y_x, noise_y_x : array [y, x]
        At the best height, over all LEDs.
    lowest_error : float
        Squared error with every part of the frame at the height that explains it best.
    """

    leds: NDArray[np.intp]
    z_um: FloatArray
    residual_z: FloatArray
    error_led: FloatArray
    power_led: FloatArray
    predicted_led: FloatArray
    noise_led: FloatArray
    structure_led: FloatArray
    error_y_x: FloatArray
    noise_y_x: FloatArray
    lowest_error: float

    @property
    def best_um(self) -> float:
        """Height that explains the frames best."""
        return float(self.z_um[int(np.argmin(self.residual_z))])

    @property
    def residual(self) -> float:
        """Data residual at that height."""
        return float(self.residual_z.min())

    @property
    def residual_led(self) -> FloatArray:
        return self.error_led / np.maximum(self.power_led, 1e-30)

    @property
    def expected_residual(self) -> float:
        """What a right model would leave: the frames' noise."""
        return float(self.noise_led.sum() / self.power_led.sum())

    @property
    def unexplained_share(self) -> float:
        """What is left of the frames' structure, over all there is of it; noise taken off both."""
        noise = float(self.noise_led.sum())
        structure = max(float(self.structure_led.sum()) - noise, 1e-6 * self.power_led.sum())
        return max(self.lowest_error - noise, 0.0) / float(structure)

    @property
    def is_explained(self) -> bool:
        excess = self.residual - self.expected_residual
        share = self.unexplained_share
        is_far_off = (share > MOST_SHARE and excess > MOST_EXCESS) or share > NEARLY_ALL
        return not (is_far_off and self.residual > LEAST_FACTOR * self.expected_residual)

    @property
    def lost_leds(self) -> NDArray[np.intp]:
        """Numbers of the LEDs whose frames are not explained though most others are."""
        excess = np.maximum(self.error_led - self.noise_led, 0)
        light = (self.power_led + self.predicted_led) / 2
        left = excess / np.maximum(light, 1e-6 * light.max())
        stands_out = LED_STANDS_OUT * float(np.median(left))
        is_lost = (left > MOST_LED) & (left > stands_out)
        return self.leds[is_lost & (self.error_led > LEAST_FACTOR * self.noise_led)]

    def warnings(self) -> Iterator[str]:
        """Sentences for a person; none where the frames are explained."""
        lost = self.lost_leds
        if not self.is_explained:
            yield (
                "The solution does not explain the frames: their data residual is "
                f"{self.residual:.3f} at z = {self.best_um:.1f} um, and their noise alone would "
                f"leave about {self.expected_residual:.2g}. {self._worst_leds()} "
                f"{self._worst_place()} {self._advice()}"
            )
        if len(lost):
            named = ", ".join(map(str, lost[:10])) + (" and more" if len(lost) > 10 else "")
            yield (
                f"The frames of these LEDs are not explained, though others are: {named} (counted "
                "from 0). See whether they lit, and whether their frames stand in their places of "
                "the LED list; leds.leave_out leaves them out."
            )

    def _worst_leds(self) -> str:
        excess = np.maximum(self.error_led - self.noise_led, 0)
        share = excess / max(float(excess.sum()), 1e-30)
        worst = np.argsort(-share)[:LEDS_NAMED]
        if share[worst].sum() < LEDS_TELL:
            return "What is left is spread over the LEDs."
        named = ", ".join(f"LED {self.leds[i]} ({share[i]:.0%})" for i in worst)
        return f"The worst are {named}, counted from 0."

    def _worst_place(self) -> str:
        excess = _in_parts(self.error_y_x - self.noise_y_x, 3)
        excess /= _in_parts(np.ones_like(self.error_y_x), 3)
        y, x = divmod(int(excess.argmax()), 3)
        times = float(excess[y, x]) / max(float(excess.mean()), 1e-30)
        if times < PLACE_TELLS:
            return "It is alike all over the frame."
        place = "centre" if (y, x) == (1, 1) else f"{ROWS[y]} {COLUMNS[x]}"
        return f"It is worst in the {place} of the frame ({times:.1f} times the mean)."

    def _advice(self) -> str:
        return (
            "Try: the LED map and the scale of the frames (fpm-inr inspect), the height or range "
            "of z (--z-range auto), frames that are clipped, of unequal exposure, in colour (a raw "
            "Bayer pattern) or gamma-coded, and the instrument (fpm-inr calibrate)."
        )


@torch.no_grad()
def explain(
    acquisition: Acquisition,
    solution: Solution,
    z_um: Sequence[float],
) -> Explanation:
    """Compare a solution with its frames at these heights, on the device where its field lies.

    Parameters
    ----------
    acquisition : Acquisition
        What the solution was made from.
    solution : Solution
    z_um : sequence of float
        Within the solved range.
    """
    leds, scale = solution.frames_used(acquisition), solution.amplitude_scale
    shape = acquisition.shape_y_x
    heights, errors = _errors(acquisition, solution, z_um)
    error_z_led, predicted_z_led, error_z_y_x = errors
    believes = believed(acquisition.select(leds))
    noise = estimate_noise(acquisition.select(leds))
    noise_led, power_led, structure_led = np.zeros((3, len(leds)))
    noise_y_x = np.zeros(shape)
    for at, led in enumerate(leds):
        frame = acquisition.frames_led_y_x[led]
        left = noise.squared_error(at, frame) / scale**2
        amplitude = np.sqrt(frame.astype(np.float64)) / scale
        if believes is not None:
            # only what is believed can be explained
            exact = believes.exact_led_y_x[at].numpy()
            left *= exact
            amplitude = amplitude[exact]
        noise_y_x += left
        noise_led[at], power_led[at] = left.sum(), (amplitude**2).sum()
        if amplitude.size:
            structure_led[at] = ((amplitude - amplitude.mean()) ** 2).sum()
    best = int(np.argmin(error_z_led.sum(axis=1)))
    in_parts = np.stack([_in_parts(error, PARTS) for error in error_z_y_x])
    return Explanation(
        leds,
        heights,
        error_z_led.sum(axis=1) / power_led.sum(),
        error_z_led[best],
        power_led,
        predicted_z_led[best],
        noise_led,
        structure_led,
        error_z_y_x[best],
        noise_y_x,
        float(in_parts.min(axis=0).sum()),
    )


def _errors(
    acquisition: Acquisition, solution: Solution, z_um: Sequence[float]
) -> tuple[FloatArray, tuple[FloatArray, FloatArray, FloatArray]]:
    """Heights, and at each: squared error and amplitude [z, led], squared error [z, y, x]."""
    guard_px = solution.guard_px
    acquisition, solution = with_band(acquisition, solution)
    model, aperture, measured = solution.forward(acquisition)
    pixels = believed(acquisition.select(solution.frames_used(acquisition)), solution.device)
    most_exact = widest(solution.device)
    portion = frames_at_once(model)
    heights = []
    rows: list[tuple[Tensor, Tensor, Tensor]] = []
    for height_um, image in solution.images(np.asarray(z_um)):
        heights.append(height_um)
        z = torch.full((1,), height_um, dtype=torch.float32, device=model.device)
        spectrum = model.spectrum(image)[None]

        def looked(
            some: slice, z: Tensor = z, spectrum: Tensor = spectrum
        ) -> tuple[Tensor, Tensor, Tensor]:
            part = model.frames(some)
            predicted = model.amplitude(spectrum, z, part, aperture.select(part))[0]
            missed = predicted - measured[some]
            if pixels is not None:
                missed = pixels.select(some).error(missed)
            error = without_band(missed, guard_px).square().to(most_exact)
            power = without_band(predicted, guard_px).square().sum(dim=(1, 2)).to(most_exact)
            return error.sum(dim=(1, 2)), power, error.sum(dim=0)

        of_led, of_light, of_pixel = zip(*portion.over(model.frame_count, looked), strict=True)
        rows.append((torch.cat(of_led), torch.cat(of_light), sum(of_pixel[1:], start=of_pixel[0])))
    columns = (torch.stack(column).cpu().double() for column in zip(*rows, strict=True))
    error_led, light_led, error_y_x = (np.asarray(column) for column in columns)
    return np.array(heights), (error_led, light_led, error_y_x)


def _in_parts(image_y_x: FloatArray, count: int) -> FloatArray:
    """Sums over count x count parts of an image."""
    starts = [np.linspace(0, side, count + 1).astype(int)[:-1] for side in image_y_x.shape]
    rows = np.add.reduceat(image_y_x, starts[0], axis=0)
    return np.asarray(np.add.reduceat(rows, starts[1], axis=1))
