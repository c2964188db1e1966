"""Focus judged by the frames: the height at which a patch explains its measurement best.

Every LED sees a specimen at height z displaced by its own parallax, so that only at the right
height do all frames agree with one image. This holds for absorbing and for refracting specimens
alike, and does not hang on how a sharp image looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch

from fpm_inr.acquisition import Acquisition
from fpm_inr.believed import believed
from fpm_inr.errors import DataError
from fpm_inr.focus.blend import Judge
from fpm_inr.focus.scores import Float32Array, FocusScores, FocusSettings, collect_scores
from fpm_inr.solution import ImageStack, Solution

LEDS_AT_ONCE = 16
# Residuals below this share of the light are as good as none.
LEAST_RESIDUAL = 1e-6


def score_against_frames(acquisition: Acquisition, solution: Solution) -> Judge:
    """Make a judge of slices for `all_in_focus`.

    The score of a patch is sum(measured^2) / sum((predicted - measured)^2) of the amplitudes of all
    LEDs in it: the inverse of its data residual.

    Parameters
    ----------
    acquisition : Acquisition
        What `solution` was solved from.
    solution : Solution

    Raises
    ------
    DataError
        Frames and solution differ in size or number of LEDs.
    """
    height, width = acquisition.shape_y_x
    factor = solution.upsampling
    leds = len(solution.instrument.na_led_xy)
    if (height * factor, width * factor) != solution.shape_y_x or acquisition.led_count != leds:
        raise DataError(
            f"has {acquisition.led_count} frames of {height} x {width} pixels for a field of "
            f"{solution.shape_y_x[0]} x {solution.shape_y_x[1]} from {leds} frames",
            "give the acquisition, and the crop, that the field was solved from",
            field="data",
        )
    model, aperture, measured = solution.forward(acquisition)
    pixels = believed(acquisition.select(solution.leds_used))
    exact = measured if pixels is None else measured * pixels.exact_led_y_x
    power = exact.square().sum(dim=0).numpy()

    @torch.no_grad()
    def error_of(stack: ImageStack) -> Float32Array:
        spectrum = model.spectrum(torch.from_numpy(stack.field_z_y_x))
        z_um = torch.tensor(stack.z_um, dtype=torch.float32)
        error = torch.zeros(height, width)
        for some in torch.arange(model.led_count).split(LEDS_AT_ONCE):
            predicted = model.amplitude(spectrum, z_um, some, aperture.select(some))[0]
            missed = predicted - measured[some]
            if pixels is not None:
                missed = pixels.select(some).error(missed)
            error += missed.square().sum(dim=0)
        return error.numpy()

    def measure(
        stack: ImageStack, y_windows: Float32Array, x_windows: Float32Array
    ) -> tuple[Float32Array, float]:
        error = error_of(stack)
        # windows of the image's pixels -> windows of the frame's
        y_frame = y_windows.reshape(len(y_windows), height, factor).sum(axis=2)
        x_frame = x_windows.reshape(len(x_windows), width, factor).sum(axis=2)
        light = y_frame @ power @ x_frame.T
        lost = y_frame @ error @ x_frame.T
        score = light / np.maximum(lost, LEAST_RESIDUAL * np.maximum(light, light.max()))
        return score, float(power.sum() / max(float(error.sum()), LEAST_RESIDUAL * power.sum()))

    def judge(
        slices: Iterable[ImageStack], settings: FocusSettings, on_slice: Callable[[], None]
    ) -> FocusScores:
        return collect_scores(slices, settings, measure, on_slice)

    return judge
