"""Observed, predicted, difference, and how far into the spectrum they agree."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from fpm_inr.display import robust_contrast
from fpm_inr.figures import phase_limit, phase_map, relative_phase
from fpm_inr.metrics.bands import BandErrors
from fpm_inr.metrics.compare import Comparison
from fpm_inr.metrics.images import Image
from fpm_inr.metrics.rings import ONE_SEVENTH
from fpm_inr.metrics.specimen import TargetContrast
from fpm_inr.metrics.targets import LEAST_CONTRAST, SiemensContrast


def comparison_figure(comparison: Comparison, contrast_of: TargetContrast | None = None) -> Figure:
    """Reference, aligned result and difference: amplitude, phase where there is one; spectrum.

    The difference of phase is less one constant and no ramp. The spectrum is shown as ring
    correlation and as error by band. Of a resolution target, its contrast is drawn as well.
    """
    result, reference = comparison.aligned.result, comparison.aligned.reference
    is_complex = np.iscomplexobj(result)
    rows, columns = 2 if is_complex else 1, 5 if contrast_of is None else 6
    figure = Figure(
        figsize=(3.5 * columns, 8 if is_complex else 4.4), layout="constrained", dpi=150
    )
    panels = figure.subplots(rows, columns, squeeze=False)
    observed, predicted = (np.abs(reference), np.abs(result)) if is_complex else (reference, result)
    contrast = robust_contrast([observed])
    difference = predicted - observed
    reach = max(float(np.percentile(np.abs(difference), 99.5)), 1e-6)
    _image(panels[0][0], observed, "observed", "gray", contrast.black, contrast.white)
    _image(panels[0][1], predicted, "predicted", "gray", contrast.black, contrast.white)
    _image(panels[0][2], difference, "predicted - observed", "RdBu_r", -reach, reach)
    if is_complex:
        phase = relative_phase(reference.astype(np.complex64))
        limit = phase_limit(phase)
        colours = phase_map(limit)
        _image(panels[1][0], phase, "observed phase, rad", colours, -limit, limit)
        of_result = relative_phase(result.astype(np.complex64))
        _image(panels[1][1], of_result, "predicted phase, rad", colours, -limit, limit)
        apart = np.angle(result * np.conj(reference))
        reach = max(float(np.percentile(np.abs(apart), 99.5)), 1e-6)
        _image(panels[1][2], apart, "difference less a constant, rad", "RdBu_r", -reach, reach)
        _rings(panels[1][3], comparison)
        _numbers(panels[1][4], comparison)
        panels[0][4].axis("off")
        draw_bands(panels[0][3], comparison.bands)
    else:
        draw_bands(panels[0][3], comparison.bands)
        _rings(panels[0][4], comparison)
    if contrast_of is not None:
        for panel in panels[:, 5]:
            panel.axis("off")
        draw_contrast(panels[0][5], contrast_of)
    return figure


def draw_bands(axes: Axes, bands: BandErrors) -> None:
    """Error by band of spatial frequency, beside what the reference holds there."""
    place = np.arange(len(bands.names))
    axes.plot(place, bands.reference, "k.:", label="reference")
    axes.plot(place, bands.error, "o-", markersize=3, label="error")
    if bands.phase_error_rad is not None:
        axes.plot(place, bands.phase_error_rad, "s-", markersize=3, label="phase error, rad")
    axes.set_yscale("log")
    axes.set_ylim(bottom=max(axes.get_ylim()[0], 1e-5))
    axes.set_xticks(place, bands.names, rotation=60, fontsize="small")
    axes.set_box_aspect(0.8)
    axes.set_xlabel("band, cycles across the image")
    axes.legend(fontsize="small")


def draw_contrast(axes: Axes, contrast_of: TargetContrast) -> None:
    """Contrast of a target against its period."""
    axes.axis("on")
    if isinstance(contrast_of, SiemensContrast):
        axes.plot(contrast_of.period_um, contrast_of.contrast, "o-", markersize=3, label="spokes")
    else:
        period_um = [1000 / one.line_pairs_per_mm for one in contrast_of]
        for name, marker in (("upright", "|"), ("level", "_")):
            values = [getattr(one, name) for one in contrast_of]
            axes.plot(period_um, values, marker, markersize=9, markeredgewidth=2, label=name)
    axes.axhline(LEAST_CONTRAST, linestyle=":", color="0.4", label=f"{LEAST_CONTRAST:g}")
    axes.axhline(1, color="0.8", linewidth=0.8, zorder=0)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_box_aspect(0.8)
    axes.set_xlabel("period, µm")
    axes.set_ylabel("contrast")
    axes.legend(fontsize="small")


def _image(axes: Axes, image: Image, title: str, colours: str, low: float, high: float) -> None:
    shown = axes.imshow(image, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
    axes.set_title(title, fontsize="medium")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.figure.colorbar(shown, ax=axes, shrink=0.75)


def _rings(axes: Axes, comparison: Comparison) -> None:
    rings = comparison.rings
    frequency = rings.frequency_per_um
    axes.plot(frequency, rings.correlation, label="ring correlation")
    axes.plot(frequency, rings.half_bit, "--", color="0.4", label="half-bit")
    axes.axhline(ONE_SEVENTH, linestyle=":", color="0.4", label="1/7")
    axes.set_ylim(-0.2, 1.05)
    axes.set_box_aspect(0.8)
    axes.set_xlabel("frequency, 1/pixel" if comparison.pixel_um is None else "frequency, 1/µm")
    axes.legend(fontsize="small")


def _numbers(axes: Axes, comparison: Comparison) -> None:
    axes.axis("off")
    text = "\n".join(f"{name:<32s}{value:>10.4g}" for name, value in comparison.numbers.items())
    axes.text(-0.15, 1, text, family="monospace", fontsize=6.5, va="top", transform=axes.transAxes)
