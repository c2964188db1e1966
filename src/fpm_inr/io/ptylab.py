"""FPM data of PtyLab (HDF5): ``ptychogram``, ``encoder``, ``zled``, ..."""

from __future__ import annotations

from pathlib import Path

from fpm_inr.acquisition import Acquisition
from fpm_inr.errors import DataError
from fpm_inr.io.window import Crop

FRAMES = "ptychogram"


def read(
    path: Path,
    *,
    crop: Crop | None = None,
    wavelength_um: float | None = None,
    medium_index: float | None = None,
) -> Acquisition:
    raise DataError("is PtyLab data, not read yet", "convert it", source=path)
