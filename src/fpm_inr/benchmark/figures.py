"""The paper's Figures 2 and 3, from one's own run."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fpm_inr.benchmark.experiment import TRUTH
from fpm_inr.benchmark.judge import without_rim
from fpm_inr.benchmark.run import place_of
from fpm_inr.benchmark.settings import BenchmarkSettings
from fpm_inr.display import Contrast, robust_contrast
from fpm_inr.figures import phase_limit, phase_map, relative_phase, save_figure
from fpm_inr.files.replacing import replacing
from fpm_inr.metrics import align
from fpm_inr.simulate import load_truth

Outcome = dict[str, Any]
Image = NDArray[Any]

DPI = 90
MOST_BYTES = 390 * 1024  # of a picture of images, so that it can lie in a repository
ZOOM = 4  # the zoom shows a window of 1 / ZOOM of the side


def write_figures(folder: Path, outcome: Outcome, settings: BenchmarkSettings) -> None:
    """Write an images-SPECIMEN.png for each (largest size that was solved), bands.png, cost.png.

    Time, storage and memory are drawn for the first specimen: others cost the same.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    cases = [case for case in outcome["cases"] if "not_run" not in case]
    if not cases:
        return
    by_subject = {
        subject: [case for case in cases if case["specimen"] == subject]
        for subject in dict.fromkeys(case["specimen"] for case in cases)
    }
    save_figure(cost_figure(next(iter(by_subject.values())), settings), folder / "cost.png")
    if any("bands" in case for case in cases):
        save_figure(bands_figure(by_subject), folder / "bands.png")
    for subject, own in by_subject.items():
        largest = [case for case in own if case["size"] == own[-1]["size"]]
        _save_small(images_figure(folder, largest), folder / f"images-{subject}.png")


def _save_small(figure: Figure, path: Path) -> None:
    """Write a PNG of as many colours as keep it under `MOST_BYTES` (noise compresses badly)."""
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    picture = PIL.Image.open(drawn).convert("RGB")
    for colours in (256, 192, 128, 96, 64):
        packed = BytesIO()
        few = picture.quantize(colours, dither=PIL.Image.Dither.NONE)
        few.save(packed, "PNG", optimize=True)
        if packed.tell() <= MOST_BYTES:
            break
    with replacing(path) as beside:
        beside.write_bytes(packed.getvalue())


def images_figure(folder: Path, cases: list[Outcome]) -> Figure:
    """Fig. 2: all-in-focus amplitude, zoom and phase of every method, beside the truth.

    With a truth there are rows of differences from it as well.
    """
    place = place_of(folder, cases[0]["size"], cases[0]["specimen"])
    columns: list[tuple[str, Image]] = []
    for case in cases:
        with np.load(place / f"{case['method']}.all_in_focus.npz") as kept:
            columns.append((case["method"], kept["image"]))
    truth = None
    if (place / TRUTH).is_file():
        truth = load_truth(place / TRUTH).seen_y_x
    reference = columns[0][1] if truth is None else truth
    upsampling = reference.shape[0] // int(cases[0]["size"])
    reference = without_rim(reference, upsampling)
    solved = [
        (name, align(without_rim(image, upsampling), reference, find_shift=False).result)
        for name, image in columns
    ]
    shown = solved if truth is None else [("truth", reference), *solved]

    rows = 3 if truth is None else 5
    figure = Figure(figsize=(2.9 * len(shown) + 1, 2.8 * rows), layout="constrained")
    axes = figure.subplots(rows, len(shown), squeeze=False)
    grey = robust_contrast([np.abs(reference)])
    limit = phase_limit(relative_phase(reference))
    zoom = _richest_window(np.abs(reference))
    differences = [
        (np.abs(image) - np.abs(reference), np.angle(image * np.conj(reference)))
        for _, image in shown
    ]
    reach = [
        max(1e-6, *(float(np.percentile(np.abs(pair[n]), 99)) for pair in differences))
        for n in (0, 1)
    ]
    for n, (name, image) in enumerate(shown):
        amplitude, phase = np.abs(image), relative_phase(image.astype(np.complex64))
        drawn = [_draw(axes[0][n], amplitude, "gray", grey)]
        drawn.append(_draw(axes[1][n], amplitude[zoom], "gray", grey))
        drawn.append(_draw(axes[2][n], phase, phase_map(limit), Contrast(-limit, limit)))
        _mark(axes[0][n], zoom)
        axes[0][n].set_title(name)
        labels = ["amplitude", "zoom", "phase, rad"]
        if truth is not None:
            for row, kind in ((3, 0), (4, 1)):
                colours = Contrast(-reach[kind], reach[kind])
                drawn.append(_draw(axes[row][n], differences[n][kind], "RdBu_r", colours))
            labels += ["amplitude - truth", "phase - truth, rad"]
        if n == len(shown) - 1:
            for row, (picture, label) in enumerate(zip(drawn, labels, strict=True)):
                figure.colorbar(picture, ax=axes[row], shrink=0.8, label=label)
    size, subject = cases[0]["size"], cases[0]["specimen"]
    figure.suptitle(f"All in focus, {subject}, {size} x {size} frame pixels")
    return figure


def cost_figure(cases: list[Outcome], settings: BenchmarkSettings) -> Figure:
    """Fig. 3: time, storage and memory against patch size; NCC between engines at every height."""
    figure = Figure(figsize=(15, 3.8), layout="constrained")
    time, storage, memory, likeness = figure.subplots(1, 4)
    for name in dict.fromkeys(case["method"] for case in cases):
        own = [case for case in cases if case["method"] == name]
        sizes = [case["size"] for case in own]
        time.plot(sizes, [case["solve_seconds"] for case in own], "o-", label=name)
        storage.plot(sizes, [case["file_bytes"] / 1e6 for case in own], "o-", label=name)
        memory.plot(sizes, [case["peak_memory_bytes"] / 1e9 for case in own], "o-", label=name)
    by_size = {case["size"]: case["stack_bytes"] / 1e6 for case in cases}
    storage.plot(
        list(by_size), list(by_size.values()), "k:", label=f"{settings.slices} images, float32"
    )
    for axes, label in (
        (time, "time to solve, s"),
        (storage, "on disk, MB"),
        (memory, "peak memory, GB"),
    ):
        ticks = sorted(by_size)
        axes.set(xscale="log", yscale="log", xlabel="side of the patch, pixels", ylabel=label)
        axes.set_xticks(ticks, [str(size) for size in ticks])
        axes.xaxis.minorticks_off()
        axes.grid(alpha=0.3)
    for axes in (time, storage):
        axes.legend(fontsize="small")
    for case in cases:
        if "ncc_amplitude_z" in case:
            of_z = [np.nan if v is None else v for v in case["ncc_amplitude_z"]]
            likeness.plot(settings.z_um, of_z, label=f"{case['size']}, {case['method']}")
    likeness.axhline(0.95, color="0.5", linestyle=":")
    likeness.set(xlabel="z, µm", ylabel="NCC of amplitudes between engines")
    if likeness.lines[1:]:
        likeness.legend(fontsize="small")
    return figure


def bands_figure(by_subject: dict[str, list[Outcome]]) -> Figure:
    """Complex error by band of frequency: a row a specimen, a column a size."""
    sizes = sorted({case["size"] for cases in by_subject.values() for case in cases})
    figure = Figure(
        figsize=(4.2 * len(sizes), 3.4 * len(by_subject)), layout="constrained", dpi=DPI
    )
    panels = figure.subplots(len(by_subject), len(sizes), squeeze=False)
    for row, (subject, cases) in zip(panels, by_subject.items(), strict=True):
        for axes, size in zip(row, sizes, strict=True):
            here = [case for case in cases if case["size"] == size and "bands" in case]
            for n, case in enumerate(here):
                bands = case["bands"]
                names = [_cycles(band["cycles"]) for band in bands]
                if n == 0:
                    held = [band["reference"] for band in bands]
                    axes.plot(names, held, "k.:", label="truth")
                errors = [band["error"] for band in bands]
                axes.plot(names, errors, "o-", markersize=3, label=case["method"])
            axes.set(yscale="log", title=f"{subject}, {size}", xlabel="cycles across the image")
            axes.set_ylabel("complex error, over all of the truth")
            axes.tick_params(axis="x", rotation=60, labelsize="small")
            axes.grid(alpha=0.3)
            if here:
                axes.legend(fontsize="small")
    return figure


def _cycles(limits: list[float | None]) -> str:
    low, high = limits
    return f"{low:.3g}-" if high is None else f"{low:.3g}-{high:.3g}"


def _richest_window(amplitude: Image) -> tuple[slice, slice]:
    """The window of a coarse grid with the largest variance."""
    height, width = (length // ZOOM for length in amplitude.shape)
    windows = [
        (slice(y * height, (y + 1) * height), slice(x * width, (x + 1) * width))
        for y in range(ZOOM)
        for x in range(ZOOM)
    ]
    return max(windows, key=lambda window: float(amplitude[window].var()))


def _draw(axes: Axes, image: Image, colours: str, scale: Contrast) -> Any:
    axes.set_xticks([])
    axes.set_yticks([])
    return axes.imshow(
        image, cmap=colours, vmin=scale.black, vmax=scale.white, interpolation="nearest"
    )


def _mark(axes: Axes, window: tuple[slice, slice]) -> None:
    from matplotlib.patches import Rectangle

    y, x = window
    corner, size = (x.start, y.start), (x.stop - x.start, y.stop - y.start)
    axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor="yellow"))
