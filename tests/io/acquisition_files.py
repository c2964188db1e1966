"""Small files of every format that `load` reads, made from one set of values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.io.native import write_acquisition

WAVELENGTH_UM = 0.5
LEDS, HEIGHT, WIDTH = 5, 12, 9


def matlab_variables(leds: int = LEDS, height: int = HEIGHT, width: int = WIDTH) -> dict[str, Any]:
    """Variables in the paper's MATLAB layout, axes as MATLAB shows them."""
    rng = np.random.default_rng(1)
    return {
        "I_low": rng.integers(1, 4000, (height, width, leds)).astype(np.uint16),
        "na_calib": rng.uniform(-0.2, 0.2, (leds, 2)),
        "mag": np.array([[10.0]]),
        "dpix_c": np.array([[6.5]]),
        "na_cal": np.array([[0.25]]),
    }


def write_matlab(path: Path, variables: dict[str, Any], version: str) -> Path:
    """Write MATLAB 5 (through SciPy) or 7.3 (HDF5 with reversed axes, as MATLAB stores it)."""
    if version == "5":
        scipy.io.savemat(path, variables)
        return path
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            file.create_dataset(name, data=np.asarray(value).T)
            file[name].attrs["MATLAB_class"] = np.bytes_(np.asarray(value).dtype.name)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    return path


def ptylab_variables() -> dict[str, Any]:
    """Datasets of a PtyLab FPM file."""
    rng = np.random.default_rng(2)
    return {
        "ptychogram": rng.uniform(1, 1000, (LEDS, HEIGHT, WIDTH)).astype(np.float32),
        "encoder": rng.uniform(-0.02, 0.02, (LEDS, 2)),
        "wavelength": 5e-7,
        "dxd": 6.5e-6,
        "zled": 0.08,
        "magnification": 10.0,
        "NA": 0.25,
    }


def write_hdf5(path: Path, variables: dict[str, Any]) -> Path:
    """Write datasets as they are."""
    with h5py.File(path, "w") as file:
        for name, value in variables.items():
            file[name] = value
    return path


def plain_acquisition() -> Acquisition:
    """An acquisition whose LEDs are known as directions only."""
    variables = matlab_variables()
    return Acquisition(
        variables["I_low"].transpose(2, 0, 1),
        Optics(WAVELENGTH_UM, 0.25, 0.65, 1.33),
        Illumination(variables["na_calib"]),
    )


def write_native(path: Path) -> Path:
    """Write `plain_acquisition` in this project's format."""
    write_acquisition(path, plain_acquisition())
    return path
