"""What every verb that reads an acquisition takes: DATA, --wavelength, --color, --crop, ..."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from fpm_inr.acquisition import Acquisition

_PARAMETERS = (
    click.argument("data", type=click.Path(path_type=Path)),
    click.option(
        "--wavelength", "wavelength_um", type=float, metavar="UM", help="Wavelength (um)."
    ),
    click.option(
        "--color",
        type=click.Choice(["r", "g", "b"]),
        help="Wavelength by LED colour: 0.632, 0.5126 or 0.471 um.",
    ),
    click.option(
        "--medium-index", type=float, metavar="N", help="Refractive index around the sample."
    ),
    click.option(
        "--crop",
        type=int,
        nargs=4,
        metavar="Y X HEIGHT WIDTH",
        help="Window of the frames (pixels).",
    ),
)


def acquisition_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the argument DATA and the options that `load_data` takes, in this order."""
    for parameter in reversed(_PARAMETERS):
        function = parameter(function)
    return function


def several_acquisitions_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same, of one or more DATA."""
    data = click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path))
    for parameter in reversed((data, *_PARAMETERS[1:])):
        function = parameter(function)
    return function


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
