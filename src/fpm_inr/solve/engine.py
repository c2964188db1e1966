"""What an engine is: a name, its settings, and a solve that takes one step after the other.

An engine is one file. The loop, progress, interruption and checkpoints are `fpm_inr.solve.drive`'s;
what is made of an acquisition and of a calibration, `fpm_inr.solve.request`'s. docs/extending.md
adds one, and so does examples/extending/engine.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel

from fpm_inr.errors import SettingsError
from fpm_inr.registry import Registry
from fpm_inr.solve.recipe_file import read_recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from fpm_inr.acquisition import Acquisition
    from fpm_inr.fields.base import Field
    from fpm_inr.forward import Instrument
    from fpm_inr.solve.problem import Problem

# Options of a reconstruction that mean something to some engines only.
OPTIONS = ("steps", "passes", "planes", "z_step_um", "seed", "calibrate")


@dataclass(frozen=True)
class Fit:
    """How far a step's frames were from their prediction, as the step met them.

    Parameters
    ----------
    loss : Tensor (scalar) or float
    mse : Tensor (scalar) or float
        Mean squared error of amplitudes.
    z_um : float
        Height of the step.
    """

    loss: Tensor | float
    mse: Tensor | float
    z_um: float


class Solve(ABC):
    """A solve under way: everything that it needs to go on.

    `step`, the number of steps taken, is counted by `fpm_inr.solve.drive`.
    """

    step: int = 0

    @property
    @abstractmethod
    def total(self) -> int:
        """Number of all steps, as far as it is known by now; the last one is `step == total`."""

    @abstractmethod
    def advance(self) -> Fit:
        """Take step number `self.step`, counted from 0."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """All tensors of the state by name, for a checkpoint."""

    @abstractmethod
    def load(self, tensors: dict[str, Tensor]) -> None:
        """Set the state from the tensors of a checkpoint; `step` is set already."""

    @property
    def told(self) -> list[str]:
        """What to tell of memory that ran out, as `fpm_inr.memory.Portion` has it."""
        return []

    @abstractmethod
    def field(self) -> Field:
        """What has been solved so far, on the CPU."""

    @abstractmethod
    def instrument(self) -> Instrument:
        """The instrument as it was used so far."""


class Engine(ABC):
    """How a problem is solved.

    Attributes
    ----------
    name : str
    settings : type of pydantic model
        What a recipe of it may say; all of it has defaults, unless a recipe `default` comes along.
    recipes : Path, optional
        Folder of the recipes (YAML) that come along.
    options : set of str
        Those of `OPTIONS` that mean something to it.
    """

    name: ClassVar[str]
    settings: ClassVar[type[BaseModel]]
    recipes: ClassVar[Path | None] = None
    options: ClassVar[frozenset[str]] = frozenset()

    def recipe(self, name: str | Path) -> Any:
        """The settings of a recipe: one that comes along, or a YAML file.

        Raises
        ------
        SettingsError
            There is no such recipe, or it holds unknown keys or values out of range.
        """
        return read_recipe(name, self.settings, self.recipes)

    def resolve(
        self,
        acquisition: Acquisition,
        z_range_um: tuple[float, float],
        settings: Any,
        options: Mapping[str, Any],
        seed: int,
    ) -> tuple[Any, dict[str, Any]]:
        """Settings and all else that decides the solve (plain JSON values), from the options given.

        Raises
        ------
        SettingsError
            An option cannot be used.
        """
        return settings, {}

    def check_device(self, settings: Any, device: torch.device) -> None:
        """Refuse settings that mean nothing on this device.

        Raises
        ------
        SettingsError
        """
        return

    @abstractmethod
    def start(self, problem: Problem) -> Solve:
        """Begin."""


ENGINES: Registry[type[Engine]] = Registry(
    "fpm_inr.engines",
    "engine",
    {
        "inr": "fpm_inr.engines.inr:Inr",
        "conventional": "fpm_inr.engines.conventional:Conventional",
    },
)


def engine_named(name: str) -> Engine:
    """The engine of this name.

    Raises
    ------
    SettingsError
        There is none, or the package that has it cannot be loaded.
    """
    return ENGINES.get(name)()


def check_options(engine: str, given: Mapping[str, Any]) -> None:
    """Refuse an unknown engine, and options (not None) that mean nothing to this one.

    Raises
    ------
    SettingsError
    """
    takes = engine_named(engine).options
    for name in OPTIONS:
        if given.get(name) is not None and name not in takes:
            others = [n for n in ENGINES.own if name in ENGINES.get(n).options and n != engine]
            raise SettingsError(
                f"means nothing to the engine {engine}",
                f"leave it out, or choose --engine {' or '.join(others)}",
                field=name,
            )
