"""Reading results and references for comparison, whatever file holds them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import DataError, InputError, SettingsError, at

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Picture:
    """One image [y, x], complex or an amplitude, with what its file tells of it.

    Parameters
    ----------
    image_y_x : array [y, x]
    pixel_um : float or None
    cutoff_per_um : float or None
        Cutoff of the synthetic aperture.
    """

    image_y_x: Array
    pixel_um: float | None
    cutoff_per_um: float | None = None


def load_picture(path: str | Path, z_um: float | None = None) -> Picture:
    """Read one image from a solution, array, picture, stack or simulator's truth.

    Parameters
    ----------
    path : path
        ``.safetensors`` or a mosaic's folder (rendered at `z_um`; all-in-focus without it),
        ``.npy``, ``.png``, ``.jpg``, ``.tif``, ``.ome.tif``, ``.ome.zarr`` or ``.h5`` (a
        truth: the band-limited specimen, or with `z_um` the bright-field scan's amplitude there).
    z_um : float, optional
        Which height of a file that holds several.

    Raises
    ------
    DataError
        The file is missing, of no known format, damaged, or not one image.
    SettingsError
        A height is needed, or there is none near `z_um`.
    """
    path = Path(path)
    name = path.name.lower()
    if not path.exists():
        raise DataError("does not exist", "give an existing file", source=path)
    for suffixes, read in _READERS.items():
        if name.endswith(suffixes) or (read is _solution and is_mosaic(path)):
            try:
                with at(path):
                    return read(path, z_um)
            except InputError:
                raise
            except (OSError, ValueError, EOFError, KeyError, RecursionError) as error:
                raise DataError(
                    f"cannot be read ({error})", "check that the file is whole", source=path
                ) from error
    known = " ".join(suffix for suffixes in _READERS for suffix in suffixes)
    raise DataError("has a suffix of no known format", f"give one of {known}", source=path)


def is_mosaic(path: Path) -> bool:
    """Whether a path is the folder of a mosaic."""
    return (path / "manifest.json").is_file()


def _solution(path: Path, z_um: float | None) -> Picture:
    from fpm_inr.solution import load_solution

    solution = load_solution(path)
    if z_um is not None:
        stack = solution.render(z_um)
        image = stack.field_z_y_x[0] * stack.amplitude_scale
        return Picture(image, stack.pixel_um, solution.cutoff_per_um)
    from fpm_inr.focus import all_in_focus
    from fpm_inr.heights import default_heights

    heights = solution.planes_um
    if heights is None:
        heights = default_heights(solution.z_range_um)
    sharp = all_in_focus(solution.slices, heights)
    image = sharp.field_y_x * sharp.amplitude_scale
    return Picture(image, solution.pixel_um, solution.cutoff_per_um)


def _array(path: Path, z_um: float | None) -> Picture:
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise DataError("is no array of numbers", "give a .npy file of numbers") from error
    about: dict[str, Any] = {}
    if path.with_suffix(".json").is_file():
        about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    heights, names = about.get("z_um"), about.get("channels", [""])
    at_z = [] if heights is None else heights
    channels = [values[:, c] for c in range(values.shape[1])] if values.ndim == 4 else [values]
    image = _joined(names, [_slice(one, np.asarray(at_z, float), z_um) for one in channels])
    pixel_um = about.get("pixel_um")
    return Picture(image, None if pixel_um is None else float(pixel_um))


def _picture(path: Path, z_um: float | None) -> Picture:
    import imageio.v3 as iio

    plugin = "tifffile" if path.suffix.lower().startswith(".tif") else "pillow"
    values = np.asarray(iio.imread(path, plugin=plugin))
    if values.ndim == 3:
        grey = values[..., :3]
        if values.shape[-1] not in (3, 4) or (grey != grey[..., :1]).any():
            raise DataError(f"holds colours or pages (shape {values.shape})", "give one grey image")
        values = grey[..., 0]
    return Picture(_slice(values.astype(np.float64), None, z_um), None)


def _ome_tiff(path: Path, z_um: float | None) -> Picture:
    import tifffile
    from tifffile import xml2dict

    with tifffile.TiffFile(path) as tiff:
        series = tiff.series[0]
        axes = series.axes
        if set(axes) - set("ZCYX"):
            raise DataError(f"has axes {axes}", "give a file of axes Z, C, Y, X")
        pixels: dict[str, Any] = {}
        if tiff.ome_metadata:
            pixels = xml2dict(tiff.ome_metadata)["OME"]["Image"]["Pixels"]
        values = series.asarray()
    described = pixels.get("Channel", [])
    described = described if isinstance(described, list) else [described]
    names = [str(one.get("Name", "")) for one in described] or [""]
    channels = list(np.moveaxis(values, axes.index("C"), 0)) if "C" in axes else [values]
    heights = None
    if "Z" in axes:
        planes = pixels.get("Plane", [])
        planes = planes if isinstance(planes, list) else [planes]
        by_z = {p["TheZ"]: p["PositionZ"] for p in planes if "PositionZ" in p}
        heights = np.array([by_z[z] for z in sorted(by_z)], dtype=np.float64)
    pixel_um = pixels.get("PhysicalSizeX")
    image = _joined(names, [_slice(one, heights, z_um) for one in channels])
    return Picture(image, None if pixel_um is None else float(pixel_um))


def _ome_zarr(path: Path, z_um: float | None) -> Picture:
    import zarr

    group = zarr.open_group(path, mode="r")
    attributes: dict[str, Any] = dict(group.attrs)
    described = attributes.get("ome", attributes)
    multiscale = described["multiscales"][0]
    axes = [axis["name"] for axis in multiscale["axes"]]
    if axes not in (["c", "z", "y", "x"], ["z", "y", "x"], ["c", "y", "x"], ["y", "x"]):
        raise DataError(f"has axes {axes}", "give an image of axes c, z, y, x")
    level = multiscale["datasets"][0]
    scale, start = np.ones(len(axes)), np.zeros(len(axes))
    for step in level["coordinateTransformations"]:
        if step["type"] == "scale":
            scale = np.asarray(step["scale"], dtype=np.float64)
        elif step["type"] == "translation":
            start = np.asarray(step["translation"], dtype=np.float64)
    array: Any = group[level["path"]]
    heights = None
    if "z" in axes:
        z = axes.index("z")
        heights = start[z] + scale[z] * np.arange(array.shape[z])
        heights = np.asarray(attributes.get("fpm_inr", {}).get("z_um", heights), dtype=np.float64)
    omero = described.get("omero", {}).get("channels", [])
    names = [str(one.get("label", "")) for one in omero] or [""]
    channels = [array[c] for c in range(array.shape[0])] if "c" in axes else [array[:]]
    image = _joined(names, [_slice(np.asarray(one), heights, z_um) for one in channels])
    return Picture(image, float(scale[-1]))


def _truth(path: Path, z_um: float | None) -> Picture:
    from fpm_inr.simulate.truth import load_truth

    truth = load_truth(path)
    if z_um is None:
        return Picture(truth.seen_y_x, truth.pixel_um, truth.cutoff_per_um)
    return Picture(
        np.sqrt(_slice(truth.scan_z_y_x, truth.scan_z_um, z_um)),
        truth.pixel_um * truth.seen_y_x.shape[1] / truth.scan_z_y_x.shape[2],
    )


_READERS: dict[tuple[str, ...], Callable[[Path, float | None], Picture]] = {
    (".safetensors",): _solution,
    (".npy",): _array,
    (".ome.tif", ".ome.tiff"): _ome_tiff,
    (".ome.zarr",): _ome_zarr,
    (".png", ".jpg", ".jpeg", ".tif", ".tiff"): _picture,
    (".h5",): _truth,
}


def _joined(names: list[str], channels: list[Array]) -> Array:
    """Make one image of the channels that a stack holds."""
    if len(channels) == 1 and names[:1] != ["phase"]:
        return channels[0]
    by_name = dict(zip(names, channels, strict=False))
    if {"amplitude", "phase"} <= by_name.keys():
        return np.asarray(by_name["amplitude"] * np.exp(1j * by_name["phase"]))
    if {"real", "imaginary"} <= by_name.keys():
        return np.asarray(by_name["real"] + 1j * by_name["imaginary"])
    raise DataError(
        f"holds the channels {', '.join(names)}",
        "render amplitude, both or complex",
        field="channels",
    )


def _slice(values: Array, heights_um: NDArray[np.float64] | None, z_um: float | None) -> Array:
    """Take the image at a height: the nearest within half a step."""
    if values.ndim == 2:
        return np.asarray(values)
    if values.ndim != 3:
        raise DataError(f"has shape {values.shape}", "give one image or a stack [z, y, x]")
    if len(values) == 1:
        return np.asarray(values[0])
    if z_um is None:
        raise SettingsError(f"holds {len(values)} heights", "give --z to choose one", field="z")
    if heights_um is None or len(heights_um) != len(values):
        raise SettingsError(
            f"holds {len(values)} images and does not say at which heights",
            "give a single image, or the JSON file beside an array",
            field="z",
        )
    nearest = int(np.argmin(np.abs(heights_um - z_um)))
    half_step = float(np.abs(np.diff(heights_um)).max()) / 2
    if abs(heights_um[nearest] - z_um) > half_step + 1e-9:
        raise SettingsError(
            f"is {z_um:g} um and the stack reaches {heights_um.min():g} to {heights_um.max():g} um",
            "give a height inside it",
            field="z",
        )
    return np.asarray(values[nearest])
