"""This project's own file: an Acquisition as HDF5, exact and readable in part."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import h5py
import numpy as np

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.errors import DataError
from fpm_inr.illumination import LedGeometry
from fpm_inr.io import hdf5
from fpm_inr.io.replacing import replacing
from fpm_inr.io.window import Crop, read_window

KIND, VERSION = "fpm-inr acquisition", 1
OPTICS = ("wavelength_um", "na", "pixel_um", "medium_index")
CHUNK_PX = 128


def write_acquisition(path: str | Path, acquisition: Acquisition) -> None:
    """Write an acquisition so that `read` gives back the same, bit for bit.

    Parameters
    ----------
    path : str or Path
        Replaced when it exists, and only once all is written.
    acquisition : Acquisition

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    # made in memory first: HDF5 crashes when it is closed on a disk that is full
    image = BytesIO()
    with h5py.File(image, "w") as file:
        file.attrs["format"] = KIND
        file.attrs["version"] = VERSION
        _, height, width = acquisition.frames_led_y_x.shape
        file.create_dataset(
            "frames_led_y_x",
            data=acquisition.frames_led_y_x,
            chunks=(1, min(height, CHUNK_PX), min(width, CHUNK_PX)),
            compression="gzip",
            compression_opts=4,
            shuffle=True,
        )
        for name in OPTICS:
            file[f"optics/{name}"] = getattr(acquisition.optics, name)
        file["axis_y_x_px"] = np.asarray(acquisition.axis_y_x_px, dtype=np.float64)
        file["illumination/na_led_xy"] = acquisition.illumination.na_led_xy
        geometry = acquisition.illumination.geometry
        if geometry is not None:
            file["illumination/position_led_xyz_mm"] = geometry.position_led_xyz_mm
            file["illumination/slide_mm"] = float(geometry.slide_mm)
            file["illumination/slide_index"] = float(geometry.slide_index)
    with replacing(path) as beside:
        beside.write_bytes(image.getbuffer())


def read(
    path: Path,
    *,
    crop: Crop | None = None,
    wavelength_um: float | None = None,
    medium_index: float | None = None,
) -> Acquisition:
    """Read a file of `write_acquisition`; only the crop is loaded.

    Parameters
    ----------
    path : Path
    crop : (y, x, height, width), optional
    wavelength_um, medium_index : float, optional
        Replace the stored ones.

    Raises
    ------
    DataError
        The file is damaged, of another version, or the crop leaves the frame.
    """
    with hdf5.reading(path) as file:
        version = file.attrs.get("version")
        if version != VERSION:
            raise DataError(
                f"has version {version} of {KIND!r}, this program reads {VERSION}",
                "convert the original data again",
            )
        stored = {name: hdf5.number(file, f"optics/{name}") for name in OPTICS}
        if wavelength_um is not None:
            stored["wavelength_um"] = wavelength_um
        if medium_index is not None:
            stored["medium_index"] = medium_index
        geometry = None
        if "illumination/position_led_xyz_mm" in file:
            geometry = LedGeometry(
                hdf5.array(file, "illumination/position_led_xyz_mm", 2),
                hdf5.number(file, "illumination/slide_mm"),
                hdf5.number(file, "illumination/slide_index"),
            )
        axis = hdf5.array(file, "axis_y_x_px", 1)
        if axis.shape != (2,):
            raise DataError(f"has shape {axis.shape}", "store (y, x)", field="axis_y_x_px")
        return read_window(
            hdf5.dataset(file, "frames_led_y_x", 3),
            crop,
            Optics(**stored),
            Illumination(hdf5.array(file, "illumination/na_led_xy", 2), geometry),
            (float(axis[0]), float(axis[1])),
        )
