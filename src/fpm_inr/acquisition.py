"""What the microscope did and saw: immutable values, validated once, at the door."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.camera_noise import CameraNoise
from fpm_inr.errors import DataError
from fpm_inr.microscope import Optics as Optics
from fpm_inr.sources import Illumination as Illumination


class DarkError(DataError):
    """Frames hold no light, or no pixel that counts."""


@dataclass(frozen=True, eq=False)
class Acquisition:
    """Frames with the optics and illumination that made them.

    Frames have one LED each, and share its number, unless `illumination.lighting` says otherwise.
    Then axes of frames, which are named `led` for that usual case, count frames: pixels, their
    weights and saturation, exposures, noise and background are of a frame; directions and gains
    are of an LED.

    Parameters
    ----------
    frames_led_y_x : array [frame, y, x]
        Intensities, dark level subtracted, per unit of exposure; finite and non-negative. Pixels
        of weight 0 may hold anything; what is not finite or negative there becomes 0.
    optics : Optics
    illumination : Illumination
        The LEDs of every frame; their directions are valid at the centre of the frame.
    axis_y_x_px : (float, float), optional
        Where the optical axis meets the frame, in pixels from the centre of its first pixel.
        Default: the centre of the frame.
    weight_led_y_x : array [led, y, x], optional
        1 where a pixel counts, 0 where it lies (hot, dead, covered). Default: all count.
    saturated_led_y_x : array [led, y, x] of bool, optional
        Where the light was at least this bright. Default: nowhere.
    noise : CameraNoise, optional
        The camera's gain and read noise, where they are known.
    notes : tuple of str
        Sentences on what reading the files did to the frames.

    Raises
    ------
    DataError
        Frames are misshapen, empty, dark, negative or not finite, or do not match the LEDs.
    """

    frames_led_y_x: NDArray[np.float32]
    optics: Optics
    illumination: Illumination
    axis_y_x_px: tuple[float, float] | None = None
    weight_led_y_x: NDArray[np.uint8] | None = None
    saturated_led_y_x: NDArray[np.bool_] | None = None
    noise: CameraNoise | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        frames = np.asarray(self.frames_led_y_x)
        if frames.ndim != 3 or 0 in frames.shape:
            raise DataError(
                f"have shape {frames.shape}", "give frames as [led, y, x]", field="frames"
            )
        if not (
            np.issubdtype(frames.dtype, np.floating) or np.issubdtype(frames.dtype, np.integer)
        ):
            raise DataError(
                f"have type {frames.dtype}", "give real numbers (intensities)", field="frames"
            )
        self._check_count(len(frames))
        if min(frames.shape[1:]) < 8:
            raise DataError(
                f"are {frames.shape[1]} x {frames.shape[2]} pixels (y x x)",
                "give frames of at least 8 x 8 pixels",
                field="frames",
            )
        with np.errstate(over="ignore"):  # too large for float32 is found below
            frames = np.ascontiguousarray(frames, dtype=np.float32)
        frames = self._with_pixels_judged(frames)
        for led, frame in enumerate(frames):
            if not np.isfinite(frame).all():
                raise DataError(
                    f"are not finite in frame {led} (counted from 0)",
                    "leave that LED out, or give those pixels the weight 0",
                    field="frames",
                )
            if frame.min() < 0:
                raise DataError(
                    f"are negative in frame {led} (counted from 0)",
                    "give intensities; subtract the dark level and clip at zero",
                    field="frames",
                )
        if not frames.any():
            raise DarkError("are all zero", "give frames that hold light", field="frames")
        if frames is self.frames_led_y_x:
            frames = frames.view()
        frames.setflags(write=False)
        object.__setattr__(self, "frames_led_y_x", frames)
        axis = self.axis_y_x_px
        if axis is None:
            axis = ((frames.shape[1] - 1) / 2, (frames.shape[2] - 1) / 2)
        if len(axis) != 2 or not np.isfinite(axis).all():
            raise DataError(f"is {axis}", "give two numbers (y, x) in pixels", field="axis_y_x_px")
        object.__setattr__(self, "axis_y_x_px", (float(axis[0]), float(axis[1])))
        if self.noise is not None and len(self.noise.intensity_per_electron_led) != len(frames):
            raise DataError("is not one number a frame", "correct it", field="camera gain")
        object.__setattr__(self, "notes", tuple(self.notes))

    def _check_count(self, frames: int) -> None:
        light = self.illumination
        if frames == light.frame_count:
            return
        if light.lighting is None:
            problem, mend = f"{light.led_count} LEDs", "one illumination direction per frame"
        else:
            problem, mend = f"{light.frame_count} lists of LEDs", "the LEDs of every frame"
        raise DataError(f"are {frames} for {problem}", f"give {mend}", field="frames")

    def _with_pixels_judged(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Check the weights and what is saturated; frames without what cannot be in them."""
        kinds = {"weight_led_y_x": np.dtype(np.uint8), "saturated_led_y_x": np.dtype(np.bool_)}
        for name, kind in kinds.items():
            given = getattr(self, name)
            if given is None:
                continue
            given = np.asarray(given)
            if given.shape != frames.shape or not np.isin(given, (0, 1)).all():
                raise DataError(
                    f"has shape {given.shape} or values besides 0 and 1",
                    f"give 0 or 1 for every pixel of {frames.shape}",
                    field=name,
                )
            judged = given.astype(kind)
            judged.setflags(write=False)
            object.__setattr__(self, name, judged)
        if self.weight_led_y_x is None:
            return frames
        if not self.weight_led_y_x.any():
            raise DarkError("are all without weight", "give pixels that count", field="frames")
        wrong = (self.weight_led_y_x == 0) & ~(frames >= 0)
        return np.where(wrong, np.float32(0), frames) if wrong.any() else frames

    @property
    def frame_count(self) -> int:
        """Number of frames."""
        return len(self.frames_led_y_x)

    @property
    def led_count(self) -> int:
        """Number of LEDs: that of the frames, unless some have several."""
        return self.illumination.led_count

    @property
    def shape_y_x(self) -> tuple[int, int]:
        """Pixels (y, x) of a frame."""
        return self.frames_led_y_x.shape[1], self.frames_led_y_x.shape[2]

    @cached_property
    def amplitude_led_y_x(self) -> NDArray[np.float32]:
        """Amplitudes [led, y, x]: square roots of the frames.

        Where the camera's noise is known, what the root of few photo-electrons falls short by is
        made up for (see `CameraNoise.amplitude_offset_led`).
        """
        offset = self.intensity_offset_led
        if offset is None:
            return np.sqrt(self.frames_led_y_x)
        return np.sqrt(self.frames_led_y_x + offset[:, None, None])

    @property
    def intensity_offset_led(self) -> NDArray[np.float32] | None:
        """What is added to the intensities [led] for `amplitude_led_y_x`; None: nothing."""
        if self.noise is None:
            return None
        mean = self.frames_led_y_x.mean(axis=(1, 2), dtype=np.float64)
        return self.noise.amplitude_offset_led(mean)

    @cached_property
    def is_bright_field(self) -> NDArray[np.bool_]:
        """Whether direct light passes the objective, [frame]: that of one of its LEDs."""
        return self.illumination.na_frame < self.optics.na

    @cached_property
    def amplitude_scale(self) -> float:
        """Mean amplitude of the bright-field frames (of all frames where none is bright-field).

        Amplitudes divided by it have a bright-field mean of 1. Where a frame has several LEDs, or
        weights, it is that of a single one of weight 1.
        """
        bright = self.is_bright_field
        amplitude = self.amplitude_led_y_x
        light = self.illumination
        if light.lighting is not None:
            direct = light.weight_frame(light.na_led < self.optics.na)
            weight = np.where(bright, direct, light.weight_frame(light.na_led >= 0))
            amplitude = amplitude / np.sqrt(weight).astype(np.float32)[:, None, None]
        chosen = bright if bright.any() else np.ones_like(bright)
        counts: Any = True
        if self.weight_led_y_x is not None and self.weight_led_y_x[chosen].any():
            counts = self.weight_led_y_x[chosen] > 0
        scale = float(amplitude[chosen].mean(dtype=np.float64, where=counts))
        return scale if scale > 0 else float(amplitude.mean(dtype=np.float64))

    def select(self, leds: NDArray[np.intp]) -> Acquisition:
        """Keep the frames of these indices, in this order, and the LEDs that light them."""
        return self._of_frames(leds, self.illumination.select(leds))

    def one_by_one(self) -> Acquisition:
        """The frames of one LED, an LED once.

        Raises
        ------
        DataError
            There are none.
        """
        if self.illumination.lighting is None:
            return self
        frames, leds = self.illumination.alone()
        if not len(frames):
            raise DataError(
                "are all of several LEDs", "take some frames of one LED each", field="frames"
            )
        light = self.illumination
        geometry = None if light.geometry is None else light.geometry.select(leds)
        alone = Illumination(light.na_led_xy[leds], geometry, None, light.die)
        return self._of_frames(frames, alone)

    def _of_frames(self, leds: NDArray[np.intp], illumination: Illumination) -> Acquisition:
        return replace(
            self,
            frames_led_y_x=self.frames_led_y_x[leds],
            illumination=illumination,
            weight_led_y_x=_part(self.weight_led_y_x, leds),
            saturated_led_y_x=_part(self.saturated_led_y_x, leds),
            noise=None if self.noise is None else self.noise.select(leds),
        )

    def crop(self, y: int, x: int, height: int, width: int) -> Acquisition:
        """Cut a window from every frame; the LED directions become those at its centre.

        Raises
        ------
        DataError
            The window is empty or leaves the frame.
        """
        check_crop((y, x, height, width), self.shape_y_x)
        assert self.axis_y_x_px is not None
        axis = (self.axis_y_x_px[0] - y, self.axis_y_x_px[1] - x)
        offset = offset_from_axis_um(axis, (height, width), self.optics)
        window = (slice(None), slice(y, y + height), slice(x, x + width))
        return replace(
            self,
            frames_led_y_x=self.frames_led_y_x[window],
            illumination=self.illumination.seen_from(*offset),
            axis_y_x_px=axis,
            weight_led_y_x=_part(self.weight_led_y_x, window),
            saturated_led_y_x=_part(self.saturated_led_y_x, window),
        )


class CropError(DataError):
    """A crop leaves the frame, whose pixels (y, x) are `shape_y_x`."""

    def __init__(
        self,
        problem: str,
        mend: str,
        *,
        field: str = "",
        source: object = "",
        shape_y_x: tuple[int, int],
    ) -> None:
        super().__init__(problem, mend, field=field, source=source)
        self.shape_y_x = shape_y_x

    def at(self, source: object, field: str | None = None) -> CropError:
        """Return the same error, located in a file (and under that file's name for the field)."""
        return CropError(
            self.problem,
            self.mend,
            field=self.field if field is None else field,
            source=source,
            shape_y_x=self.shape_y_x,
        )


def _part(judged: NDArray[Any] | None, where: Any) -> NDArray[Any] | None:
    return None if judged is None else judged[where]


def check_crop(crop: tuple[int, int, int, int], shape_y_x: tuple[int, int]) -> None:
    """Refuse a crop (y, x, height, width) that is empty or leaves a frame of this shape."""
    y, x, height, width = crop
    if y < 0 or x < 0 or height < 1 or width < 1:
        raise DataError(
            f"is {y} {x} {height} {width}", "give Y X >= 0 and HEIGHT WIDTH >= 1", field="crop"
        )
    if y + height > shape_y_x[0] or x + width > shape_y_x[1]:
        raise CropError(
            f"{y} {x} {height} {width} leaves the frame of {shape_y_x[0]} x {shape_y_x[1]} "
            "pixels (y x x)",
            "give Y X HEIGHT WIDTH inside the frame",
            field="crop",
            shape_y_x=shape_y_x,
        )


def offset_from_axis_um(
    axis_y_x_px: tuple[float, float], shape_y_x: tuple[int, int], optics: Optics
) -> tuple[float, float]:
    """Offset (x, y) of a frame's centre from the optical axis, at the sample, in um."""
    return (
        ((shape_y_x[1] - 1) / 2 - axis_y_x_px[1]) * optics.pixel_um,
        ((shape_y_x[0] - 1) / 2 - axis_y_x_px[0]) * optics.pixel_um,
    )
