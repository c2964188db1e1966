"""What `fpm-inr trust` leaves in the folder of a reconstruction."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr import __version__
from fpm_inr.acquisition import Acquisition
from fpm_inr.files.replacing import make_folder, replacing
from fpm_inr.solution import Solution
from fpm_inr.trust.assess import Trust

FloatArray = NDArray[np.float64]

FOLDER = "trust"
UNITS = {
    "amplitude": "sqrt(counts)",
    "phase": "rad",
    "amplitude_noise": "sqrt(counts)",
    "phase_noise": "rad",
    "hanging_phase": "rad",
    "resolution": "um",
    "excess": "over noise",
    "height": "um",
}
VIEWS = ("amplitude_noise", "phase_noise", "hanging_phase", "resolution", "excess")


def write_trust(
    folder: Path,
    acquisition: Acquisition,
    solution: Solution,
    run: Mapping[str, Any],
    trust: Trust,
) -> list[Path]:
    """Write maps, pictures and numbers; say the numbers in run.json and in the report.

    Parameters
    ----------
    folder : Path
        Of the reconstruction.
    acquisition, solution
        With its history, where the report is to show it.
    run : mapping
        Content of run.json.
    trust : Trust

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    from fpm_inr.figures import save_figure
    from fpm_inr.report import write_report
    from fpm_inr.trust.figures import model_figure, noise_figure, transfer_figure

    into = folder / FOLDER
    make_folder(into)
    maps = dict(trust_maps(solution, trust))
    with replacing(into / "maps.npz") as beside:
        numbers: dict[str, Any] = {name: np.asarray(one, np.float32) for name, one in maps.items()}
        np.savez_compressed(beside, z_um=trust.z_um, pixel_um=trust.pixel_um, **numbers)
    _write_ome_tiff(into / "maps.ome.tif", maps, trust)
    for name in VIEWS:
        _write_view(into / f"{name}.safetensors", maps[name], UNITS[name], solution, trust)
    save_figure(noise_figure(trust, solution), into / "noise.png")
    save_figure(model_figure(trust, acquisition), into / "model.png")
    save_figure(transfer_figure(trust.transfer), into / "leds.png")
    told = {**run, "trust": trust.numbers()}
    with replacing(folder / "run.json") as beside:
        beside.write_text(json.dumps(told, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    write_report(folder / "report.html", acquisition, solution, told, trust=trust)
    return [*sorted(into.iterdir()), folder / "run.json", folder / "report.html"]


def trust_maps(solution: Solution, trust: Trust) -> Iterator[tuple[str, FloatArray]]:
    """Give name and map [z, y, x] of all that is told by place; amplitudes in the camera's unit."""
    shape, heights = solution.shape_y_x, len(trust.noise)
    stack = solution.render(trust.z_um)
    scale = solution.amplitude_scale
    yield "amplitude", stack.amplitude_z_y_x.astype(np.float64) * scale
    yield "phase", stack.phase_z_y_x.astype(np.float64)
    yield "amplitude_noise", np.stack([one.amplitude_y_x for one in trust.noise]) * scale
    yield "phase_noise", np.stack([one.phase_y_x for one in trust.noise])
    yield "hanging_phase", trust.hanging_phase_z_y_x
    factor = solution.upsampling
    for name, one in (
        ("resolution", trust.resolution.at_pixels(shape)),
        ("excess", np.kron(trust.model.excess_y_x, np.ones((factor, factor)))),
        ("height", np.kron(trust.model.height_y_x_um, np.ones((factor, factor)))),
    ):
        yield name, np.broadcast_to(one, (heights, *shape))


def _write_ome_tiff(path: Path, maps: Mapping[str, FloatArray], trust: Trust) -> None:
    """Planes [z, channel, y, x], one channel a map."""
    import tifffile

    per_cm = 1e4 / trust.pixel_um
    positions = np.repeat(trust.z_um, len(maps)).tolist()
    with (
        replacing(path) as beside,
        tifffile.TiffWriter(beside, ome=True) as tiff,
    ):
        tiff.write(
            np.stack([np.asarray(one, np.float32) for one in maps.values()], axis=1),
            photometric="minisblack",
            resolutionunit="CENTIMETER",
            resolution=(per_cm, per_cm),
            software=f"fpm-inr {__version__}",
            metadata={
                "axes": "ZCYX",
                "Name": path.name,
                "Description": ", ".join(f"{name} in {UNITS[name]}" for name in maps),
                "PhysicalSizeX": trust.pixel_um,
                "PhysicalSizeXUnit": "µm",
                "PhysicalSizeY": trust.pixel_um,
                "PhysicalSizeYUnit": "µm",
                "Channel": {"Name": list(maps)},
                "Plane": {"PositionZ": positions, "PositionZUnit": ["µm"] * len(positions)},
            },
        )


def _write_view(
    path: Path, map_z_y_x: FloatArray, unit: str, solution: Solution, trust: Trust
) -> None:
    """A map as a field file of one real plane a height, for the page's other side."""
    from fpm_inr.viewer.planes_file import planes_bytes

    # what is not told has no brightness
    values = np.where(np.isfinite(map_z_y_x), np.abs(map_z_y_x), 0)
    header = {
        "optics": asdict(solution.optics),
        "upsampling": solution.upsampling,
        "amplitude_scale": 1.0,
        "unit": unit,
        "origin_x_y_um": [0.0, 0.0],
    }
    with replacing(path) as beside:
        beside.write_bytes(planes_bytes(values[..., None].astype(np.float32), trust.z_um, header))
