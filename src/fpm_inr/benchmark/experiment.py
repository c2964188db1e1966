"""The frames of one patch size, with the truth where they are simulated."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from fpm_inr.benchmark.settings import BenchmarkSettings
from fpm_inr.errors import SettingsError

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
    from fpm_inr.io.native import write_acquisition

    if (folder / ACQUISITION).is_file():
        return
    if settings.data is not None:
        from fpm_inr.io import load

        whole = load(
            settings.data,
            wavelength_um=settings.wavelength_um,
            medium_index=settings.medium_index,
        )
        height, width = whole.shape_y_x
        if min(height, width) < size:
            raise SettingsError(
                f"holds frames of {height} x {width} pixels, too small for {size}",
                "leave that size out",
                field="sizes",
                source=settings.data,
            )
        middle = ((height - size) // 2, (width - size) // 2, size, size)
        acquisition = load(
            settings.data,
            crop=middle,
            wavelength_um=settings.wavelength_um,
            medium_index=settings.medium_index,
        )
        write_acquisition(folder / ACQUISITION, acquisition)
        return

    from fpm_inr.simulate import preset, simulate, write_truth

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
    specimen = replace(drawn, shape="tilted", tilt_deg=tilt, z_um=(low + high) / 2)
    made = simulate(
        replace(
            setup,
            specimen=specimen,
            shape_y_x=(size, size),
            camera=replace(setup.camera, photons=settings.photons),
            scan_z_um=(),
            seed=settings.seed,
        )
    )
    write_truth(folder / TRUTH, made.truth)
    write_acquisition(folder / ACQUISITION, made.acquisition)
