"""The frames of one patch size, with the truth where they are simulated."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fpm_inr.benchmark.settings import BenchmarkSettings
from fpm_inr.errors import SettingsError

if TYPE_CHECKING:
    from fpm_inr.acquisition import Acquisition
    from fpm_inr.simulate import Setup

ACQUISITION, TRUTH = "acquisition.h5", "truth.h5"
# one rig for all; of these presets, what is drawn and how strongly
PRESET_OF = {"smear": "blood-smear", "slow-phase": "slow-phase", "lens": "lens"}


def prepare(folder: Path, size: int, subject: str, settings: BenchmarkSettings) -> None:
    """Write acquisition.h5, and truth.h5 of a simulation, where they are not there yet.

    Raises
    ------
    InputError
        The data cannot be read, is smaller than the patch, or the specimen leaves the z range.
    """
    if (folder / ACQUISITION).is_file():
        return
    from fpm_inr.io.native import write_acquisition

    if settings.data is not None:
        write_acquisition(folder / ACQUISITION, _middle_of(settings.data, size, settings))
        return
    from fpm_inr.simulate import simulate, write_truth

    made = simulate(_setup(size, subject, settings))
    write_truth(folder / TRUTH, made.truth)
    write_acquisition(folder / ACQUISITION, made.acquisition)


def _middle_of(data: Path, size: int, settings: BenchmarkSettings) -> Acquisition:
    """Measured frames, cut to a patch in their middle."""
    from fpm_inr.io import load

    said: dict[str, Any] = {
        "wavelength_um": settings.wavelength_um,
        "medium_index": settings.medium_index,
    }
    height, width = load(data, **said).shape_y_x
    if min(height, width) < size:
        raise SettingsError(
            f"holds frames of {height} x {width} pixels, too small for {size}",
            "leave that size out",
            field="sizes",
            source=data,
        )
    return load(data, crop=((height - size) // 2, (width - size) // 2, size, size), **said)


def _setup(size: int, subject: str, settings: BenchmarkSettings) -> Setup:
    """A tilted specimen in the middle of the z range, within it."""
    from fpm_inr.simulate import preset

    setup = preset("blood-smear")
    low, high = settings.z_range_um
    width_um = size * setup.rig.optics.pixel_um
    tilt = settings.tilt_deg
    if tilt is None:
        tilt = math.degrees(math.atan((high - low) / 2 / width_um))
    if width_um * math.tan(math.radians(tilt)) > 0.9 * (high - low):
        raise SettingsError(
            f"of {tilt:g} degrees takes a specimen of {size} pixels out of the z range "
            f"{low:g} to {high:g} um",
            "lower the tilt or widen the z range",
            field="tilt",
        )
    drawn = preset(PRESET_OF[subject]).specimen
    return replace(
        setup,
        specimen=replace(drawn, shape="tilted", tilt_deg=tilt, z_um=(low + high) / 2),
        shape_y_x=(size, size),
        camera=replace(setup.camera, photons=settings.photons),
        scan_z_um=(),
        seed=settings.seed,
    )
