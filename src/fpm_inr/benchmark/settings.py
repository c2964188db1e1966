"""What a benchmark compares."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpm_inr.errors import SettingsError

ENGINES = ("inr", "conventional")
# subjects of the simulator, with the absorption and the phase of its presets
SPECIMENS = ("smear", "slow-phase", "lens")
MEASURED = "measured"
# Heights at which focus is judged: as many of the slices as this, at most.
MOST_FOCUS_HEIGHTS = 41


@dataclass(frozen=True)
class Method:
    """An engine with one of its recipes."""

    engine: str
    recipe: str

    @property
    def name(self) -> str:
        return f"{self.engine}-{Path(self.recipe).stem}"


@dataclass(frozen=True)
class BenchmarkSettings:
    """Everything that decides the numbers, but for the machine.

    Parameters
    ----------
    sizes : tuple of int
        Sides of square patches, in frame pixels.
    engines, recipes : tuple of str
        Every engine is run with every recipe.
    specimens : tuple of str
        Simulation: what lies under the objective, each at every size. "slow-phase" and "lens" have
        the slow phase that a blood smear lacks.
    slices : int
        Planes of the conventional stack, and heights that are compared.
    repeats : int
        Solves of every case; times are their medians.
    z_range_um : (float, float)
    photons : float
        Simulation: photo-electrons at the brightest pixel.
    tilt_deg : float, optional
        Simulation: tilt of the specimen. Default: it spans half of the z range at every size, so
        that sizes differ in nothing but pixels.
    data : Path, optional
        Measured frames instead of simulated ones; patches are cut from their middle.
    wavelength_um, medium_index : float, optional
        Of `data`, where its file does not tell.
    device : str
    seed : int

    Raises
    ------
    SettingsError
        A value is out of range.
    """

    sizes: tuple[int, ...] = (128, 256, 512, 1024)
    engines: tuple[str, ...] = ENGINES
    recipes: tuple[str, ...] = ("default",)
    specimens: tuple[str, ...] = SPECIMENS
    slices: int = 161
    repeats: int = 1
    z_range_um: tuple[float, float] = (-12.0, 12.0)
    photons: float = 5000.0
    tilt_deg: float | None = None
    data: Path | None = None
    wavelength_um: float | None = None
    medium_index: float | None = None
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        from fpm_inr.solve.engine import engine_named

        def refuse(field: str, value: object, mend: str) -> None:
            raise SettingsError(f"is {value}", mend, field=field)

        if not self.sizes or not all(32 <= size <= 4096 for size in self.sizes):
            refuse("sizes", ",".join(map(str, self.sizes)) or "empty", "give 32 to 4096 pixels")
        if not self.engines or not set(self.engines) <= set(ENGINES):
            shown = ",".join(self.engines) or "empty"
            refuse("engines", shown, f"choose from {', '.join(ENGINES)}")
        if not self.specimens or not set(self.specimens) <= set(SPECIMENS):
            shown = ",".join(self.specimens) or "empty"
            refuse("specimens", shown, f"choose from {', '.join(SPECIMENS)}")
        if not self.recipes:
            refuse("recipe", "empty", "name at least one")
        for method in self.methods:
            engine_named(method.engine).recipe(method.recipe)
        if not 3 <= self.slices <= 10_000:
            refuse("slices", self.slices, "give 3 to 10000")
        if self.repeats < 1:
            refuse("repeats", self.repeats, "give at least 1")
        low, high = self.z_range_um
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            refuse("z range", f"{low:g} {high:g}", "give the lower height (um) first")
        if self.tilt_deg is not None and not 0 <= self.tilt_deg < 80:
            refuse("tilt", f"{self.tilt_deg:g} degrees", "give 0 to 80")

    @property
    def subjects(self) -> tuple[str, ...]:
        """What is solved at every size: the specimens, or the one that was measured."""
        return self.specimens if self.data is None else (MEASURED,)

    @property
    def methods(self) -> tuple[Method, ...]:
        """Neighbours differ in the engine, so that drift of the machine meets all alike."""
        return tuple(Method(engine, recipe) for recipe in self.recipes for engine in self.engines)

    @property
    def z_um(self) -> NDArray[np.float64]:
        """Heights [z] of the stack."""
        return np.linspace(*self.z_range_um, self.slices)

    @property
    def focus_z_um(self) -> NDArray[np.float64]:
        """Those of them at which focus is judged."""
        step = math.ceil((self.slices - 1) / (MOST_FOCUS_HEIGHTS - 1))
        return self.z_um[::step] if step > 1 else self.z_um

    @property
    def identity(self) -> dict[str, Any]:
        """What must be equal for two runs to belong into one table: plain JSON values."""
        return {
            "slices": self.slices,
            "z_range_um": list(self.z_range_um),
            "photons": self.photons,
            "tilt_deg": self.tilt_deg,
            "data": None if self.data is None else str(self.data.resolve()),
            "wavelength_um": self.wavelength_um,
            "medium_index": self.medium_index,
            "device": self.device,
            "seed": self.seed,
        }
