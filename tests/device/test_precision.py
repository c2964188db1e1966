"""A real card gives the CPU's images, and no step waits for it: run where there is one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from fpm_inr.calibration.calibrate import calibrate
from fpm_inr.device import pick_device
from fpm_inr.engines.adam import AdamSolve
from fpm_inr.engines.recipe import load_recipe
from fpm_inr.engines.spline import SplineSolve
from fpm_inr.reconstruction import data_residual, reconstruct
from fpm_inr.sending import kind_of_whole
from fpm_inr.trust.explained import explain
from tests.device.test_card import SOLVES
from tests.device.test_rounding import TOLERANCE, apart, tolerance
from tests.tiny import leave, masked, of_a_size, several_leds, tiny_acquisition

CARD = str(pick_device("auto"))
pytestmark = pytest.mark.skipif(CARD == "cpu", reason="there is no graphics card here")


@pytest.mark.parametrize("name", SOLVES)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_every_engine_gives_the_cpu_s_image(name: str, weighted: bool) -> None:
    acquisition = masked(tiny_acquisition()) if weighted else tiny_acquisition()
    on_cpu, on_card = (
        reconstruct(acquisition, device=device, **SOLVES[name]) for device in ("cpu", CARD)
    )
    heights = np.linspace(*on_cpu.z_range_um, 3 if "z_range_um" in SOLVES[name] else 1)
    assert apart(on_card, on_cpu) < tolerance(SOLVES[name])
    there = on_cpu.on(CARD)
    np.testing.assert_allclose(
        there.render(heights).field_z_y_x, on_cpu.render(heights).field_z_y_x, atol=TOLERANCE
    )
    np.testing.assert_allclose(
        data_residual(acquisition, on_cpu, heights.tolist(), device=CARD),
        data_residual(acquisition, on_cpu, heights.tolist()),
        rtol=1e-3,
    )
    np.testing.assert_allclose(
        explain(acquisition, there, heights.tolist()).error_led,
        explain(acquisition, on_cpu, heights.tolist()).error_led,
        rtol=1e-3,
    )


@pytest.mark.parametrize(
    "how",
    [
        {"steps": 8, "calibrate": "gains,pupil,background"},
        {"steps": 6, "recipe": "neural", "calibrate": "gains"},
        {"engine": "conventional", "recipe": "pupil", "passes": 4},
    ],
)
def test_several_leds_and_whole_numbers_give_the_cpu_s_image(how: dict[str, Any]) -> None:
    smooth = of_a_size(several_leds())
    acquisition = replace(smooth, frames_led_y_x=(10 * smooth.frames_led_y_x).round())
    assert kind_of_whole(acquisition.frames_led_y_x) is not None
    one, other = (
        reconstruct(acquisition, device=device, listen=leave, **how) for device in (CARD, "cpu")
    )
    assert apart(one, other) < tolerance(how)


@pytest.mark.parametrize("several", [False, True], ids=["one LED", "several LEDs"])
@pytest.mark.parametrize("engine", [SplineSolve, AdamSolve])
def test_cuda_itself_sees_no_step_wait(
    engine: type[Any], several: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if torch.device(CARD).type != "cuda":
        pytest.skip("only CUDA tells when it is waited for")
    step, checked = engine.advance, []

    def strict(self: Any) -> Any:
        # the first visits make ready what all of them need
        is_strict = self.step >= 4
        torch.cuda.set_sync_debug_mode("error" if is_strict else "default")
        try:
            return step(self)
        finally:
            torch.cuda.set_sync_debug_mode("default")
            checked.append(is_strict)

    monkeypatch.setattr(engine, "advance", strict)
    recipe = "default" if engine is SplineSolve else "neural"
    acquisition = several_leds() if several else tiny_acquisition()
    how = {"recipe": recipe, "calibrate": "gains,pupil,background", "z_range_um": (-3.0, 3.0)}
    reconstruct(acquisition, device=CARD, steps=12, listen=leave, **how)
    assert sum(checked) == 8


def test_a_calibration_ends_where_the_cpu_s_does() -> None:
    acquisition = tiny_acquisition()
    on_cpu, on_card = (calibrate(acquisition, steps=20, device=one) for one in ("cpu", CARD))
    assert on_card.after.residual == pytest.approx(on_cpu.after.residual, rel=1e-2)


@pytest.mark.parametrize("how", [{"amp": True}, {"compile": True}])
def test_quick_decoders_end_near_the_plain_ones(how: dict[str, Any]) -> None:
    recipe = load_recipe("neural")
    fast = recipe.model_copy(update={"field": recipe.field.model_copy(update=how)})
    plain, quick = (
        reconstruct(tiny_acquisition(), recipe=one, steps=60, device=CARD) for one in (recipe, fast)
    )
    assert quick.history[-1]["loss"] < 1.5 * plain.history[-1]["loss"] + 1e-4


def test_memory_that_runs_out_is_caught() -> None:
    if torch.device(CARD).type != "cuda":
        pytest.skip("only CUDA tells of memory that ran out")
    from fpm_inr.memory import Portion

    portion = Portion("items", torch.device(CARD), bytes_each=1, most=64)
    quarter = torch.cuda.mem_get_info(CARD)[1] // 4

    def work(part: slice) -> int:
        # a quarter of the card for each item
        return len(torch.empty((part.stop - part.start) * quarter, dtype=torch.int8, device=CARD))

    assert len(list(portion.over(4, work))) >= 2
    assert portion.told
