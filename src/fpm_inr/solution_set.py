"""Several solutions of one specimen, named: what is seen in colour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpm_inr.chromatic_offset import Offset
from fpm_inr.cie import encode_srgb, rgb_of_channels
from fpm_inr.errors import DataError, InputError, OutputError, SettingsError
from fpm_inr.files.replacing import make_folder
from fpm_inr.heights import check_heights
from fpm_inr.laid_over import LaidOver, Window
from fpm_inr.set_manifest import (
    FIELD_FILE,
    MANIFEST,
    ChannelPart,
    Manifest,
    OffsetPart,
    manifest_of,
    read_manifest,
    write_manifest,
)
from fpm_inr.solution import ImageStack, Solution, load_solution

if TYPE_CHECKING:
    from fpm_inr.mosaic.mosaic import Mosaic

ROUNDING_UM = 1e-6
KEPT_TILES = 10  # of each mosaic: what windows of a slide touch, one after the other
NAMES_NM = ((590.0, "red"), (495.0, "green"), (0.0, "blue"))


@dataclass(frozen=True, eq=False)
class SolutionSet:
    """Solutions of one specimen at several wavelengths, on one grid: all single fields of view, or
    all mosaics.

    Parameters
    ----------
    solutions : mapping of str to Solution, or of str to Mosaic
        By name, from the longest wavelength to the shortest.
    reference : str
        The one whose grid and heights are those of all.
    offsets : mapping of str to Offset
        How each lies against the reference. Default: none does.
    white : mapping of str to float
        Amplitude of clear background in the camera's unit, sqrt(counts). Default: the mean
        bright-field amplitude of each.
    record : dict
        How offsets and white were found: plain JSON values.

    Raises
    ------
    DataError
        Names disagree, wavelengths make no colour, some are mosaics and others not, or the solved
        ranges have nothing in common.
    """

    solutions: Mapping[str, Solution | Mosaic]
    reference: str
    offsets: Mapping[str, Offset] = field(default_factory=dict)
    white: Mapping[str, float] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = set(self.solutions)
        given = {self.reference, *self.offsets, *self.white}
        if not given <= names:
            raise DataError(
                f"names {sorted(given - names)[0]!r}, which is none of {', '.join(sorted(names))}",
                "name the wavelengths that were solved",
                field="colours",
            )
        white = {name: s.amplitude_scale for name, s in self.solutions.items()} | dict(self.white)
        for name, value in white.items():
            if not (np.isfinite(value) and value > 0):
                raise DataError(f"is {value}", "give a positive number", field=f"white of {name}")
        ordered = dict(
            sorted(self.solutions.items(), key=lambda item: -item[1].optics.wavelength_um)
        )
        object.__setattr__(self, "solutions", ordered)
        offsets = {name: self.offsets.get(name, Offset()) for name in ordered}
        object.__setattr__(self, "offsets", offsets)
        object.__setattr__(self, "white", white)
        _ = self._rgb_of_channels
        if len({isinstance(one, Solution) for one in ordered.values()}) > 1:
            raise DataError(
                "are whole fields of view of some and not of all",
                "solve all with `fpm-inr mosaic`, or none",
                field="wavelengths",
            )
        low, high = self.z_range_um
        if low > high:
            raise DataError(
                f"have no height in common, their foci being up to {self._spread_um:.3g} um apart",
                "solve each over a larger range of z",
                field="wavelengths",
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names, from the longest wavelength to the shortest."""
        return tuple(self.solutions)

    @property
    def wavelength_um(self) -> dict[str, float]:
        """Wavelength of each."""
        return {name: s.optics.wavelength_um for name, s in self.solutions.items()}

    @property
    def transferred(self) -> dict[str, str]:
        """Those that were not solved themselves, and the one whose detail each has."""
        records = {name: one.record.get("transferred_from") for name, one in self.solutions.items()}
        return {name: source for name, source in records.items() if source is not None}

    @property
    def labels(self) -> tuple[str, ...]:
        """Names, and of which of them the detail is another's."""
        return tuple(f"{n} (transferred)" if n in self.transferred else n for n in self.names)

    @property
    def shape_y_x(self) -> tuple[int, int]:
        """Size of a rendered image."""
        return self.solutions[self.reference].shape_y_x

    @property
    def pixel_um(self) -> float:
        """Pixel of a rendered image at the sample."""
        return self.solutions[self.reference].pixel_um

    @property
    def is_mosaic(self) -> bool:
        """Whether they are whole fields of view, to be rendered window by window."""
        return not isinstance(self.solutions[self.reference], Solution)

    @property
    def levels(self) -> int:
        """Levels of the pyramid, of which level 0 is the finest; 1 where it is no mosaic."""
        reference = self.solutions[self.reference]
        return 1 if isinstance(reference, Solution) else reference.levels

    def level_shape_y_x(self, level: int) -> tuple[int, int]:
        """Size of a level of the pyramid: every one has half the pixels of the one before."""
        height, width = self.shape_y_x
        return max(1, height >> level), max(1, width >> level)

    def level_within(self, most_px: int) -> int:
        """The finest level of which no side is longer than this; 0 where it is no mosaic."""
        reference = self.solutions[self.reference]
        return 0 if isinstance(reference, Solution) else reference.level_within(most_px)

    @property
    def planes_um(self) -> NDArray[np.float64] | None:
        """Planes of the reference that all have; None where any height can be rendered."""
        if all(s.planes_um is None for s in self.solutions.values()):
            return None
        planes = self.solutions[self.reference].planes_um
        if planes is None:
            raise DataError(
                "are planes of some wavelengths and not of all",
                "solve all with one engine",
                field="wavelengths",
            )
        low, high = self.z_range_um
        return planes[(planes >= low - 1e-6) & (planes <= high + 1e-6)]

    @property
    def z_range_um(self) -> tuple[float, float]:
        """Heights of the reference for which all are solved."""
        ranges = [self.channel(name).z_range_um for name in self.names]
        low, high = max(low for low, _ in ranges), min(high for _, high in ranges)
        # rounding must not part single images that were solved each at its own focus
        return (high, low) if 0 < low - high < ROUNDING_UM else (low, high)

    @property
    def cutoff_per_um(self) -> float:
        """Cutoff of the coarsest wavelength's synthetic aperture."""
        return min(s.cutoff_per_um for s in self.solutions.values())

    def channel(self, name: str) -> LaidOver:
        """One of them, on the common grid."""
        solution, offset = self.solutions[name], self.offsets[name]
        return LaidOver(solution, offset, self.shape_y_x, self.pixel_um)

    def fields(
        self, z_um: ArrayLike, *, window: Window | None = None, level: int = 0
    ) -> Iterator[NDArray[np.complex64]]:
        """Give fields [channel, y, x] in the camera's unit, one height after the other.

        Parameters
        ----------
        z_um : array-like [z]
        window : (y, x, height, width), optional
            In pixels of the level. Default: all of it.
        level : int
            Of the pyramid.

        Raises
        ------
        SettingsError
            A height is not finite or lies outside the solved range, or there is no such level.
        """
        heights = check_heights(z_um, self.z_range_um)
        if not 0 <= level < self.levels:
            raise SettingsError(f"is {level}", f"give 0 to {self.levels - 1}", field="level")
        channels = [self.channel(name) for name in self.names]
        for z in heights:
            planes = []
            for channel in channels:
                (stack,) = channel.slices(z, window=window, level=level)
                planes.append(stack.field_z_y_x[0] * np.float32(channel.amplitude_scale))
            yield np.stack(planes)

    def render(self, z_um: ArrayLike) -> dict[str, ImageStack]:
        """Render all wavelengths at any heights of the reference within the solved range.

        Raises
        ------
        SettingsError
            A height is not finite or lies outside the solved range.
        """
        heights = check_heights(z_um, self.z_range_um)
        stacks = {}
        for name in self.names:
            parts = list(self.channel(name).slices(heights))
            fields = np.concatenate([part.field_z_y_x for part in parts])
            scale = self.solutions[name].amplitude_scale
            stacks[name] = ImageStack(fields, heights, self.pixel_um, scale)
        return stacks

    def linear_rgb(self, field_c_y_x: NDArray[np.complex64]) -> NDArray[np.float32]:
        """Linear sRGB [rgb, y, x] of fields [channel, y, x] in the camera's unit; white is 1."""
        white = np.array([self.white[name] for name in self.names], dtype=np.float32)
        transmission = (np.abs(field_c_y_x) / white[:, None, None]) ** 2
        matrix = self._rgb_of_channels.astype(np.float32)
        return np.asarray(np.tensordot(matrix, transmission, axes=1), dtype=np.float32)

    def srgb(self, field_c_y_x: NDArray[np.complex64]) -> NDArray[np.uint8]:
        """8-bit sRGB [rgb, y, x] of fields [channel, y, x] in the camera's unit."""
        return encode_srgb(self.linear_rgb(field_c_y_x))

    def colour(
        self, z_um: float, *, window: Window | None = None, level: int = 0
    ) -> NDArray[np.uint8]:
        """The picture in colour [y, x, rgb] at a height; window and level as for `fields`."""
        (field_c_y_x,) = self.fields(z_um, window=window, level=level)
        return np.moveaxis(self.srgb(field_c_y_x), 0, -1)

    def rgb_of(self, name: str) -> tuple[float, float, float]:
        """Linear sRGB of a wavelength whose transmission is 1, where nothing else shines."""
        red, green, blue = self._rgb_of_channels[:, self.names.index(name)].tolist()
        return red, green, blue

    def with_(self, **changes: Any) -> SolutionSet:
        """The same with other offsets, white or record."""
        return replace(self, **changes)

    def save(self, folder: str | Path, *, precision: str = "compact") -> None:
        """Write a folder: a manifest, and one field file a wavelength.

        Raises
        ------
        OutputError
            The folder cannot be written.
        """
        folder = Path(folder)
        for name, solution in self.solutions.items():
            if not isinstance(solution, Solution):
                raise OutputError(
                    "is a mosaic, which lies in its folder already", "copy it", field=name
                )
            make_folder(folder / name)
            solution.save(folder / name / FIELD_FILE, precision=precision)
        self.save_manifest(folder)

    def save_manifest(self, folder: Path) -> None:
        """Write ``colours.json`` alone, where the fields or mosaics are there: a folder a name.

        Raises
        ------
        OutputError
            The folder cannot be written.
        """
        channels = [
            ChannelPart(
                name=name,
                wavelength_um=self.wavelength_um[name],
                field=name if self.is_mosaic else f"{name}/{FIELD_FILE}",
                offset=OffsetPart(**asdict(self.offsets[name])),
                white=self.white[name],
                transferred_from=self.transferred.get(name),
            )
            for name in self.names
        ]
        write_manifest(
            Manifest(reference=self.reference, channels=channels, record=self.record), folder
        )

    @cached_property
    def _rgb_of_channels(self) -> NDArray[np.float64]:
        return rgb_of_channels(list(self.wavelength_um.values()))

    @property
    def _spread_um(self) -> float:
        z_um = [offset.z_um for offset in self.offsets.values()]
        return max(z_um) - min(z_um)


def colour_name(wavelength_um: float) -> str:
    """What a wavelength is called: red, green or blue."""
    return next(name for least, name in NAMES_NM if wavelength_um * 1e3 >= least)


def channel_names(wavelengths_um: list[float]) -> list[str]:
    """Names of wavelengths: colours where they tell them apart, else nanometres."""
    names = [colour_name(one) for one in wavelengths_um]
    if len(set(names)) == len(names):
        return names
    return [f"{round(1e3 * one)}nm" for one in wavelengths_um]


def load_set(path: str | Path) -> SolutionSet:
    """Read the folder of a reconstruction in colour (or its manifest).

    Raises
    ------
    DataError
        The manifest or a field file is missing or damaged.
    """
    manifest_path = manifest_of(Path(path))
    if manifest_path is None:
        raise DataError(
            f"holds no {MANIFEST}", "give the folder of a reconstruction in colour", source=path
        )
    manifest, folder = read_manifest(manifest_path), manifest_path.parent
    try:
        return SolutionSet(
            {one.name: _one_of(folder / one.field) for one in manifest.channels},
            manifest.reference,
            {one.name: Offset(**one.offset.model_dump()) for one in manifest.channels},
            {one.name: one.white for one in manifest.channels},
            manifest.record,
        )
    except InputError as error:
        raise (error if error.source else error.at(manifest_path)) from error


def _one_of(path: Path) -> Solution | Mosaic:
    """One of several wavelengths; of a mosaic few tiles are kept, as there are several."""
    one = load_solution(path)
    return one if isinstance(one, Solution) else one.keeping(KEPT_TILES)


def load_result(path: str | Path) -> Solution | Mosaic | SolutionSet:
    """Read a field file, a mosaic, or the folder of a reconstruction of one or more wavelengths.

    Raises
    ------
    DataError
        There is none, or it is damaged.
    """
    path = Path(path)
    if manifest_of(path) is not None:
        return load_set(path)
    inside = path / FIELD_FILE
    return load_solution(inside if path.is_dir() and inside.is_file() else path)
