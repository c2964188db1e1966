"""Folders of fpm-py: ``info.json`` beside one array or picture a frame, lengths in metres."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.errors import DataError, InputError
from fpm_inr.illumination import LedGeometry
from fpm_inr.io.correction import Correction
from fpm_inr.io.image_files import ImageFiles
from fpm_inr.io.json_files import inside, read_json, taken
from fpm_inr.io.mosaic import Mosaic
from fpm_inr.io.picture_pages import colour_of
from fpm_inr.io.window import Crop, Frames, Window, read_window

ENTRY = "info.json"
CAPTURES, NA = "captures", "objective_na"


def read(
    path: Path,
    *,
    crop: Crop | None = None,
    wavelength_um: float | None = None,
    medium_index: float | None = None,
) -> Acquisition:
    """Read a folder of fpm-py.

    Captures without LEDs are dark frames: their mean is subtracted. The format stores no NA:
    ``objective_na`` is looked for in ``info.json`` and its ``metadata``, and ``bayer`` (as "rggb")
    where frames are raw pictures of a colour camera.

    Parameters
    ----------
    path : Path
        The ``info.json``.
    crop : (y, x, height, width), optional
    wavelength_um, medium_index : float, optional
        Replace the stored wavelength and the index of air.

    Raises
    ------
    DataError
        A key or a file is missing or damaged, or a frame has several LEDs or another wavelength.
    """
    try:
        return _read(path, crop, wavelength_um, medium_index)
    except InputError as error:
        raise (error if error.source else error.at(path)) from error


def _read(
    path: Path, crop: Crop | None, wavelength_um: float | None, medium_index: float | None
) -> Acquisition:
    content = read_json(path)
    captures: list[dict[str, Any]] = taken(path, lambda: list(content[CAPTURES]))
    lit = taken(path, lambda: [one for one in captures if one["led_positions"]])
    dark = [one for one in captures if one not in lit]
    if not lit or any(len(one["led_positions"]) != 1 for one in lit):
        raise DataError("has frames of no LED or of several", "give one LED a frame", source=path)
    waves = taken(path, lambda: {float(one["wavelength"]) for one in lit})
    if len(waves) != 1:
        raise DataError(
            f"has {len(waves)} wavelengths", "give frames of one wavelength", source=path
        )
    metadata = content.get("metadata") or {}
    stored_na = content.get(NA, metadata.get(NA) if isinstance(metadata, dict) else None)
    if stored_na is None:
        raise DataError(
            "does not tell the objective's NA, which fpm-py does not store",
            f'add "{NA}" to its metadata',
            source=path,
        )
    wave_um = waves.pop() * 1e6 if wavelength_um is None else wavelength_um
    geometry = taken(path, lambda: _geometry(lit))
    pixel_um = taken(
        path, lambda: float(content["sensor_pixel_size"]) * 1e6 / float(content["magnification"])
    )
    frames: Frames = _FramesInFiles(taken(path, lambda: _paths(lit, path)))
    dark_frames: Frames = _FramesInFiles(taken(path, lambda: _paths(dark, path)))
    cell = metadata.get("bayer") if isinstance(metadata, dict) else None
    if cell is not None:
        if sorted(str(cell)) != ["b", "g", "g", "r"]:
            raise DataError(f"has bayer {cell!r}", 'give it as "rggb"', source=path)
        frames = Mosaic(frames, "lyx", cell, colour_of(wave_um))
        dark_frames = Mosaic(dark_frames, "lyx", cell, colour_of(wave_um))
        pixel_um *= 2
    optics = taken(path, lambda: Optics(wave_um, float(stored_na), pixel_um, medium_index or 1.0))
    level: Any = 0.0
    if dark:
        whole = Window.of(dark_frames, None).read(dark_frames, slice(None))
        if whole.shape[1:] != frames.shape[1:]:
            raise DataError("has dark frames of another size", "give frames alike", source=path)
        level = whole.mean(axis=0, dtype=np.float32)
    illumination = Illumination(geometry.na_at(), geometry)
    correction = Correction(dark=level, exposure_led=taken(path, lambda: _exposure(lit, path)))
    return read_window(frames, crop, optics, illumination, correction=correction)


def _geometry(lit: list[dict[str, Any]]) -> LedGeometry:
    places = [[float(one["led_positions"][0][axis]) * 1e3 for axis in "xyz"] for one in lit]
    position = np.array(places)
    # some rigs count the way to the LEDs downward
    position[:, 2] = np.abs(position[:, 2])
    return LedGeometry(position)


def _exposure(lit: list[dict[str, Any]], path: Path) -> NDArray[np.float32] | None:
    times = [one.get("exposure") for one in lit]
    if all(one is None for one in times):
        return None
    given = np.array([float("nan") if one is None else float(one) for one in times])
    if not (np.isfinite(given).all() and (given > 0).all()):
        raise DataError("has an exposure that is missing or not above 0", "add it", source=path)
    return np.asarray(given / given.max(), dtype=np.float32)


def _paths(captures: list[dict[str, Any]], path: Path) -> list[Path]:
    return [inside(path.parent, one["filename"], path) for one in captures]


@dataclass(frozen=True, eq=False)
class _FramesInFiles:
    """Frames [led, y, x], one an array file (.npy) or a picture."""

    paths: list[Path]

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.paths), *_frame(self.paths[0]).shape)

    def __getitem__(self, key: Any, /) -> NDArray[Any]:
        leds, y, x = key
        shape = self.shape[1:]
        frames = []
        for path in self.paths[leds]:
            frame = _frame(path)
            if frame.shape != shape:
                raise DataError(
                    f"is {frame.shape[0]} x {frame.shape[1]} pixels (y x x), the first frame "
                    f"{shape[0]} x {shape[1]}",
                    "give frames of one size",
                    source=path,
                )
            frames.append(frame[y, x])
        return np.stack(frames)


def _frame(path: Path) -> NDArray[Any]:
    if path.suffix.lower() != ".npy":
        return np.asarray(ImageFiles([path])[:, :, :][0])
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    # NumPy has no base class for what damaged files make it raise
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(f"cannot be read ({reason})", "restore the file", source=path) from error
    if array.ndim != 2 or array.dtype.kind not in "iuf" or not array.size:
        raise DataError(
            f"has shape {array.shape} and type {array.dtype}",
            "store one frame [y, x] of real numbers",
            source=path,
        )
    return array
