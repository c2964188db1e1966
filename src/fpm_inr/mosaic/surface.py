"""Heights measured from the surface of focus: a slide that is tilted comes out level."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.calibration.field_file import FieldCalibration
from fpm_inr.calibration.file import read_calibration
from fpm_inr.errors import SettingsError
from fpm_inr.mosaic.mosaic import Mosaic

FloatArray = NDArray[np.float64]
Complex = NDArray[np.complexfloating[Any, Any]]

# Between rendered heights an image is taken to change linearly over this share of its depth of
# field.
STEP_SHARE = 0.25


@dataclass(frozen=True)
class FocusSurface:
    """Where the specimen is sharp across a field.

    Parameters
    ----------
    calibration : FieldCalibration
        Whose `focus_um` is known.
    axis_y_x_px : (float, float)
        Where the optical axis meets the frame.
    pixel_um : float
        Of the frames.
    step_um : float
        Heights that are rendered lie no further apart.
    """

    calibration: FieldCalibration
    axis_y_x_px: tuple[float, float]
    pixel_um: float
    step_um: float

    def at(self, y_px: FloatArray, x_px: FloatArray) -> FloatArray:
        """Height [y, x] in um at these rows and columns of the frames."""
        assert self.calibration.focus_um is not None
        y_um = (y_px - self.axis_y_x_px[0]) * self.pixel_um
        x_um = (x_px - self.axis_y_x_px[1]) * self.pixel_um
        return self.calibration.at(self.calibration.focus_um, x_um[None, :], y_um[:, None])

    def followed(
        self, render: Callable[[float], Complex], z_um: float, y_px: FloatArray, x_px: FloatArray
    ) -> Complex:
        """Image [y, x] at a height above the surface, of images at level heights."""
        height = z_um + self.at(y_px, x_px)
        low, high = float(height.min()), float(height.max())
        steps = max(1, math.ceil((high - low) / self.step_um))
        place = (height - low) / max((high - low) / steps, 1e-12)
        image: Complex = np.zeros(height.shape, np.complex64)
        for number in range(steps + 1):
            share = np.maximum(1 - np.abs(place - number), 0.0)
            if share.any():
                image += share * render(low + number * (high - low) / steps)
        return image


def from_focus(source: object) -> Mosaic:
    """A mosaic whose heights are those above the surface of focus that its calibration holds.

    Its range is what lies within the solved heights all over the field.

    Raises
    ------
    SettingsError
        It is no mosaic, has no such surface, or the surface leaves nothing of the solved heights.
    """
    if not isinstance(source, Mosaic):
        raise SettingsError(
            "measures heights from the surface of focus of a mosaic, which this is not",
            "leave it out, or give the folder of `fpm-inr mosaic`",
            field="--from-focus",
        )
    plan = source.plan
    content = (
        None if plan.calibration is None else read_calibration(source.folder / plan.calibration)
    )
    if not isinstance(content, FieldCalibration) or content.focus_um is None:
        raise SettingsError(
            "needs the surface of focus, which this mosaic has not looked for",
            "make the mosaic with --calibrate, or leave it out",
            field="--from-focus",
        )
    step_um = STEP_SHARE * plan.depth_of_field_um
    surface = FocusSurface(content, plan.axis_y_x_px, source.optics.pixel_um, step_um)
    height, width = (np.arange(side, dtype=np.float64) for side in plan.shape_y_x)
    whole = surface.at(height, width)
    low, high = plan.settings.z_range_um
    reach = low - float(whole.min()), high - float(whole.max())
    if source.planes_um is not None or not reach[0] < reach[1]:
        raise SettingsError(
            f"follows a surface that lies from {whole.min():.1f} to {whole.max():.1f} um, and "
            f"{low:g} to {high:g} um were solved"
            + (" at certain planes" if source.planes_um is not None else ""),
            "solve a wider range with the engine inr, or leave it out",
            field="--from-focus",
        )
    return Mosaic(source.folder, source.manifest, follows=surface, z_range_um=reach)
