"""Whether frames hold intensities, their square roots, or pictures for a screen (sRGB).

A stretched scale is noticed by what it leaves unexplained. So are a dark level that is left in and
noise, which squaring hides just as well: these are taken for themselves first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition

Scale = Literal["intensity", "amplitude", "srgb", "squared"]
Float32 = NDArray[np.float32]

# Intensities that leave this share of the frames' variation unexplained are doubted ...
DOUBTFUL = 0.4
# ... where another scale leaves this share of that, and explains most of it itself.
CLEAR_FACTOR, EXPLAINED = 0.4, 0.3
# Scales that leave alike within this factor are not told apart.
ALIKE_FACTOR = 1.1
# A floor under the dark-field frames above this share of the mean light of all is taken off first.
FLOOR_SHARE = 1e-3
# Noise that is expected to leave this share of what is unexplained explains it.
NOISE_SHARE = 0.5


@dataclass(frozen=True)
class ScaleCheck:
    """What the numbers of the frames are.

    Parameters
    ----------
    misfit : dict
        Share of the frames' variation that a quick solve leaves unexplained, by scale.
    best : Scale
        "intensity", unless another fits clearly better.
    alike : tuple of Scale
        Others that fit as well as the best.
    """

    misfit: dict[Scale, float]
    best: Scale
    alike: tuple[Scale, ...] = ()

    @property
    def warnings(self) -> Iterator[str]:
        """A sentence for a person; none where the frames hold intensities."""
        told = {
            "amplitude": "square roots of intensity",
            "srgb": "pictures for a screen, with gamma",
            "squared": "squared intensities",
        }
        if self.best == "intensity":
            return
        fitting = (self.best, *self.alike)
        keys = [f"`values: {one}`" for one in fitting if one != "squared"]
        mends = [f"write {' or '.join(keys)} under `frames:` in acquisition.yaml"] if keys else []
        if "squared" in fitting:
            mends.append("save the frames as the camera gives them")
        yield (
            f"the frames look like {' or '.join(told[one] for one in fitting)}: as intensities "
            f"they leave {self.misfit['intensity']:.0%} of their variation unexplained, as these "
            f"{self.misfit[self.best]:.0%}; {', or '.join(mends)}."
        )


def check_scale(acquisition: Acquisition, residual: Callable[[Acquisition], float]) -> ScaleCheck:
    """Try what the numbers may be.

    Parameters
    ----------
    acquisition : Acquisition
        A small one.
    residual : callable
        Data residual of a quick solve.
    """
    level = floor(acquisition)
    frames = acquisition.frames_led_y_x
    if FLOOR_SHARE * float(frames.mean(dtype=np.float64)) < level < float(frames.max()):
        acquisition = replace(acquisition, frames_led_y_x=np.maximum(frames - np.float32(level), 0))
    changes: dict[Scale, Callable[[Float32], Float32]] = {
        "intensity": lambda frames: frames,
        "amplitude": np.square,
        "srgb": _from_srgb,
        "squared": np.sqrt,
    }
    misfit: dict[Scale, float] = {}
    unexplained = 0.0
    for scale, change in changes.items():
        changed = replace(acquisition, frames_led_y_x=change(acquisition.frames_led_y_x))
        found = residual(changed)
        unexplained = found if scale == "intensity" else unexplained
        misfit[scale] = found / _variation(changed)
        if scale == "intensity" and misfit[scale] < DOUBTFUL:
            break  # nothing to explain better
    finest = min(misfit, key=misfit.__getitem__)
    is_clear = (
        misfit["intensity"] >= DOUBTFUL
        and misfit[finest] < CLEAR_FACTOR * misfit["intensity"]
        and misfit[finest] < EXPLAINED
        and _noise_residual(acquisition) < NOISE_SHARE * unexplained
    )
    if not is_clear:
        return ScaleCheck(misfit, "intensity")
    alike = tuple(
        scale
        for scale, value in misfit.items()
        if scale not in (finest, "intensity") and value < ALIKE_FACTOR * misfit[finest]
    )
    return ScaleCheck(misfit, finest, alike)


def floor(acquisition: Acquisition) -> float:
    """The light that is left where dark-field frames are darkest."""
    dark = ~acquisition.is_bright_field
    frames = acquisition.frames_led_y_x[dark] if dark.any() else acquisition.frames_led_y_x
    return float(np.median(np.percentile(frames, 2, axis=(1, 2))))


def noise(acquisition: Acquisition) -> float:
    """Standard deviation of the noise of dark-field frames, by what no objective passes.

    0 where the pixels are too coarse for frequencies beyond the objective's.
    """
    dark = ~acquisition.is_bright_field
    frames = acquisition.frames_led_y_x[dark] if dark.any() else acquisition.frames_led_y_x
    height, width = acquisition.shape_y_x
    optics = acquisition.optics
    window = np.hanning(height)[:, None] * np.hanning(width)
    fy = np.abs(np.fft.fftfreq(height, optics.pixel_um))[:, None]
    fx = np.abs(np.fft.fftfreq(width, optics.pixel_um))
    # frequencies that the objective passes fold back from beyond the sampling
    beyond = np.hypot(fy, fx)
    for away in ((1 / optics.pixel_um - fy, fx), (fy, 1 / optics.pixel_um - fx)):
        beyond = np.minimum(beyond, np.hypot(*away))
    leak = 3 / (min(height, width) * optics.pixel_um)
    outside = beyond > 2 * optics.na / optics.wavelength_um + leak
    if outside.sum() < 16:
        return 0.0
    means = frames.mean(axis=(1, 2), keepdims=True)
    power = np.abs(np.fft.fft2((frames - means) * window)[:, outside]) ** 2
    # noise is in all frames, what leaks from bright detail in some
    return float(np.sqrt(np.percentile(power.mean(axis=1), 5) / (window**2).sum()))


def _noise_residual(acquisition: Acquisition) -> float:
    """Data residual that the noise alone leaves.

    An amplitude is wrong by noise / (2 amplitude) where there is light, and by some of the root of
    the noise where there is none.
    """
    from scipy.ndimage import uniform_filter

    spread = noise(acquisition)
    frames = acquisition.frames_led_y_x
    light = np.maximum(uniform_filter(frames, size=(0, 3, 3)), 1e-12)
    wrong = np.minimum(spread**2 / (4 * light), 0.35 * spread)
    return float(wrong.sum(dtype=np.float64) / max(frames.sum(dtype=np.float64), 1e-30))


def _from_srgb(frames: Float32) -> Float32:
    share = frames / max(float(frames.max()), 1e-30)
    low = share / 12.92
    return np.asarray(np.where(share <= 0.04045, low, ((share + 0.055) / 1.055) ** 2.4), np.float32)


def _variation(acquisition: Acquisition) -> float:
    """Share of the amplitudes' energy that varies within frames."""
    amplitude = acquisition.amplitude_led_y_x.astype(np.float64)
    varying = amplitude - amplitude.mean(axis=(1, 2), keepdims=True)
    return max(float((varying**2).sum() / (amplitude**2).sum()), 1e-12)
