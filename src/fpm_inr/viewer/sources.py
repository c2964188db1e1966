"""What the viewer shows: field files as they are, and raw frames in the same form."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fpm_inr.cie import rgb_of_channels
from fpm_inr.errors import DataError, SettingsError
from fpm_inr.field_header import check_header, read_header
from fpm_inr.fields.sizes import OWN
from fpm_inr.set_manifest import manifest_of, read_manifest
from fpm_inr.viewer.planes_file import planes_bytes

if TYPE_CHECKING:
    from fpm_inr.acquisition import Acquisition

FIELD_FILE = "field.safetensors"
RUN_FILE, MANIFEST_FILE = "run.json", "manifest.json"


@dataclass(frozen=True)
class ShownChannel:
    """How a wavelength lies against the first source's, and what it adds to the colour.

    Parameters
    ----------
    z, y, x : float
        How much higher its focus lies, and how far down and to the right its picture, in um.
    magnification : float
    white : float
        Amplitude of clear background, on the scale of the field.
    rgb : (float, float, float)
        Linear sRGB of its whole light.
    """

    z: float
    y: float
    x: float
    magnification: float
    white: float
    rgb: tuple[float, float, float]


@dataclass(frozen=True)
class Source:
    """A name for the person, and the bytes of a field file, in a file or in memory.

    One of several wavelengths has a channel, and what all of them are called.
    """

    name: str
    content: Path | bytes
    channel: ShownChannel | None = None
    title: str = ""

    def read(self) -> bytes:
        """All bytes.

        Raises
        ------
        DataError
            The file cannot be read.
        """
        if isinstance(self.content, bytes):
            return self.content
        try:
            return self.content.read_bytes()
        except OSError as error:
            raise DataError(
                f"cannot be read ({error.strerror})", "make it readable", source=self.content
            ) from error


def field_source(path: str | Path) -> Source:
    """A field file, or the one in a folder of `fpm-inr reconstruct`.

    Only its header is looked at: the page checks the rest, and says what is wrong.

    Raises
    ------
    DataError
        There is no field, or the file is not one.
    """
    path = Path(path)
    if (path / MANIFEST_FILE).is_file():
        return mosaic_source(path)
    field = field_file(path)
    kind = read_header(field).get("kind")
    name = field.resolve().parent.name if field.name == FIELD_FILE else field.stem
    return Source(name, field if kind in OWN else _as_planes(field))


def _as_planes(path: Path) -> bytes:
    """A field of another package, which the page cannot decode, as planes at some heights."""
    from fpm_inr.heights import default_heights
    from fpm_inr.solution import load_solution

    solution = load_solution(path)
    stack = solution.render(default_heights(solution.z_range_um))
    image = stack.field_z_y_x.view(np.float32).reshape(*stack.shape, 2)
    header = {
        "optics": asdict(solution.optics),
        "upsampling": solution.upsampling,
        "amplitude_scale": solution.amplitude_scale,
        "record": solution.record,
    }
    return planes_bytes(image, stack.z_um, header)


def mosaic_source(folder: Path) -> Source:
    """A mosaic, made small enough for a page.

    Raises
    ------
    DataError
        It is damaged, or not done.
    """
    from fpm_inr.mosaic.mosaic import load_mosaic
    from fpm_inr.viewer.overview import overview_bytes

    return Source(folder.resolve().name, overview_bytes(load_mosaic(folder)))


def field_file(path: Path) -> Path:
    """The field file that a path means.

    Raises
    ------
    DataError
        There is none.
    """
    field = path / FIELD_FILE if path.is_dir() else path
    if not field.is_file():
        raise DataError(
            f"holds no {FIELD_FILE}" if path.is_dir() else "is not a file",
            "give a field file or the folder of a reconstruction",
            source=path,
        )
    return field


def colour_sources(manifest_path: Path) -> list[Source]:
    """The wavelengths of a reconstruction in colour, the reference first.

    Raises
    ------
    DataError
        The manifest or a field file cannot be used.
    """
    manifest, folder = read_manifest(manifest_path), manifest_path.parent
    try:
        rgb = rgb_of_channels([one.wavelength_um for one in manifest.channels])
    except DataError as error:
        raise error.at(manifest_path) from error
    sources = []
    for number, one in enumerate(manifest.channels):
        content, scale = _of_colour(folder / one.field)
        red, green, blue = (float(share) for share in rgb[:, number])
        offset = one.offset
        channel = ShownChannel(
            offset.z_um,
            offset.y_um,
            offset.x_um,
            offset.magnification,
            one.white / scale,
            (red, green, blue),
        )
        name = one.name if one.transferred_from is None else f"{one.name} (transferred)"
        sources.append(Source(name, content, channel, folder.resolve().name))
    return sorted(sources, key=lambda source: source.name != manifest.reference)


def _of_colour(path: Path) -> tuple[Path | bytes, float]:
    """What a page shows of one wavelength, a field file or a mosaic; and its amplitude scale."""
    if (path / MANIFEST_FILE).is_file():
        from fpm_inr.mosaic.mosaic import load_mosaic
        from fpm_inr.viewer.overview import overview_bytes

        mosaic = load_mosaic(path)
        return overview_bytes(mosaic), mosaic.amplitude_scale
    field = field_file(path)
    return field, check_header(read_header(field), field).amplitude_scale


def raw_source(path: str | Path) -> Source:
    """The most central raw frame of the acquisition that a reconstruction was made from.

    Parameters
    ----------
    path : str or Path
        The folder of `fpm-inr reconstruct`, or the field file in it: run.json names the data.

    Raises
    ------
    DataError
        There is no run.json, or the data cannot be read.
    """
    from fpm_inr.io import load

    path = Path(path)
    run_path = (path if path.is_dir() else path.parent) / RUN_FILE
    try:
        settings = json.loads(run_path.read_text(encoding="utf-8"))["settings"]
        data = Path(settings["data"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            "does not say which data the field was made from",
            "give the folder that `fpm-inr reconstruct` wrote, with its run.json",
            source=run_path,
        ) from error
    known = {
        name: settings.get(name) for name in ("crop", "wavelength_um", "color", "medium_index")
    }
    crop = known.pop("crop")
    acquisition = load(data, crop=None if crop is None else tuple(crop), **known)
    field = field_file(path)
    upsampling = check_header(read_header(field), field).upsampling
    return Source("raw frame", frame_bytes(acquisition, upsampling))


def frame_bytes(acquisition: Acquisition, upsampling: int) -> bytes:
    """The amplitude of the most central frame, as a field file of one plane.

    The first pixel of a result has its centre where the frame's first pixel has it. The page places
    images by their corners, and the frame's, with its larger pixels, lies further out.
    """
    centre = int(acquisition.illumination.na_frame.argmin())
    corner_um = acquisition.optics.pixel_um * (1 / upsampling - 1) / 2
    return planes_bytes(
        acquisition.amplitude_led_y_x[centre][None, :, :, None],
        np.zeros(1),
        {
            "optics": asdict(acquisition.optics),
            "upsampling": 1,
            "amplitude_scale": 1.0,
            "origin_x_y_um": [corner_um, corner_um],
        },
    )


def gather(field: Path, beside: Path | None, raw: bool) -> list[Source]:
    """The sources of one view: a field, and at most one other beside it.

    Raises
    ------
    DataError
        One of them cannot be used.
    SettingsError
        Both a second field and a raw frame are asked for.
    """
    if beside is not None and raw:
        raise SettingsError(
            "is given with --beside", "leave one of them out: there are two sides", field="--raw"
        )
    manifest = manifest_of(field)
    if manifest is not None:
        if beside is not None or raw:
            raise SettingsError(
                "is given for a result in colour, which has one side",
                "leave it out, or give the folder of one wavelength",
                field="--beside" if beside is not None else "--raw",
            )
        return colour_sources(manifest)
    sources = [field_source(field)]
    if beside is not None:
        sources.append(field_source(beside))
    if raw:
        sources.append(raw_source(field))
    return sources


def title_of(sources: list[Source]) -> str:
    """What a page is called: the main field, or the folder of several wavelengths."""
    return sources[0].title or sources[0].name
