"""What an acquisition can resolve, and whether it samples enough to be solved."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpm_inr.acquisition import Acquisition, Illumination, Optics, offset_from_axis_um
from fpm_inr.errors import SettingsError

FloatArray = NDArray[np.float64]

LEAST_OVERLAP = (
    0.35  # area; below it phase retrieval stagnates (Dong et al., Opt. Express 22, 2014)
)
EDGE_NA_FRACTION = 0.01
LARGEST_NA_CHANGE = 0.05  # of the objective's NA, from the centre of the frame to a corner
SATURATED_FRACTION, SATURATED_PIXELS = 1e-3, 10
FLOOR_FRACTION = 0.5  # of a dark-field frame's mean that its darkest percent reaches
ROUNDING = 1e-9


def synthetic_na(optics: Optics, illumination: Illumination) -> float:
    """Largest NA that any frame carries: the objective's plus the largest of the LEDs."""
    return optics.na + float(illumination.na_led.max())


def resolution_um(optics: Optics, illumination: Illumination) -> float:
    """Finest period of a solved image: wavelength / (NA of objective + largest NA of the LEDs)."""
    return optics.wavelength_um / synthetic_na(optics, illumination)


def fourier_sample_na(optics: Optics, shape_y_x: tuple[int, int]) -> float:
    """A Fourier sample of frames [y, x], in NA; of sides that differ, the geometric mean."""
    return optics.wavelength_um / (optics.pixel_um * math.sqrt(math.prod(shape_y_x)))


def depth_of_field_um(optics: Optics) -> float:
    """Depth over which a raw frame stays sharp: index * wavelength / NA^2."""
    return optics.medium_index * optics.wavelength_um / optics.na**2


def smallest_upsampling(optics: Optics, illumination: Illumination) -> int:
    """Smallest whole K whose pixel (frame pixel / K) holds the synthetic aperture.

    (NA_objective + NA_illumination) / wavelength <= K / (2 pixel).
    """
    needed = 2 * optics.pixel_um * synthetic_na(optics, illumination) / optics.wavelength_um
    return max(1, math.ceil(needed - ROUNDING))


def default_upsampling(optics: Optics, illumination: Illumination) -> int:
    """Upsampling that is used where none is asked for: the smallest that will do, at least 2.

    A field whose synthetic aperture just fits its grid is held by that grid; its amplitude and
    phase, which are what one looks at (and what the field of the recipes `neural` and `paper`
    draws), are finer than the field.
    """
    return max(2, smallest_upsampling(optics, illumination))


def check_upsampling(acquisition: Acquisition, upsampling: int) -> None:
    """Refuse an upsampling whose grid does not hold the synthetic aperture.

    Raises
    ------
    SettingsError
        It is no whole number above 0, or light reaches beyond the upsampled grid.
    """
    if isinstance(upsampling, bool) or not isinstance(upsampling, int | np.integer):
        raise SettingsError(f"is {upsampling!r}", "give a whole number", field="upsample")
    least = smallest_upsampling(acquisition.optics, acquisition.illumination)
    if upsampling < least:
        led = int(acquisition.illumination.na_led.argmax())
        raise SettingsError(
            f"is {upsampling}, too coarse for the light of LED {led} "
            f"(NA {acquisition.illumination.na_led[led]:.3f})",
            f"give at least {least}",
            field="upsample",
        )


def disc_overlap(distance: ArrayLike, radius: float) -> FloatArray:
    """Shared area of two discs of this radius, as a fraction of one disc's."""
    half = np.clip(np.asarray(distance, dtype=np.float64) / (2 * radius), 0, 1)
    return np.asarray(2 / np.pi * (np.arccos(half) - half * np.sqrt(1 - half**2)))


def overlap_fraction(optics: Optics, illumination: Illumination) -> FloatArray:
    """Area that each LED's pupil disc shares with its nearest neighbour's, [led], 0 to 1.

    A single LED has no neighbour: 0.
    """
    from scipy.spatial import KDTree

    if illumination.led_count == 1:
        return np.zeros(1)
    distances, _ = KDTree(illumination.na_led_xy).query(illumination.na_led_xy, k=2)
    return disc_overlap(np.asarray(distances)[:, 1], optics.na)


def warnings(acquisition: Acquisition) -> tuple[str, ...]:
    """Sentences on what may keep a reconstruction from being good; none of it is an error.

    What reading did to the frames comes first.
    """
    told = (_sampling_warnings(acquisition), _frame_warnings(acquisition))
    return (*acquisition.notes, *(sentence for some in told for sentence in some))


def _sampling_warnings(acquisition: Acquisition) -> Iterator[str]:
    optics, illumination = acquisition.optics, acquisition.illumination
    finest = optics.wavelength_um / (4 * optics.na)
    if optics.pixel_um > finest * (1 + ROUNDING):
        yield (
            f"The pixel of {optics.pixel_um:.4g} um is above wavelength / (4 NA) = {finest:.4g} um:"
            " intensities alias, so judge raw frames with care. The solver samples intensities as"
            " the pixels do, but at points: their area makes the finest detail come out too weak."
        )
    if not acquisition.is_bright_field.any():
        yield (
            f"No LED is bright-field (all are at NA {illumination.na_led.min():.3f} or more, the "
            f"objective has {optics.na:g}): brightness and low frequencies are left open."
        )
    overlap = float(np.median(overlap_fraction(optics, illumination)))
    if illumination.led_count > 1 and overlap < LEAST_OVERLAP:
        yield (
            f"Neighbouring LEDs overlap by {overlap:.0%} in Fourier space; phase wants "
            f"{LEAST_OVERLAP:.0%} or more (closer LEDs, or LEDs further away)."
        )
    # a frame of side L tells NAs apart in steps of wavelength / L; angles are rarely known to 1 %
    sample_na = optics.wavelength_um / (min(acquisition.shape_y_x) * optics.pixel_um)
    edge_na = max(sample_na, EDGE_NA_FRACTION * optics.na)
    on_edge = np.abs(illumination.na_led - optics.na) <= edge_na
    if on_edge.any():
        yield (
            f"{_some('LED', on_edge)} within {edge_na:.2g} of the objective's NA, where a small "
            "error of angle turns bright field into dark field: calibrate LED positions or leave "
            "them out."
        )
    change = _largest_na_change(acquisition)
    if change > LARGEST_NA_CHANGE * optics.na:
        yield (
            f"LED angles change by NA {change:.3f} from the centre to the corners of the frame: "
            "solve smaller crops."
        )


def _frame_warnings(acquisition: Acquisition) -> Iterator[str]:
    frames = acquisition.frames_led_y_x
    light, na = acquisition.illumination, acquisition.optics.na
    na_led = light.na_frame
    mean = frames.mean(axis=(1, 2), dtype=np.float64)
    if light.lighting is not None:  # as bright as one of the LEDs that make the most of it
        direct = light.weight_frame(light.na_led < na)
        mean /= np.where(direct > 0, direct, light.weight_frame(light.na_led >= na))
    if (mean == 0).any():
        yield f"{_some('frame', mean == 0)} all zero: LEDs that did not light should be left out."
    inside, outside = na_led < 0.95 * na, na_led > 1.05 * na
    if inside.any():
        usual = np.median(mean[inside])
        unlike = (inside & (mean < 0.1 * usual)) | (outside & (mean > 0.5 * usual))
        if unlike.any():
            yield (
                f"{_some('frame', unlike)} as bright as the other kind of field: bright-field and "
                "dark-field LEDs may be swapped; check the order, turn and flips of the LED array."
            )
    pixels_at_top = _pixels_at_top(acquisition)
    at_top = pixels_at_top / frames[0].size
    saturated = (at_top > SATURATED_FRACTION) & (pixels_at_top >= SATURATED_PIXELS)
    # what a reader has found, it has said
    if saturated.any() and acquisition.saturated_led_y_x is None:
        yield (
            f"{_some('frame', saturated)} at the top value in up to {at_top.max():.1%} of the "
            "pixels: probably saturated."
        )
    lit = outside & (mean > 0)
    if lit.any():
        step = max(1, min(frames.shape[1:]) // 256)  # a part of a large frame tells as much
        thinned = (frames[led, ::step, ::step] for led in np.flatnonzero(lit))
        darkest = [np.percentile(frame, 1) for frame in thinned]
        floor = float(np.median(darkest / mean[lit]))
        if floor > FLOOR_FRACTION:
            yield (
                f"Dark-field frames hardly fall below {floor:.0%} of their mean: a dark level of "
                f"about {float(np.median(darkest)):.3g} may be left in them; subtract it "
                "(frames.dark_level)."
            )


def _pixels_at_top(acquisition: Acquisition) -> NDArray[np.int64]:
    """Pixels [led] at the largest value of their own frame: exposures may differ."""
    frames, weight = acquisition.frames_led_y_x, acquisition.weight_led_y_x
    counts = []
    for led, frame in enumerate(frames):
        good = frame if weight is None else frame[weight[led] > 0]
        top = good.max() if good.size else 0
        is_flat = not good.size or good.min() == top
        counts.append(0 if is_flat else np.count_nonzero(good == top))
    return np.array(counts)


def _largest_na_change(acquisition: Acquisition) -> float:
    """Farthest that an LED's direction moves between the centre and a corner of the frame."""
    illumination = acquisition.illumination
    if illumination.geometry is None or acquisition.axis_y_x_px is None:
        return 0.0
    height, width = acquisition.shape_y_x
    x, y = offset_from_axis_um(acquisition.axis_y_x_px, acquisition.shape_y_x, acquisition.optics)
    half_x, half_y = (length / 2 * acquisition.optics.pixel_um for length in (width, height))
    corners = ((x + a * half_x, y + b * half_y) for a in (-1, 1) for b in (-1, 1))
    return max(
        float(np.hypot(*(illumination.geometry.na_at(*corner) - illumination.na_led_xy).T).max())
        for corner in corners
    )


def _some(noun: str, chosen: NDArray[np.bool_]) -> str:
    """Name at most five by number, with the verb: '2 frames (0, 3, counted from 0) are'."""
    numbers = np.flatnonzero(chosen)
    named = ", ".join(str(n) for n in numbers[:5]) + (" and more" if len(numbers) > 5 else "")
    if len(numbers) == 1:
        return f"1 {noun} ({named}, counted from 0) is"
    return f"{len(numbers)} {noun}s ({named}, counted from 0) are"
