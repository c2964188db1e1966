"""What every image writer is given: slices that come one after the other, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpm_inr.display import Contrast, robust_contrast
from fpm_inr.heights import check_heights, default_heights, pick_planes
from fpm_inr.solution import ImageStack

Part = Literal["amplitude", "phase", "both", "complex", "colour"]
PARTS: tuple[str, ...] = get_args(Part)
AMPLITUDE_UNIT = "sqrt(counts)"
ComplexPlane = NDArray[np.complex64]


class FieldSource(Protocol):
    """Something that renders itself at any height; a Solution is one."""

    @property
    def z_range_um(self) -> tuple[float, float]: ...
    @property
    def planes_um(self) -> NDArray[np.float64] | None: ...
    @property
    def shape_y_x(self) -> tuple[int, int]: ...
    @property
    def pixel_um(self) -> float: ...
    @property
    def amplitude_scale(self) -> float: ...
    def slices(self, z_um: NDArray[np.float64]) -> Iterable[ImageStack]:
        """Give one-slice stacks one after the other."""
        ...


@runtime_checkable
class WindowSource(Protocol):
    """A source too large for memory (a mosaic): it renders windows of a height."""

    def level_shape_y_x(self, level: int) -> tuple[int, int]:
        """Size of a level of its pyramid."""
        ...

    def render(self, z_um: float, *, window: tuple[int, int, int, int]) -> ImageStack:
        """Render a window (y, x, height, width)."""
        ...


@runtime_checkable
class ColourSource(Protocol):
    """Several named fields on one grid, and the colour they make; a SolutionSet is one."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What each is called in a file."""
        ...

    @property
    def transferred(self) -> Mapping[str, str]:
        """Those that were not solved, and whose detail each has."""
        ...

    @property
    def z_range_um(self) -> tuple[float, float]: ...
    @property
    def planes_um(self) -> NDArray[np.float64] | None: ...
    @property
    def shape_y_x(self) -> tuple[int, int]: ...
    @property
    def pixel_um(self) -> float: ...
    @property
    def is_mosaic(self) -> bool:
        """Whether it is too large for memory, and is rendered window by window."""
        ...

    def fields(
        self,
        z_um: NDArray[np.float64],
        *,
        window: tuple[int, int, int, int] | None = None,
        level: int = 0,
    ) -> Iterable[ComplexPlane]:
        """Give fields [channel, y, x] in the camera's unit, one height after the other."""
        ...

    def srgb(self, field_c_y_x: ComplexPlane) -> NDArray[np.uint8]:
        """Colour [3, y, x] of such fields, or of a part of them."""
        ...


class Regions(Protocol):
    """A plane [y, x] or [channel, y, x] that is read piece by piece."""

    def read(self, y: int, x: int, height: int, width: int) -> NDArray[Any]: ...


Kind = Literal["amplitude", "phase", "complex part", "colour"]


@dataclass(frozen=True)
class Channel:
    """One image made from a complex one: [y, x] of float32, or of a colour [3, y, x] of uint8.

    Parameters
    ----------
    name, unit : str
    of : callable
        Complex plane (or colour) -> image.
    kind : Kind
        What a person is shown of it.
    number : int, optional
        Which of several complex planes it is made from.
    """

    name: str
    unit: str
    of: Callable[[NDArray[Any]], NDArray[Any]]
    kind: Kind = "complex part"
    number: int | None = None

    def amplitude(self, plane: NDArray[Any]) -> NDArray[np.float32]:
        """Amplitude [y, x] of the complex plane that it is made from."""
        return np.abs(plane if self.number is None else plane[self.number])


_AMPLITUDE = Channel("amplitude", AMPLITUDE_UNIT, np.abs, "amplitude")
_PHASE = Channel("phase", "rad", np.angle, "phase")
COLOUR = Channel("colour", "sRGB", lambda plane: plane, "colour")
CHANNELS: dict[Part, tuple[Channel, ...]] = {
    "amplitude": (_AMPLITUDE,),
    "phase": (_PHASE,),
    "both": (_AMPLITUDE, _PHASE),
    "complex": (
        Channel("real", AMPLITUDE_UNIT, np.real),
        Channel("imaginary", AMPLITUDE_UNIT, np.imag),
    ),
    "colour": (COLOUR,),
}


def named_channels(part: Part, names: tuple[str, ...]) -> tuple[Channel, ...]:
    """Channels of several complex planes: "red amplitude", "green amplitude", ..."""
    if part == "colour":
        return CHANNELS[part]

    def of(one: Channel, number: int) -> Channel:
        return replace(
            one,
            name=f"{names[number]} {one.name}",
            of=lambda plane: one.of(plane[number]),
            number=number,
        )

    return tuple(of(one, number) for number in range(len(names)) for one in CHANNELS[part])


@dataclass(frozen=True, eq=False)
class Rendering:
    """Slices of one source at given heights, made only when they are asked for.

    Parameters
    ----------
    fields : callable
        Heights [z] in um -> planes in the camera's unit, in that order: complex [y, x] of one
        field, complex [channel, y, x] of several, or a colour, uint8 [3, y, x].
    z_um : array [z]
        Ascending.
    shape_y_x, pixel_um
        Of every slice.
    part : Part
        What of the complex field is written.
    channels : tuple of Channel
        The images that are made of a plane.
    windows : callable, optional
        Height -> the plane, piece by piece, where a whole one is too large for memory.
    on_slice : callable
        Called after each slice that `planes` or `regions` gives.
    note : str
        What a reader must know; empty where there is nothing.
    """

    fields: Callable[[NDArray[np.float64]], Iterable[NDArray[Any]]]
    z_um: NDArray[np.float64]
    shape_y_x: tuple[int, int]
    pixel_um: float
    part: Part
    channels: tuple[Channel, ...]
    windows: Callable[[float], Regions] | None = None
    on_slice: Callable[[], None] = lambda: None
    note: str = ""

    @classmethod
    def of_solution(
        cls, source: FieldSource | ColourSource, part: Part, z_um: ArrayLike | None = None
    ) -> Rendering:
        """Slices of a solution: by default all its planes, or 41 heights over a continuous range.

        Raises
        ------
        SettingsError
            A height is outside the solved range, or between the planes of a conventional solution.
        """
        heights = heights_of(source, z_um)
        shape, pixel_um = source.shape_y_x, source.pixel_um
        if isinstance(source, ColourSource):
            several = source
            channels = named_channels(part, source.labels)

            def shown(z_um: NDArray[np.float64]) -> Iterator[NDArray[Any]]:
                for field in several.fields(z_um):
                    yield several.srgb(field) if part == "colour" else field

            rendering = cls(shown, heights, shape, pixel_um, part, channels, note=note_on(source))
            if several.is_mosaic:
                in_colour = part == "colour"
                return replace(rendering, windows=lambda z: _Colours(several, z, in_colour))
            return rendering
        one, scale = source, np.float32(source.amplitude_scale)

        def fields(z_um: NDArray[np.float64]) -> Iterator[ComplexPlane]:
            for stack in one.slices(z_um):
                yield stack.field_z_y_x[0] * scale

        rendering = cls(fields, heights, shape, pixel_um, part, CHANNELS[part])
        if isinstance(source, WindowSource):
            return replace(rendering, windows=lambda z_um: _Windows(source, z_um, scale))
        return rendering

    @classmethod
    def of_stack(cls, stack: ImageStack, part: Part, z_um: ArrayLike | None = None) -> Rendering:
        """Images of a stack, all of them by default.

        Raises
        ------
        SettingsError
            A height is not in the stack.
        """
        heights = pick_planes(z_um, stack.z_um)

        def fields(z_um: NDArray[np.float64]) -> Iterator[ComplexPlane]:
            for z in z_um:
                at = int(np.flatnonzero(stack.z_um == z)[0])
                yield stack.field_z_y_x[at] * np.float32(stack.amplitude_scale)

        return cls(fields, heights, stack.shape_y_x, stack.pixel_um, part, CHANNELS[part])

    def planes(self) -> Iterator[NDArray[Any]]:
        """Give the planes, one height after the other."""
        for plane in self.fields(self.z_um):
            yield plane
            self.on_slice()

    def regions(self) -> Iterator[Regions]:
        """Give the planes to be read piece by piece, one height after the other."""
        if self.windows is None:
            yield from map(_Whole, self.planes())
            return
        for z in self.z_um:
            yield self.windows(float(z))
            self.on_slice()

    def contrasts(self) -> list[Contrast]:
        """One amplitude contrast a channel for all slices, from at most nine of them."""
        chosen = np.unique(np.linspace(0, len(self.z_um) - 1, 9).round().astype(np.intp))
        numbers = list(dict.fromkeys(channel.number for channel in self.channels))
        of_number = {channel.number: channel for channel in self.channels}
        thinned: dict[int | None, list[NDArray[np.float32]]] = {n: [] for n in numbers}
        for plane in self._thinned(self.z_um[chosen]):
            for number in numbers:
                thinned[number].append(of_number[number].amplitude(plane))
        found = {number: robust_contrast(some) for number, some in thinned.items()}
        return [found[channel.number] for channel in self.channels]

    def _thinned(self, z_um: NDArray[np.float64]) -> Iterator[NDArray[Any]]:
        """Planes of about 256 x 256 pixels: every so-manieth pixel, or of a mosaic its middle."""
        if self.windows is not None:
            height, width = (min(side, 1024) for side in self.shape_y_x)
            y, x = ((self.shape_y_x[0] - height) // 2, (self.shape_y_x[1] - width) // 2)
            yield from (self.windows(float(z)).read(y, x, height, width) for z in z_um)
            return
        step_y, step_x = (max(1, side // 256) for side in self.shape_y_x)
        for plane in self.fields(z_um):
            yield plane[..., ::step_y, ::step_x]


def note_on(source: ColourSource) -> str:
    """Which wavelengths were not solved."""
    each = [f"{name} has the detail of {whose}" for name, whose in source.transferred.items()]
    return f"transferred, not solved: {', '.join(each)}" if each else ""


@dataclass(frozen=True, eq=False)
class _Whole:
    """A plane that is in memory."""

    plane: NDArray[Any]

    def read(self, y: int, x: int, height: int, width: int) -> NDArray[Any]:
        return self.plane[..., y : y + height, x : x + width]


@dataclass(frozen=True, eq=False)
class _Windows:
    """A height of a source that renders windows."""

    source: WindowSource
    z_um: float
    scale: np.float32

    def read(self, y: int, x: int, height: int, width: int) -> NDArray[Any]:
        stack = self.source.render(self.z_um, window=(y, x, height, width))
        return stack.field_z_y_x[0] * self.scale


@dataclass(frozen=True, eq=False)
class _Colours:
    """A height of several wavelengths that render windows."""

    source: ColourSource
    z_um: float
    in_colour: bool

    def read(self, y: int, x: int, height: int, width: int) -> NDArray[Any]:
        window = (y, x, height, width)
        (field,) = self.source.fields(np.array([self.z_um]), window=window)
        return self.source.srgb(field) if self.in_colour else field


def heights_of(source: FieldSource | ColourSource, z_um: ArrayLike | None) -> NDArray[np.float64]:
    """Heights that are wanted of a source, checked; by default all its planes, or 41 of its range.

    Raises
    ------
    SettingsError
        A height is outside the solved range, or between the planes of a conventional solution.
    """
    if source.planes_um is not None:
        return pick_planes(z_um, source.planes_um)
    wanted = default_heights(source.z_range_um) if z_um is None else z_um
    return check_heights(wanted, source.z_range_um)


def shown_contrasts(rendering: Rendering) -> list[Contrast] | list[None]:
    """Contrast of each channel as pictures show it; a colour needs none."""
    return [None] if rendering.part == "colour" else rendering.contrasts()


def halve(plane: NDArray[Any]) -> NDArray[Any]:
    """Join pixels [..., y, x] two by two (odd edges are cut).

    Of a complex plane mean amplitude, phase of the mean; of a colour the mean.
    """
    y, x = plane.shape[-2] // 2, plane.shape[-1] // 2
    blocks = plane[..., : 2 * y, : 2 * x].reshape(*plane.shape[:-2], y, 2, x, 2)
    if plane.dtype.kind != "c":
        mean = blocks.mean(axis=(-3, -1), dtype=np.float32)
        return np.asarray((mean + 0.5).astype(plane.dtype) if plane.dtype.kind == "u" else mean)
    amplitude = np.abs(blocks).mean(axis=(-3, -1))
    phase = np.angle(blocks.mean(axis=(-3, -1)))
    return np.asarray((amplitude * np.exp(1j * phase)).astype(np.complex64))
