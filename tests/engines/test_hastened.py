"""A neural field in bfloat16 and compiled: near the plain one, in one graph, on cards alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fpm_inr.engines.hastened import hastened
from fpm_inr.engines.plan import make_plan
from fpm_inr.engines.recipe import EpochOrder, load_recipe
from fpm_inr.errors import SettingsError
from fpm_inr.fields.neural import NeuralField
from fpm_inr.reconstruction import reconstruct
from tests.pretended import PretendedCard
from tests.tiny import tiny_acquisition


def field(*, shared: bool) -> NeuralField:
    torch.manual_seed(0)
    return NeuralField(
        (20, 24), (-3.0, 3.0), shared_features=shared, unit_start=False, plane_start=0.3
    )


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("divisor", [1, 2])
def test_bfloat16_is_near_and_trains_single_precision(shared: bool, divisor: int) -> None:
    plain = field(shared=shared)
    image = hastened(plain, amp=True, compiled=False)(1.0, divisor)
    assert image.dtype == torch.complex64
    with torch.no_grad():
        error = (image - plain(1.0, divisor)).norm() / plain(1.0, divisor).norm()
    assert 1e-6 < float(error) < 2e-2
    image.abs().square().sum().backward()
    for value in plain.parameters():
        assert value.grad is not None
        assert value.grad.dtype == torch.float32


@pytest.mark.parametrize("shared", [True, False])
def test_decoders_are_one_graph_for_all_heights(
    shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs: list[torch.fx.GraphModule] = []

    def kept(graph: torch.fx.GraphModule, _: Any) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    whole = torch.compile
    monkeypatch.setattr(torch, "compile", lambda of: whole(of, backend=kept, fullgraph=True))
    plain = field(shared=shared)
    render = hastened(plain, amp=False, compiled=True)
    for z_um in (-3.0, -0.7, 2.0):
        torch.testing.assert_close(render(z_um), plain(z_um))
    assert len(graphs) == 1


@pytest.mark.parametrize("name", ["amp", "compile"])
def test_a_cpu_refuses_them(name: str) -> None:
    recipe = load_recipe("neural")
    fast = recipe.model_copy(update={"field": recipe.field.model_copy(update={name: True})})
    with pytest.raises(SettingsError, match=rf"field\.{name}: is true.*CPU"):
        reconstruct(tiny_acquisition(), recipe=fast, steps=2, device="cpu")


def test_no_compiler_ends_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor import config

    monkeypatch.setattr(config.cpp, "cxx", (None, "no-such-compiler"))
    monkeypatch.setattr(config, "force_disable_caches", True)
    torch._dynamo.reset()
    render = hastened(field(shared=True), amp=False, compiled=True)
    with pytest.raises(SettingsError, match=r"field\.compile: is true.*C\+\+ compiler"):
        render(0.0)


def test_a_solve_renders_by_them(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load_recipe("paper")
    fast = recipe.model_copy(update={"field": recipe.field.model_copy(update={"compile": True})})
    asked: list[Any] = []
    monkeypatch.setattr(torch, "compile", lambda of: asked.append(of) or of)
    with PretendedCard():
        solution = reconstruct(tiny_acquisition(), recipe=fast, steps=3, device="meta")
        plain = reconstruct(tiny_acquisition(), recipe="paper", steps=3, device="meta")
    assert len(asked) == 1
    # how it was computed is no part of the field
    assert "compile" not in solution.field.settings
    np.testing.assert_allclose(
        solution.render(0.0).field_z_y_x, plain.render(0.0).field_z_y_x, rtol=1e-5
    )


def test_the_paper_s_order_in_batches_shows_every_led_at_every_height() -> None:
    na_led = np.random.default_rng(0).uniform(0, 0.3, 10)
    for batch in (1, 4, 10, 99):
        order = EpochOrder(epochs=2, leds_per_step=batch)
        plan = make_plan(order, na_led=na_led, na_objective=0.25, z_range_um=(-10.0, 10.0), seed=0)
        size = min(batch, 10)
        assert plan.leds.shape[1] == size
        assert len(plan.rate) == len(plan.divisor) == len(plan)
        steps = -(-10 // size)
        heights = plan.z_um.reshape(-1, steps)
        assert (heights == heights[:, :1]).all()
        for visit in plan.leds.reshape(len(heights), -1):
            assert set(visit.tolist()) == set(range(10))
        assert (np.diff(na_led[plan.leds[0]]) >= 0).all()
