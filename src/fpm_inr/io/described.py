"""Frames of any kind, described in an ``acquisition.yaml`` beside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition, Illumination, Optics
from fpm_inr.camera_noise import CameraNoise
from fpm_inr.errors import DataError, SettingsError, at
from fpm_inr.illumination import FloatArray, LedGeometry
from fpm_inr.io.arrays import npy_frame
from fpm_inr.io.correction import Correction, flat_field
from fpm_inr.io.described_leds import light_of
from fpm_inr.io.described_lighting import die_of, lighting_of, same_lists
from fpm_inr.io.exposures import merged, same_led
from fpm_inr.io.frame_choice import choose_frames
from fpm_inr.io.frame_names import Named, find_named
from fpm_inr.io.image_files import ImageFiles
from fpm_inr.io.mosaic import Mosaic
from fpm_inr.io.picture_pages import colour_of
from fpm_inr.io.readers import NOTHING, Asked
from fpm_inr.io.schema import (
    DESCRIPTION,
    Description,
    FramesPart,
    OpticsPart,
    names_file,
    read_description,
)
from fpm_inr.io.variables import SUFFIXES, opened_variable
from fpm_inr.io.window import Crop, Frames, Window, read_judged, seen_by_crop, seen_from_centre


def recognise(path: Path) -> Path | None:
    """The description: in a folder, given by name, or beside a file that it names."""
    if path.suffix.lower() in (".yaml", ".yml") and path.is_file():
        return path
    beside = path / DESCRIPTION if path.is_dir() else path.with_name(DESCRIPTION)
    if path.is_dir():
        return beside if beside.is_file() else None
    is_array_or_picture = path.suffix.lower() in (*SUFFIXES, ".tif", ".tiff")
    return beside if is_array_or_picture and names_file(beside, path.name) else None


def read(
    path: Path,
    asked: Asked = NOTHING,
    *,
    folder: Path | None = None,
    described: Description | None = None,
) -> Acquisition:
    """Read what an ``acquisition.yaml`` describes (docs/acquisition-yaml.md explains its keys).

    Parameters
    ----------
    path : Path
        The description.
    asked : Asked, optional
        Of a crop only these pixels are kept of every picture; array files that allow it are read
        in part.
    folder : Path, optional
        Where the files are that it names. Default: the description's own folder.
    described : Description, optional
        One channel of it, as `fpm_inr.io.channels` takes it out.

    Raises
    ------
    DataError
        The description or a file cannot be used.
    SettingsError
        No wavelength is described or given.
    """
    described = read_description(path) if described is None else described
    folder = path.parent if folder is None else folder
    with at(path):
        optics, notes = _optics(described, asked.wavelength_um, asked.medium_index)
        source = _Source(described.frames, folder, optics.wavelength_um)
        named = find_named(folder, described.frames.file)
        with source.opened(named) as (stored, order):
            acquisition = _assemble(described, source, named, stored, order, optics, asked.crop)
        return replace(acquisition, notes=(*notes, *source.notes, *acquisition.notes))


def _assemble(
    described: Description,
    source: _Source,
    named: list[Named],
    stored: Frames,
    order: str,
    optics: Optics,
    crop: Crop | None,
) -> Acquisition:
    part, axis = described.frames, described.optics.axis_y_x_px
    count = stored.shape[order.index("l")]
    says = [one.says for one in named] if len(named) == count else []
    light = light_of(described.leds, source.folder, says)
    chosen = choose_frames(described, named, stored.shape, order, light)
    window = Window.of(stored, crop, order=order)
    exposure = chosen.exposure
    correction = Correction(
        part.values, _dark(source, stored, order), None, exposure.astype(np.float32)
    )
    if part.flat_field is not None:
        bright = _mean_frame(source, stored, order, part.flat_field, "flat_field")
        correction = replace(correction, flat_y_x=flat_field(bright, correction))
    mask = _mask(source, stored, order)
    judged = read_judged(_Some(stored, order, chosen.frames), window, correction, mask)
    noise = None
    if part.camera is not None:
        unit = 1 / (part.camera.gain_e_per_count * exposure)
        noise = CameraNoise(unit, part.camera.read_noise_e)
    leds, is_listed = chosen.leds, described.leds.lit is not None
    groups = same_lists(described.leds, leds) if is_listed else same_led(_places(light)[leds])
    if len(groups) < len(leds):
        judged, noise = merged(judged, groups, exposure, noise)
        leds = leds[[group[0] for group in groups]]
        judged.notes.append(
            f"{len(chosen.leds)} frames of {len(groups)} "
            + ("patterns: those of one pattern" if is_listed else "LEDs: those of one LED")
            + " are merged."
        )
    lighting = None
    if is_listed:
        lighting, leds = lighting_of(described.leds, leds)
    shape = (stored.shape[order.index("y")], stored.shape[order.index("x")])
    die = die_of(described.leds, knows_places=isinstance(light, LedGeometry))
    illumination = replace(
        _illumination(light, leds, axis, shape, optics), lighting=lighting, die=die
    )
    acquisition = judged.acquisition(optics, *seen_by_crop(illumination, axis, crop, shape, optics))
    notes = (*chosen.notes, *acquisition.notes, *_faint(acquisition, noise))
    return replace(acquisition, noise=noise, notes=notes)


def _faint(acquisition: Acquisition, noise: CameraNoise | None) -> list[str]:
    """A sentence on frames with so few electrons that their brightness stays open."""
    if noise is None:
        return []
    mean = acquisition.frames_led_y_x.mean(axis=(1, 2), dtype=np.float64)
    electrons = mean / noise.intensity_per_electron_led
    least = max(1.0, noise.read_noise_e**2)
    faint = np.flatnonzero(electrons < least)
    if not len(faint):
        return []
    named = ", ".join(map(str, faint[:5])) + (" and more" if len(faint) > 5 else "")
    return [
        f"{len(faint)} frames ({named}, counted from 0) hold under {least:g} photo-electrons a "
        "pixel: gains of their LEDs are undetermined."
    ]


def _optics(
    described: Description, wavelength_um: float | None, medium_index: float | None
) -> tuple[Optics, list[str]]:
    """The imaging side, and what is to be said of it."""
    part = described.optics
    wavelength_um = part.wavelength_um if wavelength_um is None else wavelength_um
    if wavelength_um is None:
        raise SettingsError(
            "is neither described nor given", "add it in um", field="optics.wavelength_um"
        )
    pixel_um, notes = _pixel_um(part), []
    if described.frames.bayer is not None:
        # pixels of one colour are two pixels apart
        if 2 * pixel_um <= wavelength_um / (2 * part.na):
            pixel_um *= 2
        else:
            notes.append(
                f"Two pixels of {pixel_um:g} um would be too coarse for this NA: {pixel_um:g} um "
                "is taken as the distance of pixels of one colour (frames.bayer)."
            )
    medium_index = part.medium_index if medium_index is None else medium_index
    try:
        return Optics(wavelength_um, part.na, pixel_um, medium_index), notes
    except DataError as error:
        raise error.at("", f"optics.{error.field}") from error


def _pixel_um(part: OpticsPart) -> float:
    camera = (part.camera_pixel_um, part.magnification)
    if part.pixel_um is not None and camera == (None, None):
        return part.pixel_um
    if part.pixel_um is None and camera[0] is not None and camera[1] is not None:
        return camera[0] / camera[1]
    raise DataError(
        "does not say one pixel",
        "give pixel_um (at the sample), or camera_pixel_um and magnification",
        field="optics",
    )


class _Source:
    """Files of a description, opened as frames of one channel."""

    def __init__(self, part: FramesPart, folder: Path, wavelength_um: float) -> None:
        self.part, self.folder, self.wavelength_um = part, folder, wavelength_um
        self.notes: list[str] = []

    @contextmanager
    def opened(
        self, named: list[Named], variable: str | None = None
    ) -> Iterator[tuple[Frames, str]]:
        """The frames as they are stored, and the order of their axes."""
        part, files = self.part, [one.path for one in named]
        if sorted(part.axes) != ["l", "x", "y"]:
            raise DataError(
                f"is {part.axes!r}",
                "order the letters l (LED), y and x, as in lyx or yxl",
                field="frames.axes",
            )
        if not any(path.suffix.lower() in SUFFIXES for path in files):
            if part.axes != "lyx" or part.variable is not None:
                raise DataError(
                    "are pictures: they have no variable and the axes lyx",
                    "leave both keys out",
                    field="frames",
                )
            pictures = ImageFiles(files, part.channel, self.wavelength_um, self.notes)
            if part.bayer is None:
                yield pictures, "lyx"
            else:
                yield self._one_colour(pictures, "lyx"), "lyx"
            return
        if len(files) > 1:
            raise DataError(
                f"finds {len(files)} files of which some are arrays",
                "name one array file, or pictures only",
                field="frames.file",
            )
        with opened_variable(files[0], variable or part.variable, part.axes) as (stored, order):
            yield (stored if part.bayer is None else self._one_colour(stored, order)), order

    def _one_colour(self, stored: Frames, order: str) -> Mosaic:
        assert self.part.bayer is not None
        colour = self.part.channel or colour_of(self.wavelength_um)
        return Mosaic(stored, order, self.part.bayer, colour)

    def frame(self, name: str, field: str) -> NDArray[Any]:
        """One frame [y, x] of a file of its own: the mean where it holds several."""
        named = find_named(self.folder, [name])
        if all(one.path.suffix.lower() == ".npy" for one in named):
            frames = [npy_frame(one.path, "iufb") for one in named]
            return np.asarray(np.mean(frames, axis=0, dtype=np.float32))
        pictures = ImageFiles([one.path for one in named], self.part.channel, self.wavelength_um)
        stored: Frames = pictures
        if self.part.bayer is not None and field != "mask":
            stored = self._one_colour(pictures, "lyx")
        everything = stored[:, :, :]
        if len(everything) == 1:
            return np.asarray(everything[0])
        return np.asarray(np.mean(everything, axis=0, dtype=np.float32))


def _mean_frame(
    source: _Source, stored: Frames, order: str, given: list[int | str], key: str
) -> NDArray[Any]:
    """The mean [y, x] of frames that are given by number or by file."""
    frames = []
    for one in given:
        if isinstance(one, str):
            frame = source.frame(one, key)
        else:
            count = stored.shape[order.index("l")]
            if one >= count:
                raise DataError(
                    f"names frame {one} of {count}", "count from 0", field=f"frames.{key}"
                )
            frame = Window.of(stored, None, order=order).read(stored, slice(one, one + 1))[0]
        shape = tuple(stored.shape[order.index(axis)] for axis in "yx")
        if frame.shape != shape:
            raise DataError(
                f"is {frame.shape[0]} x {frame.shape[1]} pixels (y x x) for frames of "
                f"{shape[0]} x {shape[1]}",
                "give one of the frames' size",
                field=f"frames.{key}",
            )
        frames.append(frame)
    return np.asarray(frames[0] if len(frames) == 1 else np.mean(frames, 0, dtype=np.float32))


def _dark(source: _Source, stored: Frames, order: str) -> float | NDArray[np.float32]:
    part = source.part
    if part.dark_frame is None:
        return part.dark_level
    # a dark frame says more than a level, and holds it
    frame = _mean_frame(source, stored, order, part.dark_frame, "dark_frame")
    return np.asarray(frame, dtype=np.float32)


def _mask(source: _Source, stored: Frames, order: str) -> NDArray[np.bool_] | None:
    """Pixels [y, x] that a mask file leaves out: those that are 0 in it."""
    if source.part.mask is None:
        return None
    frame = _mean_frame(source, stored, order, [source.part.mask], "mask")
    lies = np.asarray(frame == 0)
    if lies.all():
        raise DataError("leaves out every pixel", "give 0 where a pixel lies", field="frames.mask")
    return lies


def _places(light: LedGeometry | FloatArray) -> FloatArray:
    return light.position_led_xyz_mm if isinstance(light, LedGeometry) else light


def _illumination(
    light: LedGeometry | FloatArray,
    leds: NDArray[np.intp],
    axis_y_x_px: tuple[float, float] | None,
    shape_y_x: tuple[int, int],
    optics: Optics,
) -> Illumination:
    """Directions at the centre of the frame."""
    if not isinstance(light, LedGeometry):
        return Illumination(light[leds])
    geometry = light.select(leds)
    on_axis = Illumination(geometry.na_at(), geometry)
    if axis_y_x_px is None:
        return on_axis
    return seen_from_centre(on_axis, axis_y_x_px, shape_y_x, optics)


@dataclass(frozen=True, eq=False)
class _Some:
    """Some of the stored frames, in growing order."""

    stored: Frames
    order: str
    chosen: NDArray[np.intp]

    @property
    def shape(self) -> tuple[int, ...]:
        shape = list(self.stored.shape)
        shape[self.order.index("l")] = len(self.chosen)
        return tuple(shape)

    def __getitem__(self, key: Any, /) -> NDArray[Any]:
        wanted = list(key)
        place = self.order.index("l")
        some = self.chosen[wanted[place]]
        if len(some) and some[-1] - some[0] == len(some) - 1:
            wanted[place] = slice(int(some[0]), int(some[-1]) + 1)
        else:
            wanted[place] = some
        return np.asarray(self.stored[tuple(wanted)])
