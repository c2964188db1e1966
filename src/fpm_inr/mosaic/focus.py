"""Depth of a mosaic by its frames: tile by tile, on the patches of the whole field."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import DataError
from fpm_inr.focus.blend import Judge
from fpm_inr.focus.residual import FineMisfit, share_explained
from fpm_inr.focus.scores import (
    Float32Array,
    FloatArray,
    FocusScores,
    FocusSettings,
    patch_centres,
    patch_windows,
)
from fpm_inr.mosaic import blend
from fpm_inr.mosaic.mosaic import Mosaic
from fpm_inr.mosaic.plan import Plan
from fpm_inr.mosaic.tiles import Tile
from fpm_inr.mosaic.worker import posed, tile_acquisition
from fpm_inr.solution import ImageStack

Windows = tuple[Float32Array, Float32Array]


def plan_of_data(mosaic: Mosaic, data: Path) -> Plan:
    """The plan of a mosaic, its data where they lie now.

    Raises
    ------
    DataError
        They are not what the mosaic was made from.
    """
    part = mosaic.plan.source.model_copy(update={"data": str(data.absolute())})
    if part.source().digest(mosaic.folder) != mosaic.plan.data_sha256:
        raise DataError(
            "is not what the mosaic was made from (its digest differs)",
            "give the data of the mosaic",
            source=data,
        )
    return mosaic.plan.model_copy(update={"source": part})


def score_mosaic_against_frames(mosaic: Mosaic, plan: Plan, z_um: FloatArray) -> Judge:
    """Make a judge for `fpm_inr.focus.all_in_focus` that asks every tile's own frames.

    A patch's score is that of `fpm_inr.focus.residual.score_against_frames`, with light and misfit
    summed over tiles by the weights that blend them. Slices are not asked for: every tile renders
    its own heights, and one tile is in memory.

    Parameters
    ----------
    mosaic : Mosaic
    plan : Plan
        Of `plan_of_data`.
    z_um : array [z], ascending
    """

    def judge(
        slices: Iterable[ImageStack], settings: FocusSettings, on_slice: Callable[[], None]
    ) -> FocusScores:
        factor, frame = mosaic.upsampling, mosaic.plan.shape_y_x
        in_field = tuple(patch_windows(side, settings) for side in mosaic.shape_y_x)
        y_frame, x_frame = (
            windows.reshape(len(windows), side, factor).sum(axis=2)
            for windows, side in zip(in_field, frame, strict=True)
        )
        light = np.zeros((len(y_frame), len(x_frame)))
        lost = np.zeros((len(z_um), *light.shape))
        whole, power = np.zeros(len(z_um)), 0.0
        told = 0
        for tile in mosaic.tiles:
            if mosaic.manifest.records[tile.number].kind != "dark":
                of_light, of_lost, of_whole, of_power = _of_tile(
                    mosaic, plan, tile, z_um, (y_frame, x_frame)
                )
                light += of_light
                lost += of_lost
                whole += of_whole
                power += of_power
            # as many as there are heights, spread over the tiles
            for _ in range((tile.number + 1) * len(z_um) // len(mosaic.tiles) - told):
                on_slice()
                told += 1
        return FocusScores(
            np.stack([share_explained(light, one) for one in lost]),
            power / np.maximum(whole, 1e-6 * max(power, 1e-30)),
            np.asarray(z_um),
            patch_centres(in_field[0]),
            patch_centres(in_field[1]),
            mosaic.shape_y_x,
            mosaic.pixel_um,
            settings,
        )

    return judge


def _of_tile(
    mosaic: Mosaic, plan: Plan, tile: Tile, z_um: FloatArray, windows: Windows
) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    """Light [patch row, patch column] and what is missed of it [z, ...]; the same of all of it."""
    y, x, height, width = tile.crop
    rows, columns = windows[0][:, y : y + height], windows[1][:, x : x + width]
    acquisition = tile_acquisition(plan, mosaic.folder, tile)
    scale = (acquisition.amplitude_scale / mosaic.amplitude_scale) ** 2
    at = (y + np.arange(height, dtype=float), x + np.arange(width, dtype=float))
    weight = scale * blend.weight_of(tile, plan.sides, plan.edge_px, *at)

    def summed(image: NDArray[np.floating]) -> FloatArray:
        return np.asarray(rows @ (weight * image) @ columns.T, np.float64)

    if mosaic.manifest.records[tile.number].kind == "empty":
        # as badly explained at every height: nothing there tells one
        seen = acquisition.amplitude_led_y_x / np.float32(acquisition.amplitude_scale)
        power_y_x = np.square(seen).sum(axis=0)
        light, power = summed(power_y_x), scale * float(power_y_x.sum())
        return light, np.broadcast_to(light, (len(z_um), *light.shape)), np.zeros(len(z_um)), power
    solution = mosaic.tile_solution(tile.number)
    misfit = FineMisfit(posed(plan, mosaic.folder, acquisition)[0], solution)
    offset_um = float(mosaic.gauge.height_um[tile.number])
    there_um = np.clip(z_um + offset_um, *plan.settings.z_range_um)
    lost, whole = [], []
    for stack in solution.slices(there_um):
        fine, all_of_it = misfit.of(stack)
        lost.append(summed(fine))
        whole.append(scale * all_of_it)
    power = scale * float(misfit.power_y_x.sum())
    return summed(misfit.power_y_x), np.stack(lost), np.array(whole), power
