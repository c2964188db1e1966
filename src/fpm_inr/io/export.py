"""Write a solution or a stack as images: the suffix of the name says in which format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from re import fullmatch

from numpy.typing import ArrayLike

from fpm_inr.errors import OutputError, SettingsError
from fpm_inr.io.rendering import PARTS, ColourSource, FieldSource, Part, Rendering
from fpm_inr.io.slide import SlideOptions
from fpm_inr.solution import ImageStack


@dataclass(frozen=True)
class Format:
    """A file format: its writer (module:function, loaded on use) and the parts it can hold."""

    suffix: str
    writer: str
    parts: tuple[str, ...] = PARTS
    default: Part = "both"
    is_slide: bool = False

    def write(self, path: Path, rendering: Rendering, options: SlideOptions) -> None:
        """Write a rendering to a file or folder; options are for slides."""
        module, function = self.writer.split(":")
        write = getattr(import_module(f"fpm_inr.io.{module}"), function)
        write(path, rendering, options) if self.is_slide else write(path, rendering)


SEEN: tuple[Part, ...] = ("amplitude", "phase", "both", "colour")
FOLDER = Format("", "pictures:write_picture_folder", SEEN)
FORMATS = (
    Format(".ome.zarr", "ome_zarr:write_ome_zarr", is_slide=True),
    Format(".ome.tif", "ome_tiff:write_ome_tiff", is_slide=True),
    Format(".ome.tiff", "ome_tiff:write_ome_tiff", is_slide=True),
    Format(".tif", "ome_tiff:write_plain_tiff", SEEN, "amplitude", is_slide=True),
    Format(".tiff", "ome_tiff:write_plain_tiff", SEEN, "amplitude", is_slide=True),
    Format(".npy", "arrays:write_npy", default="complex"),
    Format(".mp4", "movies:write_mp4", SEEN),
    Format(".gif", "movies:write_gif", SEEN),
    Format(".png", "pictures:write_pictures", SEEN),
)


def export(
    source: FieldSource | ColourSource | ImageStack | Rendering,
    path: str | Path,
    *,
    z_um: ArrayLike | None = None,
    part: Part | None = None,
    slide: SlideOptions | None = None,
    overwrite: bool = False,
    on_slice: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write amplitude and phase, or colour, at some heights, in the format of the suffix.

    Parameters
    ----------
    source : Solution, SolutionSet or ImageStack
        Or a Rendering, which has its heights and part already.
    path : str or Path
        ``.ome.zarr``, ``.ome.tif(f)``, ``.tif(f)``, ``.npy``, ``.mp4``, ``.gif``, ``.png`` (with
        ``{z}`` in the name for several heights) or a folder of PNG files (no suffix).
    z_um : array-like [z], optional
        Heights in um, ascending. Default: 41 over the range of a solution; all planes of a stack
        or of a conventional solution.
    part : {"amplitude", "phase", "both", "complex", "colour"}, optional
        Default: complex for ``.npy``, both elsewhere; colour of several wavelengths.
    slide : SlideOptions, optional
        How ``.ome.zarr`` and ``.tif`` store numbers.
    overwrite : bool
        Replace what is at `path`.
    on_slice : callable
        Told how many slices of how many are done.

    Raises
    ------
    SettingsError
        An unknown suffix, heights outside the range, or a part that the format cannot hold.
    OutputError
        Something is at `path` and may not be replaced, or writing fails. Nothing is left behind.
    """
    path = Path(path)
    format = format_of(path)
    if slide is not None and not format.is_slide:
        raise SettingsError(
            f"are stored in a way of their own in {format.suffix or 'a folder of PNG files'}",
            "leave bits, compression and the version of OME-Zarr out",
            field="numbers",
        )
    if isinstance(source, Rendering):
        rendering = source
    else:
        rendering = rendering_of(source, part or default_part(source, format), z_um)
    _check_part(rendering.part, format)
    options = (slide or SlideOptions()).checked(rendering.part)
    check_free(path, targets(path, rendering), overwrite)
    done, total = 0, len(rendering.z_um)

    def count() -> None:
        nonlocal done
        done += 1
        on_slice(done, total)

    format.write(path, replace(rendering, on_slice=count), options)


def default_part(source: FieldSource | ColourSource | ImageStack, format: Format) -> Part:
    """What is written where nobody says: what a format is for, of several wavelengths colour."""
    is_colour = isinstance(source, ColourSource) and format.default != "complex"
    return "colour" if is_colour else format.default


def rendering_of(
    source: FieldSource | ColourSource | ImageStack, part: Part, z_um: ArrayLike | None
) -> Rendering:
    """Slices of whatever can be written.

    Raises
    ------
    SettingsError
        Heights outside the range, or colour of one wavelength.
    """
    if part == "colour" and not isinstance(source, ColourSource):
        raise SettingsError(
            "is colour, and this is one wavelength",
            "give another part, or the folder of a reconstruction in colour",
            field="part",
        )
    if isinstance(source, ImageStack):
        return Rendering.of_stack(source, part, z_um)
    return Rendering.of_solution(source, part, z_um)


def _check_part(part: Part, format: Format) -> None:
    if part not in format.parts:
        raise SettingsError(
            f"{part!r} cannot be written as {format.suffix or 'a folder of PNG files'}",
            f"choose one of {', '.join(format.parts)}",
            field="part",
        )


def format_of(path: Path) -> Format:
    """Find the format that a name asks for.

    Raises
    ------
    SettingsError
        The suffix is none that can be written.
    """
    name = path.name.lower()
    if name in ("", ".."):
        raise SettingsError(f"{str(path)!r} is no name", "name a file or a folder", field="output")
    for format in FORMATS:
        if name.endswith(format.suffix) and name != format.suffix:
            return format
    if not path.suffix:
        return FOLDER
    known = ", ".join(format.suffix for format in FORMATS)
    raise SettingsError(
        f"{path.name!r} has a suffix that is not written",
        f"use {known}, or no suffix for a folder of PNG files",
        field="output",
    )


def targets(path: Path, rendering: Rendering) -> list[Path]:
    """All files (or the one folder) that writing will put in place."""
    name = path.name.lower()
    if name.endswith(".npy"):
        from fpm_inr.io.arrays import sidecar_of

        return [path, sidecar_of(path)]
    if name.endswith(".png"):
        from fpm_inr.io.pictures import picture_names

        return [path.with_name(n) for row in picture_names(path.name, rendering) for n in row]
    return [path]


def check_free(path: Path, targets: list[Path], overwrite: bool) -> None:
    """Refuse to replace what is not to be replaced.

    Raises
    ------
    OutputError
        A target exists without `overwrite`, or is a folder that this program does not make.
    """
    is_folder = path.name.lower().endswith(".ome.zarr") or not path.suffix
    for target in targets:
        if not target.exists():
            continue
        if not overwrite:
            raise OutputError(
                "exists already", "choose another name or add --overwrite", source=target
            )
        if target.is_dir() != is_folder:
            raise OutputError(
                f"is a {'folder' if target.is_dir() else 'file'}, and a "
                f"{'folder' if is_folder else 'file'} is to be written",
                "choose another name",
                source=target,
            )
        if is_folder and not _is_ours(target):
            raise OutputError(
                "is a folder that holds other things, which would be lost",
                "choose another name",
                source=target,
            )


def _is_ours(folder: Path) -> bool:
    if folder.name.lower().endswith(".ome.zarr"):
        return any((folder / name).exists() for name in ("zarr.json", ".zgroup")) or not any(
            folder.iterdir()
        )
    return all(
        fullmatch(r"\d+_z[-+][\d.]+um(_[\w ]+)?\.png", item.name) for item in folder.iterdir()
    )
