"""What can be added without editing this package: its own by name, others' by entry point.

Another package joins with a line of its pyproject.toml, once it is installed:

    [project.entry-points."fpm_inr.engines"]
    mine = "my_package.my_module:MyEngine"
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar, cast

from fpm_inr.errors import SettingsError

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Registry(Generic[Kind]):
    """Things of one kind by their names; none is imported before it is asked for.

    Parameters
    ----------
    group : str
        Of the entry points, "fpm_inr.engines".
    field : str
        What an error calls a name of it.
    own : mapping of str to str
        Name -> "module:attribute", or "module", of what comes with the package.
    """

    group: str
    field: str
    own: Mapping[str, str]

    @property
    def names(self) -> list[str]:
        """All names: the package's own first."""
        return [*self.own, *(name for name in sorted(self._others()) if name not in self.own)]

    def get(self, name: str) -> Kind:
        """What has this name.

        Raises
        ------
        SettingsError
            Nothing has it, or the package that has it cannot be loaded.
        """
        if name in self.own:
            module, _, attribute = self.own[name].partition(":")
            found = importlib.import_module(module)
            return cast(Kind, getattr(found, attribute) if attribute else found)
        others = self._others()
        if name not in others:
            raise SettingsError(
                f"is {name!r}", f"give one of {', '.join(self.names)}", field=self.field
            )
        try:
            return cast(Kind, others[name].load())
        except Exception as error:  # another's code may fail in any way
            raise SettingsError(
                f"{name!r} of {self.home(name)} cannot be loaded "
                f"({type(error).__name__}: {' '.join(str(error).split())[:120]})",
                "mend or remove that package",
                field=self.field,
            ) from error

    def home(self, name: str) -> str:
        """Where another's thing comes from, in words."""
        point = self._others()[name]
        return point.value if point.dist is None else f"the package {point.dist.name}"

    def _others(self) -> dict[str, EntryPoint]:
        return {one.name: one for one in entry_points(group=self.group)}
