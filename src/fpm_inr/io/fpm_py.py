"""Folders of fpm-py: ``info.json`` beside one array or picture a frame, lengths in metres."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition, Illumination
from fpm_inr.errors import DataError, at
from fpm_inr.illumination import LedGeometry
from fpm_inr.io.arrays import npy_frame
from fpm_inr.io.correction import Correction
from fpm_inr.io.image_files import ImageFiles
from fpm_inr.io.json_files import entry_of, inside, read_json, taken
from fpm_inr.io.mosaic import Mosaic
from fpm_inr.io.picture_pages import colour_of
from fpm_inr.io.readers import NOTHING, Asked
from fpm_inr.io.window import Frames, Window, read_window

ENTRY = "info.json"
CAPTURES, NA = "captures", "objective_na"


def recognise(path: Path) -> Path | None:
    """The ``info.json`` of a folder."""
    return entry_of(path, ENTRY, CAPTURES)


def read(path: Path, asked: Asked = NOTHING) -> Acquisition:
    """Read a folder of fpm-py.

    Captures without LEDs are dark frames: their mean is subtracted. The format stores no NA:
    ``objective_na`` is looked for in ``info.json`` and its ``metadata``, and ``bayer`` (as "rggb")
    where frames are raw pictures of a colour camera.

    Parameters
    ----------
    path : Path
        The ``info.json``.
    asked : Asked, optional

    Raises
    ------
    DataError
        A key or a file is missing or damaged, or a frame has several LEDs or another wavelength.
    """
    with at(path):
        return _read(path, asked)


def _read(path: Path, asked: Asked) -> Acquisition:
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
    pixel_um = taken(
        path, lambda: float(content["sensor_pixel_size"]) * 1e6 / float(content["magnification"])
    )
    optics = taken(path, lambda: asked.optics(waves.pop() * 1e6, float(stored_na), pixel_um))
    frames: Frames = _FramesInFiles(taken(path, lambda: _paths(lit, path)))
    dark_frames: Frames = _FramesInFiles(taken(path, lambda: _paths(dark, path)))
    cell = metadata.get("bayer") if isinstance(metadata, dict) else None
    if cell is not None:
        if sorted(str(cell)) != ["b", "g", "g", "r"]:
            raise DataError(f"has bayer {cell!r}", 'give it as "rggb"')
        colour = colour_of(optics.wavelength_um)
        frames = Mosaic(frames, "lyx", cell, colour)
        dark_frames = Mosaic(dark_frames, "lyx", cell, colour)
        optics = replace(optics, pixel_um=2 * pixel_um)
    geometry = taken(path, lambda: _geometry(lit))
    correction = Correction(
        dark=_dark_level(dark_frames, frames.shape) if dark else 0.0,
        exposure_led=taken(path, lambda: _exposure(lit, path)),
    )
    illumination = Illumination(geometry.na_at(), geometry)
    return read_window(frames, asked.crop, optics, illumination, correction=correction)


def _dark_level(dark_frames: Frames, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The mean dark frame [y, x]."""
    whole = Window.of(dark_frames, None).read(dark_frames, slice(None))
    if whole.shape[1:] != shape[1:]:
        raise DataError("has dark frames of another size", "give frames alike")
    return np.asarray(whole.mean(axis=0, dtype=np.float32))


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
    return npy_frame(path, "iuf")
