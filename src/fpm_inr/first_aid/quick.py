"""A quick solve of a small crop, to compare descriptions of the same frames."""

from __future__ import annotations

import numpy as np

from fpm_inr.acquisition import Acquisition
from fpm_inr.calibration.solve import fit_plane
from fpm_inr.errors import DataError
from fpm_inr.instrument import parse_free

CROP_PX, STEPS = 64, 40


def quick_residual(acquisition: Acquisition) -> float:
    """Data residual of a quick solve of the middle of the frames, all LEDs; gains are free."""
    height, width = (min(CROP_PX, side) for side in acquisition.shape_y_x)
    y, x = (
        (side - part) // 2
        for side, part in zip(acquisition.shape_y_x, (height, width), strict=True)
    )
    try:
        small = acquisition.crop(y, x, height, width)
        return fit_plane(small, 0.0, parse_free("gains"), steps=STEPS, seed=0).residual
    except (DataError, FloatingPointError):  # a middle without light tells nothing
        return float(np.inf)
