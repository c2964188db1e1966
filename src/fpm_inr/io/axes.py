"""Which axis of stored frames counts the LEDs, where shapes leave no doubt."""

from __future__ import annotations

from fpm_inr.errors import DataError


def axes_order(
    shape: tuple[int, ...], leds: int, documented: str, field: str, *, is_sure: bool = True
) -> tuple[str, str]:
    """Order of the axes as a permutation of "lyx", and a sentence where it is to be said.

    Parameters
    ----------
    shape : tuple of int
        As the program that wrote the file shows it.
    leds : int
    documented : str
        The order that the format has, as "yxl".
    field : str
        The variable.
    is_sure : bool
        Whether the file was written by a program that keeps to it.

    Raises
    ------
    DataError
        No axis is as long as there are LEDs, or several are and nothing tells.
    """
    if len(shape) != 3:
        raise DataError(f"has shape {shape}", "give it axes (y, x, LED)", field=field)
    fitting = [place for place, side in enumerate(shape) if side == leds]
    usual = documented.index("l")
    if not fitting:
        y, x = (shape[documented.index(axis)] for axis in "yx")
        raise DataError(
            f"of shape {y} x {x} x {shape[usual]} does not hold one frame for each of {leds} LEDs "
            f"along its {'last' if usual == 2 else 'first'} axis",
            f"give it axes {_in_words(documented)}",
            field=field,
        )
    if len(fitting) > 1 and not (is_sure and usual in fitting):
        raise DataError(
            f"has {len(fitting)} axes as long as there are LEDs ({leds})",
            "say which counts them: frames.axes in an acquisition.yaml (`fpm-inr init`)",
            field=field,
        )
    place = usual if usual in fitting else fitting[0]
    if place == usual:
        note = ""
        if len(fitting) > 1:
            note = (
                f"Several axes of {field} are as long as there are LEDs: they are read in the "
                f"documented order, {_in_words(documented)}."
            )
        return documented, note
    rest = [axis for axis in documented if axis != "l"]
    rest.insert(place, "l")
    order = "".join(rest)
    return order, f"The axes of {field} are read as {_in_words(order)}, by their lengths."


def _in_words(order: str) -> str:
    return "(" + ", ".join("LED" if axis == "l" else axis for axis in order) + ")"
