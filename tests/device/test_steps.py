"""Nothing that a card is waited for, and nothing that is sent to it, from step to step.

`tests.device.test_counter` says that what would be is seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fpm_inr.calibration import solve as plane
from fpm_inr.calibration.solve import fit_plane
from fpm_inr.engines.adam import AdamSolve
from fpm_inr.engines.planes import ConventionalSolve
from fpm_inr.engines.spline import SplineSolve
from fpm_inr.instrument import parse_free
from fpm_inr.reconstruction import reconstruct
from tests.pretended import PretendedCard
from tests.tiny import leave, masked, of_a_size, several_leds, tiny_acquisition

EVERYTHING = {
    "gains": True,
    "pupil": True,
    "pupil_map": True,
    "pose": {"init": [0.0] * 6, "start": 0.0, "stop": 1.0, "learning_rate": 0.01},
    "shifts": {"start": 0.0, "learning_rate": 0.01},
    "background": True,
    "na": {"init": 0.25, "start": 0.0},
}


FRAMES = {
    "one LED": tiny_acquisition,
    "several LEDs": several_leds,
    "several of a size": lambda: of_a_size(several_leds()),
    "pixels that lie": lambda: masked(tiny_acquisition()),
}
every_kind = pytest.mark.parametrize("kind", FRAMES)


@contextmanager
def stops_by_step(
    monkeypatch: pytest.MonkeyPatch, kind: type, name: str
) -> Iterator[list[Counter[str]]]:
    """What every call of a method of this class waits for or sends, and where."""
    found: list[Counter[str]] = []
    step: Callable[..., Any] = getattr(kind, name)
    with PretendedCard() as card:

        def counted(self: Any, *args: Any) -> Any:
            before = Counter(card.stops)
            result = step(self, *args)
            found.append(card.stops - before)
            return result

        monkeypatch.setattr(kind, name, counted)
        yield found


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"z_range_um": (-3.0, 3.0)},
        {"calibrate": {**EVERYTHING, "defocus": True}},
        {"z_range_um": (-3.0, 3.0), "calibrate": EVERYTHING},
    ],
    ids=["2D", "3D", "2D joint", "3D joint"],
)
@every_kind
def test_a_spline_step_waits_for_nothing(
    kind: str, how: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with stops_by_step(monkeypatch, SplineSolve, "advance") as steps:
        reconstruct(FRAMES[kind](), device="meta", steps=12, listen=leave, **how)
    # the first visit of each of four groups makes ready what all of its visits need
    assert len(steps) >= 12
    for stops in steps[4:12]:
        assert not stops


@pytest.mark.parametrize("recipe", ["neural", "paper"])
@pytest.mark.parametrize("is_joint", [False, True], ids=["known", "joint"])
@every_kind
def test_an_adam_step_waits_for_nothing(
    kind: str, is_joint: bool, recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = {"gains": True, "pupil": True, "pose": {"init": [0.0] * 6}, "background": True}
    with stops_by_step(monkeypatch, AdamSolve, "advance") as steps:
        reconstruct(
            FRAMES[kind](),
            device="meta",
            steps=6,
            recipe=recipe,
            z_range_um=(-3.0, 3.0),
            calibrate=learned if is_joint else None,
            listen=leave,
        )
    # Adam's first step makes what it remembers
    assert len(steps) >= 6
    for stops in steps[1:6]:
        assert not stops


@pytest.mark.parametrize(
    "how", [{"z_range_um": (-3.0, 3.0), "planes": 3}, {"recipe": "pupil"}], ids=["3D", "pupil"]
)
@every_kind
def test_a_pass_waits_once(kind: str, how: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with stops_by_step(monkeypatch, ConventionalSolve, "advance") as passes:
        reconstruct(FRAMES[kind](), device="meta", engine="conventional", passes=4, **how)
    assert len(passes) == 4
    for stops in passes[1:-1]:
        assert stops.total() <= 1


@every_kind
def test_a_plane_s_step_waits_where_leds_move_every_tenth_time(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = parse_free("gains,pupil,pose,shifts,na,background")
    with stops_by_step(monkeypatch, plane._PlaneSolve, "step") as steps:
        fit_plane(FRAMES[kind](), 0.0, free, steps=22, device="meta")
    assert len(steps) == 22
    for number, stops in enumerate(steps[1:], start=1):
        assert number % plane.RECENTRE_STEPS == 0 or not stops
