"""What is to be solved, checked before any work, and what tells it from other problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr import __version__
from fpm_inr.acquisition import Acquisition
from fpm_inr.engines.recipe import ConventionalRecipe, Recipe
from fpm_inr.errors import SettingsError

if TYPE_CHECKING:
    import torch

    from fpm_inr.forward import Instrument
    from fpm_inr.instrument import Free
    from fpm_inr.solve.engine import Task
    from fpm_inr.solve.start import JointStart

# By engine: options of the other one, and what to do instead.
FOREIGN_OPTIONS = {
    "inr": {
        "passes": "give --steps, or choose --engine conventional",
        "planes": "leave it out (any z can be rendered), or choose --engine conventional",
        "z_step_um": "leave it out (any z can be rendered), or choose --engine conventional",
    },
    "conventional": {
        "steps": "give --passes, or choose --engine inr",
        "seed": "leave it out (no numbers are drawn), or choose --engine inr",
        "calibrate": "run fpm-inr calibrate and give its file as --calibration",
    },
}


@dataclass(frozen=True, eq=False)
class Problem:
    """An acquisition, and how it is to be solved; every value is checked already.

    Parameters
    ----------
    acquisition : Acquisition
    z_range_um : (float, float)
    upsample : int, optional
        As asked for. None: what the synthetic aperture takes, LEDs that may move included.
    recipe : Recipe or ConventionalRecipe
        Says which engine.
    recipe_name : str
    device : torch.device
    seed : int
    steps : int, optional
        Of the engine inr, instead of the recipe's.
    plane_z_um : array [z], optional
        Of the conventional engine.
    given : Instrument, optional
        A calibration to use instead of the nominal instrument.
    free : Free
        What is learned together with the field.
    """

    acquisition: Acquisition
    z_range_um: tuple[float, float]
    upsample: int | None
    recipe: Recipe | ConventionalRecipe
    recipe_name: str
    device: torch.device
    seed: int
    free: Free
    steps: int | None = None
    plane_z_um: NDArray[np.float64] | None = None
    given: Instrument | None = None

    @property
    def engine(self) -> str:
        return "inr" if isinstance(self.recipe, Recipe) else "conventional"

    @property
    def stated(self) -> Instrument:
        """The instrument that nothing is known against: given, or nominal."""
        from fpm_inr.forward import nominal_instrument

        return nominal_instrument(self.acquisition) if self.given is None else self.given

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the solve beyond data and geometry: plain JSON values."""
        from fpm_inr.solve.start import start_settings

        of_engine: dict[str, Any] = {"recipe": self.recipe.model_dump(mode="json")}
        if self.plane_z_um is None:
            of_engine |= {"steps": self.steps, "seed": self.seed}
        else:
            of_engine["z_um"] = self.plane_z_um.tolist()
        return {
            "z_range_um": list(self.z_range_um),
            "upsampling": self.upsample,
            "engine": self.engine,
            **of_engine,
            "version": __version__,
            **start_settings(self.given, self.free),
        }

    def upsampling_from(self, start: JointStart) -> int:
        """Sampling of the field over that of the frames, for a solve from this start."""
        from fpm_inr.reach import least_upsampling
        from fpm_inr.sampling import default_upsampling

        if self.upsample is not None:
            return self.upsample
        acquisition = self.acquisition
        usual = default_upsampling(acquisition.optics, acquisition.illumination)
        return max(
            usual,
            least_upsampling(
                acquisition, start.instrument.na_led_xy, margin_samples=start.margin_samples
            ),
        )

    def task(self, start: JointStart, upsampling: int) -> Task:
        """A solve from this start that is ready to run."""
        from fpm_inr.solve.engine import conventional_task, inr_task

        model = start.compile(self.acquisition, upsampling).to(self.device)
        if isinstance(self.recipe, ConventionalRecipe):
            assert self.plane_z_um is not None
            return conventional_task(
                self.acquisition, start, model, self.recipe, z_um=self.plane_z_um
            )
        return inr_task(
            self.acquisition,
            start,
            model,
            self.recipe,
            z_range_um=self.z_range_um,
            steps=self.steps,
            seed=self.seed,
        )


def check_options(engine: str, given: Mapping[str, Any]) -> None:
    """Refuse an unknown engine, and options (not None) that mean nothing to this one.

    Raises
    ------
    SettingsError
    """
    if engine not in FOREIGN_OPTIONS:
        raise SettingsError(
            f"is {engine!r}", f"give one of {', '.join(FOREIGN_OPTIONS)}", field="engine"
        )
    for name, mend in FOREIGN_OPTIONS[engine].items():
        if given.get(name) is not None:
            raise SettingsError(f"means nothing to the engine {engine}", mend, field=name)


def check_recipe(engine: str, recipe: object) -> None:
    """Refuse a recipe of the other engine.

    Raises
    ------
    SettingsError
    """
    of_other = ConventionalRecipe if engine == "inr" else Recipe
    if isinstance(recipe, of_other):
        raise SettingsError(
            f"is a {of_other.__name__}", f"give one of the engine {engine}", field="recipe"
        )


def check_z_range(z_range_um: Sequence[float]) -> tuple[float, float]:
    """Return a valid range of z as two floats.

    Raises
    ------
    SettingsError
        Not two finite numbers in ascending order.
    """
    values = [float(z) for z in z_range_um]
    if len(values) != 2 or not np.isfinite(values).all() or values[0] > values[1]:
        raise SettingsError(
            f"is {' '.join(f'{z:g}' for z in values)}",
            "give two finite heights in um, the lower one first",
            field="z range",
        )
    return values[0], values[1]


def pick_device(name: str) -> torch.device:
    """Return the device of this name; "auto" prefers a GPU.

    Raises
    ------
    SettingsError
        Unknown name, or no GPU.
    """
    import torch

    if name not in ("auto", "cpu", "cuda"):
        raise SettingsError(f"is {name!r}", "give auto, cpu or cuda", field="device")
    if name == "cuda" and not torch.cuda.is_available():
        raise SettingsError(
            "is cuda, but this machine or this torch has none", "give cpu or auto", field="device"
        )
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def describe_device(device: torch.device) -> str:
    """Return "cpu", or the name of the GPU."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
