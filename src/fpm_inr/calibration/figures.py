"""The picture of a calibration: LED map with arrows, pupil phase, gains."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import NDArray

from fpm_inr.acquisition import Acquisition
from fpm_inr.calibration.calibrate import CalibrationResult
from fpm_inr.display import PHASE_COLOURS
from fpm_inr.instrument.pupil_images import pupil_images

# arrows are drawn so that the longest is about as long as the LEDs are apart
SIDE = 129


def calibration_figure(acquisition: Acquisition, result: CalibrationResult) -> Figure:
    """Draw what was found: nominal LEDs with (lengthened) arrows, pupil, gains.

    The pupil's amplitude is drawn where a free map was found.
    """
    found = result.found
    has_map = found.pupil_y_x is not None
    figure = Figure(figsize=(21 if has_map else 16, 5.2), layout="constrained")
    leds, pupil, gains, *more = figure.subplots(1, 4 if has_map else 3)
    before = result.nominal.na_led_xy.numpy()
    moved = found.na_led_xy.numpy() - before
    longest = float(np.hypot(*moved.T).max())
    spacing = 2 * float(np.hypot(*before.T).max()) / max(1.0, np.sqrt(len(before)))
    factor = max(1.0, spacing / longest) if longest > 0 else 1.0
    factor = float(f"{factor:.1g}")
    leds.scatter(*before.T, s=9, color="0.6", label="nominal")
    leds.quiver(
        *before.T,
        *(factor * moved.T),
        angles="xy",
        scale_units="xy",
        scale=1,
        width=0.003,
        color="C3",
    )
    leds.add_patch(Circle((0, 0), acquisition.optics.na, fill=False, ls="--", color="C0"))
    leds.set_aspect("equal")
    leds.invert_yaxis()
    leds.set(xlabel="NA x", ylabel="NA y")
    leds.set_title(f"LED moves x {factor:g} (longest {longest:.2g} NA); dashed: objective")

    amplitude, phase = pupil_images(found, acquisition.optics, SIDE)
    if has_map:
        _draw_amplitude(more[0], amplitude)
    limit = max(float(np.nanmax(np.abs(phase))), 0.1)
    wraps = limit > np.pi
    shown = pupil.imshow(
        np.angle(np.exp(1j * phase)) if wraps else phase,
        cmap=PHASE_COLOURS if wraps else "RdBu",
        vmin=-min(limit, np.pi),
        vmax=min(limit, np.pi),
        extent=(-1, 1, 1, -1),
    )
    figure.colorbar(shown, ax=pupil, label="rad")
    rms = float(np.nanstd(phase)) / (2 * np.pi)
    pupil.set_title(f"pupil phase, {rms:.3f} waves RMS")
    pupil.set(xlabel="kx / edge", ylabel="ky / edge")

    drawn = gains.scatter(*found.na_led_xy.numpy().T, c=found.gain_led.numpy(), s=40)
    figure.colorbar(drawn, ax=gains, label="amplitude gain")
    gains.set_aspect("equal")
    gains.invert_yaxis()
    gains.set(xlabel="NA x", ylabel="NA y")
    gains.set_title("LED gains")
    verdict = "" if result.accepted else f"REFUSED ({result.reason}); "
    figure.suptitle(
        f"{verdict}z = {result.before.z_um:g} µm, data residual "
        f"{result.before.residual:.4f} before, {result.after.residual:.4f} after"
    )
    return figure


def _draw_amplitude(axes: Axes, amplitude: NDArray[np.float64]) -> None:
    shown = axes.imshow(amplitude, cmap="gray", extent=(-1, 1, 1, -1))
    axes.figure.colorbar(shown, ax=axes, label="amplitude")
    axes.set_title("pupil amplitude")
    axes.set(xlabel="kx / edge", ylabel="ky / edge")
