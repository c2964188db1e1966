"""One further solve: the same frames with noise of their own kind laid over them once more.

What the result changes by is a draw of the noise that it holds already, whatever the engine, its
damping and its stopping do to it, if both solves begin at the same instrument. What a solution
holds is the instrument at its end, with the brightness found for LEDs at the pupil's edge: begun
there, a solve comes to several times the noise away in slow structure.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from fpm_inr.acquisition import Acquisition
from fpm_inr.errors import DataError
from fpm_inr.forward import Instrument
from fpm_inr.instrument import Free
from fpm_inr.reconstruction import reconstruct
from fpm_inr.solution import Solution
from fpm_inr.solve.engine import engine_named
from fpm_inr.solve.progress import Listener, ignore, uninterrupted
from fpm_inr.solve.start import given_instrument, start_settings
from fpm_inr.trust.noise import Noise, estimate_noise


def noisier(acquisition: Acquisition, noise: Noise | None = None, *, seed: int = 0) -> Acquisition:
    """Lay noise as strong as the frames' own over them.

    It is laid over amplitudes, which is what a solve compares: laid over intensities, it would make
    their roots smaller on average.

    Parameters
    ----------
    acquisition : Acquisition
    noise : Noise, optional
        Default: estimated from the frames.
    seed : int
    """
    noise = estimate_noise(acquisition) if noise is None else noise
    random = np.random.default_rng(seed)
    amplitude = acquisition.amplitude_led_y_x
    frames = np.empty_like(acquisition.frames_led_y_x)
    for led, frame in enumerate(acquisition.frames_led_y_x):
        # what the amplitude is the root of may be more than the frame: see `CameraNoise`
        offset = amplitude[led].astype(np.float64) ** 2 - frame
        # a few electrons scatter about their mean, not about what was counted
        deviation = np.sqrt(noise.squared_error(led, uniform_filter(frame, 3)))
        noisy = amplitude[led] + deviation * random.standard_normal(frame.shape)
        frames[led] = np.maximum(np.maximum(noisy, 0) ** 2 - offset, 0)
    return replace(acquisition, frames_led_y_x=frames)


def solve_again(
    acquisition: Acquisition,
    like: Solution,
    start: Instrument | None,
    *,
    device: str = "cpu",
    listen: Listener = ignore,
) -> Solution:
    """Solve frames the way that a solution was made.

    Parameters
    ----------
    acquisition : Acquisition
        Of as many frames as `like` was made from.
    like : Solution
    start : Instrument or None
        What the solve begins with; the acquisition's nominal one where None.
    device : str
    listen : callable

    Raises
    ------
    DataError
        The solution does not say how it was made, or was made from another number of frames.
    KeyboardInterrupt
        The solve was interrupted: half of one is no measure.
    """
    if len(like.instrument.gain_led) != acquisition.led_count:
        raise DataError(
            f"has {acquisition.led_count} LEDs, and the solution was made from "
            f"{len(like.instrument.gain_led)}",
            "give the data that the solution was made from",
            field="acquisition",
        )
    try:
        settings = _settings(like)
    except (KeyError, TypeError, ValueError) as error:
        raise _says_nothing() from error
    return uninterrupted(
        reconstruct(acquisition, device=device, listen=listen, calibration=start, **settings)
    )


def noise_draw(
    acquisition: Acquisition,
    like: Solution,
    calibration: str | Path | Instrument | None = None,
    *,
    seed: int = 0,
    device: str = "cpu",
    listen: Listener = ignore,
) -> tuple[Solution, Solution]:
    """A solution and one of noisier frames, which differ by a draw of the noise.

    The first is the one given, at the cost of one further solve. Where what it began with is not
    known, since the instrument was learned together with the field or began at a calibration that
    is not given, both are solved anew, from the instrument that it ended with.

    Parameters
    ----------
    acquisition : Acquisition
    like : Solution
    calibration : str, Path or Instrument, optional
        What `like` began with, where that was not the acquisition's nominal instrument.
    seed : int
    device : str
    listen : callable

    Raises
    ------
    DataError
        As `solve_again`; or the calibration cannot be used.
    """
    is_known, start = _began_with(acquisition, like, calibration)
    frames = noisier(acquisition, seed=seed)
    noisy = solve_again(frames, like, start, device=device, listen=listen)
    if is_known:
        return like, noisy
    return solve_again(acquisition, like, start, device=device, listen=listen), noisy


def _began_with(
    acquisition: Acquisition, like: Solution, calibration: str | Path | Instrument | None
) -> tuple[bool, Instrument | None]:
    """Whether it is known what a solution began with, and that; else what it ended with."""
    settings = like.record.get("settings")
    if not isinstance(settings, dict):
        raise _says_nothing()
    given = given_instrument(acquisition, calibration)
    digest = start_settings(given, Free()).get("calibration")
    if "calibrate" not in settings and settings.get("calibration") == digest:
        return True, given
    return False, like.instrument


def _says_nothing() -> DataError:
    return DataError("do not say how the solution was made", "reconstruct again", field="settings")


def solve_halves(
    acquisition: Acquisition,
    like: Solution,
    *,
    device: str = "cpu",
    listen: Listener = ignore,
) -> tuple[Solution, Solution]:
    """Solve two disjoint halves of the LEDs, every other one in the order of their NA.

    Together they cost one further solve.

    Raises
    ------
    DataError
        As `solve_again`.
    """
    light, used = acquisition.illumination, like.frames_used(acquisition)
    order = used[np.argsort(light.na_frame[used], kind="stable")]
    halves = []
    for start in range(2):
        frames = np.sort(order[start::2])
        leds = light.leds_of(frames)
        instrument = like.instrument.select(torch.from_numpy(frames), torch.from_numpy(leds))
        part = replace(like, instrument=instrument, leds_left_out=())
        some = acquisition.select(frames)
        halves.append(solve_again(some, part, instrument, device=device, listen=listen))
    return halves[0], halves[1]


def _settings(like: Solution) -> dict[str, Any]:
    """Keywords of `reconstruct` for a solve like this one."""
    settings = like.record["settings"]
    engine = engine_named(settings["engine"])
    # the instrument has been found
    recipe = {name: one for name, one in settings["recipe"].items() if name != "calibrate"}
    keywords: dict[str, Any] = {
        "z_range_um": settings["z_range_um"],
        "upsample": like.upsampling,
        "engine": engine.name,
        "recipe": engine.settings.model_validate(recipe),
    }
    if "planes" in engine.options and "z_um" in settings:
        keywords["planes"] = len(settings["z_um"])
    names = ("steps", "passes", "seed", "bend_rad_per_px2", "guard_px")
    told = {name: settings[name] for name in names if name in settings}
    return {**keywords, **told}


def change(
    again_y_x: NDArray[np.complex64], image_y_x: NDArray[np.complex64]
) -> NDArray[np.complex128]:
    """What two images [y, x] differ by, apart from one complex factor, which no frames tell."""
    first, second = image_y_x.astype(np.complex128), again_y_x.astype(np.complex128)
    power = np.vdot(second, second).real
    factor = np.vdot(second, first) / power if power > 0 else 1.0
    return np.asarray(factor * second - first)
