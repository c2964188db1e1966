"""The parameters that are known by name: those of the package, and those that others add.

A parameter joins by `register`, or without an import by an entry point of the group
``fpm_inr.parameters`` whose name is the parameter's and whose value is its `Learning`.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from fpm_inr.errors import SettingsError
from fpm_inr.instrument.background import Background
from fpm_inr.instrument.defocus import Defocus
from fpm_inr.instrument.gains import Gains
from fpm_inr.instrument.na import Na
from fpm_inr.instrument.parameter import Learning
from fpm_inr.instrument.pose import Pose
from fpm_inr.instrument.pupil import Pupil
from fpm_inr.instrument.pupil_map import PupilMap
from fpm_inr.instrument.shifts import Shifts

GROUP = "fpm_inr.parameters"
# in the order in which they change an instrument
OWN = (Gains, Pupil, PupilMap, Pose, Shifts, Background, Defocus, Na)
PARAMETERS: dict[str, type[Learning]] = {kind.name: kind for kind in OWN}

AnyLearning = TypeVar("AnyLearning", bound=type[Learning])


def register(kind: AnyLearning) -> AnyLearning:
    """Make a parameter known by its name; a decorator of its settings.

    Raises
    ------
    ValueError
        The name is no word of letters, digits and underscores, or that of another parameter.
    """
    name = kind.name
    known = PARAMETERS.get(name, kind)
    # the same class, made again in a notebook, takes the place of the former one
    is_another = (known.__module__, known.__qualname__) != (kind.__module__, kind.__qualname__)
    if not name.isidentifier() or name.startswith("_") or is_another:
        raise ValueError(f"{name!r} cannot be the name of {kind.__qualname__}: {known}")
    PARAMETERS[name] = kind
    return kind


def known_names() -> list[str]:
    """Names of all parameters, those of entry points included."""
    return in_order({*PARAMETERS, *(one.name for one in entry_points(group=GROUP))})


def in_order(names: Iterable[str]) -> list[str]:
    """The order in which parameters change an instrument: the package's own first."""
    own = [kind.name for kind in OWN]
    return sorted(names, key=lambda name: (own.index(name) if name in own else len(own), name))


def find(name: object) -> type[Learning] | None:
    """The settings of a parameter; None where the name is not known.

    Raises
    ------
    SettingsError
        The package that brings it cannot be loaded.
    """
    if isinstance(name, str) and name not in PARAMETERS:
        for entry in entry_points(group=GROUP, name=name):
            return register(_loaded(entry))
    return PARAMETERS.get(name) if isinstance(name, str) else None


def _loaded(entry: EntryPoint) -> type[Learning]:
    where = entry.dist.name if entry.dist is not None else entry.value
    mend = f"mend or uninstall the package {where}, which brings it"
    try:
        kind = entry.load()
    except Exception as error:
        problem = f"cannot be loaded ({type(error).__name__}: {' '.join(str(error).split())[:120]})"
        raise SettingsError(problem, mend, field=entry.name) from error
    if not (isinstance(kind, type) and issubclass(kind, Learning) and kind.name == entry.name):
        raise SettingsError("is no parameter of that name", mend, field=entry.name)
    return kind
