"""FPM data of PtyLab (HDF5): ``ptychogram``, ``encoder``, ``zled``, ... in metres."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.errors import DataError
from fpm_inr.illumination import LedGeometry
from fpm_inr.io import hdf5
from fpm_inr.io.window import Crop, read_window

FRAMES, POSITIONS = "ptychogram", "encoder"
WAVELENGTH, CAMERA_PIXEL, DISTANCE = "wavelength", "dxd", "zled"
MAGNIFICATION, NA, ORIENTATION = "magnification", "NA", "orientation"
# `orientation` 0 to 7 -> (order of the stored axes, axes flipped to get to [led, y, x])
ORIENTATIONS = [(order, flipped) for order in ("lyx", "lxy") for flipped in ("", "x", "y", "yx")]


def read(
    path: Path,
    *,
    crop: Crop | None = None,
    wavelength_um: float | None = None,
    medium_index: float | None = None,
) -> Acquisition:
    """Read a PtyLab file (Loetgering et al., Opt. Express 31, 2023); only the crop is loaded.

    PtyLab takes the patch around ``-encoder / distance`` (row, column) out of an object spectrum
    whose *forward* transform is the image. With NumPy's sign, where the inverse transform is, the
    patch lies around ``+encoder / distance``: column 1 of ``encoder`` is our x, column 0 our y.

    Parameters
    ----------
    path : Path
    crop : (y, x, height, width), optional
    wavelength_um, medium_index : float, optional
        Replace the stored wavelength and the index of air.

    Raises
    ------
    DataError
        A dataset is missing, misshapen or not numbers, or the file is damaged.
    """
    with hdf5.reading(path) as file:
        if DISTANCE not in file and "zo" in file:
            raise DataError(
                f"holds zo and no {DISTANCE}: a scanned probe, not an LED array",
                "give a Fourier ptychography data set",
            )
        if NA not in file:
            raise DataError(
                "is missing: PtyLab would guess it", "store the objective's aperture", field=NA
            )
        if wavelength_um is None:
            wavelength_um = _metres(file, WAVELENGTH, 1e-7, 2.5e-6) * 1e6
        camera_pixel_um = _metres(file, CAMERA_PIXEL, 1e-8, 1e-3) * 1e6
        distance_mm = _metres(file, DISTANCE, 1e-4, 10.0) * 1e3
        magnification = hdf5.number(file, MAGNIFICATION)
        if not (np.isfinite(magnification) and magnification > 0):
            raise DataError(f"is {magnification:g}", "store a positive number", field=MAGNIFICATION)
        encoder = hdf5.array(file, POSITIONS, 2)
        if encoder.shape[1] != 2:
            raise DataError(f"has shape {encoder.shape}", "give it axes (LED, 2)", field=POSITIONS)
        z_mm = np.full(len(encoder), distance_mm)
        geometry = LedGeometry(np.stack([encoder[:, 1] * 1e3, encoder[:, 0] * 1e3, z_mm], axis=1))
        order, flipped = ORIENTATIONS[_orientation(file)]
        return read_window(
            hdf5.dataset(file, FRAMES, 3),
            crop,
            Optics(
                wavelength_um,
                hdf5.number(file, NA),
                camera_pixel_um / magnification,
                1.0 if medium_index is None else medium_index,
            ),
            Illumination(geometry.na_at(0.0, 0.0), geometry),
            order=order,
            flipped=flipped,
        )


def _metres(file: h5py.File, name: str, least: float, most: float) -> float:
    value = hdf5.number(file, name)
    if not least <= value <= most:
        raise DataError(
            f"is {value:g}, not a length of {least:g} to {most:g} m", "store metres", field=name
        )
    return value


def _orientation(file: h5py.File) -> int:
    if ORIENTATION not in file:
        return 0
    value = hdf5.number(file, ORIENTATION)
    if value not in range(len(ORIENTATIONS)):
        raise DataError(f"is {value:g}", "store a whole number from 0 to 7", field=ORIENTATION)
    return int(value)
