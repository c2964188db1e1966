"""The report of a reconstruction: numbers, warnings and pictures on one page."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fpm_inr.acquisition import Acquisition
from fpm_inr.calibration.rigid import fit_rigid
from fpm_inr.errors import InputError
from fpm_inr.figures import preview_figure
from fpm_inr.files.replacing import replacing
from fpm_inr.focus import FocusSettings, all_in_focus
from fpm_inr.focus.figures import all_in_focus_figure, curve_figure, depth_figure
from fpm_inr.inspection import acquisition_figure, summarise
from fpm_inr.report.document import Picture, Section, Table, document
from fpm_inr.report.figures import (
    convergence_figure,
    instrument_figure,
    place_figure,
    residual_figure,
)
from fpm_inr.report.trust import trust_section
from fpm_inr.solution import Solution
from fpm_inr.trust.assess import Trust
from fpm_inr.trust.explained import Explanation, explain

FOCUS_HEIGHTS = 21
SHOWN_HEIGHTS = 5
MUCH_AT_ENDS = 0.25
CONVERGENCE = "Convergence: loss of every step, and its running median."
UNITS = {"_um": ", µm", "_px": ", pixels"}
NAMES = {"na": "NA", "led": "LED", "leds": "LEDs"}


def write_report(
    path: str | Path,
    acquisition: Acquisition,
    solution: Solution,
    run: Mapping[str, Any],
    explanation: Explanation | None = None,
    trust: Trust | None = None,
) -> None:
    """Write the report as one HTML file without any script.

    Parameters
    ----------
    path : str or Path
    acquisition : Acquisition
        What the solution was made from.
    solution : Solution
        With its history, where convergence is to be shown.
    run : dict
        As `results.write_results` returns it.
    explanation : Explanation, optional
        How far the solution explains the frames, where that is known already.
    trust : Trust, optional
        How far to trust the solution, where that has been asked.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    summary = summarise(acquisition)
    if explanation is None:
        explanation = explain(acquisition, solution, run["z_um"])
    focus, focus_warnings = _focus(solution)
    name = Path(str(run["settings"]["data"])).name
    text = document(
        f"Reconstruction of {name}",
        f"fpm-inr {run['version']}, {run['engine']}, recipe {run['recipe']}, {run['status']}",
        [
            *_warnings(run),
            *(() if trust is None else trust.warnings()),
            *summary["warnings"],
            *focus_warnings,
        ],
        [
            _measured(acquisition, summary),
            _solved(solution, run),
            _fit(acquisition, solution, explanation),
            _images(acquisition, solution),
            *(() if trust is None else (trust_section(acquisition, solution, trust),)),
            *focus,
            *_calibration(acquisition, solution),
        ],
    )
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def _warnings(run: Mapping[str, Any]) -> Iterator[str]:
    if run["status"] != "done":
        yield f"The solve was {run['status']} after {run['steps']} steps."
    yield from run["warnings"]


def _measured(acquisition: Acquisition, summary: Mapping[str, Any]) -> Section:
    tables = [
        Table(_title(title), [(_words(key), _text(value)) for key, value in values.items()])
        for title, values in summary.items()
        if isinstance(values, dict)
    ]
    picture = Picture(
        acquisition_figure(acquisition),
        "The most central frame, an oblique one, the mean intensity of every LED's frame, and how "
        "many LEDs cover each spatial frequency.",
        90,
    )
    return Section("What was measured", tables, [picture])


def _solved(solution: Solution, run: Mapping[str, Any]) -> Section:
    seconds = {f"{name} seconds": f"{value:.1f}" for name, value in run["seconds"].items()}
    result = {
        "shape": " x ".join(map(str, run["shape"])),
        "pixel": f"{solution.pixel_um:.4g} µm",
        "field file": f"{run['field_bytes'] / 1e6:.2f} MB",
        "peak memory": f"{run['peak_memory_mb']:.0f} MB",
        "steps": str(run["steps"]),
        **seconds,
    }
    machine = {
        "device": f"{run['device']}, {run['threads']} thread{'s' * (run['threads'] != 1)}",
        "fpm-inr": run["version"],
        "torch": _text(solution.record.get("torch")),
        "Python": platform.python_version(),
        "system": platform.system(),
    }
    settings = {
        name: value
        for name, value in run["settings"].items()
        if name != "resolved" and value is not None
    }
    tables = [
        Table("Result", list(result.items())),
        Table("Settings", [(_words(name), _text(value)) for name, value in settings.items()]),
        Table("Made by", list(machine.items())),
    ]
    pictures = []
    if solution.history:
        pictures.append(Picture(convergence_figure(solution.history), CONVERGENCE))
    return Section("What was solved", tables, pictures)


def _fit(acquisition: Acquisition, solution: Solution, explanation: Explanation) -> Section:
    left_out = solution.leds_left_out
    residual_z, best_um = explanation.residual_z, explanation.best_um
    residual_led, worst = explanation.residual_led, int(explanation.residual_led.argmax())
    leds = Picture(
        residual_figure(
            acquisition.select(explanation.leds), residual_led, explanation.z_um, residual_z
        ),
        "Squared error of the predicted amplitudes over the squared measured ones: for every LED "
        f"at z = {best_um:.2f} µm (dashed: NA of the objective), and for all LEDs at each height.",
    )
    places = Picture(
        place_figure(explanation.error_y_x, explanation.noise_y_x),
        f"Where the frames are not explained, at z = {best_um:.2f} µm: error of the predicted "
        "amplitudes of all LEDs over what the frames' noise leaves on average (1: noise alone).",
        80,
    )
    numbers = Table(
        "Data residual",
        [
            ("lowest", f"{explanation.residual:.4f} at z = {best_um:.2f} µm"),
            ("highest", f"{residual_z.max():.4f}"),
            ("noise alone would leave", f"{explanation.expected_residual:.4f}"),
            ("median LED", f"{np.median(residual_led):.4f}"),
            ("worst LED", f"{residual_led[worst]:.4f}, number {explanation.leds[worst]}"),
            *(
                [("left out", f"{', '.join(map(str, left_out))}, at the pupil's edge")]
                * bool(left_out)
            ),
        ],
    )
    return Section("How well it explains the frames", [numbers], [leds, places])


def _images(acquisition: Acquisition, solution: Solution) -> Section:
    low, high = solution.z_range_um
    heights = np.linspace(low, high, SHOWN_HEIGHTS if low < high else 1)
    planes = solution.planes_um
    if planes is not None:
        heights = np.unique(planes[np.abs(heights[:, None] - planes).argmin(axis=1)])
    centre = int(acquisition.illumination.na_frame.argmin())
    figure = preview_figure(
        acquisition.amplitude_led_y_x[centre],
        solution.render(heights),
        acquisition.optics.pixel_um,
    )
    caption = "The most central raw frame; amplitude and phase, relative to its mean, by height."
    return Section("Amplitude and phase", pictures=[Picture(figure, caption)])


def _focus(solution: Solution) -> tuple[list[Section], list[str]]:
    """All-in-focus image, depth and focus curve, where there are heights to choose from."""
    low, high = solution.z_range_um
    heights = solution.planes_um
    if heights is None:
        heights = np.linspace(low, high, FOCUS_HEIGHTS if low < high else 1)
    side = min(solution.shape_y_x)
    if len(heights) < 3 or side < 4:
        return [], []
    patch = min(FocusSettings().patch_px, side)
    settings = FocusSettings(patch_px=patch, stride_px=max(1, patch // 4))
    try:
        result = all_in_focus(solution.slices, heights, settings)
    except InputError as error:
        return [], [f"Focus was not judged: {error}"]
    share = result.depth.share_at_ends
    told = (
        f"{share:.0%} of the patches with contrast are sharpest at an end of the range; focus may "
        "lie beyond it."
    )
    pictures = [
        Picture(all_in_focus_figure(result), "All in focus: amplitude and phase.", 80),
        Picture(depth_figure(result), "Depth: where every patch is sharpest.", 80),
        Picture(curve_figure(result.depth.scores, None), "Focus curve of the whole image.", 80),
    ]
    return [Section("Focus", pictures=pictures)], [told] if share > MUCH_AT_ENDS else []


def _calibration(acquisition: Acquisition, solution: Solution) -> list[Section]:
    """What differs from the stated instrument, if anything does."""
    instrument = solution.instrument
    is_stated = (
        np.allclose(instrument.na_led_xy.numpy(), acquisition.illumination.na_led_xy, atol=1e-9)
        and bool((instrument.gain_led == 1).all())
        and not bool(instrument.zernike_rad.any())
        and instrument.pupil_y_x is None
        and instrument.na is None
    )
    if is_stated:
        parts = ("LED places", "LED gains", "pupil")
        refused = solution.record.get("calibration_refused")
        kept = f"as stated; refused: {refused}" if refused else "as stated, not calibrated"
        rows = [(part, kept) for part in parts]
        return [Section("Calibration", [Table("Instrument", rows)])]
    figure = instrument_figure(acquisition, instrument)
    caption = "The instrument as the solution uses it: LED places and gains, and the pupil's phase."
    if instrument.pupil_y_x is not None:
        caption += " A free pupil, not drawn, multiplies it."
    told = []
    plane = solution.record.get("calibration_of_a_plane")
    if plane is not None and not plane["refused"]:
        told.append((f"a plane at z = {plane['z_um']:.1f} µm", plane["residual"]))
    if "calibration_residual" in solution.record:
        told.append(("a short solve", solution.record["calibration_residual"]))
    rows = [
        (what, f"{before:.4f} as stated, {after:.4f} as found") for what, (before, after) in told
    ]
    found = [("LED array", str(fit_rigid(acquisition, instrument.na_led_xy.numpy()).move))]
    found.append(("NA of the objective", f"{instrument.na_of(acquisition.optics):.4g}"))
    tables = [Table("Instrument as found", found)]
    tables += [Table("Data residual of", rows)] if rows else []
    return [Section("Calibration", tables, [Picture(figure, caption)])]


def _words(key: str) -> str:
    """A key as words: pixel_um -> pixel, µm."""
    unit = next((shown for suffix, shown in UNITS.items() if key.endswith(suffix)), "")
    bare = key[:-3] if unit else key
    words = bare.replace("_y_x", " (y, x)").replace("_", " ").split(" ")
    return " ".join(NAMES.get(word, word) for word in words) + unit


def _title(key: str) -> str:
    words = _words(key)
    return words[:1].upper() + words[1:]


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    return str(value)
