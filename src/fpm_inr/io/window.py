"""A crop read straight from a file: only its pixels are loaded, its LED angles are its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import psutil
from numpy.typing import NDArray

from fpm_inr.acquisition import (
    Acquisition,
    Illumination,
    Optics,
    check_crop,
    offset_from_axis_um,
)
from fpm_inr.errors import DataError
from fpm_inr.io import defects
from fpm_inr.io.correction import Correction

Crop = tuple[int, int, int, int]
Float32 = NDArray[np.float32]

# Bytes of stored frames that are in memory at once besides the intensities made of them.
BLOCK_BYTES = 32 * 2**20
# Intensities, what is believed of them, and what judging a frame takes besides.
BYTES_PER_PIXEL = 4 + 2
# Shares of the pixels that are worth a word.
TOLD_SHARE = 1e-3


class Frames(Protocol):
    """An array, or a dataset in a file that is read when it is sliced."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, key: Any, /) -> NDArray[Any]: ...


@dataclass
class Judged:
    """Intensities [led, y, x] and what is believed of their pixels."""

    frames: Float32
    lies: NDArray[np.bool_] | None = None
    saturated: NDArray[np.bool_] | None = None
    notes: list[str] = field(default_factory=list)

    def acquisition(
        self, optics: Optics, illumination: Illumination, axis: tuple[float, float] | None
    ) -> Acquisition:
        """The acquisition of these frames."""
        weight = None if self.lies is None else (~self.lies).view(np.uint8)
        return Acquisition(
            self.frames,
            optics,
            illumination,
            axis,
            weight_led_y_x=weight,
            saturated_led_y_x=self.saturated,
            notes=tuple(self.notes),
        )


@dataclass(frozen=True)
class Window:
    """Which part of stored frames is read, and how their axes lie.

    Parameters
    ----------
    y, x, height, width : int
    order : str
        Order of the stored axes: a permutation of "lyx" (LED, y, x).
    flipped : str
        Those of "yx" that are stored from the other end.
    """

    y: int
    x: int
    height: int
    width: int
    order: str = "lyx"
    flipped: str = ""

    @classmethod
    def of(
        cls, frames: Frames, crop: Crop | None, *, order: str = "lyx", flipped: str = ""
    ) -> Window:
        """The window of a crop (all where None).

        Raises
        ------
        DataError
            The crop leaves the frame.
        """
        rows, columns = (frames.shape[order.index(axis)] for axis in "yx")
        window = crop if crop is not None else (0, 0, rows, columns)
        check_crop(window, (rows, columns))
        return cls(*window, order, flipped)

    @property
    def slices_y_x(self) -> tuple[slice, slice]:
        """Where it lies in frames that are the right way round."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)

    def read_all(self, frames: Frames) -> Float32:
        """Numbers [led, y, x] of all LEDs as they are.

        Raises
        ------
        DataError
            They do not fit in memory.
        """
        shape = (frames.shape[self.order.index("l")], self.height, self.width)
        _check_memory(shape)
        made = np.empty(shape, dtype=np.float32)
        at_once = max(1, BLOCK_BYTES // max(1, 8 * self.height * self.width))
        for first in range(0, shape[0], at_once):
            made[first : first + at_once] = self.read(frames, slice(first, first + at_once))
        return made

    def read(self, frames: Frames, leds: slice) -> NDArray[Any]:
        """Stored numbers [led, y, x] of some LEDs, the right way round."""
        first = {"y": self.y, "x": self.x}
        size = {"y": self.height, "x": self.width}
        for axis in self.flipped:
            first[axis] = frames.shape[self.order.index(axis)] - first[axis] - size[axis]
        key = {axis: slice(first[axis], first[axis] + size[axis]) for axis in "yx"} | {"l": leds}
        part = np.asarray(frames[tuple(key[axis] for axis in self.order)])
        part = part.transpose([self.order.index(axis) for axis in "lyx"])
        return np.flip(part, tuple("lyx".index(axis) for axis in self.flipped))


def read_window(
    frames: Frames,
    crop: Crop | None,
    optics: Optics,
    illumination: Illumination,
    axis_y_x_px: tuple[float, float] | None = None,
    *,
    order: str = "lyx",
    flipped: str = "",
    correction: Correction | None = None,
    mask_y_x: NDArray[np.bool_] | None = None,
) -> Acquisition:
    """Make the acquisition of a crop (y, x, height, width); equals a whole read, then its crop.

    Parameters
    ----------
    frames : array or dataset
        Numbers of three axes.
    crop : (y, x, height, width) or None
        None: the whole frame.
    optics, illumination, axis_y_x_px
        Those of the whole frame, as in `Acquisition`.
    order : str
        Order of the stored axes: a permutation of "lyx" (LED, y, x).
    flipped : str
        Those of "yx" that are stored from the other end.
    correction : Correction, optional
        What makes intensities of the numbers. Default: they are intensities.
    mask_y_x : array [y, x] of bool, optional
        Pixels of the whole frame that lie, besides those that are found.

    Raises
    ------
    DataError
        The crop leaves the frame, does not fit in memory, or `Acquisition` refuses the content.
    """
    window = Window.of(frames, crop, order=order, flipped=flipped)
    judged = read_judged(frames, window, correction or Correction(), mask_y_x)
    shape = tuple(frames.shape[order.index(axis)] for axis in "yx")
    return judged.acquisition(
        optics, *seen_by_crop(illumination, axis_y_x_px, crop, (shape[0], shape[1]), optics)
    )


def seen_by_crop(
    illumination: Illumination,
    axis_y_x_px: tuple[float, float] | None,
    crop: Crop | None,
    shape_y_x: tuple[int, int],
    optics: Optics,
) -> tuple[Illumination, tuple[float, float] | None]:
    """Illumination at the centre of a crop of the whole frame, and the optical axis in it."""
    if crop is None:
        return illumination, axis_y_x_px
    y, x, height, width = crop
    middle = axis_y_x_px or ((shape_y_x[0] - 1) / 2, (shape_y_x[1] - 1) / 2)
    axis = (middle[0] - y, middle[1] - x)
    return seen_from_centre(illumination, axis, (height, width), optics), axis


def read_judged(
    frames: Frames,
    window: Window,
    correction: Correction,
    mask_y_x: NDArray[np.bool_] | None = None,
) -> Judged:
    """Read frames block by block, make intensities of them and judge their pixels.

    Raises
    ------
    DataError
        They do not fit in memory.
    """
    leds = frames.shape[window.order.index("l")]
    shape = (leds, window.height, window.width)
    _check_memory(shape)
    correction = correction.windowed(window.slices_y_x)
    mask = None if mask_y_x is None else mask_y_x[window.slices_y_x]
    made = np.empty(shape, dtype=np.float32)
    seen = defects.PixelRange.empty(shape[1:])
    missing: dict[int, NDArray[np.bool_]] = {}
    kind = np.dtype(np.float32)
    at_once = max(1, BLOCK_BYTES // max(1, 8 * window.height * window.width))
    for first in range(0, leds, at_once):
        some = slice(first, min(first + at_once, leds))
        stored = window.read(frames, some)
        kind = stored.dtype
        if kind.kind not in "iuf":
            raise DataError(f"have type {kind}", "give real numbers (intensities)", field="frames")
        if kind.kind == "f":
            for place, frame in enumerate(stored):
                if not (finite := np.isfinite(frame)).all():
                    missing[first + place] = ~finite
            if missing:
                stored = np.where(np.isfinite(stored), stored, np.nan)
        seen.see(stored)
        with np.errstate(over="ignore", invalid="ignore"):
            made[some] = correction.apply(stored, some)
    return _judge(made, seen, missing, mask, correction, kind)


def _judge(
    made: Float32,
    seen: defects.PixelRange,
    missing: dict[int, NDArray[np.bool_]],
    mask: NDArray[np.bool_] | None,
    correction: Correction,
    kind: np.dtype[Any],
) -> Judged:
    faulty = defects.faulty_pixels(seen)
    judged = Judged(made)
    whole = kind.kind in "iu"

    def limit_of(led: int, number: float) -> Float32:
        like = np.full((1, *made.shape[1:]), number, dtype=kind if whole else np.float32)
        return correction.apply(like, slice(led, led + 1))[0]

    top = defects.top_number(seen, faulty)
    judged.saturated = defects.at_the_limit(made, limit_of, top, whole_numbers=whole, faulty=faulty)
    judged.notes += _told(made, faulty, missing, mask, judged.saturated)
    always = faulty if mask is None else faulty | mask
    if always.any() or missing:
        judged.lies = np.zeros(made.shape, dtype=bool)
        judged.lies[:] = always
        for led, where in missing.items():
            judged.lies[led] |= where
        if judged.saturated is not None:
            judged.saturated &= ~judged.lies
        for frame, lies in zip(made, judged.lies, strict=True):
            defects.fill_in(frame, lies)
    below = 0
    for frame in made:
        below += int(np.count_nonzero(frame < 0))
        np.maximum(frame, 0, out=frame)
    if below > TOLD_SHARE * made.size:
        judged.notes.append(
            f"{below / made.size:.1%} of the pixels lie below the dark level and count as 0."
        )
    return judged


def _told(
    made: Float32,
    faulty: NDArray[np.bool_],
    missing: dict[int, NDArray[np.bool_]],
    mask: NDArray[np.bool_] | None,
    saturated: NDArray[np.bool_] | None,
) -> list[str]:
    """Sentences on the pixels that do not count."""
    told = []
    if faulty.any():
        told.append(f"{defects.in_words(faulty)} are hot, dead or stuck in all frames: left out.")
    if missing:
        count = sum(int(where.sum()) for where in missing.values())
        told.append(
            f"{count} pixels of {len(missing)} frames (frame {min(missing)} first, counted from 0) "
            "are no finite numbers: left out."
        )
    if mask is not None and mask.any():
        told.append(f"The mask leaves out {int(mask.sum())} pixels ({mask.mean():.1%}).")
    if saturated is not None:
        of_frame = saturated.mean(axis=(1, 2))
        told.append(
            f"{int((of_frame > 0).sum())} frames are saturated, in up to {of_frame.max():.1%} of "
            f"their pixels (frame {int(of_frame.argmax())}, counted from 0): there the light "
            "counts as at least that bright."
        )
    return told


def seen_from_centre(
    illumination: Illumination,
    axis_y_x_px: tuple[float, float],
    shape_y_x: tuple[int, int],
    optics: Optics,
) -> Illumination:
    """Illumination at the centre of a frame that the optical axis meets at `axis_y_x_px`."""
    return illumination.seen_from(*offset_from_axis_um(axis_y_x_px, shape_y_x, optics))


def _check_memory(shape: tuple[int, int, int]) -> None:
    needed = int(np.prod(shape, dtype=np.int64)) * BYTES_PER_PIXEL + 2 * BLOCK_BYTES
    free = psutil.virtual_memory().available
    if needed > free:
        raise DataError(
            f"need {needed / 2**30:.1f} GiB of memory of which {free / 2**30:.1f} are free",
            "give a smaller crop",
            field="frames",
        )
