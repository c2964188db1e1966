"""Fields in napari: a focus stack whose slices are rendered when they are looked at.

Installed with ``pip install 'fpm-inr[napari]'``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from fpm_inr.mosaic.mosaic import Mosaic
    from fpm_inr.solution import Solution

LayerData = tuple[Any, dict[str, Any], str]

HEIGHTS = 201  # of a stack with any height; only those that are looked at are rendered
KEPT_SLICES = 16


def field_reader(path: str | Sequence[str]) -> Callable[[Any], list[LayerData]] | None:
    """Give the function that reads a field file or a mosaic; None where it is something else."""
    from fpm_inr.errors import DataError
    from fpm_inr.field_header import read_header
    from fpm_inr.mosaic.manifest import read_manifest

    first = Path(path if isinstance(path, str) else path[0])
    try:
        if first.is_dir():
            read_manifest(first)
        else:
            read_header(first)
    except DataError:
        return None
    return read_fields


def read_fields(path: str | Sequence[str]) -> list[LayerData]:
    """Amplitude and phase layers of one or more field files.

    Raises
    ------
    DataError
        A file is damaged.
    """
    from fpm_inr.solution import load_solution

    paths = [path] if isinstance(path, str) else path
    return [layer for one in paths for layer in solution_layers(load_solution(one), Path(one).stem)]


def solution_layers(solution: Solution | Mosaic, name: str) -> list[LayerData]:
    """Amplitude, in sqrt(counts), and phase, in rad, as lazy stacks [z, y, x] in micrometres.

    A conventional solution of unevenly spaced planes is shown at even heights, each by the plane
    nearest to it.
    """
    import dask.array

    low, high = solution.z_range_um
    heights = np.linspace(low, high, _count(solution))
    shape = (len(heights), *solution.shape_y_x)

    @lru_cache(maxsize=KEPT_SLICES)  # both layers look at the same slice
    def rendered(number: int) -> NDArray[np.complex64]:
        image: NDArray[np.complex64] = solution.render(float(heights[number])).field_z_y_x
        return image

    def stack(part: Callable[[NDArray[np.complex64]], NDArray[np.float32]]) -> Any:
        def block(block_info: Any = None) -> NDArray[np.float32]:
            return part(rendered(int(block_info[None]["chunk-location"][0])))

        chunks = ((1,) * len(heights), shape[1:2], shape[2:])
        return dask.array.map_blocks(block, chunks=chunks, dtype=np.float32, meta=np.empty(0, "f4"))

    amplitude_scale = np.float32(solution.amplitude_scale)
    middle = np.abs(rendered(len(heights) // 2)) * amplitude_scale
    black, white = (float(v) for v in np.percentile(middle, (0.5, 99.5)))
    step = float(heights[1] - heights[0]) if len(heights) > 1 else 1.0
    place = {
        "scale": (step, solution.pixel_um, solution.pixel_um),
        "translate": (low, 0.0, 0.0),
        "units": ("um", "um", "um"),
        "axis_labels": ("z", "y", "x"),
        "metadata": {"z_um": heights.tolist(), "record": dict(solution.record)},
    }
    return [
        (
            stack(np.angle),
            {
                "name": f"{name} phase",
                "colormap": "twilight",
                "contrast_limits": (-np.pi, np.pi),
                "visible": False,
                **place,
            },
            "image",
        ),
        (
            stack(lambda image: np.abs(image) * amplitude_scale),
            {
                "name": f"{name} amplitude",
                "colormap": "gray",
                "contrast_limits": (black, max(white, black + 1e-6)),
                **place,
            },
            "image",
        ),
    ]


def sample_layers() -> list[LayerData]:
    """Simulate a small tilted specimen and reconstruct it."""
    from fpm_inr.reconstruction import reconstruct
    from fpm_inr.simulate import preset, simulate

    made = simulate(preset("demo"))
    sheet = made.truth.z_sheet_y_x_um
    solution = reconstruct(
        made.acquisition,
        z_range_um=(float(sheet.min()) - 1, float(sheet.max()) + 1),
    )
    return solution_layers(solution, "tilted specimen")


def _count(solution: Solution | Mosaic) -> int:
    low, high = solution.z_range_um
    planes = solution.planes_um
    if planes is not None:
        return len(planes)
    return HEIGHTS if high > low else 1
