"""Several wavelengths of one specimen: several acquisitions, or the channels of a description."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fpm_inr.acquisition import Acquisition, CropError
from fpm_inr.errors import DataError, InputError, SettingsError
from fpm_inr.io import load
from fpm_inr.io.mosaic import LETTERS
from fpm_inr.io.picture_pages import colour_of
from fpm_inr.io.readers import Asked
from fpm_inr.io.schema import DESCRIPTION, Description, checked_description
from fpm_inr.io.yaml_text import read_yaml

Crop = tuple[int, int, int, int]
KEYS = ("wavelength_um", "frames", "leds")
MOST_CHANNELS = 16


def described_channels(path: Path) -> Path | None:
    """The description with ``channels`` that a path means; None where it means something else."""
    description = path / DESCRIPTION if path.is_dir() else path
    if description.suffix.lower() not in (".yaml", ".yml") or not description.is_file():
        return None
    try:
        content = read_yaml(description, DataError)
    except DataError:
        return None
    return description if isinstance(content, dict) and "channels" in content else None


def load_channels(
    paths: Sequence[Path],
    *,
    wavelengths_um: Sequence[float] | None = None,
    crop: Crop | None = None,
    medium_index: float | None = None,
) -> dict[str, Acquisition]:
    """Acquisitions by name: of one description with channels, or of one file each.

    Files are named by their wavelengths: red, green, blue, or in nm where two share a colour.

    Parameters
    ----------
    paths : sequence of Path
    wavelengths_um : sequence of float, optional
        One a file, where the files do not tell.
    crop : (y, x, height, width), optional
        The same window of all, in pixels of the camera.
    medium_index : float, optional

    Raises
    ------
    DataError
        A file or a description cannot be used, or two are of one wavelength.
    SettingsError
        There are not as many wavelengths as files.
    """
    from fpm_inr.solution_set import channel_names

    if len(paths) == 1:
        description = described_channels(paths[0])
        if description is None:
            raise DataError(
                "is one wavelength", "give one acquisition a wavelength", source=paths[0]
            )
        if wavelengths_um is not None:
            raise SettingsError(
                "are given, and the description has its own",
                "leave one out",
                field="wavelengths",
            )
        return read_channels(description, crop=crop, medium_index=medium_index)
    if wavelengths_um is not None and len(wavelengths_um) != len(paths):
        raise SettingsError(
            f"are {len(wavelengths_um)} for {len(paths)} acquisitions",
            "give one for each, in their order",
            field="wavelengths",
        )
    wavelengths = [None] * len(paths) if wavelengths_um is None else list(wavelengths_um)
    acquisitions = [
        load(path, crop=crop, wavelength_um=wavelength, medium_index=medium_index)
        for path, wavelength in zip(paths, wavelengths, strict=True)
    ]
    told = [one.optics.wavelength_um for one in acquisitions]
    if len(set(told)) < len(told):
        same = next(one for one in told if told.count(one) > 1)
        raise DataError(
            f"are {same:g} um in two of them",
            "give --wavelengths, one for each in their order",
            field="wavelengths",
        )
    return dict(zip(channel_names(told), acquisitions, strict=True))


def read_channels(
    path: Path, *, crop: Crop | None = None, medium_index: float | None = None
) -> dict[str, Acquisition]:
    """Acquisitions by name, of a description with ``channels``.

    A channel has its wavelength and what differs from the rest of the description: keys of
    ``frames``, or its LEDs. Frames of a camera whose pixels lie under colour filters keep their
    size: a channel has the pixels of its own colour, and all others have no weight.

    Parameters
    ----------
    path : Path
        The description.
    crop : (y, x, height, width), optional
        In pixels of the camera.
    medium_index : float, optional

    Raises
    ------
    DataError
        The description or a file cannot be used.
    """
    contents = _channel_contents(path)
    return {name: _described(path, name, one, crop, medium_index) for name, one in contents.items()}


def names_of_channels(path: Path) -> list[str]:
    """Names of the channels of a description.

    Raises
    ------
    DataError
        They cannot be used.
    """
    return list(_channel_contents(path))


def load_channel(
    path: Path, name: str, *, crop: Crop | None = None, medium_index: float | None = None
) -> Acquisition:
    """One of the wavelengths that `read_channels` gives; path as for `described_channels`.

    Raises
    ------
    DataError
        There is none of this name, or it cannot be used.
    """
    description = described_channels(path)
    contents = {} if description is None else _channel_contents(description)
    if description is None or name not in contents:
        raise DataError(
            f"has no channel {name!r}",
            f"name one of {', '.join(contents) or 'a description with channels'}",
            source=path,
        )
    return _described(description, name, contents[name], crop, medium_index)


def _described(
    path: Path, name: str, content: dict[str, Any], crop: Crop | None, medium_index: float | None
) -> Acquisition:
    """One wavelength of a description."""
    from fpm_inr.io.described import read

    described = checked_description(content, path)
    try:
        if described.frames.bayer is None:
            return read(path, Asked(crop, None, medium_index), described=described)
        return _mosaic(path, described, crop, medium_index)
    except InputError as error:
        field = f"channels.{name}" + (f": {error.field}" if error.field else "")
        raise error.at(error.source or path, field) from error


def _channel_contents(path: Path) -> dict[str, dict[str, Any]]:
    """What a description of each channel alone would hold."""
    content = read_yaml(path, DataError)
    channels = content.pop("channels", None)
    if not isinstance(channels, dict) or not 2 <= len(channels) <= MOST_CHANNELS:
        raise DataError(
            "is no list of names with two or more channels",
            "give each a name and its wavelength_um",
            field="channels",
            source=path,
        )
    whole = {}
    for name, own in channels.items():
        field = f"channels.{name}"
        if not isinstance(name, str) or not name.replace("-", "").replace("_", "").isalnum():
            raise DataError(
                f"is {name!r}", "name it in letters and digits", field="channels", source=path
            )
        if not isinstance(own, dict):
            raise DataError("has no keys", "give its wavelength_um", field=field, source=path)
        unknown = [key for key in own if key not in KEYS]
        if unknown:
            raise DataError(
                "is no known key",
                f"the keys here are {', '.join(KEYS)}",
                field=f"{field}.{unknown[0]}",
                source=path,
            )
        if "wavelength_um" not in own:
            raise DataError(
                "is missing", "add this key", field=f"{field}.wavelength_um", source=path
            )
        merged = dict(content)
        for key in ("frames", "leds"):
            if key in own and not isinstance(own[key], dict):
                raise DataError(
                    "has no keys", "give what differs", field=f"{field}.{key}", source=path
                )
        merged["frames"] = {**(content.get("frames") or {}), **own.get("frames", {})}
        if "leds" in own:
            merged["leds"] = own["leds"]
        merged["optics"] = {**(content.get("optics") or {}), "wavelength_um": own["wavelength_um"]}
        whole[name] = merged
    return whole


def _mosaic(
    path: Path, described: Description, crop: Crop | None, medium_index: float | None
) -> Acquisition:
    """Frames of the camera's size in which the pixels of one colour count, and no others.

    Every place of the colour in a cell of 2 x 2 pixels is read by itself, and judged there.
    """
    from fpm_inr.io.described import read

    frames = described.frames
    assert frames.bayer is not None
    wavelength = described.optics.wavelength_um
    assert wavelength is not None
    colour = frames.channel or colour_of(wavelength)
    places = [n for n, letter in enumerate(frames.bayer) if letter in LETTERS[colour]]
    cells = None if crop is None else _cells(crop)
    # of a cell, only this pixel: the mosaic's own reader takes the mean of several
    alone = [
        "".join(c if n == place else "-" for n, c in enumerate(frames.bayer)) for place in places
    ]
    parts = []
    for cell in alone:
        only = frames.model_copy(update={"bayer": cell, "channel": colour})
        one = described.model_copy(
            update={"frames": only, "optics": _coarse(described, wavelength)}
        )
        try:
            parts.append(read(path, Asked(cells, None, medium_index), described=one))
        except CropError as error:  # it has said how many cells there are
            error.shape_y_x = (2 * error.shape_y_x[0], 2 * error.shape_y_x[1])
            raise
    spread = _spread(parts, places, described)
    if crop is None or cells is None:
        return spread
    y, x = crop[0] - 2 * cells[0], crop[1] - 2 * cells[1]
    if (y, x) == (0, 0) and spread.shape_y_x == tuple(crop[2:]):
        return spread
    return spread.crop(y, x, crop[2], crop[3])


def _coarse(described: Description, wavelength_um: float) -> Any:
    """Optics that pass for the pixels of one colour while they are read; `_spread` mends them."""
    optics = described.optics
    fine = 0.9 * wavelength_um / (2 * optics.na) / 2
    pixel = optics.pixel_um or (optics.camera_pixel_um or 0.0) / (optics.magnification or 1.0)
    axis = optics.axis_y_x_px
    update: dict[str, Any] = {
        "pixel_um": min(pixel, fine),
        "camera_pixel_um": None,
        "magnification": None,
        "axis_y_x_px": None if axis is None else ((axis[0] - 0.5) / 2, (axis[1] - 0.5) / 2),
    }
    return optics.model_copy(update=update)


def _cells(crop: Crop) -> Crop:
    """The cells of 2 x 2 pixels that hold a window."""
    y, x, height, width = crop
    first_y, first_x = y // 2, x // 2
    return first_y, first_x, -(-(y + height) // 2) - first_y, -(-(x + width) // 2) - first_x


def _spread(parts: list[Acquisition], places: list[int], described: Description) -> Acquisition:
    """One acquisition of the camera's size from those of single pixels of its cells."""
    first, optics = parts[0], described.optics
    pixel = optics.pixel_um
    if pixel is None:
        assert optics.camera_pixel_um is not None
        assert optics.magnification is not None
        pixel = optics.camera_pixel_um / optics.magnification
    leds, height, width = first.frames_led_y_x.shape
    shape = (leds, 2 * height, 2 * width)
    frames = np.zeros(shape, np.float32)
    weight = np.zeros(shape, np.uint8)
    saturated = np.zeros(shape, np.bool_)
    for part, place in zip(parts, places, strict=True):
        at = (slice(None), slice(place // 2, None, 2), slice(place % 2, None, 2))
        frames[at] = part.frames_led_y_x
        weight[at] = 1 if part.weight_led_y_x is None else part.weight_led_y_x
        if part.saturated_led_y_x is not None:
            saturated[at] = part.saturated_led_y_x
    assert first.axis_y_x_px is not None
    axis = (2 * first.axis_y_x_px[0] + 0.5, 2 * first.axis_y_x_px[1] + 0.5)
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    share = len(places) / 4
    return replace(
        first,
        frames_led_y_x=frames,
        optics=replace(first.optics, pixel_um=pixel),
        axis_y_x_px=axis,
        weight_led_y_x=weight,
        saturated_led_y_x=saturated if saturated.any() else None,
        notes=(*notes, f"{share:.0%} of the pixels lie under the filter of this colour."),
    )
