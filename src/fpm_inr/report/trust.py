"""The report's section on how far to trust the result."""

from __future__ import annotations

import math

import numpy as np

from fpm_inr.acquisition import Acquisition
from fpm_inr.report.document import Picture, Section, Table
from fpm_inr.solution import Solution
from fpm_inr.trust.assess import HANGS_RAD, Trust
from fpm_inr.trust.figures import model_figure, noise_figure, transfer_figure


def trust_section(acquisition: Acquisition, solution: Solution, trust: Trust) -> Section:
    """Noise, resolution, LEDs and model error: numbers and maps."""
    noise, resolution = trust.noise[trust.best], trust.resolution
    told = [
        ("height", f"{noise.z_um:.2f} µm"),
        ("amplitude, median", f"± {np.median(noise.amplitude_y_x):.2g} of the bright field"),
        ("phase, median", f"± {np.median(noise.phase_y_x):.2g} rad"),
    ]
    halves = "photons" if trust.halves == "photons" else "LEDs"
    whole = resolution.whole_um
    period = f"{whole:.3g} µm" if math.isfinite(whole) else "nothing agrees"
    resolved = [
        ("period", period),
        ("finest there can be", f"{resolution.cutoff_um:.3g} µm"),
        ("found from", f"halves of the {halves}, ring correlation under 1/7"),
    ]
    lost = trust.transfer.undetermined_um
    leds = [
        ("phase not determined", "none" if lost is None else f"{lost[1]:.3g} to {lost[0]:.3g} µm"),
        ("error over noise, less 1", f"{trust.model.excess:.2g} (median place)"),
    ]
    pictures = [
        Picture(
            noise_figure(trust, solution),
            "Amplitude and phase, and below the standard deviation that the frames' noise leaves "
            f"in them. Hatched: phase that hangs by more than {HANGS_RAD:g} rad on frequencies "
            "that the LEDs do not determine.",
            80,
        ),
        Picture(
            model_figure(trust, acquisition),
            "Period up to which two halves of the data agree, by place; what the frames keep over "
            "their noise, by place (outlined: more than one thin image explains) and by LED "
            "(numbered: moved or clipped).",
            80,
        ),
        Picture(
            transfer_figure(trust.transfer),
            "How much the LEDs tell of amplitude and phase by spatial frequency; 1 is what one "
            "frame tells at best.",
            80,
        ),
    ]
    tables = [Table("Noise", told), Table("Resolution", resolved), Table("LEDs and model", leds)]
    return Section("How far to trust it", tables, pictures)
