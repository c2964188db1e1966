"""What every image writer is given: slices that come one after the other, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpm_inr.display import Contrast, robust_contrast
from fpm_inr.heights import check_heights, default_heights, pick_planes
from fpm_inr.solution import ImageStack

Part = Literal["amplitude", "phase", "both", "complex"]
PARTS: tuple[str, ...] = get_args(Part)
AMPLITUDE_UNIT = "sqrt(counts)"


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


@dataclass(frozen=True)
class Channel:
    """One real image made from a complex one."""

    name: str
    unit: str
    of: Callable[[NDArray[np.complex64]], NDArray[np.float32]]


_AMPLITUDE = Channel("amplitude", AMPLITUDE_UNIT, np.abs)
_PHASE = Channel("phase", "rad", np.angle)
CHANNELS: dict[Part, tuple[Channel, ...]] = {
    "amplitude": (_AMPLITUDE,),
    "phase": (_PHASE,),
    "both": (_AMPLITUDE, _PHASE),
    "complex": (
        Channel("real", AMPLITUDE_UNIT, np.real),
        Channel("imaginary", AMPLITUDE_UNIT, np.imag),
    ),
}


@dataclass(frozen=True, eq=False)
class Rendering:
    """Slices of one source at given heights, made only when they are asked for.

    Parameters
    ----------
    slices : callable
        Heights [z] in um -> one-slice ImageStacks, in that order.
    z_um : array [z]
        Ascending.
    shape_y_x, pixel_um
        Of every slice.
    amplitude_scale : float
        Multiplies the slices, which brings them to the camera's unit.
    part : Part
        What of the complex field is written.
    on_slice : callable
        Called after each slice that `planes` gives.
    """

    slices: Callable[[NDArray[np.float64]], Iterable[ImageStack]]
    z_um: NDArray[np.float64]
    shape_y_x: tuple[int, int]
    pixel_um: float
    amplitude_scale: float
    part: Part
    on_slice: Callable[[], None] = lambda: None

    @classmethod
    def of_solution(
        cls, source: FieldSource, part: Part, z_um: ArrayLike | None = None
    ) -> Rendering:
        """Slices of a solution: by default all its planes, or 41 heights over a continuous range.

        Raises
        ------
        SettingsError
            A height is outside the solved range, or between the planes of a conventional solution.
        """
        if source.planes_um is not None:
            heights = pick_planes(z_um, source.planes_um)
        else:
            wanted = default_heights(source.z_range_um) if z_um is None else z_um
            heights = check_heights(wanted, source.z_range_um)
        shape, pixel_um, scale = source.shape_y_x, source.pixel_um, source.amplitude_scale
        return cls(source.slices, heights, shape, pixel_um, scale, part)

    @classmethod
    def of_stack(cls, stack: ImageStack, part: Part, z_um: ArrayLike | None = None) -> Rendering:
        """Images of a stack, all of them by default.

        Raises
        ------
        SettingsError
            A height is not in the stack.
        """
        heights = pick_planes(z_um, stack.z_um)

        def slices(z_um: NDArray[np.float64]) -> Iterator[ImageStack]:
            for z in z_um:
                at = int(np.flatnonzero(stack.z_um == z)[0])
                yield replace(
                    stack, field_z_y_x=stack.field_z_y_x[at : at + 1], z_um=stack.z_um[at : at + 1]
                )

        return cls(slices, heights, stack.shape_y_x, stack.pixel_um, stack.amplitude_scale, part)

    @property
    def channels(self) -> tuple[Channel, ...]:
        return CHANNELS[self.part]

    def planes(self) -> Iterator[NDArray[np.complex64]]:
        """Give the complex fields [y, x] in the camera's unit, one height after the other."""
        for stack in self.slices(self.z_um):
            yield self._plane(stack)
            self.on_slice()

    def contrast(self) -> Contrast:
        """One amplitude contrast for all slices, from at most nine of them."""
        chosen = np.unique(np.linspace(0, len(self.z_um) - 1, 9).round().astype(np.intp))
        return robust_contrast(np.abs(self._plane(s)) for s in self.slices(self.z_um[chosen]))

    def _plane(self, stack: ImageStack) -> NDArray[np.complex64]:
        plane: NDArray[np.complex64] = stack.field_z_y_x[0] * np.float32(self.amplitude_scale)
        return plane


def halve(field: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Join pixels [y, x] two by two: mean amplitude, phase of the mean (odd edges are cut)."""
    y, x = field.shape[0] // 2, field.shape[1] // 2
    blocks = field[: 2 * y, : 2 * x].reshape(y, 2, x, 2)
    amplitude = np.abs(blocks).mean(axis=(1, 3))
    phase = np.angle(blocks.mean(axis=(1, 3)))
    halved: NDArray[np.complex64] = (amplitude * np.exp(1j * phase)).astype(np.complex64)
    return halved
