"""``fpm-inr focus``: a solution -> all-in-focus image, depth map, focus curves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fpm_inr.cli.options import FIELD, crop_option, device_option, output_option, overwrite_option
from fpm_inr.cli.progress import counting

FILES = (
    "all_in_focus.npy",
    "all_in_focus.json",
    "all_in_focus.png",
    "depth_um.tif",
    "depth.png",
    "focus_curve.csv",
    "focus_curve.png",
)

COLOUR_FILE = "all_in_focus_colour.png"

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fpm_inr.focus import AllInFocus, Autofocus, FocusSettings
    from fpm_inr.focus.blend import Judge
    from fpm_inr.focus.scores import Method
    from fpm_inr.laid_over import LaidOver
    from fpm_inr.mosaic.mosaic import Mosaic
    from fpm_inr.solution import Solution
    from fpm_inr.solution_set import SolutionSet


@click.command("focus")
@FIELD
@output_option("Folder to write; made where it does not exist.")
@click.option(
    "--z",
    "z_text",
    metavar="START:STOP:STEP|Z,Z,...",
    help="Heights in um, STOP included.  [default: 41 over the solved range, or its planes]",
)
@click.option(
    "--method",
    type=click.Choice(["edges", "normal-variance", "light-field", "residual"]),
    help="How focus is judged and slices are joined.  [default: residual with --data, else edges] "
    "residual asks where the frames are explained best; normal-variance and light-field are the "
    "FPM-INR paper's, for specimens that absorb and hardly refract.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="The acquisition that FIELD was solved from: depth by the frames themselves, the most "
    "trustworthy way.",
)
@crop_option("The crop that was solved.")
@click.option(
    "--patch", type=int, help="Side of a patch, in pixels.  [default: 32 for residual, else 64]"
)
@click.option(
    "--stride",
    type=int,
    help="Step between patches, in pixels.  [default: 8 for residual, else 16]",
)
@click.option(
    "--background-clip",
    type=float,
    metavar="AMPLITUDE",
    help="Judge amplitudes above this as equal to it (1: mean bright-field amplitude), so that "
    "bright fringes score nothing.",
)
@click.option(
    "--from-focus",
    is_flag=True,
    help="Of a mosaic with --calibrate: measure heights from the surface of focus, so that a "
    "tilted slide is level.",
)
@click.option(
    "--point", type=(float, float), metavar="Y X", help="Also print the best z at this pixel."
)
@device_option()
@overwrite_option("what is")
def command(
    field: Path,
    output: Path,
    z_text: str | None,
    method: Method | None,
    data: Path | None,
    crop: tuple[int, int, int, int] | None,
    patch: int | None,
    stride: int | None,
    background_clip: float | None,
    from_focus: bool,
    point: tuple[float, float] | None,
    device: str,
    overwrite: bool,
) -> None:
    """Join the sharp parts of FIELD, a solution of `fpm-inr reconstruct`.

    Writes all_in_focus.npy (complex; its pixel beside it in .json) and .png, depth_um.tif,
    depth.png, focus_curve.csv and .png. Slices are rendered one at a time, twice, so memory does
    not grow with their number. Of a reconstruction in colour, the wavelength nearest to green is
    judged, and all_in_focus_colour.png is written too.
    """
    from fpm_inr.device import pick_device
    from fpm_inr.focus import all_in_focus, autofocus
    from fpm_inr.solution import Solution
    from fpm_inr.solution_set import SolutionSet, load_result

    settings = _settings(method, data, crop, patch, stride, background_clip)
    _check_output(output, overwrite)
    on = pick_device(device)
    loaded = load_result(field)
    if from_focus:
        loaded = _from_focus(loaded, data)
    # in colour, the reference says where all are sharp
    solution = loaded.channel(loaded.reference) if isinstance(loaded, SolutionSet) else loaded
    if isinstance(solution, Solution):
        solution = solution.on(on)
    z_um = _heights(z_text, solution)
    _check_point(point, solution.shape_y_x)
    judge = _judge(data, crop, solution, z_um)
    done = 0
    with counting("slices") as tell:

        def count() -> None:
            nonlocal done
            done += 1
            tell(done, 2 * len(z_um))

        result = all_in_focus(solution.slices, z_um, settings, count, judge)
    at_point = None if point is None else autofocus(result.depth.scores, *point)
    _write(output, result, at_point)
    if isinstance(loaded, SolutionSet):
        _write_colour(output, loaded, z_um, result)
    _say(result, at_point)
    click.echo(f"Wrote {output}")


def _from_focus(loaded: object, data: Path | None) -> Mosaic:
    """A mosaic whose heights are those above its surface of focus."""
    from fpm_inr.errors import SettingsError
    from fpm_inr.mosaic.surface import from_focus

    if data is not None:
        raise SettingsError(
            "judges images, and --data heights of the microscope",
            "leave one of them out",
            field="--from-focus",
        )
    return from_focus(loaded)


def _settings(
    method: Method | None,
    data: Path | None,
    crop: tuple[int, int, int, int] | None,
    patch: int | None,
    stride: int | None,
    background_clip: float | None,
) -> FocusSettings:
    """How focus is judged: what is usual for the method, but for what was said."""
    from fpm_inr.errors import SettingsError
    from fpm_inr.focus import FocusSettings

    if method is None:
        method = "edges" if data is None else "residual"
    if (data is None) == (method == "residual") or (crop is not None and data is None):
        raise SettingsError(
            "residual needs --data, and --data and --crop serve no other method",
            "give --data with --method residual, or neither",
            field="method",
        )
    usual = FocusSettings.usual(method)
    return FocusSettings(
        method,
        usual.patch_px if patch is None else patch,
        usual.stride_px if stride is None else stride,
        background_clip,
    )


def _heights(z_text: str | None, solution: Solution | Mosaic | LaidOver) -> NDArray[np.float64]:
    """Heights to look at: those asked for, or the solution's planes, or an even choice."""
    from fpm_inr.errors import SettingsError
    from fpm_inr.heights import check_heights, default_heights, parse_heights

    z_um = solution.planes_um
    if z_text is not None:
        z_um = check_heights(parse_heights(z_text), solution.z_range_um)
    elif z_um is None:
        z_um = default_heights(solution.z_range_um)
    if len(z_um) < 3:
        raise SettingsError(
            f"holds {len(z_um)} of the 3 heights that a peak takes",
            "give more heights, or reconstruct over a range of z",
            field="z",
        )
    return z_um


def _judge(
    data: Path | None,
    crop: tuple[int, int, int, int] | None,
    solution: Solution | Mosaic | LaidOver,
    z_um: NDArray[np.float64],
) -> Judge:
    """What scores slices: their sharpness, or how well they explain the frames."""
    from fpm_inr.errors import SettingsError
    from fpm_inr.focus import score_slices

    if data is None:
        return score_slices
    from fpm_inr.focus.residual import score_against_frames
    from fpm_inr.io import load
    from fpm_inr.mosaic.mosaic import Mosaic
    from fpm_inr.solution import Solution

    if isinstance(solution, Mosaic):
        from fpm_inr.mosaic.focus import plan_of_data, score_mosaic_against_frames

        if crop is not None:
            raise SettingsError(
                "is a part of the frames, and a mosaic is of all", "leave it out", field="crop"
            )
        return score_mosaic_against_frames(solution, plan_of_data(solution, data), z_um)
    if not isinstance(solution, Solution):
        raise SettingsError(
            "residual judges one solution against its frames, and colour has one for every "
            "wavelength",
            "leave --data out",
            field="method",
        )
    acquisition = load(
        data,
        crop=crop,
        wavelength_um=solution.optics.wavelength_um,
        medium_index=solution.optics.medium_index,
    )
    return score_against_frames(acquisition, solution)


def _check_output(output: Path, overwrite: bool) -> None:
    """Refuse before the work what could not be written after it."""
    from fpm_inr.errors import OutputError

    if output.exists() and not output.is_dir():
        raise OutputError("is a file", "give a folder", source=output)
    if not output.parent.is_dir():
        raise OutputError("its folder does not exist", "create the folder first", source=output)
    there = [name for name in FILES if (output / name).exists()]
    if there and not overwrite:
        raise OutputError(
            f"holds {there[0]} already", "choose another folder or add --overwrite", source=output
        )


def _check_point(point: tuple[float, float] | None, shape_y_x: tuple[int, int]) -> None:
    """Refuse a point outside the image before the work, not after."""
    from fpm_inr.errors import SettingsError

    if point is None:
        return
    if not all(0 <= at <= length - 1 for at, length in zip(point, shape_y_x, strict=True)):
        raise SettingsError(
            f"is {point[0]:g} {point[1]:g}, outside the image of {shape_y_x[0]} x {shape_y_x[1]} "
            "pixels (y x x)",
            "give Y X inside it",
            field="point",
        )


def _write(output: Path, result: AllInFocus, at_point: Autofocus | None) -> None:
    import json
    from contextlib import ExitStack

    import numpy as np
    import tifffile

    from fpm_inr.files.replacing import make_folder, replacing
    from fpm_inr.focus import figures

    scores = result.depth.scores
    per_cm = 1e4 / scores.pixel_um
    make_folder(output)
    with ExitStack() as all_written:
        image, about, picture, depth, depth_picture, curve, curve_picture = (
            all_written.enter_context(replacing(output / name)) for name in FILES
        )
        np.save(image, result.field_y_x * np.float32(result.amplitude_scale))
        says = {"axes": ["y", "x"], "channels": ["complex"], "pixel_um": scores.pixel_um}
        about.write_text(json.dumps(says, indent=1) + "\n", encoding="utf-8")
        tifffile.imwrite(
            depth,
            result.depth_um_y_x,
            photometric="minisblack",
            resolution=(per_cm, per_cm),
            resolutionunit="CENTIMETER",
            description="depth in um",
        )
        figures.write_curves(curve, scores, at_point)
        figures.all_in_focus_figure(result).savefig(picture)
        figures.depth_figure(result).savefig(depth_picture)
        figures.curve_figure(scores, at_point).savefig(curve_picture)


def _write_colour(
    output: Path, solutions: SolutionSet, z_um: NDArray[np.float64], result: AllInFocus
) -> None:
    """The all-in-focus image in colour, all wavelengths at the depth of the reference."""
    from PIL import Image

    from fpm_inr.files.replacing import replacing
    from fpm_inr.io.sharp import colour_at_depth

    rgb = colour_at_depth(solutions, z_um, result.depth_um_y_x)
    with replacing(output / COLOUR_FILE) as beside:
        Image.fromarray(rgb).save(beside, format="PNG")


def _say(result: AllInFocus, at_point: Autofocus | None) -> None:
    trusted = result.depth.is_trusted_y_x
    low, high = result.depth_um_y_x.min(), result.depth_um_y_x.max()
    click.echo(
        f"Depth {low:.2f} to {high:.2f} um; {trusted.mean():.0%} of {trusted.size} patches have a "
        "focus of their own"
    )
    if result.depth.share_at_ends > 0.25:
        click.echo(
            f"Warning: {result.depth.share_at_ends:.0%} of the patches with contrast are sharpest "
            "at an end of the range; focus may lie beyond it.",
            err=True,
        )
    if at_point is not None:
        beyond = " (at an end of the range)" if at_point.is_at_end else ""
        click.echo(f"Best z {at_point.z_um:.3f} um{beyond}, confidence {at_point.confidence:.2f}")
