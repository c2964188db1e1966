"""FPM data of PtyLab (HDF5): ``ptychogram``, ``encoder``, ``zled``, ... in metres."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.errors import DataError
from fpm_inr.files import hdf5
from fpm_inr.illumination import LedGeometry
from fpm_inr.io.axes import axes_order
from fpm_inr.io.readers import NOTHING, Asked
from fpm_inr.io.window import read_window

FRAMES, POSITIONS = "ptychogram", "encoder"
WAVELENGTH, CAMERA_PIXEL, DISTANCE = "wavelength", "dxd", "zled"
MAGNIFICATION, NA, ORIENTATION = "magnification", "NA", "orientation"
# `orientation` 0 to 7 -> (order of the stored axes, axes flipped to get to [led, y, x])
ORIENTATIONS = [(order, flipped) for order in ("lyx", "lxy") for flipped in ("", "x", "y", "yx")]


def recognise(path: Path) -> Path | None:
    """The file itself, where it holds a ptychogram."""
    return hdf5.recognised(path, lambda file: FRAMES in file)


def read(path: Path, asked: Asked = NOTHING) -> Acquisition:
    """Read a PtyLab file (Loetgering et al., Opt. Express 31, 2023); only the crop is loaded.

    PtyLab takes the patch around ``-encoder / distance`` (row, column) out of an object spectrum
    whose *forward* transform is the image. With NumPy's sign, where the inverse transform is, the
    patch lies around ``+encoder / distance``: column 1 of ``encoder`` is our x, column 0 our y.

    Parameters
    ----------
    path : Path
    asked : Asked, optional

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
        optics, geometry = _optics(file, asked), _geometry(file)
        frames = hdf5.dataset(file, FRAMES, 3)
        leds = len(geometry.position_led_xyz_mm)
        _, note = axes_order(frames.shape, leds, "lyx", FRAMES)
        if note:
            raise DataError(
                f"has shape {frames.shape} for {leds} LEDs",
                "store its axes as (LED, y, x)",
                field=FRAMES,
            )
        order, flipped = ORIENTATIONS[_orientation(file)]
        light = Illumination(geometry.na_at(0.0, 0.0), geometry)
        return read_window(frames, asked.crop, optics, light, order=order, flipped=flipped)


def _optics(file: h5py.File, asked: Asked) -> Optics:
    if NA not in file:
        raise DataError(
            "is missing: PtyLab would guess it", "store the objective's aperture", field=NA
        )
    wavelength_um = asked.wavelength_um
    if wavelength_um is None:
        wavelength_um = _metres(file, WAVELENGTH, 1e-7, 2.5e-6) * 1e6
    camera_pixel_um = _metres(file, CAMERA_PIXEL, 1e-8, 1e-3) * 1e6
    magnification = hdf5.number(file, MAGNIFICATION)
    if not (np.isfinite(magnification) and magnification > 0):
        raise DataError(f"is {magnification:g}", "store a positive number", field=MAGNIFICATION)
    return asked.optics(wavelength_um, hdf5.number(file, NA), camera_pixel_um / magnification)


def _geometry(file: h5py.File) -> LedGeometry:
    distance_m = _metres(file, DISTANCE, 1e-4, 10.0)
    encoder_mm = _places_m(file, distance_m) * 1e3
    z_mm = np.full(len(encoder_mm), distance_m * 1e3)
    return LedGeometry(np.stack([encoder_mm[:, 1], encoder_mm[:, 0], z_mm], axis=1))


def _metres(file: h5py.File, name: str, least: float, most: float) -> float:
    value = _one_number(file, name)
    if not least <= value <= most:
        raise DataError(
            f"is {value:g}, not a length of {least:g} to {most:g} m", "store metres", field=name
        )
    return value


def _one_number(file: h5py.File, name: str) -> float:
    """A number; a pair of equal ones, for rows and columns, is one."""
    found = file.get(name)
    if isinstance(found, h5py.Dataset) and found.size == 2 and found.dtype.kind in "iuf":
        pair = np.asarray(found[()], dtype=np.float64).ravel()
        if pair[0] != pair[1]:
            raise DataError(
                f"is {pair[0]:g} and {pair[1]:g}", "give frames of square pixels", field=name
            )
        return float(pair[0])
    return hdf5.number(file, name)


def _places_m(file: h5py.File, distance_m: float) -> NDArray[np.float64]:
    """Places of the LEDs, [led, 2]."""
    encoder = hdf5.array(file, POSITIONS, 2)
    if encoder.shape[1] != 2 and encoder.shape[0] == 2:
        encoder = encoder.T
    if encoder.shape[1] != 2:
        raise DataError(f"has shape {encoder.shape}", "give it axes (LED, 2)", field=POSITIONS)
    farthest = float(np.abs(encoder).max())
    # no LED shines from so near the horizon that metres would be meant
    if np.isfinite(farthest) and farthest > 20 * distance_m:
        raise DataError(
            f"reaches {farthest:g} for LEDs {distance_m:g} m away, which looks like millimetres",
            "store metres",
            field=POSITIONS,
        )
    return encoder


def _orientation(file: h5py.File) -> int:
    if ORIENTATION not in file:
        return 0
    value = hdf5.number(file, ORIENTATION)
    if value not in range(len(ORIENTATIONS)):
        raise DataError(f"is {value:g}", "store a whole number from 0 to 7", field=ORIENTATION)
    return int(value)


def write(path: Path, acquisition: Acquisition) -> None:
    """Write an acquisition as PtyLab reads it; `read` gives back the same directions.

    PtyLab knows no weights: pixels that lie hold what was filled in, saturated ones their limit.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    geometry = acquisition.illumination.geometry
    distance_m = 0.1
    if geometry is not None:
        distance_m = float(np.median(geometry.position_led_xyz_mm[:, 2])) * 1e-3
    na_xy = acquisition.illumination.na_led_xy
    # places on one plane whose directions are these, whatever slide or crop made them
    slope = na_xy / np.sqrt(1 - (na_xy**2).sum(axis=1, keepdims=True))
    optics = acquisition.optics
    with hdf5.writing(path) as file:
        file.create_dataset(
            FRAMES,
            data=acquisition.frames_led_y_x,
            chunks=(1, *acquisition.shape_y_x),
            compression="gzip",
            compression_opts=4,
        )
        file[POSITIONS] = distance_m * slope[:, ::-1]
        file[DISTANCE] = distance_m
        file[WAVELENGTH] = optics.wavelength_um * 1e-6
        file[CAMERA_PIXEL] = optics.pixel_um * 1e-6
        file[MAGNIFICATION] = 1.0
        file[NA] = optics.na
        file[ORIENTATION] = 0
