"""Plans: what every step does, drawn from the recipe and the seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fpm_inr.acquisition import Optics
from fpm_inr.engines.plan import make_plan, paper_z_count
from fpm_inr.engines.recipe import EpochOrder, SweepOrder, load_recipe, make_recipe, recipe_names
from fpm_inr.errors import SettingsError

NA_LED = np.array([0.2, 0.0, 0.1, 0.25, 0.15])
SWEEP = SweepOrder(steps=120, leds_per_step=3, learning_rate=0.01)


def plan(order: EpochOrder | SweepOrder, **changes: object):
    settings = {"na_led": NA_LED, "na_objective": 0.256, "z_range_um": (-20.0, 20.0), "seed": 1}
    return make_plan(order, **(settings | changes))  # type: ignore[arg-type]


def test_paper_epochs_alternate_even_and_random_heights_one_led_a_step() -> None:
    order = EpochOrder()
    count = paper_z_count(order, 0.256, (-20.0, 20.0))
    assert count == 7  # ceil(40 um / (0.8 * 0.5 um / 0.256^2))
    made = plan(order)
    per_epoch = [count if epoch % 2 == 0 else count // 2 for epoch in range(15)]
    assert len(made) == 5 * sum(per_epoch)
    assert made.leds.shape == (len(made), 1)
    first = made.z_um[: 5 * count].reshape(count, 5)
    np.testing.assert_allclose(first[:, 0], np.linspace(-20, 20, count))
    assert (first == first[:, :1]).all()
    # LEDs in order of illumination NA
    assert NA_LED[made.leds[:5, 0]].tolist() == sorted(NA_LED)
    assert made.rate[0] == pytest.approx(1e-3)
    assert made.rate[-1] == pytest.approx(1e-5)
    assert len(set(np.round(made.rate, 12))) == 3


def test_random_epochs_can_reach_both_ends() -> None:
    """The published code floors a division and stops short of the range's end."""
    made = plan(EpochOrder(epochs=400), na_led=np.array([0.0]))
    assert made.z_um.max() == 20.0
    odd = [z for z in made.z_um if z not in np.linspace(-20, 20, 7)]
    assert max(odd) > 19.5
    assert min(odd) < -19.5
    assert len(odd) == 200 * 3


@given(st.integers(1, 300), st.integers(0, 99))
def test_sweep_covers_range_and_leds_evenly(steps: int, seed: int) -> None:
    made = plan(SWEEP, steps=steps, seed=seed)
    assert len(made) == steps
    assert made.z_um.min() >= -20
    assert made.z_um.max() <= 20
    uses = np.bincount(made.leds.ravel(), minlength=5)
    assert uses.max() - uses.min() <= 1
    if steps >= 30:
        gaps = np.diff(np.sort(np.concatenate([[-20], made.z_um, [20]])))
        assert gaps.max() < 3.5 * 40 / steps


def test_same_seed_same_plan() -> None:
    one, two, other = plan(SWEEP), plan(SWEEP), plan(SWEEP, seed=2)
    np.testing.assert_array_equal(one.z_um, two.z_um)
    np.testing.assert_array_equal(one.leds, two.leds)
    assert (one.leds != other.leds).any()


def test_flat_range_stays_there_and_coarse_steps_come_first() -> None:
    order = SWEEP.model_copy(update={"coarse_steps": [(0.25, 4), (0.25, 2)]})
    made = plan(order, z_range_um=(3.0, 3.0))
    assert (made.z_um == 3.0).all()
    assert made.divisor.tolist() == [4] * 30 + [2] * 30 + [1] * 60
    assert (plan(EpochOrder(epochs=2), z_range_um=(3.0, 3.0)).z_um == 3.0).all()


def test_paper_coarse_to_fine_ends_fine() -> None:
    made = plan(EpochOrder(coarse_to_fine=True))
    assert made.divisor[0] == 4
    assert made.divisor[-1] == 1
    assert (np.diff(made.divisor) <= 0).all()


def test_steps_cut_the_papers_epochs() -> None:
    assert len(plan(EpochOrder(), steps=7)) == 7


def test_shipped_recipes_load() -> None:
    assert {"default", "neural", "paper"} <= set(recipe_names())
    paper = load_recipe("paper")
    assert isinstance(paper.order, EpochOrder)
    assert paper.order.epochs == 15


OPTICS_630 = Optics(wavelength_um=0.63, na=0.25, pixel_um=0.645, medium_index=1.33)


@pytest.mark.parametrize(
    ("recipe", "z_range_um", "nodes"),
    [
        ("neural", (-4.0, 4.0), 5),  # never fewer than the paper's
        ("neural", (-60.0, 20.0), 9),  # 80 um in depths of field of 10.64 um
        ("neural", (-900.0, 900.0), 64),
        ("neural", (3.0, 3.0), 1),
        ("paper", (-60.0, 20.0), 5),
        ("paper", (3.0, 3.0), 1),
    ],
)
def test_z_nodes_follow_the_depth_of_field(
    recipe: str, z_range_um: tuple[float, float], nodes: int
) -> None:
    assert load_recipe(recipe).field_settings(z_range_um, OPTICS_630, 0.5)["z_nodes"] == nodes


@pytest.mark.parametrize(
    ("z_range_um", "planes"),
    [((3.0, 3.0), 1), ((0.0, 0.1), 4), ((-60.0, 20.0), 3 + 20)],  # 1.2 x 3.35 um apart
)
def test_planes_follow_the_depth_of_field_of_the_solved_image(
    z_range_um: tuple[float, float], planes: int
) -> None:
    recipe = load_recipe("default")
    assert recipe.field_settings(z_range_um, OPTICS_630, 0.5) == {"planes": planes}


def test_a_field_and_an_order_must_suit_each_other() -> None:
    with pytest.raises(SettingsError, match="spline goes with passes"):
        make_recipe({"field": {"kind": "spline"}, "order": {"kind": "epochs"}})
    with pytest.raises(SettingsError, match=r"field\.kind"):
        make_recipe({"field": {"channels": 8}, "order": {"kind": "epochs"}})


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ({"order": {"kind": "epochs", "epoch": 3}}, "epoch"),
        ({"order": {"kind": "sweep", "steps": 0, "leds_per_step": 1, "learning_rate": 1}}, "steps"),
        ({"field": {"kind": "neural", "chanels": 3}, "order": {"kind": "epochs"}}, "chanels"),
        ({"order": {"kind": "swirl"}}, "order"),
        ("nothing", "recipe"),
    ],
)
def test_bad_recipes_name_the_key(content: object, key: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=key):
        make_recipe(content)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(SettingsError, match=r"mine\.yaml"):
        load_recipe(path)


def test_unknown_or_unreadable_recipe(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="default"):
        load_recipe("best")
    path = tmp_path / "broken.yaml"
    path.write_text("order: [")
    with pytest.raises(SettingsError, match="YAML"):
        load_recipe(path)


@pytest.mark.parametrize("recipe", recipe_names())
def test_leds_that_are_left_out_are_not_visited_and_all_others_are(recipe: str) -> None:
    left_out = np.array([False, True, False, False, True])
    for z_range_um in ((-20.0, 20.0), (0.0, 0.0)):
        order = load_recipe(recipe).order_for(z_range_um[0] == z_range_um[1])
        made = plan(order, left_out_led=left_out, z_range_um=z_range_um, planes=3)
        assert set(np.unique(made.leds)) == {0, 2, 3}
