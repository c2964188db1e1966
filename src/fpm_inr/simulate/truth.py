"""What really was under the microscope, and in it: kept beside the acquisition as truth.h5."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import DataError
from fpm_inr.files import hdf5

FORMAT = "fpm-inr truth"
VERSION = 1


@dataclass(frozen=True, eq=False)
class Truth:
    """The truth of a simulation, on the grid of the reconstruction.

    Parameters
    ----------
    object_sheet_y_x : array [sheet, y, x] of complex64
        Complex transmission of each sheet of the specimen (one, unless it has two layers or is
        thick), on the frame's field of view at `pixel_um`.
    seen_y_x : array [y, x] of complex64
        The whole specimen's transmission without the frequencies beyond the synthetic aperture
        (NA of the objective and of the steepest LED): the best that any reconstruction can give.
    z_sheet_y_x_um : array [sheet, y, x]
        Height of each sheet in um.
    pixel_um : float
        Pixel of the reconstruction: the camera's at the sample, divided by the upsampling.
    na_led_xy : array [led, 2]
        True illumination shifts, in NA units.
    intensity_gain_led : array [led]
        True factor of each LED's intensity, of mean 1 (amplitudes go with its square root).
    zernike_waves : array [mode]
        Pupil aberration in waves RMS, by Noll index from 1.
    pupil_y_x : array [y, x] of complex64
        The pupil on the frame's frequency grid, `fftfreq` order.
    scan_z_y_x : array [z, y, x]
        Bright-field images, all (bright-field) LEDs at once and without noise, with the height z in
        focus; the mean over LEDs, a clear slide having 1.
    scan_z_um : array [z]
        Heights of that scan.
    settings : dict
        What was asked of the simulator.
    """

    object_sheet_y_x: NDArray[np.complex64]
    seen_y_x: NDArray[np.complex64]
    z_sheet_y_x_um: NDArray[np.float32]
    pixel_um: float
    na_led_xy: NDArray[np.float64]
    intensity_gain_led: NDArray[np.float64]
    zernike_waves: NDArray[np.float64]
    pupil_y_x: NDArray[np.complex64]
    scan_z_y_x: NDArray[np.float32]
    scan_z_um: NDArray[np.float64]
    settings: dict[str, Any]

    @property
    def object_y_x(self) -> NDArray[np.complex64]:
        """Transmission [y, x] of the whole specimen: the product of its sheets."""
        product: NDArray[np.complex64] = self.object_sheet_y_x.prod(axis=0)
        return product

    @property
    def cutoff_per_um(self) -> float:
        """Cutoff of the synthetic aperture: NA of objective and steepest LED over wavelength.

        Raises
        ------
        DataError
            The settings are not those of a simulation.
        """
        try:
            optics = self.settings["optics"]
            na, wavelength_um = float(optics["na"]), float(optics["wavelength_um"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError("are not whole", "simulate again", field="settings") from error
        return (na + float(np.hypot(*self.na_led_xy.T).max())) / wavelength_um

    @property
    def depth_y_x_um(self) -> NDArray[np.float32]:
        """Depth map [y, x] in um.

        Raises
        ------
        DataError
            The specimen has several sheets, and so no one depth.
        """
        if len(self.z_sheet_y_x_um) > 1:
            raise DataError(
                f"holds {len(self.z_sheet_y_x_um)} sheets and no single depth map",
                "use z_sheet_y_x_um, or a specimen of one sheet",
                field="truth",
            )
        depth: NDArray[np.float32] = self.z_sheet_y_x_um[0]
        return depth


_ARRAYS = tuple(one.name for one in fields(Truth) if one.name not in ("pixel_um", "settings"))


def write_truth(path: str | Path, truth: Truth) -> None:
    """Write a truth file (HDF5).

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    with hdf5.writing(path) as file:
        file.attrs["format"] = FORMAT
        file.attrs["version"] = VERSION
        file.attrs["pixel_um"] = truth.pixel_um
        file.attrs["settings"] = json.dumps(truth.settings)
        for name in _ARRAYS:
            values = getattr(truth, name)
            packed = {"compression": "gzip", "compression_opts": 1} if values.ndim > 2 else {}
            file.create_dataset(name, data=values, **packed)


def load_truth(path: str | Path) -> Truth:
    """Read a truth file.

    Raises
    ------
    DataError
        The file is missing, is no truth file, is of a later version, or lacks something.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError("does not exist", "give a truth.h5 of fpm-inr simulate", source=path)
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != FORMAT:
                raise DataError(
                    "is not a truth file", "give a truth.h5 of fpm-inr simulate", source=path
                )
            if file.attrs.get("version") != VERSION:
                raise DataError(
                    f"has version {file.attrs.get('version')}, not {VERSION}",
                    "read it with the version of fpm-inr that wrote it",
                    source=path,
                )
            for name in ("pixel_um", "settings"):
                if name not in file.attrs:
                    raise DataError("is missing", "simulate again", field=name, source=path)
            for name in _ARRAYS:
                if name not in file:
                    raise DataError("is missing", "simulate again", field=name, source=path)
            return Truth(
                **{name: file[name][()] for name in _ARRAYS},
                pixel_um=float(file.attrs["pixel_um"]),
                settings=json.loads(file.attrs["settings"]),
            )
    except OSError as error:
        raise DataError(
            f"cannot be read ({error})", "give a truth.h5 of fpm-inr simulate", source=path
        ) from error
