"""Focus judged by the frames: the height at which a patch explains its measurement best.

Every LED sees a specimen at height z displaced by its own parallax, so that only at the right
height do all frames agree with one image. This holds for absorbing and for refracting specimens
alike, and does not hang on how a sharp image looks.

Only fine detail of the misfit is judged. What a patch's neighbours at other heights, or the world
beyond the frame, send over it is slow; the parallax of the patch's own detail is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from fpm_inr.acquisition import Acquisition
from fpm_inr.believed import believed
from fpm_inr.errors import DataError
from fpm_inr.focus.blend import Judge
from fpm_inr.focus.scores import Float32Array, FocusScores, FocusSettings, collect_scores
from fpm_inr.guard import with_band, without_band
from fpm_inr.residual import frames_at_once
from fpm_inr.solution import ImageStack, Solution

# Residuals below this share of the light are as good as none.
LEAST_RESIDUAL = 1e-6


def score_against_frames(acquisition: Acquisition, solution: Solution) -> Judge:
    """Make a judge of slices for `all_in_focus`.

    The score of a patch is sum(measured^2) / sum(fine(predicted - measured)^2) of the amplitudes of
    all LEDs in it; fine(e) is e less its mean over a square of one resolution length, wavelength /
    NA. The score of the whole image is the inverse of its data residual, slow misfit included.

    Parameters
    ----------
    acquisition : Acquisition
        What `solution` was solved from.
    solution : Solution
        Frames are predicted where its field lies (`Solution.on`).

    Raises
    ------
    DataError
        Frames and solution differ in size or number of LEDs.
    """
    misfit = FineMisfit(acquisition, solution)
    (height, width), factor = acquisition.shape_y_x, solution.upsampling
    power = misfit.power_y_x

    def measure(
        stack: ImageStack, y_windows: Float32Array, x_windows: Float32Array
    ) -> tuple[Float32Array, float]:
        fine, whole = misfit.of(stack)
        # windows of the image's pixels -> windows of the frame's
        y_frame = y_windows.reshape(len(y_windows), height, factor).sum(axis=2)
        x_frame = x_windows.reshape(len(x_windows), width, factor).sum(axis=2)
        score = share_explained(y_frame @ power @ x_frame.T, y_frame @ fine @ x_frame.T)
        return score, float(power.sum() / max(whole, LEAST_RESIDUAL * float(power.sum())))

    def judge(
        slices: Iterable[ImageStack], settings: FocusSettings, on_slice: Callable[[], None]
    ) -> FocusScores:
        return collect_scores(slices, settings, measure, on_slice)

    return judge


def share_explained(light: NDArray[Any], lost: NDArray[Any]) -> Float32Array:
    """Score of patches of so much light, of which so much fine detail is missed."""
    least = LEAST_RESIDUAL * np.maximum(light, light.max())
    return np.asarray(light / np.maximum(lost, least), np.float32)


class FineMisfit:
    """How far images are from explaining frames, in fine detail: fine(e) of `score_against_frames`.

    Parameters
    ----------
    acquisition : Acquisition
    solution : Solution
        Whose instrument predicts frames, where its field lies.

    Attributes
    ----------
    power_y_x : array [y, x]
        Squared amplitudes of the frames, summed over LEDs.

    Raises
    ------
    DataError
        Frames and solution differ in size or number of LEDs.
    """

    def __init__(self, acquisition: Acquisition, solution: Solution) -> None:
        _check_sizes(acquisition, solution)
        self._guard_px = solution.guard_px
        acquisition, solution = with_band(acquisition, solution)
        self._solution, self._device = solution, solution.device
        self._model, self._aperture, self._measured = solution.forward(acquisition)
        self._portion = frames_at_once(self._model)
        optics = acquisition.optics
        self._cell_px = 2 * int(optics.wavelength_um / optics.na / optics.pixel_um / 2) + 1
        used = acquisition.select(solution.frames_used(acquisition))
        self._pixels = believed(used, self._device)
        exact = self._measured
        if self._pixels is not None:
            exact = exact * self._pixels.exact_led_y_x
        light_y_x = without_band(exact.square().sum(dim=0), self._guard_px)
        self.power_y_x: Float32Array = light_y_x.cpu().numpy()

    @torch.no_grad()
    def of(self, stack: ImageStack) -> tuple[Float32Array, float]:
        """Squared fine misfit [y, x] summed over LEDs, and the squared misfit of all."""
        model, device = self._model, self._device
        if self._guard_px:  # frames show what lies beside the image too
            stack = self._solution.render(stack.z_um)
        spectrum = model.spectrum(torch.from_numpy(stack.field_z_y_x).to(device))
        z_um = torch.tensor(stack.z_um, dtype=torch.float32, device=device)

        def looked(some: slice) -> tuple[Tensor, Tensor]:
            part = torch.arange(some.start, some.stop, device=device)
            predicted = model.amplitude(spectrum, z_um, part, self._aperture.select(part))[0]
            error = predicted - self._measured[some]
            if self._pixels is not None:
                error = self._pixels.select(some).error(error)
            fine = (error - _local_mean(error, self._cell_px)).square().sum(dim=0)
            return fine, error.square().sum()

        fine, whole = torch.zeros(model.shape_y_x, device=device), []
        for of_some, missed in self._portion.over(model.frame_count, looked):
            fine += of_some
            whole.append(missed)
        return without_band(fine, self._guard_px).cpu().numpy(), sum(torch.stack(whole).tolist())


def _check_sizes(acquisition: Acquisition, solution: Solution) -> None:
    height, width = acquisition.shape_y_x
    leds = len(solution.instrument.na_led_xy)
    factor = solution.upsampling
    if (height * factor, width * factor) != solution.shape_y_x or acquisition.led_count != leds:
        raise DataError(
            f"has {acquisition.led_count} LEDs, {height} x {width} pixels a frame, for a field of "
            f"{solution.shape_y_x[0]} x {solution.shape_y_x[1]} from {leds} frames",
            "give the acquisition, and the crop, that the field was solved from",
            field="data",
        )


def _local_mean(image_led_y_x: Tensor, side_px: int) -> Tensor:
    """Mean over a square around every pixel, cut at the image's edges; `side_px` is odd."""
    if side_px == 1:
        return torch.zeros_like(image_led_y_x)  # a pixel as large as the square: all is fine detail
    reach = side_px // 2
    for window, padding in (((side_px, 1), (reach, 0)), ((1, side_px), (0, reach))):
        image_led_y_x = avg_pool2d(
            image_led_y_x, window, stride=1, padding=padding, count_include_pad=False
        )
    return image_led_y_x
