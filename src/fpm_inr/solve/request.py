"""What was asked for, checked before any work, and what tells it from other requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fpm_inr import __version__
from fpm_inr.acquisition import Acquisition
from fpm_inr.errors import SettingsError
from fpm_inr.solve.engine import Engine

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from fpm_inr.forward import Instrument
    from fpm_inr.instrument import Free
    from fpm_inr.solve.problem import Problem
    from fpm_inr.solve.start import JointStart


@dataclass(frozen=True, eq=False)
class Request:
    """An acquisition, and how it is to be solved; every value is checked already.

    Parameters
    ----------
    acquisition : Acquisition
    z_range_um : (float, float)
    upsample : int, optional
        As asked for. None: what the synthetic aperture takes, LEDs that may move included.
    engine : Engine
    recipe : Any
        Settings of the engine.
    recipe_name : str
    device : torch.device
    seed : int
    free : Free
        What is learned together with the field.
    options : mapping
        What else decides the solve, as the engine has resolved it: plain JSON values.
    given : Instrument, optional
        A calibration to use instead of the nominal instrument.
    bend_rad_per_px2 : float
        See `fpm_inr.solve.problem.Problem`.
    guard_px : int
        Width of the band that the acquisition has been given (`fpm_inr.guard`).
    """

    acquisition: Acquisition
    z_range_um: tuple[float, float]
    upsample: int | None
    engine: Engine
    recipe: Any
    recipe_name: str
    device: torch.device
    seed: int
    free: Free
    options: Mapping[str, Any] = field(default_factory=dict)
    given: Instrument | None = None
    bend_rad_per_px2: float = 0.0
    guard_px: int = 0

    @property
    def stated(self) -> Instrument:
        """The instrument that nothing is known against: given, or nominal."""
        from fpm_inr.forward import nominal_instrument

        return nominal_instrument(self.acquisition) if self.given is None else self.given

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the solve beyond data and geometry: plain JSON values."""
        from fpm_inr.solve.start import start_settings

        return {
            "z_range_um": list(self.z_range_um),
            "upsampling": self.upsample,
            "engine": self.engine.name,
            "recipe": self.recipe.model_dump(mode="json"),
            **self.options,
            "version": __version__,
            **start_settings(self.given, self.free),
            **({"bend_rad_per_px2": self.bend_rad_per_px2} if self.bend_rad_per_px2 else {}),
            **({"guard_px": self.guard_px} if self.guard_px else {}),
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

    def problem(self, start: JointStart, upsampling: int) -> Problem:
        """What the engine is given for a solve from this start, on the device."""
        from fpm_inr.believed import believed
        from fpm_inr.sending import measured_on
        from fpm_inr.solve.problem import Problem

        acquisition = self.acquisition
        return Problem(
            start.compile(acquisition, upsampling).to(self.device),
            start.instrument.to(self.device),
            measured_on(acquisition, self.device),
            acquisition.illumination,
            self.z_range_um,
            self.recipe,
            self.options,
            believed(acquisition, self.device),
            None if start.calibration is None else start.calibration.to(self.device),
            self._frames_left_out(start),
            self.seed,
            self.bend_rad_per_px2,
        )

    def _frames_left_out(self, start: JointStart) -> NDArray[np.bool_]:
        """Frames [frame] that an LED lights which is left out."""
        light = self.acquisition.illumination
        used = light.frames_without(np.flatnonzero(start.left_out_led))
        return ~np.isin(np.arange(light.frame_count), used)


def check_recipe(engine: Engine, recipe: object) -> None:
    """Refuse a recipe of another engine.

    Raises
    ------
    SettingsError
    """
    if not isinstance(recipe, str | Path | engine.settings):
        raise SettingsError(
            f"is a {type(recipe).__name__}",
            f"give one of the engine {engine.name}",
            field="recipe",
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
