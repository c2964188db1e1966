"""What every verb that reads an acquisition takes: DATA, --wavelength, --color, --crop, ..."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from fpm_inr.acquisition import Acquisition

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

WAVELENGTH = click.option(
    "--wavelength", "wavelength_um", type=float, metavar="UM", help="Wavelength (um)."
)
MEDIUM_INDEX = click.option(
    "--medium-index", type=float, metavar="N", help="Refractive index around the sample."
)
FIELD = click.argument("field", type=click.Path(path_type=Path))
BESIDE = click.option(
    "--beside",
    type=click.Path(path_type=Path),
    help="A second result, shown on the other side of a divider.",
)
RAW = click.option(
    "--raw", is_flag=True, help="Show the raw frame that the field was made from on the other side."
)


def crop_option(of: str) -> Decorator:
    """--crop; the help says of what."""
    return click.option("--crop", type=int, nargs=4, metavar="Y X HEIGHT WIDTH", help=of)


DATA = click.argument("data", type=click.Path(path_type=Path))
SEVERAL_DATA = click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path))
COLOR = click.option(
    "--color",
    type=click.Choice(["r", "g", "b"]),
    help="Wavelength by LED colour: 0.632, 0.5126 or 0.471 um.",
)
_PARAMETERS = (
    DATA,
    WAVELENGTH,
    COLOR,
    MEDIUM_INDEX,
    crop_option("Window of the frames (pixels)."),
)


_OF_ENGINE = (
    click.option(
        "--upsample",
        type=int,
        metavar="K",
        help="Sampling over that of the frames.  "
        "[default: what the synthetic aperture takes, from 2]",
    ),
    click.option(
        "--engine",
        metavar="NAME",
        help="inr: one field for all z; conventional: planes solved one by one; or one that an "
        "installed package adds.  [default: inr]",
    ),
    click.option(
        "--recipe",
        metavar="NAME|YAML",
        help="A file, default or paper; inr: neural; conventional: pupil. A spline of complex "
        "planes is solved, with neural and paper a neural field.",
    ),
    click.option("--steps", type=int, help="inr: number of steps instead of the recipe's."),
    click.option("--passes", type=int, help="conventional: most passes instead of the recipe's."),
    click.option("--planes", type=int, metavar="N", help="conventional: number of planes."),
    click.option(
        "--z-step",
        "z_step_um",
        type=float,
        metavar="UM",
        help="conventional: largest distance of planes.  "
        "[default: half the image's depth of field]",
    ),
    click.option(
        "--guard",
        "guard_px",
        type=click.IntRange(min=0),
        metavar="PX",
        help="Room beside the frames for the specimen that shines into them, for right slow "
        "phase.  [default: 0]",
    ),
)


def _numbers(_: click.Context, __: click.Parameter, told: str | None) -> list[float] | None:
    if told is None:
        return None
    try:
        return [float(one) for one in told.split(",")]
    except ValueError:
        raise click.BadParameter(f"{told!r} is no list of numbers, as 0.63,0.53,0.47.") from None


def _offsets(
    _: click.Context, __: click.Parameter, told: tuple[str, ...]
) -> dict[str, dict[str, float]] | None:
    keys = ("z_um", "y_um", "x_um", "magnification")
    offsets = {}
    for one in told:
        name, _sign, text = one.partition("=")
        try:
            numbers = [float(number) for number in text.split(",")]
        except ValueError:
            numbers = []
        if not name or not 3 <= len(numbers) <= 4:
            raise click.BadParameter(f"{one!r} is not NAME=Z,Y,X or NAME=Z,Y,X,M.")
        offsets[name] = dict(zip(keys, numbers, strict=False))
    return offsets or None


_OF_COLOUR = (
    click.option(
        "--wavelengths",
        "wavelengths_um",
        metavar="UM,UM,...",
        callback=_numbers,
        help="Several DATA: the wavelength of each (um), in their order.  "
        "[default: what they tell]",
    ),
    click.option(
        "--white",
        type=int,
        nargs=4,
        metavar="Y X HEIGHT WIDTH",
        help="Several wavelengths: clear background, in pixels of the result.  [default: found]",
    ),
    click.option(
        "--offset",
        "offsets",
        multiple=True,
        metavar="NAME=Z,Y,X[,M]",
        callback=_offsets,
        help="Several wavelengths: how far (um) NAME has its focus higher, lies down and to the "
        "right, and its magnification; may be repeated.  [default: found]",
    ),
)


def output_option(what: str, *, folder: bool = False, file: bool = False) -> Decorator:
    """-o, which must be given; what it may be where something is there already."""
    kind = click.Path(path_type=Path, file_okay=not folder, dir_okay=not file)
    return click.option("-o", "--output", type=kind, required=True, help=what)


def overwrite_option(what: str) -> Decorator:
    """--overwrite; what is replaced."""
    return click.option("--overwrite", is_flag=True, help=f"Replace {what} there already.")


def device_option(default: str | None = "auto") -> Decorator:
    """--device; None where a file may say it."""
    return click.option(
        "--device",
        metavar="NAME",
        default=default,
        help="Where to compute: cpu, cuda, cuda:1, mps, ...  [default: auto]",
    )


def acquisition_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the argument DATA and the options that `load_data` takes, in this order."""
    for parameter in reversed(_PARAMETERS):
        function = parameter(function)
    return function


def engine_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--upsample, --engine, --recipe and what engines take; None where nothing is said."""
    for parameter in reversed(_OF_ENGINE):
        function = parameter(function)
    return function


def colour_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What several wavelengths take: --wavelengths, --white, --offset; None where not given."""
    for parameter in reversed(_OF_COLOUR):
        function = parameter(function)
    return function


def several_acquisitions_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same, of one or more DATA."""
    for parameter in reversed((SEVERAL_DATA, *_PARAMETERS[1:])):
        function = parameter(function)
    return function


def prepare_folder(folder: Path, name: str, what: str, *, replace: bool) -> None:
    """Make the folder of results; refuse to write over what nobody gave up.

    Parameters
    ----------
    folder : Path
    name, what : str
        The file that tells that results are there, and what to call them.
    replace : bool
        Whether they may be replaced.

    Raises
    ------
    OutputError
        They are there and may not, or the folder cannot be written.
    """
    from fpm_inr.errors import OutputError
    from fpm_inr.files.replacing import make_folder

    if (folder / name).exists() and not replace:
        raise OutputError(
            f"holds {what} already", "choose another folder or give --overwrite", source=folder
        )
    make_folder(folder)


def load_data(
    data: Path,
    *,
    wavelength_um: float | None,
    color: str | None,
    medium_index: float | None,
    crop: tuple[int, int, int, int] | None,
) -> Acquisition:
    """Load the acquisition of a command that has `acquisition_options`.

    Raises
    ------
    InputError
        As `fpm_inr.io.load`.
    """
    from rich.console import Console

    from fpm_inr.io import load

    with Console(stderr=True).status("Reading the acquisition"):
        return load(
            data,
            crop=crop,
            wavelength_um=wavelength_um,
            color=color,
            medium_index=medium_index,
        )
