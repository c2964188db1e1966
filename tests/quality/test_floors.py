"""The default recipe keeps its quality: bounds are data, and a wrong LED map breaks them."""

from __future__ import annotations

import pytest

from fpm_inr.calibration.orientation import Orientation, oriented
from fpm_inr.simulate import simulate
from tests.quality.measure import DATA, FLOORS, REAL, SIMULATED, figures_of, residual_of

TURNS = [Orientation(flip_x=True), Orientation(transpose=True)]
IN_ONE_PLANE = [name for name, (_, (low, high)) in SIMULATED.items() if low == high]


def test_every_case_has_its_bounds() -> None:
    assert list(FLOORS["simulated"]) == list(SIMULATED)
    assert list(FLOORS["real"]) == list(REAL)


@pytest.mark.parametrize("name", SIMULATED)
def test_known_specimens_come_out_as_near_as_they_did(name: str) -> None:
    setup, z_range_um = SIMULATED[name]
    made = simulate(setup)
    figures = figures_of(made, made.acquisition, z_range_um)
    worse = {
        figure: f"{figures[figure]:.4f} above {bound:g}"
        for figure, bound in FLOORS["simulated"][name].items()
        if not figures[figure] <= bound
    }
    assert not worse


@pytest.mark.parametrize("name", IN_ONE_PLANE)
def test_a_mirrored_led_map_breaks_every_bound(name: str) -> None:
    setup, z_range_um = SIMULATED[name]
    made = simulate(setup)
    figures = figures_of(made, oriented(made.acquisition, TURNS[0]), z_range_um)
    assert all(figures[figure] > bound for figure, bound in FLOORS["simulated"][name].items())


@pytest.mark.skipif(not DATA.is_dir(), reason=f"real data is not at {DATA}")
@pytest.mark.parametrize("name", REAL)
def test_real_frames_are_explained_as_well_as_they_were(name: str) -> None:
    acquisition, bound = REAL[name].read(), FLOORS["real"][name]["data_residual"]
    assert residual_of(acquisition, REAL[name].z_um) <= bound
    for turn in TURNS:
        assert residual_of(oriented(acquisition, turn), REAL[name].z_um) > bound
