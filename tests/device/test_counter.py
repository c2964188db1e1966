"""The pretended card sees what a real one would be waited for or sent, and nothing else.

`tests.device.test_steps` says that a step does without; here is what it would not go without.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fpm_inr.engines.adam import AdamSolve
from fpm_inr.engines.planes import ConventionalSolve
from fpm_inr.engines.spline import SplineSolve
from fpm_inr.reconstruction import reconstruct
from tests.device.test_steps import stops_by_step
from tests.pretended import CARD, MixedDevicesError, PretendedCard
from tests.tiny import leave, tiny_acquisition

TABLE = np.arange(3)


def put(there: Tensor, where: Any, value: Any) -> None:
    there[where] = value


STOPS: dict[str, Callable[[Tensor], Any]] = {
    "item": lambda there: there.sum().item(),
    "float": lambda there: float(there.sum()),
    "int": lambda there: int(there.sum()),
    "bool": lambda there: bool((there > 0).all()),
    "if": lambda there: 1 if there.sum() > 0 else 0,
    "max of Python": lambda there: max(there),
    "in": lambda there: 2.0 in there,
    "text": lambda there: f"{there.sum():.3f}",
    "tolist": lambda there: there.tolist(),
    "cpu": lambda there: there.cpu(),
    "to the CPU": lambda there: there.to("cpu"),
    "copied to the CPU": lambda there: torch.zeros(3).copy_(there),
    "number of a tensor": lambda there: torch.zeros(3).add_(1, alpha=there.sum()),
    "nonzero": lambda there: there.nonzero(),
    "where": lambda there: torch.where(there > 0),
    "argwhere": lambda there: torch.argwhere(there),
    "boolean index": lambda there: there[there > 0],
    "bytes as index": lambda there: there[(there > 0).to(torch.uint8)],
    "put by a boolean index": lambda there: put(there, there > 0, 1.0),
    "masked_select": lambda there: there.masked_select(there > 0),
    "unique": lambda there: there.unique(),
    "unique with places": lambda there: there.unique(return_inverse=True),
    "unique_consecutive": lambda there: there.unique_consecutive(),
    "equal": lambda there: torch.equal(there, there + 1),
    "allclose": lambda there: torch.allclose(there, there),
    "bincount": lambda there: there.long().bincount(),
    "one_hot": lambda there: F.one_hot(there.long()),
    "repeat_interleave": lambda there: there.repeat_interleave(there.long()),
    "nanmedian": lambda there: there.nanmedian(),
    "inverse": lambda there: torch.linalg.inv(there.outer(there) + torch.ones_like(there).diag()),
    "arange to a tensor": lambda there: torch.arange(there.sum().long()),
    "sent": lambda there: torch.ones(3).to(CARD),
    "sent as another kind": lambda there: torch.ones(3).to(CARD, torch.int32),
    "sent without waiting": lambda there: torch.ones(3).to(CARD, non_blocking=True),
    "sent from NumPy": lambda there: torch.from_numpy(TABLE).to(CARD),
    "like another": lambda there: torch.ones(3).to(there),
    "made of numbers": lambda there: torch.tensor([1.0, 2.0], device=CARD),
    "made of a number": lambda there: torch.tensor(1.0, device=CARD),
    "made of NumPy's": lambda there: torch.as_tensor(TABLE, device=CARD),
    "new_tensor": lambda there: there.new_tensor([1.0, 2.0]),
    "copied there": lambda there: there.copy_(torch.zeros(3)),
    "index of the CPU": lambda there: there[torch.tensor([0, 1])],
    "index of Python": lambda there: there[[0, 1]],
    "index of NumPy": lambda there: there[TABLE],
    "put by an index of the CPU": lambda there: put(there, torch.tensor([0, 1]), 1.0),
}
GOES_ON: dict[str, Callable[[Tensor], Any]] = {
    "sum": lambda there: there.sum() + 1,
    "full": lambda there: torch.full((3,), 2.0, device=CARD),
    "number": lambda there: there * 2.0 + torch.tensor(1.0),
    "put a number": lambda there: put(there, 0, 1.0),
    "masked_fill": lambda there: there.masked_fill(there > 0, 0.0),
    "where of three": lambda there: torch.where(there > 0, there, 0),
    "index on the card": lambda there: there[there.long() % 3],
    "put by an index on the card": lambda there: put(there, there.long() % 3, 1.0),
    "slice": lambda there: there[1:].view(2, 1),
    "sorted": lambda there: there.argsort(stable=True),
    "median": lambda there: there.median(),
    "repeat_interleave of a known sum": lambda there: there.repeat_interleave(
        there.long(), output_size=6
    ),
    "transform": lambda there: torch.fft.fft2(there.view(1, 3)),
    "another kind": lambda there: there.to(torch.int32),
    "gradient": lambda there: torch.ones(3, device=CARD, requires_grad=True).sum().backward(),
}


@pytest.mark.parametrize("name", STOPS)
def test_what_a_card_is_waited_for_is_seen(name: str) -> None:
    with PretendedCard() as card:
        there = torch.ones(3, device=CARD).cumsum(0)
        assert not card.stops
        STOPS[name](there)
        assert card.stops


@pytest.mark.parametrize("name", GOES_ON)
def test_what_it_does_by_itself_is_not(name: str) -> None:
    with PretendedCard() as card:
        GOES_ON[name](torch.ones(3, device=CARD).cumsum(0))
        assert not card.stops


@pytest.mark.parametrize("name", ["boolean index", "unique", "repeat_interleave", "inverse"])
def test_what_is_seen_is_as_on_the_cpu(name: str) -> None:
    expected = STOPS[name](torch.ones(3).cumsum(0))
    with PretendedCard():
        found = STOPS[name](torch.ones(3, device=CARD).cumsum(0)).cpu()
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("engine", "how"),
    [
        (SplineSolve, {"steps": 8}),
        (AdamSolve, {"steps": 4, "recipe": "neural"}),
        (ConventionalSolve, {"engine": "conventional", "passes": 3}),
    ],
)
def test_a_step_that_waits_is_seen(
    engine: type[Any], how: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = engine.advance

    def waiting(self: Any) -> Any:
        fit = step(self)
        self.problem.amplitude_led_y_x[:1].sum().item()
        return fit

    monkeypatch.setattr(engine, "advance", waiting)
    with stops_by_step(monkeypatch, engine, "advance") as steps:
        reconstruct(tiny_acquisition(), device="meta", listen=leave, **how)
    assert steps
    for stops in steps:
        # nothing of the package is called from this file: the line that called the step is
        assert sum(count for place, count in stops.items() if "drive.py" in place) == 1


def test_the_card_refuses_what_a_real_one_does() -> None:
    with PretendedCard() as card:
        there = torch.ones(3, device=CARD)
        with pytest.raises(MixedDevicesError):
            there + torch.ones(3)
        with pytest.raises(MixedDevicesError):
            torch.ones(3)[torch.zeros(1, dtype=torch.int64, device=CARD)]
        with pytest.raises(MixedDevicesError):
            there.take(torch.zeros(1, dtype=torch.int64))
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
        with pytest.raises(TypeError, match="double precision"):
            there.double()
        assert not card.stops
