"""``fpm-inr simulate``: make an acquisition of a known specimen, with the truth beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fpm_inr.cli.options import output_option, overwrite_option, prepare_folder
from fpm_inr.cli.progress import counting

if TYPE_CHECKING:
    from fpm_inr.lighting import Lighting
    from fpm_inr.simulate import Setup, Simulation

# option of the command -> field of the part of the setup that it changes
SPECIMEN = {
    "specimen": "subject",
    "shape": "shape",
    "z": "z_um",
    "tilt": "tilt_deg",
    "tilt_axis": "tilt_axis_deg",
    "depth": "depth_um",
    "wave": "wave_um",
    "opacity": "opacity",
    "phase": "phase_rad",
}
ERRORS = {
    "aberration": "aberration_waves",
    "led_jitter": "led_jitter_na",
    "array_shift": "array_shift_mm",
    "array_rotation": "array_rotation_deg",
    "array_pitch": "array_pitch_factor",
    "gain_spread": "gain_spread",
}
CAMERA = {
    "fill_factor": "fill_factor",
    "photons": "photons",
    "read_noise": "read_noise_e",
    "bits": "bits",
    "dark": "dark_level",
    "keep_dark": "subtract_dark",
}
SETUP = {
    "size": "shape_y_x",
    "upsampling": "upsampling",
    "scan": "scan_z_um",
    "periodic": "periodic",
    "seed": "seed",
}
RIG = {"led_size": "led_size_mm", "led_shape": "led_shape"}
PATTERN = ("leds_per_frame", "pattern", "frames", "bright_field_too")


def _aberrations(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[int, float], ...]:
    """``MODE=WAVES``: a Noll index and waves RMS."""
    pairs = []
    for value in values:
        mode, _, waves = value.partition("=")
        try:
            pairs.append((int(mode), float(waves)))
        except ValueError:
            raise click.BadParameter(
                f"{value!r} is not MODE=WAVES, as in 5=0.1 (astigmatism)"
            ) from None
    return tuple(pairs)


@click.command()
@output_option("Folder to write acquisition.h5, truth.h5 and specimen.png to.", folder=True)
@click.option(
    "--preset",
    "preset_name",
    default="blood-smear",
    show_default=True,
    help="Rig and specimen to start from: blood-smear, thyroid, slow-phase, lens, siemens, usaf "
    "or demo.",
)
@click.option("--size", type=int, nargs=2, metavar="Y X", help="Pixels of a frame.")
@click.option("--upsampling", type=int, help="Sampling of the truth, over that of the frames.")
@click.option(
    "--specimen",
    help="smear, immunohistochemistry, cell, retina, camera, slow-phase, lens, usaf or siemens.",
)
@click.option("--shape", help="thin, tilted, wavy, two-layer or thick.")
@click.option("--z", type=float, help="Height of the specimen's middle (um).")
@click.option("--tilt", type=float, help="Tilt (degrees) of a tilted specimen.")
@click.option("--tilt-axis", type=float, help="Direction of the axis it tilts about (degrees).")
@click.option("--depth", type=float, help="Peak to peak, distance or thickness (um).")
@click.option("--wave", type=float, help="Period of a wavy specimen (um).")
@click.option("--opacity", type=float, help="Amplitude lost where densest: 0 clear, 1 black.")
@click.option("--phase", type=float, help="Largest phase (rad).")
@click.option(
    "--fill-factor",
    type=float,
    help="Share of a pixel's area that takes up light, as a square: 1 for most cameras.  "
    "[default: 0, a point]",
)
@click.option("--photons", type=float, help="Photo-electrons at the brightest pixel.")
@click.option("--read-noise", type=float, help="Read noise (electrons).")
@click.option("--bits", type=int, help="Bit depth of the camera.")
@click.option("--dark", type=float, help="Dark level (counts), subtracted from what is written.")
@click.option("--keep-dark", is_flag=True, help="Leave the dark level in the frames.")
@click.option("--noiseless", is_flag=True, help="No noise and no rounding at all.")
@click.option(
    "--aberration",
    multiple=True,
    callback=_aberrations,
    metavar="MODE=WAVES",
    help="Zernike mode (Noll) and waves RMS, as 5=0.1; may be repeated.",
)
@click.option("--led-jitter", type=float, help="Random error of LED directions (NA, RMS an axis).")
@click.option("--array-shift", type=float, nargs=2, metavar="X Y", help="LED array's shift (mm).")
@click.option("--array-rotation", type=float, help="LED array's rotation (degrees).")
@click.option("--array-pitch", type=float, help="Factor of the LED array's pitch.")
@click.option(
    "--leds-per-frame", type=int, help="LEDs that light a frame together, at most.  [default: 1]"
)
@click.option(
    "--pattern",
    help="Which light together: random, or na-matched (alike in NA, apart in angle).  "
    "[default: na-matched]",
)
@click.option(
    "--frames",
    type=int,
    help="Number of frames in all: more than it takes repeat LEDs that share frames.",
)
@click.option(
    "--bright-field-too",
    is_flag=True,
    help="Bright-field LEDs share frames as well; else each has its own.",
)
@click.option("--led-size", type=float, help="Side or diameter of an LED's shining face (mm).")
@click.option("--led-shape", help="Its shape: square or round.  [default: square]")
@click.option("--gain-spread", type=float, help="Random error of LED brightness: 0.1 is 10 %.")
@click.option(
    "--scan",
    type=(float, float, int),
    metavar="LOW HIGH COUNT",
    help="Heights (um) of the bright-field scan kept as ground truth.",
)
@click.option("--no-scan", is_flag=True, help="Leave the bright-field scan out.")
@click.option("--periodic", is_flag=True, help="The frame is the whole, repeating world.")
@click.option("--seed", type=int, help="Number that decides everything random.")
@overwrite_option("a simulation that is")
def command(output: Path, preset_name: str, overwrite: bool, **options: Any) -> None:
    """Make an acquisition of a known specimen, with the truth beside it.

    Writes acquisition.h5 (what a user would have), truth.h5 (object, heights, pupil, LEDs and a
    bright-field scan) and specimen.png into a folder.

    \b
    fpm-inr simulate -o smear --size 128 128 --tilt 20
    fpm-inr simulate -o aberrated --preset demo --aberration 5=0.1 --led-jitter 0.002
    fpm-inr simulate -o together --preset siemens --leds-per-frame 4
    """
    from fpm_inr.errors import InputError
    from fpm_inr.simulate import preset, simulate

    try:
        setup = _setup(preset(preset_name), options)
    except InputError as error:
        raise error.at("", _option(error.field)) from error
    prepare_folder(output, "acquisition.h5", "an acquisition", replace=overwrite)
    with counting("Simulating LEDs") as tell:
        made = simulate(setup, tell)
    _write(output, made)


def _write(output: Path, made: Simulation) -> None:
    from fpm_inr.io.native import write_acquisition
    from fpm_inr.simulate import write_truth
    from fpm_inr.simulate.picture import draw_simulation

    write_acquisition(output / "acquisition.h5", made.acquisition)
    write_truth(output / "truth.h5", made.truth)
    draw_simulation(output / "specimen.png", made)
    height, width = made.acquisition.shape_y_x
    z = made.truth.z_sheet_y_x_um
    scan = len(made.truth.scan_z_um)
    click.echo(
        f"{output / 'acquisition.h5'}: {made.acquisition.frame_count} frames of {height} x {width}"
    )
    click.echo(
        f"{output / 'truth.h5'}: specimen from {z.min():.1f} to {z.max():.1f} um"
        + (f", scan of {scan} planes" if scan else "")
    )
    click.echo(f"{output / 'specimen.png'}: what they look like")


def _setup(setup: Setup, options: dict[str, Any]) -> Setup:
    """Apply the options that were given."""
    from dataclasses import replace

    import numpy as np

    from fpm_inr.errors import SettingsError
    from fpm_inr.simulate import Camera

    if options["noiseless"]:
        setup = replace(setup, camera=Camera(fill_factor=setup.camera.fill_factor))
        for name in CAMERA:
            if name != "fill_factor" and options[name] not in (None, False):
                raise SettingsError(
                    "adds noise that --noiseless forbids", "leave one of them out", field=name
                )
    given = {
        name: value
        for name, value in options.items()
        if value is not None and value is not False and value != ()
    }
    given.pop("noiseless", None)
    if "keep_dark" in given:
        given["keep_dark"] = False
    if given.pop("no_scan", False):
        if "scan" in given:
            raise SettingsError(
                "is asked for and forbidden", "leave --scan or --no-scan out", field="scan"
            )
        given["scan"] = ()
    elif "scan" in given:
        low, high, count = given["scan"]
        if count < 1 or low > high:
            raise SettingsError(
                f"is {low:g} {high:g} {count}", "give LOW <= HIGH and a COUNT above 0", field="scan"
            )
        given["scan"] = tuple(np.linspace(low, high, count).tolist())

    def part(fields: dict[str, str]) -> dict[str, Any]:
        return {field: given[name] for name, field in fields.items() if name in given}

    specimen = part(SPECIMEN)
    if specimen.get("shape", setup.specimen.shape) != setup.specimen.shape:
        # another shape has other measures: the preset's do not apply
        specimen = {"tilt_deg": 0.0, "depth_um": 0.0} | specimen
    setup = replace(setup, rig=replace(setup.rig, **part(RIG)))
    return replace(
        setup,
        lighting=_lighting(setup, given),
        specimen=replace(setup.specimen, **specimen),
        errors=replace(setup.errors, **part(ERRORS)),
        camera=replace(setup.camera, **part(CAMERA)),
        **part(SETUP),
    )


def _lighting(setup: Setup, given: dict[str, Any]) -> Lighting | None:
    """Which LEDs light together, by the options that were given."""
    from fpm_inr.errors import SettingsError
    from fpm_inr.simulate import pattern

    if given.get("leds_per_frame") is None:
        for name in PATTERN:
            if name in given:
                raise SettingsError(
                    "is of frames of several LEDs", "give --leds-per-frame as well", field=name
                )
        return setup.lighting
    return pattern(
        given.get("pattern", "na-matched"),
        setup.rig.illumination.na_led_xy,
        setup.rig.optics.na,
        given["leds_per_frame"],
        bright_field_alone="bright_field_too" not in given,
        frames=given.get("frames"),
        seed=given.get("seed", setup.seed),
    )


def _option(field: str) -> str:
    """Name of the option that sets a field, as a user types it."""
    names = {"preset": "preset"}
    for fields in (SPECIMEN, ERRORS, CAMERA, SETUP, RIG, {name: name for name in PATTERN}):
        names |= {field: name for name, field in fields.items()} | {name: name for name in fields}
    return "--" + names[field].replace("_", "-") if field in names else field
