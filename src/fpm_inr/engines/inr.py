"""The engine inr: one field over the whole range of z, of the kind that its recipe names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from fpm_inr.engines.plan import Plan, make_plan
from fpm_inr.engines.recipe import RECIPE_FOLDER, FieldSettings, PassOrder, Recipe, checked
from fpm_inr.errors import SettingsError
from fpm_inr.solve.engine import Engine, Solve
from fpm_inr.solve.problem import Problem

if TYPE_CHECKING:
    import torch

    from fpm_inr.acquisition import Acquisition


class Inr(Engine):
    """A spline of complex planes (Newton-like steps); a neural field, or another's (Adam)."""

    name: ClassVar[str] = "inr"
    settings: ClassVar[type[Recipe]] = Recipe
    recipes: ClassVar[Path | None] = RECIPE_FOLDER
    options: ClassVar[frozenset[str]] = frozenset({"steps", "seed", "calibrate"})

    def recipe(self, name: str | Path) -> Recipe:
        """See `Engine.recipe`; what it learns of the instrument is checked too."""
        return checked(super().recipe(name), name)

    def resolve(
        self,
        acquisition: Acquisition,
        z_range_um: tuple[float, float],
        settings: Recipe,
        options: Mapping[str, Any],
        seed: int,
    ) -> tuple[Recipe, dict[str, Any]]:
        """Steps and seed; see `Engine.resolve`."""
        return settings, {"steps": options.get("steps"), "seed": seed}

    def check_device(self, settings: Recipe, device: torch.device) -> None:
        """Refuse what only a graphics card makes quicker; see `Engine.check_device`."""
        for name in ("amp", "compile"):
            if getattr(settings.field, name, False) and device.type == "cpu":
                raise SettingsError(
                    "is true, which is meant for graphics cards, and this solve is on the CPU",
                    "leave it out, or solve on a graphics card (--device cuda)",
                    field=f"recipe: field.{name}",
                )

    def start(self, problem: Problem) -> Solve:
        """Begin with the field of the recipe."""
        import torch

        torch.manual_seed(problem.seed)
        recipe: Recipe = problem.settings
        sizes = recipe.field_settings(problem.z_range_um, problem.optics, problem.synthetic_na)
        order = recipe.order_for(problem.is_flat)
        plan = _plan(problem, recipe, sizes.get("planes", 1))
        if isinstance(order, PassOrder):
            from fpm_inr.engines.spline import SplineSolve

            return SplineSolve(problem, plan, order, sizes["planes"])
        from fpm_inr.engines.adam import AdamSolve
        from fpm_inr.fields.base import FIELDS

        make: Any = FIELDS.get(recipe.field.kind)
        field = make(problem.model.field_shape_y_x, problem.z_range_um, **sizes)
        render = None
        if isinstance(recipe.field, FieldSettings) and (recipe.field.amp or recipe.field.compile):
            from fpm_inr.engines.hastened import hastened

            render = hastened(field, amp=recipe.field.amp, compiled=recipe.field.compile)
        return AdamSolve(problem, plan, field, render)


def _plan(problem: Problem, recipe: Recipe, planes: int) -> Plan:
    return make_plan(
        recipe.order_for(problem.is_flat),
        na_led=problem.illumination.na_frame,
        na_objective=problem.optics.na,
        z_range_um=problem.z_range_um,
        seed=problem.seed,
        steps=problem.options.get("steps"),
        planes=planes,
        looks=math.ceil(problem.model.beam_count / problem.model.frame_count),
        left_out_led=problem.left_out_led,
    )
