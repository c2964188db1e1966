"""The parameters of an instrument by name, in the order in which they change it."""

from __future__ import annotations

from collections.abc import Iterable

from fpm_inr.instrument.parameter import Learning
from fpm_inr.registry import Registry

_HOME = "fpm_inr.instrument"
PARAMETERS: Registry[type[Learning]] = Registry(
    "fpm_inr.parameters",
    "calibrate",
    {
        "gains": f"{_HOME}.gains:Gains",
        "pupil": f"{_HOME}.pupil:Pupil",
        "pupil_map": f"{_HOME}.pupil_map:PupilMap",
        "pose": f"{_HOME}.pose:Pose",
        "shifts": f"{_HOME}.shifts:Shifts",
        "background": f"{_HOME}.background:Background",
        "defocus": f"{_HOME}.defocus:Defocus",
        "na": f"{_HOME}.na:Na",
    },
)


def in_order(names: Iterable[str]) -> list[str]:
    """The same names in the order of the registry; others come last, by the alphabet."""
    own = list(PARAMETERS.own)
    return sorted(names, key=lambda name: (own.index(name) if name in own else len(own), name))
