"""Fields in napari: a focus stack whose slices are rendered when they are looked at.

Installed with ``pip install 'fpm-inr[napari]'``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from fpm_inr.laid_over import LaidOver
    from fpm_inr.mosaic.mosaic import Mosaic
    from fpm_inr.solution import Solution
    from fpm_inr.solution_set import SolutionSet

    Shown = Solution | Mosaic | LaidOver | SolutionSet

LayerData = tuple[Any, dict[str, Any], str]
Window = tuple[int, int, int, int]

HEIGHTS = 201  # of a stack with any height; only those that are looked at are rendered
KEPT_SLICES = 16
WINDOW_PX = 512  # of a mosaic, that are rendered together


def field_reader(path: str | Sequence[str]) -> Callable[[Any], list[LayerData]] | None:
    """Give the function that reads a field, a mosaic or a result in colour; else None."""
    from fpm_inr.errors import DataError
    from fpm_inr.field_header import read_header
    from fpm_inr.mosaic.manifest import read_manifest
    from fpm_inr.set_manifest import manifest_of

    first = Path(path if isinstance(path, str) else path[0])
    if manifest_of(first) is not None:
        return read_fields
    try:
        if first.is_dir():
            read_manifest(first)
        else:
            read_header(first)
    except DataError:
        return None
    return read_fields


def read_fields(path: str | Sequence[str]) -> list[LayerData]:
    """Amplitude and phase layers of one or more field files; of results in colour, that first.

    Raises
    ------
    DataError
        A file is damaged.
    """
    from fpm_inr.solution_set import SolutionSet, load_result

    paths = [path] if isinstance(path, str) else path
    layers: list[LayerData] = []
    for one in paths:
        result = load_result(one)
        if isinstance(result, SolutionSet):
            folder = Path(one).resolve()
            layers += set_layers(result, (folder if folder.is_dir() else folder.parent).name)
        else:
            layers += solution_layers(result, Path(one).stem)
    return layers


def set_layers(solutions: SolutionSet, name: str) -> list[LayerData]:
    """Colour as a lazy stack [z, y, x, rgb], and amplitude and phase of each wavelength, hidden.

    All lie over each other: each wavelength is shown at its own focus and place.
    """
    heights = _heights(solutions)

    def colour(number: int, level: int, window: Window) -> NDArray[np.uint8]:
        return solutions.colour(float(heights[number]), window=window, level=level)

    stack = _stack(colour, len(heights), _shapes(solutions), np.dtype(np.uint8), (3,))
    layers = []
    for one, label in zip(solutions.names, solutions.labels, strict=True):
        for data, about, kind in solution_layers(solutions.channel(one), f"{name} {label}"):
            layers.append((data, {**about, "visible": False}, kind))
    place = _place(solutions, heights, solutions.record)
    return [*layers, (stack, {"name": f"{name} colour", "rgb": True, **place}, "image")]


def solution_layers(solution: Solution | Mosaic | LaidOver, name: str) -> list[LayerData]:
    """Amplitude, in sqrt(counts), and phase, in rad, as lazy stacks [z, y, x] in micrometres.

    A conventional solution of unevenly spaced planes is shown at even heights, each by the plane
    nearest to it. A mosaic is shown in levels, of which only windows are rendered.
    """
    from fpm_inr.solution import Solution

    heights, shapes = _heights(solution), _shapes(solution)

    @lru_cache(maxsize=KEPT_SLICES)  # both layers look at the same slice
    def rendered(number: int, level: int, window: Window) -> NDArray[np.complex64]:
        at = heights[number : number + 1]
        if isinstance(solution, Solution):
            (stack,) = solution.slices(at)
        else:
            (stack,) = solution.slices(at, window=window, level=level)
        return stack.field_z_y_x[0]

    def stack(part: Callable[[NDArray[np.complex64]], NDArray[np.float32]]) -> Any:
        def image(number: int, level: int, window: Window) -> NDArray[np.float32]:
            return part(rendered(number, level, window))

        return _stack(image, len(heights), shapes, np.dtype(np.float32))

    amplitude_scale = np.float32(solution.amplitude_scale)
    coarsest = len(shapes) - 1
    middle = np.abs(rendered(len(heights) // 2, coarsest, (0, 0, *shapes[-1]))) * amplitude_scale
    black, white = (float(v) for v in np.percentile(middle, (0.5, 99.5)))
    record = solution.record
    place = _place(solution, heights, record)
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


def _shapes(solution: Shown) -> list[tuple[int, int]]:
    """Sizes (y, x) of the levels, finest first: of a mosaic all, else the one that there is."""
    from fpm_inr.laid_over import LaidOver

    levelled: Any = solution.solution if isinstance(solution, LaidOver) else solution
    height, width = solution.shape_y_x
    count = getattr(levelled, "levels", 1)
    return [(max(1, height >> level), max(1, width >> level)) for level in range(count)]


def _stack(
    image: Callable[[int, int, Window], NDArray[Any]],
    heights: int,
    shapes: list[tuple[int, int]],
    dtype: np.dtype[Any],
    more: tuple[int, ...] = (),
) -> Any:
    """A lazy array [z, y, x, ...], or several of them, finest first, cut into windows.

    `image` gives an image of (number of the height, level, window).
    """
    import dask.array

    def level_of(level: int, shape: tuple[int, int]) -> Any:
        cut = max(shape) if len(shapes) == 1 else WINDOW_PX
        sides = [tuple(min(cut, side - at) for at in range(0, side, cut)) for side in shape]

        def block(block_info: Any = None) -> NDArray[Any]:
            (z, _), (top, bottom), (left, right) = block_info[None]["array-location"][:3]
            return image(int(z), level, (top, left, bottom - top, right - left))[None]

        chunks = ((1,) * heights, *sides, *((one,) for one in more))
        return dask.array.map_blocks(block, chunks=chunks, dtype=dtype, meta=np.empty(0, dtype))

    levels = [level_of(level, shape) for level, shape in enumerate(shapes)]
    return levels[0] if len(levels) == 1 else levels


def _heights(solution: Shown) -> NDArray[np.float64]:
    low, high = solution.z_range_um
    planes = solution.planes_um
    if planes is not None:
        return np.linspace(float(planes[0]), float(planes[-1]), len(planes))
    return np.linspace(low, high, HEIGHTS if high > low else 1)


def _place(
    solution: Shown, heights: NDArray[np.float64], record: Mapping[str, Any]
) -> dict[str, Any]:
    step = float(heights[1] - heights[0]) if len(heights) > 1 else 1.0
    return {
        "scale": (step, solution.pixel_um, solution.pixel_um),
        "translate": (float(heights[0]), 0.0, 0.0),
        "units": ("um", "um", "um"),
        "axis_labels": ("z", "y", "x"),
        "metadata": {"z_um": heights.tolist(), "record": dict(record)},
    }
