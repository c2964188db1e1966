"""What the microscope did and saw: immutable values, validated once, at the door."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.camera_noise import CameraNoise
from fpm_inr.errors import DataError
from fpm_inr.illumination import LedGeometry


@dataclass(frozen=True)
class Optics:
    """The imaging side of the microscope.

    Parameters
    ----------
    wavelength_um : float
        Vacuum wavelength, in micrometres.
    na : float
        Numerical aperture of the objective.
    pixel_um : float
        Camera pixel divided by magnification: the pixel at the sample, in micrometres.
    medium_index : float
        Refractive index of the medium around the sample (defocus is computed in it).

    Raises
    ------
    DataError
        A value is not finite or positive, looks like another unit, the NA is not below the medium
        index, or the camera does not sample the pupil (pixel above wavelength / (2 NA)).
    """

    wavelength_um: float
    na: float
    pixel_um: float
    medium_index: float = 1.0

    def __post_init__(self) -> None:
        for name in ("wavelength_um", "na", "pixel_um", "medium_index"):
            value = getattr(self, name)
            if not (
                isinstance(value, int | float | np.integer | np.floating)
                and np.isfinite(value)
                and value > 0
            ):
                raise DataError(
                    f"is {value!r}, not a positive number", "give a positive number", field=name
                )
            object.__setattr__(self, name, float(value))
        self._check_wavelength_unit()
        if not 1.0 <= self.medium_index <= 2.5:
            raise DataError(
                f"is {self.medium_index:g}",
                "give a refractive index between 1 and 2.5",
                field="medium_index",
            )
        if self.na >= self.medium_index:
            raise DataError(
                f"is {self.na:g}, not below the medium index {self.medium_index:g}",
                "correct the numerical aperture or the medium index",
                field="na",
            )
        if self.pixel_um > self.wavelength_um / (2 * self.na):
            raise DataError(
                f"is {self.pixel_um:g} um, too coarse for NA {self.na:g} at "
                f"{self.wavelength_um:g} um, which needs at most "
                f"{self.wavelength_um / (2 * self.na):g} um",
                "give the pixel at the sample (camera pixel / magnification) in um",
                field="pixel_um",
            )
        if self.pixel_um < self.wavelength_um / 100:
            raise DataError(
                f"is {self.pixel_um:g} um, under a hundredth of the wavelength",
                "give the pixel at the sample in micrometres",
                field="pixel_um",
            )

    def _check_wavelength_unit(self) -> None:
        value = self.wavelength_um
        if 0.1 <= value <= 2.5:
            return
        for unit, factor in (("nanometres", 1e-3), ("metres", 1e6), ("millimetres", 1e3)):
            if 0.1 <= value * factor <= 2.5:
                raise DataError(
                    f"is {value:g}, which looks like {unit}",
                    f"give micrometres: {value * factor:g}",
                    field="wavelength_um",
                )
        raise DataError(
            f"is {value:g}, outside 0.1 to 2.5 um",
            "give the wavelength in micrometres",
            field="wavelength_um",
        )


class DarkError(DataError):
    """Frames hold no light, or no pixel that counts."""


@dataclass(frozen=True, eq=False)
class Illumination:
    """One illumination direction per frame.

    Parameters
    ----------
    na_led_xy : array [led, 2]
        Centre of the object-spectrum patch that each LED brings into the pupil, in NA units, as
        (x along columns, y along rows, increasing downward).
    geometry : LedGeometry, optional
        Where the LEDs are, when known: allows the angles of a crop away from the optical axis to
        be recomputed.

    Raises
    ------
    DataError
        The array is misshapen, empty, not finite, or holds an NA of 1 or more.
    """

    na_led_xy: NDArray[np.float64]
    geometry: LedGeometry | None = None

    def __post_init__(self) -> None:
        na = np.array(self.na_led_xy)
        if na.dtype.kind not in "iuf":
            raise DataError(f"has type {na.dtype}", "give real numbers", field="illumination NA")
        na = na.astype(np.float64)
        if na.ndim != 2 or na.shape[1] != 2 or na.shape[0] == 0:
            raise DataError(
                f"has shape {na.shape}", "give one (x, y) pair per LED", field="illumination NA"
            )
        if not np.isfinite(na).all():
            raise DataError(
                f"is not finite for LED {int(np.argmin(np.isfinite(na).all(axis=1)))}",
                "give a finite (x, y) pair for every LED",
                field="illumination NA",
            )
        largest = float(np.hypot(*na.T).max())
        if largest >= 1.0:
            raise DataError(
                f"reaches {largest:g}; light from air has NA below 1",
                "give direction cosines (sines of the angles), not millimetres or degrees",
                field="illumination NA",
            )
        if self.geometry is not None and self.geometry.led_count != len(na):
            raise DataError(
                f"holds {self.geometry.led_count} LEDs for {len(na)} directions",
                "give one position per LED",
                field="LED geometry",
            )
        na.setflags(write=False)
        object.__setattr__(self, "na_led_xy", na)

    @property
    def led_count(self) -> int:
        """Number of LEDs."""
        return len(self.na_led_xy)

    @cached_property
    def na_led(self) -> NDArray[np.float64]:
        """Illumination NA of each LED, [led]."""
        return np.hypot(self.na_led_xy[:, 0], self.na_led_xy[:, 1])

    def seen_from(self, x_um: float, y_um: float) -> Illumination:
        """Illumination at a sample point that lies (x, y) um from the optical axis.

        Without a known geometry the directions are returned as they are.
        """
        if self.geometry is None:
            return self
        return replace(self, na_led_xy=self.geometry.na_at(x_um, y_um))

    def select(self, leds: NDArray[np.intp]) -> Illumination:
        """Keep the LEDs of these indices, in this order."""
        geometry = None if self.geometry is None else self.geometry.select(leds)
        return Illumination(self.na_led_xy[leds], geometry)


@dataclass(frozen=True, eq=False)
class Acquisition:
    """Frames with the optics and illumination that made them.

    Parameters
    ----------
    frames_led_y_x : array [led, y, x]
        Intensities, dark level subtracted, per unit of exposure; finite and non-negative. Pixels
        of weight 0 may hold anything; what is not finite or negative there becomes 0.
    optics : Optics
    illumination : Illumination
        One direction per frame, valid at the centre of the frame.
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
        if len(frames) != self.illumination.led_count:
            raise DataError(
                f"are {len(frames)} for {self.illumination.led_count} LEDs",
                "give one illumination direction per frame",
                field="frames",
            )
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
    def led_count(self) -> int:
        """Number of frames, one an LED."""
        return len(self.frames_led_y_x)

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
        if self.noise is None:
            return np.sqrt(self.frames_led_y_x)
        mean = self.frames_led_y_x.mean(axis=(1, 2), dtype=np.float64)
        offset = self.noise.amplitude_offset_led(mean)
        return np.sqrt(self.frames_led_y_x + offset[:, None, None])

    @cached_property
    def is_bright_field(self) -> NDArray[np.bool_]:
        """Whether each LED's direct light passes the objective, [led]."""
        return self.illumination.na_led < self.optics.na

    @cached_property
    def amplitude_scale(self) -> float:
        """Mean amplitude of the bright-field frames (of all frames where none is bright-field).

        Amplitudes divided by it have a bright-field mean of 1.
        """
        bright = self.is_bright_field
        amplitude = self.amplitude_led_y_x
        chosen = bright if bright.any() else np.ones_like(bright)
        counts: Any = True
        if self.weight_led_y_x is not None and self.weight_led_y_x[chosen].any():
            counts = self.weight_led_y_x[chosen] > 0
        scale = float(amplitude[chosen].mean(dtype=np.float64, where=counts))
        return scale if scale > 0 else float(amplitude.mean(dtype=np.float64))

    def select(self, leds: NDArray[np.intp]) -> Acquisition:
        """Keep the LEDs of these indices, in this order."""
        return replace(
            self,
            frames_led_y_x=self.frames_led_y_x[leds],
            illumination=self.illumination.select(leds),
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
