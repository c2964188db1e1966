"""Recipes as data: what is fitted, in which order, how fast."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from fpm_inr.acquisition import Optics
from fpm_inr.errors import SettingsError
from fpm_inr.fields.sizes import OWN
from fpm_inr.solve.recipe_file import make_settings, read_recipe
from fpm_inr.solve.recipe_file import recipe_names as names_in

FEWEST_NODES, MOST_NODES = 5, 64  # of a z line that follows the depth of field; the paper has 5
MOST_PLANES = 1024

RECIPE_FOLDER = Path(__file__).parent / "recipes"
CONVENTIONAL_FOLDER = RECIPE_FOLDER / "conventional"


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FieldSettings(_Settings):
    """Sizes and start of the neural field; see `fpm_inr.fields.neural.NeuralField`."""

    kind: Literal["neural"] = "neural"
    channels: int = Field(32, ge=1, le=256)
    hidden: int = Field(32, ge=1, le=256)
    plane_divisor: int = Field(2, ge=1, le=16)
    z_nodes: int | None = Field(
        None, ge=1, le=64, description="left out: one per depth of field of a frame, from 5 to 64"
    )
    layer_norm: bool = False
    shared_features: bool = True
    unit_start: bool = True
    plane_start: float = Field(2e-4, gt=0, le=1)
    amp: bool = Field(False, description="hidden layers in bfloat16; on a graphics card")
    compile: bool = Field(False, description="decoders by torch.compile; on a graphics card")


class SplineSettings(_Settings):
    """The planes of a spline field; see `fpm_inr.fields.spline.SplineField`."""

    kind: Literal["spline"] = "spline"
    spacing_dof: float = Field(
        1.2,
        gt=0,
        description="distance of the spline's knots, in depths of field of the solved image",
    )


class OtherFieldSettings(BaseModel):
    """Of a kind of field that another package has; its own class says which keys there are."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str

    @model_validator(mode="after")
    def _known(self) -> OtherFieldSettings:
        self.sizes()
        return self

    def sizes(self) -> dict[str, Any]:
        """Keywords that make the field, checked by its class."""
        from fpm_inr.fields.base import FIELDS

        if self.kind in OWN:
            raise ValueError(f"no recipe solves a {self.kind} field")
        bounds = FIELDS.get(self.kind).sizes
        return bounds.model_validate(self.model_extra or {}).model_dump()


def _kind_of_field(content: Any) -> str | None:
    kind = content.get("kind") if isinstance(content, dict) else getattr(content, "kind", None)
    return kind if kind in ("neural", "spline", None) else "other"


AnyFieldSettings = Annotated[
    Annotated[FieldSettings, Tag("neural")]
    | Annotated[SplineSettings, Tag("spline")]
    | Annotated[OtherFieldSettings, Tag("other")],
    Discriminator(_kind_of_field),
]


class EpochOrder(_Settings):
    """The paper's order: for each epoch, for each z, for each LED (or batch of them), one step.

    Even epochs visit evenly spaced z, odd ones half as many random ones.
    """

    kind: Literal["epochs"] = "epochs"
    epochs: int = Field(15, ge=1)
    leds_per_step: int = Field(1, ge=1)
    z_spacing_dof: float = Field(
        0.8, gt=0, description="spacing of the even epochs, in units of 0.5 um / NA^2"
    )
    learning_rate: float = Field(1e-3, gt=0)
    decay_epochs: int = Field(6, ge=1, description="epochs after which the rate drops")
    decay_factor: float = Field(0.1, gt=0, le=1)
    coarse_to_fine: bool = False


class SweepOrder(_Settings):
    """Every step takes one z, spread evenly over the range, and a batch of LEDs."""

    kind: Literal["sweep"] = "sweep"
    steps: int = Field(ge=1)
    leds_per_step: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    plane_rate_factor: float = Field(1.0, gt=0, description="rate of the plane over the others'")
    warm_up: float = Field(0.05, ge=0, lt=1, description="share of the steps with a rising rate")
    final_rate: float = Field(0.05, ge=0, le=1, description="last rate over the highest")
    momentum: float = Field(0.9, ge=0, lt=1)
    coarse_steps: list[tuple[float, int]] = Field(
        default_factory=list,
        description="(share of the steps, divisor): early steps on a coarser grid",
    )


# What `fpm_inr.edges` makes of measured frames.
RimWidth = Annotated[
    float,
    Field(
        ge=0,
        le=1,
        description="LEDs this near the pupil's edge (share of its NA) have a free brightness",
    ),
]
EdgePx = Annotated[
    int,
    Field(
        ge=0, description="pixels at the edges of the frames over which trust in them falls to 0"
    ),
]


class PassOrder(_Settings):
    """Every step takes one z, spread evenly over the range, and a group of LEDs (spline field)."""

    kind: Literal["passes"] = "passes"
    passes_per_plane: int = Field(
        ge=1, description="visits of every LED, over the number of planes"
    )
    groups: int = Field(
        1, ge=1, description="groups that the LEDs are dealt out to, in order of their NA"
    )
    step: float = Field(gt=0, le=4, description="share of the frames' correction that is made")
    final_step: float = Field(0.1, ge=0, le=1, description="last step over the first")
    floor: float = Field(
        gt=0, description="damping, as a share of the most visited frequency's number of LEDs"
    )
    rim_width: RimWidth = 0.05
    edge_px: EdgePx = 4


Order = Annotated[EpochOrder | SweepOrder | PassOrder, Field(discriminator="kind")]


class Recipe(_Settings):
    """How to fit a field."""

    field: AnyFieldSettings = FieldSettings()
    order: Order
    order_2d: Order | None = Field(
        None, description="order of a single image; that of the stack where left out"
    )
    calibrate: dict[str, Any] | None = Field(
        None, description="what is learned of the instrument; see docs/calibration.md"
    )

    @model_validator(mode="after")
    def _suits(self) -> Recipe:
        is_spline = isinstance(self.field, SplineSettings)
        for order in (self.order, self.order_2d):
            if order is not None and isinstance(order, PassOrder) != is_spline:
                raise ValueError(
                    f"a {self.field.kind} field is not solved in the order {order.kind!r}: "
                    "spline goes with passes, others with sweep or epochs"
                )
            coarse = getattr(order, "coarse_steps", []) or getattr(order, "coarse_to_fine", False)
            if coarse and self.field.kind != "neural":
                raise ValueError(f"a {self.field.kind} field has no coarse steps")
        return self

    def order_for(self, is_flat: bool) -> EpochOrder | SweepOrder | PassOrder:
        """Return the order for a single image (flat) or a stack."""
        return self.order_2d if is_flat and self.order_2d is not None else self.order

    def field_settings(
        self, z_range_um: tuple[float, float], optics: Optics, na_synthetic: float
    ) -> dict[str, Any]:
        """Return the field's settings as keywords; a single image needs one z node or plane."""
        width_um = z_range_um[1] - z_range_um[0]
        if isinstance(self.field, SplineSettings):
            depth_um = optics.medium_index * optics.wavelength_um / na_synthetic**2
            intervals = math.ceil(min(width_um / (self.field.spacing_dof * depth_um), MOST_PLANES))
            return {"planes": 3 + max(1, intervals) if width_um > 0 else 1}
        if isinstance(self.field, OtherFieldSettings):
            return self.field.sizes()
        nodes = self.field.z_nodes
        if nodes is None:
            depth_of_field_um = 0.5 * optics.medium_index / optics.na**2
            nodes = min(max(FEWEST_NODES, 1 + math.ceil(width_um / depth_of_field_um)), MOST_NODES)
        return {
            **self.field.model_dump(exclude={"kind", "amp", "compile"}),
            "z_nodes": nodes if width_um > 0 else 1,
        }


class ConventionalRecipe(_Settings):
    """How the conventional engine solves; docs/conventional.md says how the numbers were chosen."""

    passes: int = Field(25, ge=1, le=10_000, description="most visits of all LEDs")
    step: float = Field(0.5, gt=0, le=1, description="share of a frame's correction that is made")
    step_drop: float = Field(0.5, gt=0, lt=1, description="factor of the step in a stall")
    least_gain: float = Field(
        0.01, ge=0, lt=1, description="relative fall of the error below which a pass is a stall"
    )
    least_step: float = Field(1e-2, ge=0, le=1, description="a smaller step ends the solve")
    momentum: float = Field(0.0, ge=0, lt=1, description="share of a pass's change made again")
    pupil_step: float = Field(
        0.0, ge=0, le=1, description="share of the pupil's correction; 0: the pupil is known"
    )
    rim_width: RimWidth = 0.05
    edge_px: EdgePx = 4


def recipe_names(kind: type[Recipe] | type[ConventionalRecipe] = Recipe) -> list[str]:
    """Names of the recipes that come with the package."""
    return names_in(CONVENTIONAL_FOLDER if kind is ConventionalRecipe else RECIPE_FOLDER)


def load_recipe(name: str | Path) -> Recipe:
    """Read a recipe of the engine inr by its name or from a YAML file.

    Raises
    ------
    SettingsError
        There is no such recipe, or the file holds unknown keys or values out of range.
    """
    return checked(read_recipe(name, Recipe, RECIPE_FOLDER), name)


def load_conventional_recipe(name: str | Path) -> ConventionalRecipe:
    """Read a recipe of the conventional engine by its name or from a YAML file.

    Raises
    ------
    SettingsError
        There is no such recipe, or the file holds unknown keys or values out of range.
    """
    return read_recipe(name, ConventionalRecipe, CONVENTIONAL_FOLDER)


def make_recipe(content: Any, source: object = "") -> Recipe:
    """Check a recipe given as plain data."""
    return checked(make_settings(content, Recipe, source), source)


def checked(recipe: Recipe, source: object) -> Recipe:
    """The same recipe, once what it learns of the instrument can be used.

    Raises
    ------
    SettingsError
        It cannot.
    """
    if recipe.calibrate is not None:
        from fpm_inr.instrument import parse_free

        try:
            parse_free(recipe.calibrate)
        except SettingsError as error:
            raise error.at(source) from error
    return recipe
