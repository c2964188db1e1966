"""A band of field around what the frames show.

A specimen goes on beyond the frame, and what is there shines into it: the pupil smears light over
its width, and light at the pupil's edge, which alone tells of slow phase, over far more. A solved
field is periodic, and without room beside the frame it must explain that light by what is inside:
slow phase comes out wrong over the whole frame. So the field may be given a band that no camera
pixel sees. There frames count for nothing, and the field is free.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition

if TYPE_CHECKING:
    from torch import Tensor

    from fpm_inr.solution import Solution

Image = TypeVar("Image", bound="NDArray[Any] | Tensor")


def guarded(acquisition: Acquisition, guard_px: int) -> Acquisition:
    """Frames with a band of pixels around them that do not count.

    Parameters
    ----------
    acquisition : Acquisition
        Frames [frame, y, x].
    guard_px : int
        Width of the band; 0 changes nothing.

    Returns
    -------
    Acquisition
        Frames [frame, y + 2 guard_px, x + 2 guard_px] around the same centre. In the band they are
        mirrored, so that their brightness is that of the frames.
    """
    if not guard_px:
        return acquisition
    band = ((0, 0), (guard_px, guard_px), (guard_px, guard_px))
    weight, saturated = acquisition.weight_led_y_x, acquisition.saturated_led_y_x
    if weight is None:
        weight = np.ones(acquisition.frames_led_y_x.shape, np.uint8)
    assert acquisition.axis_y_x_px is not None
    y, x = acquisition.axis_y_x_px
    return replace(
        acquisition,
        frames_led_y_x=np.pad(acquisition.frames_led_y_x, band, mode="symmetric"),
        axis_y_x_px=(y + guard_px, x + guard_px),
        weight_led_y_x=np.pad(weight, band),
        saturated_led_y_x=None if saturated is None else np.pad(saturated, band),
    )


def with_band(acquisition: Acquisition, solution: Solution) -> tuple[Acquisition, Solution]:
    """A solution whose images show its band too, and the frames that it explains then."""
    return guarded(acquisition, solution.guard_px), replace(solution, guard_px=0)


def without_band(image_y_x: Image, band_px: int) -> Image:
    """An image [..., y, x] without a band of so many pixels on all sides: a view."""
    if not band_px:
        return image_y_x
    inside = image_y_x[..., band_px:-band_px, band_px:-band_px]
    return cast("Image", inside)
