"""This project's own file: an Acquisition as HDF5, exact and readable in part."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition, Illumination
from fpm_inr.camera_noise import CameraNoise
from fpm_inr.errors import DataError
from fpm_inr.files import hdf5
from fpm_inr.illumination import LedGeometry
from fpm_inr.io.readers import NOTHING, Asked
from fpm_inr.io.window import Judged, Window, seen_by_crop
from fpm_inr.lighting import Die, Lighting

KIND = "fpm-inr acquisition"
# 2: pixels may be without weight or saturated, which a reader of 1 would not know
# 3: frames may have several LEDs, and LEDs a size
VERSION, JUDGED_VERSION, SOURCES_VERSION = 1, 2, 3
OPTICS = ("wavelength_um", "na", "pixel_um", "medium_index")
CHUNK_PX = 128
JUDGED = ("weight_led_y_x", "saturated_led_y_x")
PAIRS = ("frame_pair", "led_pair", "weight_pair")
SIZES = ("size_mm", "size_na")


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
    with hdf5.writing(path) as file:
        file.attrs["format"] = KIND
        judged = {name: getattr(acquisition, name) for name in JUDGED}
        file.attrs["version"] = _version(acquisition)
        _, height, width = acquisition.frames_led_y_x.shape
        arrays = {"frames_led_y_x": acquisition.frames_led_y_x} | {
            name: np.asarray(one, dtype=np.uint8) for name, one in judged.items() if one is not None
        }
        for name, array in arrays.items():
            file.create_dataset(
                name,
                data=array,
                chunks=(1, min(height, CHUNK_PX), min(width, CHUNK_PX)),
                compression="gzip",
                compression_opts=4,
                shuffle=True,
            )
        if acquisition.noise is not None:
            unit = acquisition.noise.intensity_per_electron_led
            file["camera/intensity_per_electron_led"] = unit
            file["camera/read_noise_e"] = float(acquisition.noise.read_noise_e)
        if acquisition.notes:
            file.attrs["notes"] = "\n".join(acquisition.notes)
        for name in OPTICS:
            file[f"optics/{name}"] = getattr(acquisition.optics, name)
        file["axis_y_x_px"] = np.asarray(acquisition.axis_y_x_px, dtype=np.float64)
        file["illumination/na_led_xy"] = acquisition.illumination.na_led_xy
        _write_sources(file, acquisition.illumination)
        geometry = acquisition.illumination.geometry
        if geometry is not None:
            file["illumination/position_led_xyz_mm"] = geometry.position_led_xyz_mm
            file["illumination/slide_mm"] = float(geometry.slide_mm)
            file["illumination/slide_index"] = float(geometry.slide_index)


def _version(acquisition: Acquisition) -> int:
    """The least that tells all there is, so that older programs read what they can."""
    light = acquisition.illumination
    if light.lighting is not None or light.die is not None:
        return SOURCES_VERSION
    is_judged = any(getattr(acquisition, name) is not None for name in JUDGED)
    return JUDGED_VERSION if is_judged else VERSION


def _write_sources(file: h5py.File, light: Illumination) -> None:
    if light.lighting is not None:
        for name in PAIRS:
            file[f"illumination/{name}"] = getattr(light.lighting, name)
    if light.die is not None:
        for name, value in asdict(light.die).items():
            if value is not None:
                file["illumination"].attrs[f"die_{name}"] = value


def recognise(path: Path) -> Path | None:
    """The file itself, where it says that it is of this kind."""
    return hdf5.recognised(path, lambda file: hdf5.text(file, "format") == KIND)


def read(path: Path, asked: Asked = NOTHING) -> Acquisition:
    """Read a file of `write_acquisition`; only the crop is loaded.

    Parameters
    ----------
    path : Path
    asked : Asked, optional

    Raises
    ------
    DataError
        The file is damaged, of another version, or the crop leaves the frame.
    """
    with hdf5.reading(path) as file:
        version = file.attrs.get("version")
        if version not in (VERSION, JUDGED_VERSION, SOURCES_VERSION):
            raise DataError(
                f"has version {version} of {KIND!r}, this program reads 1 to 3",
                "convert the original data again",
            )
        stored = {name: hdf5.number(file, f"optics/{name}") for name in OPTICS}
        axis = hdf5.array(file, "axis_y_x_px", 1)
        if axis.shape != (2,):
            raise DataError(f"has shape {axis.shape}", "store (y, x)", field="axis_y_x_px")
        frames = hdf5.dataset(file, "frames_led_y_x", 3)
        window = Window.of(frames, asked.crop)
        judged = Judged(
            window.read_all(frames),
            _judged_part(file, JUDGED[0], frames.shape, window),
            _judged_part(file, JUDGED[1], frames.shape, window),
            (hdf5.text(file, "notes") or "").splitlines(),
        )
        optics, light, noise = asked.optics(**stored), _illumination(file), _noise(file)
        shape = (frames.shape[1], frames.shape[2])
        middle = (float(axis[0]), float(axis[1]))
        seen = seen_by_crop(light, middle, asked.crop, shape, optics)
        return replace(judged.acquisition(optics, *seen), noise=noise)


def _illumination(file: h5py.File) -> Illumination:
    geometry = None
    if "illumination/position_led_xyz_mm" in file:
        geometry = LedGeometry(
            hdf5.array(file, "illumination/position_led_xyz_mm", 2),
            hdf5.number(file, "illumination/slide_mm"),
            hdf5.number(file, "illumination/slide_index"),
        )
    na_led_xy = hdf5.array(file, "illumination/na_led_xy", 2)
    return Illumination(na_led_xy, geometry, *_sources(file))


def _sources(file: h5py.File) -> tuple[Lighting | None, Die | None]:
    """Which LEDs light each frame, and how large they are, where that is stored."""
    lighting = die = None
    if f"illumination/{PAIRS[0]}" in file:
        frame, led, weight = (hdf5.array(file, f"illumination/{name}", 1) for name in PAIRS)
        lighting = Lighting(hdf5.whole(frame, PAIRS[0]), hdf5.whole(led, PAIRS[1]), weight)
    told = dict(file["illumination"].attrs)
    if any(name.startswith("die_") for name in told):
        sizes = {name: float(told[f"die_{name}"]) for name in SIZES if f"die_{name}" in told}
        die = Die(
            **sizes,
            shape=str(told["die_shape"]),  # type: ignore[arg-type]
            points_across=int(told["die_points_across"]),
        )
    return lighting, die


def _noise(file: h5py.File) -> CameraNoise | None:
    if "camera/intensity_per_electron_led" not in file:
        return None
    return CameraNoise(
        hdf5.array(file, "camera/intensity_per_electron_led", 1),
        hdf5.number(file, "camera/read_noise_e"),
    )


def _judged_part(
    file: h5py.File, name: str, shape: tuple[int, ...], window: Window
) -> NDArray[np.bool_] | None:
    """Pixels that lie, or are saturated, in the window; None where nothing is stored."""
    if name not in file:
        return None
    stored = hdf5.dataset(file, name, 3)
    if stored.shape != shape:
        raise DataError(f"has shape {stored.shape}", f"store {shape}", field=name)
    said = window.read(stored, slice(None))
    return said == 0 if name == "weight_led_y_x" else said != 0
