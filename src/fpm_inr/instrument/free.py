"""What is learned of an instrument, and how: from names or from a mapping, as YAML has it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import ValidationError

from fpm_inr.errors import SettingsError
from fpm_inr.instrument.parameter import Learning
from fpm_inr.instrument.registry import PARAMETERS, in_order


class Free:
    """What is learned; everything else stays as it is.

    Parameters
    ----------
    **settings : Learning, optional
        By the name of the parameter; each is an attribute, None where the parameter stays.
    """

    def __init__(self, **settings: Learning | None) -> None:
        given = {name: one for name, one in settings.items() if one is not None}
        self._by_name = {name: given[name] for name in in_order(given)}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not (name in self._by_name or _is_known(name)):
            raise AttributeError(f"{name!r} is no parameter of an instrument")
        return self._by_name.get(name)

    def __iter__(self) -> Iterator[Learning]:
        return iter(self._by_name.values())

    def items(self) -> Iterable[tuple[str, Learning]]:
        """Names and settings, in the order in which they change an instrument."""
        return self._by_name.items()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Free) and self._by_name == other._by_name

    def __hash__(self) -> int:
        return hash(tuple(self._by_name))

    def __repr__(self) -> str:
        return f"Free({', '.join(f'{name}={one!r}' for name, one in self.items())})"

    @property
    def names(self) -> list[str]:
        """Of what is learned, in the order in which it changes an instrument."""
        return list(self._by_name)

    @property
    def moves_leds(self) -> bool:
        """Whether LEDs may move."""
        return any(one.moves_leds for one in self)

    @property
    def widens_pupil(self) -> bool:
        """Whether the pupil's radius may change."""
        return any(one.widens_pupil for one in self)

    @property
    def seeks_far(self) -> bool:
        """Whether LEDs are to move, or the pupil to widen, from values that nobody has given."""
        if any(one.seeks_far and not one.moves_leds for one in self):
            return True
        return any(one.seeks_far for one in self) and not any(one.places_leds for one in self)

    def refined(self) -> Free:
        """The same with the small steps of what is nearly right, where no others are given."""
        return Free(**{name: one.refined() for name, one in self.items()})

    def at_a_height(self) -> Free:
        """The same without what stands for the height of the sample."""
        return Free(**{n: one for n, one in self.items() if not one.frees_height})

    def plain(self) -> dict[str, Any]:
        """What is learned as plain JSON values; `parse_free` reads them."""
        return {n: one.model_dump(mode="json", exclude_none=True) for n, one in self.items()}


def parse_free(content: Any, *, field: str = "calibrate") -> Free:
    """Read what to learn from names ("gains,pupil") or from a mapping of names to settings.

    Settings are a mapping, true (as usual), false (not at all), a value that stays, or a
    `Learning`, which may be one that no package has made known.

    Raises
    ------
    SettingsError
        A name or a setting is unknown or out of range.
    """
    if isinstance(content, Free):
        return content
    if isinstance(content, str):
        content = [name.strip() for name in content.split(",") if name.strip()]
    if isinstance(content, list | tuple):
        content = dict.fromkeys(content, True)
    if not isinstance(content, dict) or not content:
        raise SettingsError(f"is {content!r}", _choices(), field=field)
    for name, value in content.items():
        if not (_is_known(name) or (isinstance(name, str) and isinstance(value, Learning))):
            raise SettingsError(f"names {name!r}", _choices(), field=field)
    wanted = in_order(name for name, value in content.items() if value is not False)
    return Free(**{name: _read(name, content[name], f"{field}.{name}") for name in wanted})


def _is_known(name: object) -> bool:
    return name in PARAMETERS.own or name in PARAMETERS.names


def _choices() -> str:
    return f"give one or more of {', '.join(PARAMETERS.names)}"


def _read(name: str, value: Any, field: str) -> Learning:
    """Settings from a value: true or nothing stands for the defaults, a number fixes them there."""
    if isinstance(value, Learning) and not _is_known(name):
        return value
    if value is None or value is True:
        value = {}
    elif isinstance(value, int | float | list | tuple):
        value = {"init": value, "learning_rate": 0.0}
    try:
        return PARAMETERS.get(name).model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        is_unknown = first["type"] == "extra_forbidden"
        raise SettingsError(
            "is no setting" if is_unknown else first["msg"][:1].lower() + first["msg"][1:],
            "correct it or leave it out",
            field=".".join((field, *(str(part) for part in first["loc"]))),
        ) from error
