"""Where the tiles' frames come from: data on disk of which only windows are read."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fpm_inr.acquisition import Acquisition, CropError, Illumination, offset_from_axis_um
from fpm_inr.errors import DataError, SettingsError
from fpm_inr.illumination import LedGeometry
from fpm_inr.io import load
from fpm_inr.io.channels import load_channel

Crop = tuple[int, int, int, int]

# larger than any frame
_BEYOND = 2**40
# what marks a folder as this program's, whose files are no data
RESULTS = ("manifest.json", "run.json")


@dataclass(frozen=True)
class Source:
    """An acquisition on disk, and what `fpm_inr.load` is told about it.

    Parameters
    ----------
    data : Path
    wavelength_um, color, medium_index
        As `fpm_inr.load`.
    led_distance_mm : float, optional
        From the sample to the plane of the LEDs, through air: for formats that hold directions
        only, which then become those of LEDs on a plane this far away.
    channel : str, optional
        Which of the ``channels`` of a description it is.
    """

    data: Path
    wavelength_um: float | None = None
    color: str | None = None
    medium_index: float | None = None
    led_distance_mm: float | None = None
    channel: str | None = None

    def __post_init__(self) -> None:
        distance = self.led_distance_mm
        if distance is not None and not (np.isfinite(distance) and distance > 0):
            raise SettingsError(f"is {distance:g}", "give millimetres", field="led distance")

    def shape_y_x(self) -> tuple[int, int]:
        """Pixels (y, x) of a frame; no frame is read.

        Raises
        ------
        DataError
            The data cannot be read.
        """
        try:
            frame = self._load((0, 0, _BEYOND, _BEYOND))
        except CropError as error:
            return error.shape_y_x
        return frame.shape_y_x

    def window(self, crop: Crop, shape_y_x: tuple[int, int]) -> Acquisition:
        """The acquisition of a window (y, x, height, width) of frames of this shape.

        Its LED directions are those at its own centre, where LED places or their distance are
        known.

        Raises
        ------
        DataError
            The data cannot be read.
        SettingsError
            LED places are known, and a distance is given as well.
        """
        acquisition = self._load(crop)
        if self.led_distance_mm is None:
            return acquisition
        if acquisition.illumination.geometry is not None:
            raise SettingsError(
                "is given for data that hold the places of their LEDs",
                "leave it out, or correct the places",
                field="led distance",
            )
        assert acquisition.axis_y_x_px is not None
        axis = acquisition.axis_y_x_px
        whole_axis = (axis[0] + crop[0], axis[1] + crop[1])
        middle = offset_from_axis_um(whole_axis, shape_y_x, acquisition.optics)
        geometry = _placed(acquisition.illumination, middle, self.led_distance_mm)
        seen = offset_from_axis_um(axis, acquisition.shape_y_x, acquisition.optics)
        light = acquisition.illumination
        placed = replace(light, na_led_xy=geometry.na_at(*seen), geometry=geometry)
        return replace(acquisition, illumination=placed)

    def digest(self, apart: Path) -> str:
        """SHA-256 of the data's files: their names and contents.

        Of a folder, or what a description in it names, all files count, but none in `apart` and
        none in folders of results.
        """
        digest = hashlib.sha256()
        for file in self._files(apart.resolve()):
            digest.update(file.name.encode())
            try:
                with file.open("rb") as content:
                    digest.update(hashlib.file_digest(content, "sha256").digest())
            except OSError as error:
                raise DataError(
                    f"cannot be read ({error.strerror})", "make it readable", source=file
                ) from error
        return digest.hexdigest()

    def _load(self, crop: Crop) -> Acquisition:
        if self.channel is not None:
            return load_channel(self.data, self.channel, crop=crop, medium_index=self.medium_index)
        return load(
            self.data,
            crop=crop,
            wavelength_um=self.wavelength_um,
            color=self.color,
            medium_index=self.medium_index,
        )

    def _files(self, apart: Path) -> list[Path]:
        data = self.data.resolve()
        describes = data.suffix.lower() in (".yaml", ".yml", ".json")
        if not (data.is_dir() or describes):
            beside = data.with_name("acquisition.yaml")
            return [data, beside] if beside.is_file() else [data]
        found: list[Path] = []
        for place, inner, names in os.walk(data if data.is_dir() else data.parent):
            folder = Path(place)
            inner[:] = sorted(
                name
                for name in inner
                if (folder / name) != apart
                and not any((folder / name / mark).exists() for mark in RESULTS)
            )
            found += [folder / name for name in sorted(names) if not name.startswith(".")]
        return found


def _placed(
    illumination: Illumination, middle_x_y_um: tuple[float, float], distance_mm: float
) -> LedGeometry:
    """Places of LEDs on a plane, from their directions at the middle of the frame."""
    na = illumination.na_led_xy
    slope = na / np.sqrt(1 - np.square(na).sum(axis=1, keepdims=True))
    places = slope * distance_mm + np.array(middle_x_y_um) * 1e-3
    return LedGeometry(np.hstack([places, np.full((len(na), 1), distance_mm)]))
